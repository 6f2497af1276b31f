use bytes::Bytes;
use sqlx::PgConnection;

use super::unsigned;
use crate::engine::Stage;
use crate::ids::JobId;
use crate::ledger::{Attempt, Error};

/// The state of a job log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobLog {
    /// The job.
    pub job: JobId,
    /// Whose log: the attempt.
    pub attempt: i32,
    /// Whose log: the stage.
    pub stage: Stage,
    /// How far it is the whole; `None` while it is a preview that grows.
    pub completeness: Option<String>,
    /// Bytes that are stored.
    pub bytes: u64,
}

/// The log of a stage in the last attempt that has one.
///
/// # Errors
/// Database errors.
pub async fn find(
    connection: &mut PgConnection,
    job: JobId,
    stage: Stage,
) -> Result<Option<JobLog>, Error> {
    let row = sqlx::query!(
        "SELECT attempt, completeness, bytes FROM ledger.job_logs WHERE job_id = $1 AND stage = $2
         ORDER BY attempt DESC LIMIT 1",
        job.0,
        stage.as_str()
    )
    .fetch_optional(connection)
    .await
    .attempt("find a job log")?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(JobLog {
        job,
        attempt: row.attempt,
        stage,
        completeness: row.completeness,
        bytes: unsigned("job_logs", row.bytes)?,
    }))
}

/// The stored bytes from `offset` to the end of the chunk that holds it, with the offset of the first; `None` at the end.
///
/// By offset and not by chunk, since the chunks of a preview are replaced by those of the record while somebody reads.
///
/// # Errors
/// Database errors.
pub async fn chunk_from(
    connection: &mut PgConnection,
    log: &JobLog,
    offset: u64,
) -> Result<Option<(u64, Bytes)>, Error> {
    let from = i64::try_from(offset).map_err(Error::unreadable("job_log_chunks"))?;
    // The chunk before the offset may reach over it; a chunk that starts there or later is next if none does.
    let row = sqlx::query!(
        r#"SELECT greatest(start, $4) AS "start!",
                  CASE WHEN start < $4 THEN substring(body FROM ($4 - start + 1)::integer) ELSE body END AS "body!"
           FROM ledger.job_log_chunks
           WHERE job_id = $1 AND attempt = $2 AND stage = $3
             AND start >= coalesce((SELECT max(start) FROM ledger.job_log_chunks
                                    WHERE job_id = $1 AND attempt = $2 AND stage = $3 AND start <= $4), 0)
             AND start + octet_length(body) > $4
           ORDER BY start LIMIT 1"#,
        log.job.0,
        log.attempt,
        log.stage.as_str(),
        from
    )
    .fetch_optional(connection)
    .await
    .attempt("read a piece of a job log")?;
    row.map(|row| Ok((unsigned("job_log_chunks", row.start)?, row.body.into())))
        .transpose()
}

/// Where the last `lines` lines of a log begin, as far as it is stored now. A last line without an end counts as one.
///
/// It reads from the end, chunk by chunk, and keeps none.
///
/// # Errors
/// Database errors.
pub async fn tail_start(
    connection: &mut PgConnection,
    log: &JobLog,
    lines: u32,
) -> Result<u64, Error> {
    let (mut before, mut left) = (i64::MAX, lines);
    let mut is_last = true;
    loop {
        let row = sqlx::query!(
            "SELECT start, body FROM ledger.job_log_chunks
             WHERE job_id = $1 AND attempt = $2 AND stage = $3 AND start < $4 AND octet_length(body) > 0
             ORDER BY start DESC LIMIT 1",
            log.job.0,
            log.attempt,
            log.stage.as_str(),
            before
        )
        .fetch_optional(&mut *connection)
        .await
        .attempt("read a job log from its end")?;
        let Some(row) = row else { return Ok(0) };
        let start = unsigned("job_log_chunks", row.start)?;
        if is_last && left == 0 {
            return Ok(start + row.body.len() as u64);
        }
        for (index, byte) in row.body.iter().enumerate().rev() {
            // The end of the last line ends no line before it.
            let ends_the_log = std::mem::take(&mut is_last);
            if *byte != b'\n' || ends_the_log {
                continue;
            }
            left -= 1;
            if left == 0 {
                return Ok(start + index as u64 + 1);
            }
        }
        before = row.start;
    }
}
