//! Raw logs: recorded once, orphaned and revived with their blocks, never deleted.

use std::sync::atomic::{AtomicU64, Ordering};

use alloy::primitives::{Address, B256, Bytes};

use super::column::bigint;
use super::copy::{self, Copy};
use super::{Attempt, Error, Transaction};
use crate::ids::{BlockRef, DeploymentId};

const TABLE: &str = "logs";

/// Ranges whose rows were partly there already, since the process began. Each was read and recorded all the same; many of them
/// mean that something moves cursors back by hand.
static RANGES_MET_AGAIN: AtomicU64 = AtomicU64::new(0);

/// A log to be recorded as canonical.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewLog {
    /// The block it is in.
    pub block: BlockRef,
    /// The transaction that made it.
    pub transaction_hash: B256,
    /// That transaction's place in the block.
    pub transaction_index: u64,
    /// The log's place in the block.
    pub log_index: u64,
    /// The contract that made it.
    pub address: Address,
    /// At most four.
    pub topics: Vec<B256>,
    /// Not decoded.
    pub data: Bytes,
}

/// Copies logs into the table: the fast way, for rows that are not there yet.
///
/// # Errors
/// Database errors. When [`is_duplicate`] says so of one, some of the rows are there: begin a new transaction and use
/// [`record_over`].
pub async fn record(
    transaction: &mut Transaction,
    deployment: DeploymentId,
    logs: &[NewLog],
) -> Result<(), Error> {
    const STATEMENT: &str = "COPY ledger.logs (deployment_id, block_number, block_hash, log_index, transaction_hash, \
         transaction_index, address, topics, data) FROM STDIN (FORMAT binary)";
    if logs.is_empty() {
        return Ok(());
    }
    let mut rows = Copy::new();
    for log in logs {
        rows.row(9)?;
        rows.bigint(deployment.0);
        rows.bigint(bigint(TABLE, log.block.number)?);
        rows.bytes(log.block.hash.as_slice())?;
        rows.bigint(bigint(TABLE, log.log_index)?);
        rows.bytes(log.transaction_hash.as_slice())?;
        rows.bigint(bigint(TABLE, log.transaction_index)?);
        rows.bytes(log.address.as_slice())?;
        rows.byte_arrays(&log.topics)?;
        rows.bytes(&log.data)?;
    }
    copy::insert(transaction, STATEMENT, rows, "copy logs into the ledger").await
}

/// Records logs of which some may be there: those are left as they are, but each must be of the same block.
///
/// # Errors
/// [`Error::Conflict`] when the log of another block is canonical at a place; database errors.
pub async fn record_over(
    transaction: &mut Transaction,
    deployment: DeploymentId,
    logs: &[NewLog],
) -> Result<(), Error> {
    RANGES_MET_AGAIN.fetch_add(1, Ordering::Relaxed);
    let columns = Columns::of(logs)?;
    sqlx::query!(
        "INSERT INTO ledger.logs (deployment_id, block_number, block_hash, log_index, transaction_hash, transaction_index,
                                  address, topics, data)
         SELECT $1, number, hash, index, transaction_hash, transaction_index, address,
                array_remove(ARRAY[topic0, topic1, topic2, topic3], NULL), data
         FROM unnest($2::bigint[], $3::bytea[], $4::bigint[], $5::bytea[], $6::bigint[], $7::bytea[],
                     $8::bytea[], $9::bytea[], $10::bytea[], $11::bytea[], $12::bytea[])
              AS staged (number, hash, index, transaction_hash, transaction_index, address,
                         topic0, topic1, topic2, topic3, data)
         ON CONFLICT (deployment_id, block_number, log_index) WHERE canonical DO NOTHING",
        deployment.0,
        &columns.numbers,
        &columns.hashes,
        &columns.indexes,
        &columns.transaction_hashes,
        &columns.transaction_indexes,
        &columns.addresses,
        &columns.topics[0] as &[Option<Vec<u8>>],
        &columns.topics[1] as &[Option<Vec<u8>>],
        &columns.topics[2] as &[Option<Vec<u8>>],
        &columns.topics[3] as &[Option<Vec<u8>>],
        &columns.data
    )
    .execute(&mut **transaction)
    .await
    .attempt("record logs of which some are there")?;
    let foreign = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM unnest($2::bigint[], $3::bytea[], $4::bigint[]) AS staged (number, hash, index)
           JOIN ledger.logs l ON l.deployment_id = $1 AND l.block_number = number AND l.log_index = index AND l.canonical
           WHERE l.block_hash <> hash"#,
        deployment.0,
        &columns.numbers,
        &columns.hashes,
        &columns.indexes
    )
    .fetch_one(&mut **transaction)
    .await
    .attempt("compare logs that are there")?;
    if foreign > 0 {
        return Err(Error::Conflict {
            what: "the canonical log at a place",
        });
    }
    Ok(())
}

/// Whether an error of [`record`] means that a row is there already (SQLSTATE 23505, unique_violation).
pub fn is_duplicate(error: &Error) -> bool {
    copy::is_duplicate(error)
}

/// How many ranges were met again, see [`record_over`], since the process began.
pub fn ranges_met_again() -> u64 {
    RANGES_MET_AGAIN.load(Ordering::Relaxed)
}

