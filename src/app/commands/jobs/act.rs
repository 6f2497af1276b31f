use anyhow::bail;

use super::find;
use crate::app::cli::JobActOptions;
use crate::app::commands::opening::{Intent, Opened, open, say};
use crate::app::config::Environment;
use crate::jobs::{Outcome, Phase, Reason, Status};
use crate::ledger::status::{self, Locked};
use crate::ledger::{self, Transaction, footings, interventions};

/// Name that operators' moves are signed with.
const WORKER: &str = "operator";

/// A job whose row is locked until the command is done.
struct Held<'a> {
    opened: Opened,
    intent: Intent<'a>,
    transaction: Transaction,
    locked: Locked,
}

impl<'a> Held<'a> {
    async fn open(options: &'a JobActOptions, environment: &Environment) -> anyhow::Result<Self> {
        let act = &options.act;
        let intent = Intent::new(act.reason.as_deref(), act.dry_run)?;
        let opened = open(act.subject.keeper.as_deref(), environment).await?;
        let job = find(&opened, &mut *opened.ledger.acquire().await?, &options.job).await?;
        let mut transaction = opened.ledger.begin().await?;
        let locked = status::lock(&mut transaction, job.id).await?;
        Ok(Self {
            opened,
            intent,
            transaction,
            locked,
        })
    }

    /// Records the action and makes it so; tells what was, or would be, done.
    async fn done(mut self, action: &str, done: &str) -> anyhow::Result<()> {
        let name = self.locked.name.clone();
        if self.intent.dry_run {
            return say(format!("{name} would be {done}"));
        }
        let subject = name.to_string();
        self.intent
            .record(&mut self.transaction, action, &subject)
            .await?;
        ledger::cursors::tell_recorded(&mut self.transaction, self.opened.deployment).await?;
        ledger::commit(self.transaction).await?;
        say(format!("{name} is {done}"))
    }

    async fn finish(&mut self, outcome: Outcome, reason: Option<Reason>) -> anyhow::Result<()> {
        let end = Status::finished(outcome, reason, self.locked.status.attempt);
        status::advance(&mut self.transaction, &mut self.locked, end, WORKER).await?;
        Ok(())
    }
}

/// Ends a job: one that runs by way of the engine, one that does not at once.
pub(super) async fn stop(options: &JobActOptions, environment: &Environment) -> anyhow::Result<()> {
    let mut held = Held::open(options, environment).await?;
    let phase = held.locked.status.phase;
    let done = match phase {
        Phase::Finished => bail!("{} is over already", held.locked.name),
        phase if phase.is_live() => {
            interventions::stop(&mut held.transaction, &held.locked).await?;
            "stopped: what runs of it is ended, and its log kept"
        }
        _ => {
            let reason = Some(Reason::StoppedByOperator);
            held.finish(Outcome::Stopped, reason).await?;
            match phase {
                Phase::AwaitingReview => "stopped: nothing of it is released",
                _ => "stopped before it ran",
            }
        }
    };
    held.done("jobs stop", done).await
}

/// Has a job that ran and did not succeed tried once more, with a volume of its own, from the beginning.
pub(super) async fn retry(
    options: &JobActOptions,
    environment: &Environment,
) -> anyhow::Result<()> {
    let mut held = Held::open(options, environment).await?;
    let Status {
        phase,
        outcome,
        attempt,
        ..
    } = held.locked.status;
    let name = &held.locked.name;
    match outcome {
        None => bail!("{name} is not over: it is {phase}"),
        _ if attempt == 0 => {
            bail!("{name} was never run; what the judge decided changes with its events only")
        }
        Some(Outcome::Succeeded) => bail!("{name} succeeded, and what it published stays as it is"),
        Some(Outcome::Withdrawn) => bail!("{name} is owed no more: its event is gone"),
        Some(_) => {}
    }
    interventions::retry(&mut held.transaction, &mut held.locked).await?;
    let next = attempt + 1;
    let done = format!("tried again: attempt {next}, once nothing of the last one is left");
    held.done("jobs retry", &done).await
}

/// Lets out what waits for an operator's review.
pub(super) async fn release(
    options: &JobActOptions,
    environment: &Environment,
) -> anyhow::Result<()> {
    let mut held = Held::open(options, environment).await?;
    let Status { phase, reason, .. } = held.locked.status;
    if phase != Phase::AwaitingReview {
        bail!(
            "{} does not wait for a review: it is {phase}",
            held.locked.name
        );
    }
    let footing = footings::get(&mut held.transaction, held.locked.job).await?;
    if !footing.lets_out() {
        bail!(
            "{} stays in: what owes it is not on the chain now; release it once it is back",
            held.locked.name
        );
    }
    let outcome = reason.map_or(Outcome::Succeeded, Reason::outcome);
    held.finish(outcome, reason).await?;
    held.done("jobs release", "released to the parties").await
}
