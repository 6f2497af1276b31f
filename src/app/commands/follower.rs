use anyhow::{Context, ensure};

use super::opening::{Intent, Opened, open, say};
use crate::app::cli::{ActOptions, FollowerCommand, ResyncOptions};
use crate::app::config::{self, Environment, Faults};
use crate::app::service;
use crate::chain::Provider;
use crate::follower::Verifier;
use crate::ledger::repairs::Repair;
use crate::ledger::{self, counter_checks, cursors, upgrades};

/// Runs one of the follower's operator commands.
pub(in crate::app) async fn run(
    command: &FollowerCommand,
    environment: &Environment,
) -> anyhow::Result<()> {
    match command {
        FollowerCommand::Resync(options) => resync(options, environment).await,
        FollowerCommand::ReleaseHalt(options) => release_halt(options, environment).await,
        FollowerCommand::ReleaseUpgrades(options) => release_upgrades(options, environment).await,
        FollowerCommand::AcceptCounters(options) => accept_counters(options, environment).await,
    }
}

async fn resync(options: &ResyncOptions, environment: &Environment) -> anyhow::Result<()> {
    let act = &options.act;
    let intent = Intent::new(act.reason.as_deref(), act.dry_run)?;
    let mut faults = Faults::default();
    let chain = config::read_endpoints(options.rpc_urls.as_deref(), environment, &mut faults);
    if act.subject.keeper.is_none() {
        faults.add(
            "TIDEWATCH_KEEPER",
            "is required: the file with the keeper's deployment",
        );
    }
    if !faults.is_empty() {
        return Err(faults.into());
    }
    let opened = open(act.subject.keeper.as_deref(), environment).await?;
    let keeper = opened.keeper.context("TIDEWATCH_KEEPER is required")?;
    let providers: Vec<Provider> = chain
        .iter()
        .map(|url| Provider::new(url.expose()))
        .collect::<Result<_, _>>()?;
    if !intent.dry_run {
        let mut transaction = opened.ledger.begin().await?;
        let subject = format!(
            "deployment {} from block {}",
            opened.deployment, options.from
        );
        intent
            .record(&mut transaction, "follower resync", &subject)
            .await?;
        ledger::commit(transaction).await?;
    }
    let following = service::following_of(&keeper);
    let mut verifier = Verifier::new(
        opened.ledger,
        providers,
        following,
        opened.deployment,
        Some(keeper),
    );
    let (mut next, mut read, mut wrong) = (options.from, 0, 0);
    while let Some(step) = verifier.resync(next, intent.dry_run).await? {
        read += step.to - step.from + 1;
        wrong += step.repairs.len();
        for repair in &step.repairs {
            say(told(repair, intent.dry_run))?;
        }
        next = step.to + 1;
    }
    ensure!(
        read > 0,
        "block {} is above the recorded history, which ends at block {}",
        options.from,
        next.saturating_sub(1)
    );
    say(format!(
        "read {read} blocks again up to block {}: {wrong} were wrong{}",
        next - 1,
        if intent.dry_run || wrong == 0 {
            ""
        } else {
            " and are mended"
        }
    ))
}

fn told(repair: &Repair, dry_run: bool) -> String {
    let Repair {
        block,
        missing,
        disproved,
        provider,
        ..
    } = repair;
    let done = if dry_run { "would be" } else { "are" };
    format!(
        "block {block}: {missing} logs were missing and {done} recorded, {disproved} are not of that block and {done} tombstones ({}, {provider})",
        repair.proof.as_str()
    )
}

async fn release_halt(options: &ActOptions, environment: &Environment) -> anyhow::Result<()> {
    let (intent, opened) = begin(options, environment).await?;
    let mut transaction = opened.ledger.begin().await?;
    let cursor = cursors::get(&mut transaction, opened.deployment).await?;
    let halt = cursor
        .halt
        .with_context(|| format!("deployment {} is not halted", opened.deployment))?;
    if intent.dry_run {
        return say(format!(
            "would release deployment {}: {halt}",
            opened.deployment
        ));
    }
    let released = cursors::release_halt(&mut transaction, opened.deployment).await?;
    ensure!(
        released,
        "somebody else released deployment {} meanwhile",
        opened.deployment
    );
    let subject = format!("deployment {}: {halt}", opened.deployment);
    intent
        .record(&mut transaction, "follower release-halt", &subject)
        .await?;
    cursors::tell_recorded(&mut transaction, opened.deployment).await?;
    ledger::commit(transaction).await?;
    say(format!(
        "deployment {} is released: the follower goes back to the newest block that the chain still has",
        opened.deployment
    ))
}

async fn release_upgrades(options: &ActOptions, environment: &Environment) -> anyhow::Result<()> {
    let (intent, opened) = begin(options, environment).await?;
    let mut transaction = opened.ledger.begin().await?;
    let id = opened.deployment;
    let held = upgrades::list_held(&mut transaction, id, i64::MAX.unsigned_abs()).await?;
    ensure!(
        !held.is_empty(),
        "nothing holds the admission of deployment {id}"
    );
    for upgrade in &held {
        say(format!(
            "{} runs {} from block {} on",
            upgrade.proxy, upgrade.implementation, upgrade.block_number
        ))?;
    }
    if intent.dry_run {
        return say(format!("would release {} upgrades", held.len()));
    }
    let released = upgrades::release(&mut transaction, id).await?;
    let named: Vec<_> = held
        .iter()
        .map(|upgrade| format!("{} to {}", upgrade.proxy, upgrade.implementation))
        .collect();
    let subject = format!("deployment {id}: {}", named.join(", "));
    intent
        .record(&mut transaction, "follower release-upgrades", &subject)
        .await?;
    cursors::tell_recorded(&mut transaction, id).await?;
    ledger::commit(transaction).await?;
    say(format!(
        "{released} upgrades are released: what waited for it is judged again"
    ))
}

async fn accept_counters(options: &ActOptions, environment: &Environment) -> anyhow::Result<()> {
    let (intent, opened) = begin(options, environment).await?;
    let mut transaction = opened.ledger.begin().await?;
    let id = opened.deployment;
    let wrong = counter_checks::list_beyond(&mut transaction, id).await?;
    ensure!(
        !wrong.is_empty(),
        "the contracts of deployment {id} count nothing beyond the ledger"
    );
    for check in &wrong {
        say(format!(
            "{}: {} counted at block {}, {} recorded",
            check.counter, check.counted, check.number, check.recorded
        ))?;
    }
    if intent.dry_run {
        return say("would take the difference to be older than the start block");
    }
    for check in &wrong {
        counter_checks::accept(&mut transaction, id, check).await?;
        let subject = format!(
            "deployment {id}: {} {} before the start block",
            check.counted.saturating_sub(check.recorded),
            check.counter
        );
        intent
            .record(&mut transaction, "follower accept-counters", &subject)
            .await?;
    }
    cursors::tell_recorded(&mut transaction, id).await?;
    ledger::commit(transaction).await?;
    say("accepted: verification goes on")
}

async fn begin<'a>(
    options: &'a ActOptions,
    environment: &Environment,
) -> anyhow::Result<(Intent<'a>, Opened)> {
    let intent = Intent::new(options.reason.as_deref(), options.dry_run)?;
    let opened = open(options.subject.keeper.as_deref(), environment).await?;
    Ok((intent, opened))
}
