use anyhow::{Context, bail};

use super::find;
use crate::app::cli::EraseOptions;
use crate::app::commands::opening::{Intent, open, say};
use crate::app::config::Environment;
use crate::jobs::Phase;
use crate::ledger::{self, interventions, status};
use crate::results::{Access, Options, Store};

/// Erases a job's logs and results. Hashes, sizes and transitions stay.
///
/// The ledger comes first, so that nothing is shown any more; should the store fail, the same command finishes it.
pub(super) async fn erase(options: &EraseOptions, environment: &Environment) -> anyhow::Result<()> {
    let act = &options.act;
    let intent = Intent::new(act.reason.as_deref(), act.dry_run)?;
    let store = open_store(options, environment)?;
    let opened = open(act.subject.keeper.as_deref(), environment).await?;
    let job = find(&opened, &mut *opened.ledger.acquire().await?, &options.job).await?;
    let name = &options.job;
    let mut transaction = opened.ledger.begin().await?;
    let locked = status::lock(&mut transaction, job.id).await?;
    if locked.status.phase != Phase::Finished {
        bail!("{name} is not over: stop it first");
    }
    if intent.dry_run {
        return say(format!("would erase the logs and the results of {name}"));
    }
    let reason = act.reason.as_deref().unwrap_or_default();
    interventions::erase(&mut transaction, job.id, reason).await?;
    let subject = name.to_string();
    intent
        .record(&mut transaction, "jobs erase", &subject)
        .await?;
    ledger::commit(transaction).await?;
    let erased = store
        .erase(name.as_str())
        .await
        .context("the logs are erased, the results are not yet: run the command again")?;
    say(format!(
        "erased the logs of {name} and {erased} objects; their hashes stay"
    ))
}

fn open_store(options: &EraseOptions, environment: &Environment) -> anyhow::Result<Store> {
    let address = options.results_url.as_deref();
    let address = address.context("TIDEWATCH_RESULTS_URL is required: where the results lie")?;
    let access = Access {
        options: Options::among(environment.variables()),
        lenient: true,
        ..Access::default()
    };
    let access = access.trusting(options.ca_file.as_deref())?;
    Store::open(address, &access).context("TIDEWATCH_RESULTS_URL")
}
