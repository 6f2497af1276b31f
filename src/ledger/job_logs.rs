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
use crate::meters;

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

/// Opens a log unless it is, and answers the number of bytes of its preview; `None` when it is closed. In a transaction its row is
/// locked from then on, so that nobody appends to a log that is being summed up or replaced.
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
        "SELECT bytes, completeness FROM ledger.job_logs WHERE job_id = $1 AND attempt = $2 AND stage = $3 FOR UPDATE",
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

/// A log whose preview is being replaced by the record, as that comes in; a megabyte of it is held. It is all in the caller's
/// transaction: readers see the preview until that commits, and again when it does not.
#[derive(Debug)]
pub struct Replacement<'a> {
    transaction: &'a mut Transaction,
    key: LogKey,
    /// Bytes that are stored.
    start: u64,
    waiting: Vec<u8>,
    digest: Sha256,
}

impl<'a> Replacement<'a> {
    /// Drops the preview; `None` when the log is closed: then nothing is to be replaced.
    ///
    /// # Errors
    /// Database errors.
    pub async fn begin(
        transaction: &'a mut Transaction,
        key: LogKey,
    ) -> Result<Option<Self>, Error> {
        if open(transaction, key).await?.is_none() {
            return Ok(None);
        }
        sqlx::query!(
            "DELETE FROM ledger.job_log_chunks WHERE job_id = $1 AND attempt = $2 AND stage = $3",
            key.job.0,
            number(key.attempt)?,
            key.stage.as_str()
        )
        .execute(&mut **transaction)
        .await
        .attempt("drop the preview of a job log")?;
        Ok(Some(Self {
            transaction,
            key,
            start: 0,
            waiting: Vec::new(),
            digest: Sha256::new(),
        }))
    }

    /// Adds the next bytes of the record.
    ///
    /// # Errors
    /// Database errors.
    pub async fn append(&mut self, piece: &[u8]) -> Result<(), Error> {
        self.digest.update(piece);
        self.waiting.extend_from_slice(piece);
        while self.waiting.len() >= CHUNK * CHUNKS_PER_STATEMENT {
            let rest = self.waiting.split_off(CHUNK * CHUNKS_PER_STATEMENT);
            let full = std::mem::replace(&mut self.waiting, rest);
            self.store(&full).await?;
        }
        Ok(())
    }

    /// Stores what is left, and answers the number and the SHA-256 of all bytes. The caller compares them and closes the log.
    ///
    /// # Errors
    /// Database errors.
    pub async fn finish(mut self) -> Result<(u64, B256), Error> {
        let rest = std::mem::take(&mut self.waiting);
        self.store(&rest).await?;
        let digest = B256::from_slice(&self.digest.finalize_reset());
        Ok((self.start, digest))
    }

    async fn store(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if bytes.is_empty() {
            return Ok(());
        }
        let chunks: Vec<&[u8]> = bytes.chunks(CHUNK).collect();
        let mut starts = Vec::with_capacity(chunks.len());
        for chunk in &chunks {
            starts.push(offset(self.start)?);
            self.start += chunk.len() as u64;
        }
        insert(self.transaction, self.key, &starts, &chunks).await
    }
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
    meters::closed_log(summary.completeness.as_str());
    Ok(())
}

/// What a closed log is as a whole; `None` while it is open, or when there is none.
///
/// # Errors
/// Database errors, and [`Error::Unreadable`].
pub async fn find_closed(
    connection: &mut PgConnection,
    key: LogKey,
) -> Result<Option<Completeness>, Error> {
    let word = sqlx::query_scalar!(
        "SELECT completeness FROM ledger.job_logs WHERE job_id = $1 AND attempt = $2 AND stage = $3",
        key.job.0,
        number(key.attempt)?,
        key.stage.as_str()
    )
    .fetch_optional(connection)
    .await
    .attempt("ask whether a job log is closed")?;
    let closed = word.flatten();
    let mut known = Completeness::ALL.into_iter();
    Ok(closed.and_then(|word| known.find(|known| known.as_str() == word)))
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
    meters::stored_log(bodies.iter().map(|body| body.len() as u64).sum());
    Ok(())
}

fn offset<N: TryInto<i64>>(bytes: N) -> Result<i64, Error>
where
    N::Error: std::error::Error + Send + Sync + 'static,
{
    bytes.try_into().map_err(Error::unreadable("job_logs"))
}
