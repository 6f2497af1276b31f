//! New jobs: their rows in `job_state` and `transitions`, many at once. Written by: judge.

use alloy::primitives::B256;
use chrono::{DateTime, Utc};

use super::column::bigint;
use super::jobs::{Anchor, Terms};
use super::{Attempt, Error, Transaction, status};
use crate::ids::{DeploymentId, JobId, JobName};
use crate::jobs::{Outcome, Reason, Status, Transition};

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
    let mut columns = Columns::default();
    for opening in openings {
        columns.push(opening, at)?;
    }
    columns.insert_states(transaction, deployment, at).await?;
    columns
        .insert_transitions(transaction, deployment, at, worker)
        .await?;
    // A hint that rows have changed; nobody reads which.
    status::tell(transaction, "new jobs").await
}

/// Openings turned into columns.
#[derive(Default)]
struct Columns<'a> {
    jobs: Vec<i64>,
    phases: Vec<&'static str>,
    outcomes: Vec<Option<&'static str>>,
    reasons: Vec<Option<&'static str>>,
    attempts: Vec<i32>,
    block_numbers: Vec<i64>,
    block_hashes: Vec<&'a [u8]>,
    logs: Vec<i64>,
    owed_blocks: Vec<Option<i64>>,
    providers: Vec<Option<&'a [u8]>>,
    payments: Vec<Option<String>>,
    hashes: Vec<B256>,
}

impl<'a> Columns<'a> {
    fn push(&mut self, opening: &'a Opening, at: DateTime<Utc>) -> Result<(), Error> {
        const STATE: &str = "job_state";
        let Opening { status, terms, .. } = opening;
        let first = Transition {
            job: opening.name.clone(),
            number: 1,
            status: *status,
            at,
            previous: B256::ZERO,
        };
        self.jobs.push(opening.job.0);
        self.phases.push(status.phase.as_str());
        self.outcomes.push(status.outcome.map(Outcome::as_str));
        self.reasons.push(status.reason.map(Reason::as_str));
        let attempt = i32::try_from(status.attempt).map_err(Error::unreadable(STATE))?;
        self.attempts.push(attempt);
        self.block_numbers
            .push(bigint(STATE, opening.anchor.block.number)?);
        self.block_hashes.push(opening.anchor.block.hash.as_slice());
        self.logs.push(opening.anchor.log);
        let owed = terms.owed_block.map(|number| bigint(STATE, number));
        self.owed_blocks.push(owed.transpose()?);
        self.providers
            .push(terms.provider.as_ref().map(|provider| provider.as_slice()));
        self.payments
            .push(terms.payment.map(|amount| amount.to_string()));
        self.hashes.push(first.hash());
        Ok(())
    }

    fn hashes(&self) -> Vec<&[u8]> {
        self.hashes.iter().map(B256::as_slice).collect()
    }

    async fn insert_states(
        &self,
        transaction: &mut Transaction,
        deployment: DeploymentId,
        at: DateTime<Utc>,
    ) -> Result<(), Error> {
        sqlx::query!(
            "INSERT INTO ledger.job_state
                 (job_id, deployment_id, phase, outcome, reason, attempt, block_number, block_hash, log_id, block_canonical,
                  owed_block, provider, payment, last_transition, last_hash, finished_at)
             SELECT job_id, $1, phase, outcome, reason, attempt, block_number, block_hash, log_id, true, owed_block, provider,
                    payment::numeric, 1, hash, CASE WHEN outcome IS NOT NULL THEN $2::timestamptz END
             FROM unnest($3::bigint[], $4::text[], $5::text[], $6::text[], $7::integer[], $8::bigint[], $9::bytea[], $10::bigint[],
                         $11::bigint[], $12::bytea[], $13::text[], $14::bytea[])
                  AS given (job_id, phase, outcome, reason, attempt, block_number, block_hash, log_id, owed_block, provider,
                            payment, hash)",
            deployment.0,
            at,
            &self.jobs,
            &self.phases as &[&str],
            &self.outcomes as &[Option<&str>],
            &self.reasons as &[Option<&str>],
            &self.attempts,
            &self.block_numbers,
            &self.block_hashes as &[&[u8]],
            &self.logs,
            &self.owed_blocks as &[Option<i64>],
            &self.providers as &[Option<&[u8]>],
            &self.payments as &[Option<String>],
            &self.hashes() as &[&[u8]]
        )
        .execute(&mut **transaction)
        .await
        .attempt("open the states of jobs")?;
        Ok(())
    }

    async fn insert_transitions(
        &self,
        transaction: &mut Transaction,
        deployment: DeploymentId,
        at: DateTime<Utc>,
        worker: &'static str,
    ) -> Result<(), Error> {
        sqlx::query!(
            "INSERT INTO ledger.transitions
                 (deployment_id, job_id, number, phase, outcome, reason, attempt, at, previous_hash, hash, worker)
             SELECT $1, job_id, 1, phase, outcome, reason, attempt, $2, decode(repeat('00', 32), 'hex'), hash, $3
             FROM unnest($4::bigint[], $5::text[], $6::text[], $7::text[], $8::integer[], $9::bytea[])
                  AS given (job_id, phase, outcome, reason, attempt, hash)",
            deployment.0,
            at,
            worker,
            &self.jobs,
            &self.phases as &[&str],
            &self.outcomes as &[Option<&str>],
            &self.reasons as &[Option<&str>],
            &self.attempts,
            &self.hashes() as &[&[u8]]
        )
        .execute(&mut **transaction)
        .await
        .attempt("append the first transitions of jobs")?;
        Ok(())
    }
}