/// Turns the canonical logs from height `from` on into tombstones: the jobs anchored in them stand in no canonical block any
/// more, and the agreements they are about are to be judged again. Answers how many logs there were.
///
/// # Errors
/// Database errors.
pub async fn orphan_from(
    transaction: &mut Transaction,
    deployment: DeploymentId,
    from: u64,
) -> Result<usize, Error> {
    let orphaned = sqlx::query_scalar!(
        "UPDATE ledger.logs SET canonical = false WHERE deployment_id = $1 AND block_number >= $2 AND canonical RETURNING id",
        deployment.0,
        bigint(TABLE, from)?
    )
    .fetch_all(&mut **transaction)
    .await
    .attempt("turn logs into tombstones")?;
    follow_up(transaction, deployment, &orphaned, false).await?;
    Ok(orphaned.len())
}

/// Makes the logs of orphaned blocks canonical again, but for those that were disproved, with the consequences of [`orphan_from`] the
/// other way round. What stands in their places must have been turned into tombstones before. Answers how many logs there were.
///
/// # Errors
/// Database errors.
pub async fn revive(
    transaction: &mut Transaction,
    deployment: DeploymentId,
    blocks: &[B256],
) -> Result<usize, Error> {
    let hashes: Vec<Vec<u8>> = blocks.iter().map(|hash| hash.to_vec()).collect();
    let revived = sqlx::query_scalar!(
        "UPDATE ledger.logs SET canonical = true
         WHERE deployment_id = $1 AND block_hash = ANY($2::bytea[]) AND NOT canonical AND NOT disproved RETURNING id",
        deployment.0,
        &hashes
    )
    .fetch_all(&mut **transaction)
    .await
    .attempt("revive logs")?;
    follow_up(transaction, deployment, &revived, true).await?;
    Ok(revived.len())
}

/// Turns recorded logs into tombstones that their block was proven not to hold, with the consequences of [`orphan_from`]. They stay
/// tombstones should the chain leave that block and return.
///
/// # Errors
/// Database errors.
pub async fn disprove(
    transaction: &mut Transaction,
    deployment: DeploymentId,
    logs: &[i64],
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE ledger.logs SET canonical = false, disproved = true WHERE deployment_id = $1 AND id = ANY($2) AND canonical",
        deployment.0,
        logs
    )
    .execute(&mut **transaction)
    .await
    .attempt("turn disproved logs into tombstones")?;
    follow_up(transaction, deployment, logs, false).await
}

/// What follows when logs leave or return to the chain, for the jobs and agreements that rest on them. A log about an asset
/// concerns every agreement that has a job about it.
async fn follow_up(
    transaction: &mut Transaction,
    deployment: DeploymentId,
    logs: &[i64],
    canonical: bool,
) -> Result<(), Error> {
    if logs.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE ledger.job_state SET block_canonical = $3 WHERE deployment_id = $1 AND log_id = ANY($2)",
        deployment.0,
        logs,
        canonical
    )
    .execute(&mut **transaction)
    .await
    .attempt("mark jobs whose block left or returned to the chain")?;
    sqlx::query!(
        "INSERT INTO ledger.judge_queue (deployment_id, agreement_id, cause)
         SELECT $1, subject, $3 FROM ledger.log_subjects
             WHERE deployment_id = $1 AND kind = 'agreement' AND log_id = ANY($2)
         UNION
         SELECT $1, j.agreement_id, $3 FROM ledger.log_subjects s
             JOIN ledger.jobs j ON j.deployment_id = s.deployment_id AND j.did = s.subject
             WHERE s.deployment_id = $1 AND s.kind = 'did' AND s.log_id = ANY($2)
         ON CONFLICT (deployment_id, agreement_id)
             DO UPDATE SET due_at = least(judge_queue.due_at, now()), due_block = NULL, cause = excluded.cause",
        deployment.0,
        logs,
        if canonical { "revived" } else { "orphaned" }
    )
    .execute(&mut **transaction)
    .await
    .attempt("have agreements judged again")?;
    Ok(())
}

/// Logs turned into columns.
#[derive(Default)]
struct Columns {
    numbers: Vec<i64>,
    hashes: Vec<Vec<u8>>,
    indexes: Vec<i64>,
    transaction_hashes: Vec<Vec<u8>>,
    transaction_indexes: Vec<i64>,
    addresses: Vec<Vec<u8>>,
    topics: [Vec<Option<Vec<u8>>>; 4],
    data: Vec<Vec<u8>>,
}

impl Columns {
    fn of(logs: &[NewLog]) -> Result<Self, Error> {
        let mut columns = Self::default();
        for log in logs {
            columns.numbers.push(bigint(TABLE, log.block.number)?);
            columns.hashes.push(log.block.hash.to_vec());
            columns.indexes.push(bigint(TABLE, log.log_index)?);
            columns
                .transaction_hashes
                .push(log.transaction_hash.to_vec());
            let index = bigint(TABLE, log.transaction_index)?;
            columns.transaction_indexes.push(index);
            columns.addresses.push(log.address.to_vec());
            for (place, column) in columns.topics.iter_mut().enumerate() {
                column.push(log.topics.get(place).map(|topic| topic.to_vec()));
            }
            columns.data.push(log.data.to_vec());
        }
        Ok(columns)
    }
}
