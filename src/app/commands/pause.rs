use super::opening::{Intent, open, say};
use crate::app::cli::ActOptions;
use crate::app::config::Environment;
use crate::ledger;

/// Pauses or resumes the starting of jobs, for every deployment of the ledger; `action` is the word that is recorded.
pub(in crate::app) async fn run(
    action: &'static str,
    options: &ActOptions,
    environment: &Environment,
) -> anyhow::Result<()> {
    let intent = Intent::new(options.reason.as_deref(), options.dry_run)?;
    let opened = open(options.subject.keeper.as_deref(), environment).await?;
    if intent.dry_run {
        return say(format!("would {action} the starting of jobs"));
    }
    let mut transaction = opened.ledger.begin().await?;
    intent
        .record(&mut transaction, action, "dispatcher")
        .await?;
    ledger::cursors::tell_recorded(&mut transaction, opened.deployment).await?;
    ledger::commit(transaction).await?;
    say(match action {
        "pause" => "no more jobs are started; those that run go on",
        _ => "jobs are started again",
    })
}
