use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;

use super::jobs::{Columns, JobRow};
use super::{AttemptRow, AwaitedRow, VerdictRow, WorkflowRow, evidence, hash, unsigned};
use crate::ids::{BlockRef, DeploymentId, JobName};
use crate::ledger::{Attempt, Error};

/// A job with all that is shown of it, as it stood at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct DetailsRow {
    /// The job with its state.
    pub job: JobRow,
    /// The verdict in force; `None` before the first.
    pub verdict: Option<VerdictRow>,
    /// What it runs; `None` before that is frozen.
    pub workflow: Option<WorkflowRow>,
    /// What it waits for from outside, while it does.
    pub awaited: Option<AwaitedRow>,
    /// Its attempts, in order.
    pub attempts: Vec<AttemptRow>,
}

/// The job of that name with all that is shown of it; the newest, should two have the same.
///
/// One statement, so that it needs no transaction: who reads a job reads nothing else.
///
/// # Errors
/// Database errors, or rows that this version cannot read.
pub async fn find(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    name: &JobName,
) -> Result<Option<DetailsRow>, Error> {
    let found = sqlx::query_file_as!(
        Found,
        "src/ledger/reader/details.sql",
        deployment.0,
        name.as_str()
    )
    .fetch_optional(connection)
    .await
    .attempt("find a job with all that is shown of it")?;
    found.map(DetailsRow::try_from).transpose()
}

struct Found {
    id: i64,
    name: String,
    trigger: String,
    chain_id: i64,
    contract: Vec<u8>,
    key: Vec<u8>,
    agreement_id: Vec<u8>,
    did: Vec<u8>,
    consumer: Vec<u8>,
    provider: Option<Vec<u8>>,
    phase: String,
    outcome: Option<String>,
    reason: Option<String>,
    attempt: i32,
    payment: Option<String>,
    payer: Option<Vec<u8>>,
    block_number: i64,
    block_hash: Vec<u8>,
    block_made_at: Option<DateTime<Utc>>,
    block_canonical: bool,
    irreversible_number: Option<i64>,
    transaction_hash: Vec<u8>,
    log_index: i64,
    created_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
    verdict_admitted: Option<bool>,
    verdict: Option<String>,
    verdict_rules: Option<Value>,
    verdict_policy: Option<Vec<u8>>,
    verdict_number: Option<i64>,
    verdict_hash: Option<Vec<u8>>,
    verdict_at: Option<DateTime<Utc>>,
    places: Option<Value>,
    workflow_source: Option<String>,
    workflow_algorithm: Option<String>,
    workflow_image: Option<String>,
    workflow_tag: Option<String>,
    workflow_digest: Option<String>,
    workflow_resources: Option<Value>,
    awaited_what: Option<String>,
    awaited_since: Option<DateTime<Utc>>,
    awaited_until: Option<DateTime<Utc>>,
    awaited_tries: Option<i32>,
    awaited_problem: Option<String>,
    attempts: Vec<i32>,
    attempts_started: Vec<DateTime<Utc>>,
    attempts_finished: Vec<Option<DateTime<Utc>>>,
    attempts_stages: Vec<Value>,
}

impl TryFrom<Found> for DetailsRow {
    type Error = Error;

    fn try_from(mut found: Found) -> Result<Self, Error> {
        Ok(Self {
            verdict: found.take_verdict()?,
            workflow: found.take_workflow(),
            awaited: found.take_awaited(),
            attempts: found.take_attempts()?,
            job: found.job()?,
        })
    }
}

impl Found {
    fn take_verdict(&mut self) -> Result<Option<VerdictRow>, Error> {
        let (Some(verdict), Some(mut rules)) = (self.verdict.take(), self.verdict_rules.take())
        else {
            return Ok(None);
        };
        if let Some(places) = self.places.take() {
            let places: BTreeMap<i64, Value> =
                serde_json::from_value(places).map_err(Error::unreadable("logs"))?;
            evidence::put(&mut rules, &places);
        }
        let table = "verdicts";
        let policy = self.verdict_policy.as_deref();
        Ok(Some(VerdictRow {
            admitted: self.verdict_admitted.unwrap_or_default(),
            verdict,
            policy: policy.map(|bytes| hash(table, bytes)).transpose()?,
            rules,
            judged: BlockRef {
                number: unsigned(table, self.verdict_number.unwrap_or_default())?,
                hash: hash(table, self.verdict_hash.as_deref().unwrap_or_default())?,
            },
            judged_at: self.verdict_at.unwrap_or_default(),
        }))
    }

    fn take_workflow(&mut self) -> Option<WorkflowRow> {
        Some(WorkflowRow {
            source: self.workflow_source.take()?,
            algorithm: self.workflow_algorithm.take(),
            image: self.workflow_image.take(),
            tag: self.workflow_tag.take(),
            digest: self.workflow_digest.take(),
            resources: self.workflow_resources.take(),
        })
    }

    fn take_awaited(&mut self) -> Option<AwaitedRow> {
        Some(AwaitedRow {
            what: self.awaited_what.take(),
            since: self.awaited_since?,
            until: self.awaited_until,
            tries: self.awaited_tries.unwrap_or_default(),
            problem: self.awaited_problem.take(),
        })
    }

    fn take_attempts(&mut self) -> Result<Vec<AttemptRow>, Error> {
        let times = self
            .attempts_started
            .drain(..)
            .zip(self.attempts_finished.drain(..));
        let attempts = self
            .attempts
            .drain(..)
            .zip(times)
            .zip(self.attempts_stages.drain(..));
        attempts
            .map(|((number, (started_at, finished_at)), stages)| {
                Ok(AttemptRow {
                    number,
                    started_at,
                    finished_at,
                    stages: serde_json::from_value(stages)
                        .map_err(Error::unreadable("job_attempts"))?,
                })
            })
            .collect()
    }

    fn job(self) -> Result<JobRow, Error> {
        JobRow::try_from(Columns {
            id: self.id,
            name: self.name,
            trigger: self.trigger,
            chain_id: self.chain_id,
            contract: self.contract,
            key: self.key,
            agreement_id: self.agreement_id,
            did: self.did,
            consumer: self.consumer,
            provider: self.provider,
            phase: self.phase,
            outcome: self.outcome,
            reason: self.reason,
            attempt: self.attempt,
            payment: self.payment,
            payer: self.payer,
            block_number: self.block_number,
            block_hash: self.block_hash,
            block_made_at: self.block_made_at,
            block_canonical: self.block_canonical,
            irreversible_number: self.irreversible_number,
            transaction_hash: self.transaction_hash,
            log_index: self.log_index,
            created_at: self.created_at,
            started_at: self.started_at,
            finished_at: self.finished_at,
        })
    }
}
