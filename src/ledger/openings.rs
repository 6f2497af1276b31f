//! New jobs: their rows in `job_state` and `transitions`, many at once. Written by: judge.

use alloy::primitives::B256;
use chrono::{DateTime, Utc};

use super::column::bigint;
use super::copy::{self, Copy};
use super::jobs::{Anchor, Terms};
use super::{Error, Transaction, status};
use crate::ids::{DeploymentId, JobId, JobName};
use crate::jobs::{Status, Transition};
use crate::meters;

const STATES: &str = "COPY ledger.job_state (job_id, deployment_id, phase, outcome, reason, attempt, block_number, block_hash, \
     log_id, block_canonical, owed_block, provider, payment, last_transition, last_hash, finished_at, removed) \
     FROM STDIN (FORMAT binary)";
const TRANSITIONS: &str = "COPY ledger.transitions (deployment_id, job_id, number, phase, outcome, reason, attempt, at, \
     previous_hash, hash, worker) FROM STDIN (FORMAT binary)";

/// A new job with its first status.
#[derive(Clone, Debug)]
pub struct Opening {
    /// The job.
    pub job: JobId,
    /// Its name.
    pub name: JobName,
    /// Where it begins.
    pub status: Status,
    /// What it is anchored in.
    pub anchor: Anchor,
    /// Who owes it to whom.
    pub terms: Terms,
}

/// Gives new jobs their states, each with its first transition, signed with the name of the `worker`.
///
/// # Errors
/// Database errors.
pub async fn record(
    transaction: &mut Transaction,
    deployment: DeploymentId,
    openings: &[Opening],
    worker: &'static str,
) -> Result<(), Error> {
    if openings.is_empty() {
        return Ok(());
    }
    let at = status::now(transaction).await?;
    let (mut states, mut transitions) = (Copy::new(), Copy::new());
    for opening in openings {
        let first = opening.first_transition(at);
        let hash = first.hash();
        opening.write_state(&mut states, deployment, at, hash)?;
        write_transition(
            &mut transitions,
            deployment,
            opening.job,
            &first,
            hash,
            worker,
        )?;
    }
    copy::insert(transaction, STATES, states, "open the states of jobs").await?;
    let appending = "append the first transitions of jobs";
    copy::insert(transaction, TRANSITIONS, transitions, appending).await?;
    let outcomes = openings.iter().filter_map(|opening| opening.status.outcome);
    outcomes.for_each(|outcome| meters::finished(outcome.as_str()));
    // A hint that rows have changed; nobody reads which.
    status::tell(transaction, "new jobs").await
}

impl Opening {
    fn first_transition(&self, at: DateTime<Utc>) -> Transition {
        Transition {
            job: self.name.clone(),
            number: 1,
            status: self.status,
            at,
            previous: B256::ZERO,
        }
    }

    fn write_state(
        &self,
        rows: &mut Copy,
        deployment: DeploymentId,
        at: DateTime<Utc>,
        hash: B256,
    ) -> Result<(), Error> {
        const STATE: &str = "job_state";
        let owed = self.terms.owed_block;
        rows.row(17)?;
        rows.bigint(self.job.0);
        rows.bigint(deployment.0);
        write_status(rows, &self.status)?;
        rows.bigint(bigint(STATE, self.anchor.block.number)?);
        rows.bytes(self.anchor.block.hash.as_slice())?;
        rows.bigint(self.anchor.log);
        rows.boolean(true);
        rows.optional(owed, |rows, number| {
            rows.bigint(bigint(STATE, number)?);
            Ok(())
        })?;
        rows.optional(self.terms.provider, |rows, provider| {
            rows.bytes(provider.as_slice())
        })?;
        rows.optional(self.terms.payment, Copy::numeric)?;
        rows.integer(1);
        rows.bytes(hash.as_slice())?;
        rows.optional(self.status.outcome, |rows, _| {
            rows.time(at);
            Ok(())
        })?;
        // What is over when it begins was never near an engine: the reaper would find nothing, and write the row again to say so.
        rows.boolean(self.status.outcome.is_some());
        Ok(())
    }
}

/// Phase, outcome, reason and attempt.
fn write_status(rows: &mut Copy, status: &Status) -> Result<(), Error> {
    rows.text(status.phase.as_str())?;
    rows.optional(status.outcome, |rows, outcome| rows.text(outcome.as_str()))?;
    rows.optional(status.reason, |rows, reason| rows.text(reason.as_str()))?;
    rows.integer(i32::try_from(status.attempt).map_err(Error::unreadable("job_state"))?);
    Ok(())
}

fn write_transition(
    rows: &mut Copy,
    deployment: DeploymentId,
    job: JobId,
    transition: &Transition,
    hash: B256,
    worker: &'static str,
) -> Result<(), Error> {
    rows.row(11)?;
    rows.bigint(deployment.0);
    rows.bigint(job.0);
    rows.integer(i32::try_from(transition.number).map_err(Error::unreadable("transitions"))?);
    write_status(rows, &transition.status)?;
    rows.time(transition.at);
    rows.bytes(transition.previous.as_slice())?;
    rows.bytes(hash.as_slice())?;
    rows.text(worker)
}
