use anyhow::Context;
use serde_json::json;

use super::opening::{Intent, open, say};
use crate::app::cli::{ParkedCommand, ReplayOptions, StatusOptions};
use crate::app::config::Environment;
use crate::ledger::{self, parked};

/// Most entries that are listed; the oldest come first.
const MOST: i64 = 1_000;

/// Lists what is parked, or lets something be tried again.
pub(in crate::app) async fn run(
    command: &ParkedCommand,
    environment: &Environment,
) -> anyhow::Result<()> {
    match command {
        ParkedCommand::List(options) => list(options, environment).await,
        ParkedCommand::Replay(options) => replay(options, environment).await,
    }
}

async fn list(options: &StatusOptions, environment: &Environment) -> anyhow::Result<()> {
    let opened = open(options.subject.keeper.as_deref(), environment).await?;
    let mut connection = opened.ledger.acquire().await?;
    let entries = parked::list(&mut connection, opened.deployment, MOST).await?;
    if options.json {
        let entries: Vec<_> = entries
            .iter()
            .map(|entry| {
                json!({"id": entry.id, "kind": entry.kind, "key": entry.key, "reason": entry.reason, "parkedAt": entry.parked_at})
            })
            .collect();
        return say(serde_json::to_string_pretty(&entries)?);
    }
    if entries.is_empty() {
        return say("nothing is parked");
    }
    for entry in entries {
        let (id, kind, key) = (entry.id, entry.kind, entry.key);
        say(format!(
            "{id}  {}  {kind} {key}: {}",
            entry.parked_at, entry.reason
        ))?;
    }
    Ok(())
}

async fn replay(options: &ReplayOptions, environment: &Environment) -> anyhow::Result<()> {
    let act = &options.act;
    let intent = Intent::new(act.reason.as_deref(), act.dry_run)?;
    let opened = open(act.subject.keeper.as_deref(), environment).await?;
    let mut transaction = opened.ledger.begin().await?;
    let entry = parked::replay(&mut transaction, opened.deployment, options.id)
        .await?
        .with_context(|| format!("nothing of number {} is parked", options.id))?;
    let subject = format!("{} {}", entry.kind, entry.key);
    if intent.dry_run {
        return say(format!("would try {subject} again: {}", entry.reason));
    }
    intent
        .record(&mut transaction, "parked replay", &subject)
        .await?;
    ledger::cursors::tell_recorded(&mut transaction, opened.deployment).await?;
    ledger::commit(transaction).await?;
    say(format!("{subject} is tried again"))
}
