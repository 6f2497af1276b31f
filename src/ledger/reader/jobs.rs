use alloy::primitives::{Address, B256};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{address, hash, unsigned};
use crate::ids::{AgreementId, BlockRef, ConditionId, DeploymentId, Did, JobId, JobName};
use crate::jobs::{Outcome, Phase};
use crate::ledger::{Attempt, Error};

/// Which jobs; `None` means any.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    /// By name.
    pub name: Option<JobName>,
    /// By phase.
    pub phase: Option<Phase>,
    /// By outcome.
    pub outcome: Option<Outcome>,
    /// By reason's code; codes that this version does not know are welcome.
    pub reason: Option<String>,
    /// By consumer.
    pub consumer: Option<Address>,
    /// By provider.
    pub provider: Option<Address>,
    /// By asset.
    pub did: Option<Did>,
    /// By agreement.
    pub agreement: Option<AgreementId>,
    /// By condition.
    pub condition: Option<ConditionId>,
    /// By any transaction that made a log of the agreement, or a log that a verdict rests on.
    pub transaction: Option<B256>,
    /// Recorded after this moment.
    pub created_after: Option<DateTime<Utc>>,
    /// Recorded before this moment.
    pub created_before: Option<DateTime<Utc>>,
    /// Not finished.
    pub unfinished: bool,
    /// Rows before this one in the order newest first: where the page before ended.
    pub before: Option<JobId>,
}

/// A job with its state, and what stands beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRow {
    /// Row id: the place in the order.
    pub id: JobId,
    /// Public id.
    pub name: JobName,
    /// What owes it.
    pub trigger: String,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// The contract whose event owes it.
    pub contract: Address,
    /// The trigger's key: for the keeper the condition's id.
    pub key: B256,
    /// The agreement.
    pub agreement: AgreementId,
    /// The asset.
    pub did: Did,
    /// The consumer that the event names.
    pub consumer: Address,
    /// The asset's provider, once judged.
    pub provider: Option<Address>,
    /// Where it stands.
    pub phase: Phase,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Why, as the code: a newer version of the workers may know more of them.
    pub reason: Option<String>,
    /// The attempt started last.
    pub attempt: u32,
    /// Decimal amount in the token's smallest unit.
    pub payment: Option<String>,
    /// Who paid.
    pub payer: Option<Address>,
    /// The block of its event.
    pub block: BlockRef,
    /// That block's own timestamp, if the block is known.
    pub block_made_at: Option<DateTime<Utc>>,
    /// Whether that block is on the chain.
    pub block_canonical: bool,
    /// Whether it can no longer be rolled back.
    pub block_irreversible: bool,
    /// The event's transaction.
    pub transaction_hash: B256,
    /// The event's place in its block.
    pub log_index: u64,
    /// When it was recorded.
    pub created_at: DateTime<Utc>,
    /// When an engine first worked on it.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
}

/// The newest `limit` jobs that fit the filter, newest first. Rows that arrive between two pages neither repeat nor hide others.
///
/// # Errors
/// Database errors, or rows that this version cannot read.
pub async fn list(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    filter: &JobFilter,
    limit: u32,
) -> Result<Vec<JobRow>, Error> {
    let rows = sqlx::query_file_as!(
        Columns,
        "src/ledger/reader/jobs.sql",
        deployment.0,
        filter.name.as_ref().map(JobName::as_str),
        filter.phase.map(Phase::as_str),
        filter.outcome.map(Outcome::as_str),
        filter.reason,
        filter.consumer.map(|consumer| consumer.to_vec()),
        filter.provider.map(|provider| provider.to_vec()),
        filter.did.map(|did| did.0.to_vec()),
        filter.agreement.map(|agreement| agreement.0.to_vec()),
        filter.condition.map(|condition| condition.0.to_vec()),
        filter.transaction.map(|transaction| transaction.to_vec()),
        filter.created_after,
        filter.created_before,
        filter.unfinished,
        filter.before.map(|id| id.0),
        i64::from(limit)
    )
    .fetch_all(connection)
    .await
    .attempt("list jobs")?;
    rows.into_iter().map(JobRow::try_from).collect()
}

/// The job of that name; the newest, should two have the same (the younger of two such conditions is refused).
///
/// # Errors
/// As [`list`].
pub async fn find(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    name: &JobName,
) -> Result<Option<JobRow>, Error> {
    let filter = JobFilter {
        name: Some(name.clone()),
        ..JobFilter::default()
    };
    Ok(list(connection, deployment, &filter, 1).await?.pop())
}

/// The columns of a job as queries name them.
pub(super) struct Columns {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) trigger: String,
    pub(super) chain_id: i64,
    pub(super) contract: Vec<u8>,
    pub(super) key: Vec<u8>,
    pub(super) agreement_id: Vec<u8>,
    pub(super) did: Vec<u8>,
    pub(super) consumer: Vec<u8>,
    pub(super) provider: Option<Vec<u8>>,
    pub(super) phase: String,
    pub(super) outcome: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) attempt: i32,
    pub(super) payment: Option<String>,
    pub(super) payer: Option<Vec<u8>>,
    pub(super) block_number: i64,
    pub(super) block_hash: Vec<u8>,
    pub(super) block_made_at: Option<DateTime<Utc>>,
    pub(super) block_canonical: bool,
    pub(super) irreversible_number: Option<i64>,
    pub(super) transaction_hash: Vec<u8>,
    pub(super) log_index: i64,
    pub(super) created_at: DateTime<Utc>,
    pub(super) started_at: Option<DateTime<Utc>>,
    pub(super) finished_at: Option<DateTime<Utc>>,
}

impl TryFrom<Columns> for JobRow {
    type Error = Error;

    fn try_from(row: Columns) -> Result<Self, Error> {
        let is_below_horizon = row.irreversible_number >= Some(row.block_number);
        Ok(Self {
            id: JobId(row.id),
            name: row.name.parse().map_err(Error::unreadable("jobs"))?,
            trigger: row.trigger,
            chain_id: unsigned("deployments", row.chain_id)?,
            contract: address("jobs", &row.contract)?,
            key: hash("jobs", &row.key)?,
            agreement: AgreementId(hash("jobs", &row.agreement_id)?),
            did: Did(hash("jobs", &row.did)?),
            consumer: address("jobs", &row.consumer)?,
            provider: optional_address(row.provider.as_deref())?,
            phase: row.phase.parse()?,
            outcome: row.outcome.as_deref().map(str::parse).transpose()?,
            reason: row.reason,
            attempt: u32::try_from(row.attempt).map_err(Error::unreadable("job_state"))?,
            payment: row.payment,
            payer: optional_address(row.payer.as_deref())?,
            block: BlockRef {
                number: unsigned("job_state", row.block_number)?,
                hash: hash("job_state", &row.block_hash)?,
            },
            block_made_at: row.block_made_at,
            block_canonical: row.block_canonical,
            block_irreversible: row.block_canonical && is_below_horizon,
            transaction_hash: hash("logs", &row.transaction_hash)?,
            log_index: unsigned("logs", row.log_index)?,
            created_at: row.created_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
        })
    }
}

fn optional_address(bytes: Option<&[u8]>) -> Result<Option<Address>, Error> {
    bytes.map(|bytes| address("job_state", bytes)).transpose()
}
