//! Job logs: `job_logs` and `job_log_chunks`. Written by: collector (the observer closes the log of a lost job).
//!
//! While the algorithm runs the log is a **preview**: bytes from the first on, appended by compare-and-set on their number, so
//! that neither a restart nor a second collector leaves a gap or repeats anything. Once `completeness` is set the log is closed
//! and nothing is appended any more: the record has replaced the preview, or there is none and the preview is kept as it is.

use alloy::primitives::B256;
use futures::TryStreamExt;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use super::attempts::number;
use super::{Attempt, Error, Transaction};
use crate::engine::{Completeness, LogSummary, Stage};
use crate::ids::JobId;

/// Most bytes of one chunk.
pub const CHUNK: usize = 64 * 1024;

/// Chunks of a record that are sent in one statement: a megabyte.
const CHUNKS_PER_STATEMENT: usize = 16;

/// The log of one stage of one attempt of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogKey {
    /// The job.
    pub job: JobId,
    /// The attempt, from 1.
    pub attempt: u32,
    /// The stage.
    pub stage: Stage,
}

impl LogKey {
    /// The log of the algorithm, which is what people mean by the job's log.
    pub const fn algorithm(job: JobId, attempt: u32) -> Self {
        Self {
            job,
            attempt,
            stage: Stage::Algorithm,
        }
    }
}

/// Opens a log unless it is, and answers the number of bytes of its preview; `None` when it is closed.
///
/// # Errors
/// Database errors.
pub async fn open(connection: &mut PgConnection, key: LogKey) -> Result<Option<u64>, Error> {
    sqlx::query!(
        "INSERT INTO ledger.job_logs (job_id, attempt, stage) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        key.job.0,
        number(key.attempt)?,
        key.stage.as_str()
    )
    .execute(&mut *connection)
    .await
    .attempt("open a job log")?;
    let row = sqlx::query!(
        "SELECT bytes, completeness FROM ledger.job_logs WHERE job_id = $1 AND attempt = $2 AND stage = $3",
        key.job.0,
        number(key.attempt)?,
        key.stage.as_str()
    )
    .fetch_one(connection)
    .await
    .attempt("read the state of a job log")?;
    if row.completeness.is_some() {
        return Ok(None);
    }
    u64::try_from(row.bytes)
        .map(Some)
        .map_err(Error::unreadable("job_logs"))
}

/// Appends a chunk of at most [`CHUNK`] bytes to a preview of exactly `start` bytes.
///
/// # Errors
/// [`Error::Conflict`] when the preview has another number of bytes or the log is closed; database errors.
pub async fn append(
    transaction: &mut Transaction,
    key: LogKey,
    start: u64,
    body: &[u8],
) -> Result<(), Error> {
    let appended = sqlx::query!(
        "UPDATE ledger.job_logs SET bytes = bytes + $5, updated_at = clock_timestamp()
         WHERE job_id = $1 AND attempt = $2 AND stage = $3 AND bytes = $4 AND completeness IS NULL",
        key.job.0,
        number(key.attempt)?,
        key.stage.as_str(),
        offset(start)?,
        offset(body.len())?
    )
    .execute(&mut **transaction)
    .await
    .attempt("append to a job log")?;
    if appended.rows_affected() != 1 {
        return Err(Error::Conflict { what: "a job log" });
    }
    insert(transaction, key, &[offset(start)?], &[body]).await
}

/// Replaces the preview by the record, all of it, and closes the log. The caller has checked the record against its summary.
///
/// # Errors
/// Database errors.
pub async fn replace(
    transaction: &mut Transaction,
    key: LogKey,
    record: &[u8],
    summary: &LogSummary,
) -> Result<(), Error> {
    open(transaction, key).await?;
    sqlx::query!(
        "DELETE FROM ledger.job_log_chunks WHERE job_id = $1 AND attempt = $2 AND stage = $3",
        key.job.0,
        number(key.attempt)?,
        key.stage.as_str()
    )
    .execute(&mut **transaction)
    .await
    .attempt("drop the preview of a job log")?;
    let chunks: Vec<&[u8]> = record.chunks(CHUNK).collect();
    let mut start = 0;
    for batch in chunks.chunks(CHUNKS_PER_STATEMENT) {
        let starts = (0..batch.len())
            .map(|index| offset(start + index * CHUNK))
            .collect::<Result<Vec<_>, _>>()?;
        insert(transaction, key, &starts, batch).await?;
        start += batch.len() * CHUNK;
    }
    close(transaction, key, summary).await
}

/// Closes a log with what is known of it as a whole; its chunks stay.
///
/// # Errors
/// Database errors.
pub async fn close(
    transaction: &mut Transaction,
    key: LogKey,
    summary: &LogSummary,
) -> Result<(), Error> {
    open(transaction, key).await?;
    sqlx::query!(
        "UPDATE ledger.job_logs SET completeness = $4, bytes = $5, sha256 = $6, updated_at = clock_timestamp()
         WHERE job_id = $1 AND attempt = $2 AND stage = $3",
        key.job.0,
        number(key.attempt)?,
        key.stage.as_str(),
        summary.completeness.as_str(),
        offset(summary.bytes)?,
        summary.sha256.as_slice()
    )
    .execute(&mut **transaction)
    .await
    .attempt("close a job log")?;
    Ok(())
}

/// Number and SHA-256 of the bytes that are stored of a log, called by the name of `completeness`. Holds one chunk at a time.
///
/// # Errors
/// Database errors.
pub async fn summarize(
    connection: &mut PgConnection,
    key: LogKey,
    completeness: Completeness,
) -> Result<LogSummary, Error> {
    let attempt = number(key.attempt)?;
    let mut chunks = sqlx::query_scalar!(
        "SELECT body FROM ledger.job_log_chunks WHERE job_id = $1 AND attempt = $2 AND stage = $3 ORDER BY start",
        key.job.0,
        attempt,
        key.stage.as_str()
    )
    .fetch(connection);
    let mut digest = Sha256::new();
    let mut bytes = 0;
    while let Some(body) = chunks.try_next().await.attempt("read a job log")? {
        bytes += body.len() as u64;
        digest.update(&body);
    }
    Ok(LogSummary {
        bytes,
        sha256: B256::from_slice(&digest.finalize()),
        completeness,
    })
}

async fn insert(
    transaction: &mut Transaction,
    key: LogKey,
    starts: &[i64],
    bodies: &[&[u8]],
) -> Result<(), Error> {
    sqlx::query!(
        "INSERT INTO ledger.job_log_chunks (job_id, attempt, stage, start, body)
         SELECT $1, $2, $3, start, body FROM unnest($4::bigint[], $5::bytea[]) AS chunk (start, body)",
        key.job.0,
        number(key.attempt)?,
        key.stage.as_str(),
        starts,
        bodies as _
    )
    .execute(&mut **transaction)
    .await
    .attempt("store chunks of a job log")?;
    Ok(())
}

fn offset<N: TryInto<i64>>(bytes: N) -> Result<i64, Error>
where
    N::Error: std::error::Error + Send + Sync + 'static,
{
    bytes.try_into().map_err(Error::unreadable("job_logs"))
}
