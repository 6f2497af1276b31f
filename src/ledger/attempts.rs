//! Attempts of jobs: `job_attempts`, and the attempt that the engine has acknowledged. Written by: dispatcher (the row), observer
//! and collector (stages, end, acknowledgement).

use sqlx::PgConnection;
use sqlx::types::Json;

use super::{Attempt, Error, Transaction};
use crate::engine::StageObservation;
use crate::ids::JobId;

/// Records that an attempt begins. Done already: nothing.
///
/// # Errors
/// Database errors.
pub async fn begin(transaction: &mut Transaction, job: JobId, attempt: u32) -> Result<(), Error> {
    sqlx::query!(
        "INSERT INTO ledger.job_attempts (job_id, attempt) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        job.0,
        number(attempt)?
    )
    .execute(&mut **transaction)
    .await
    .attempt("begin an attempt")?;
    Ok(())
}

/// Notes that the engine has started an attempt. Never goes back.
///
/// # Errors
/// Database errors.
pub async fn acknowledge(
    connection: &mut PgConnection,
    job: JobId,
    attempt: u32,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE ledger.job_state SET started_attempt = $2 WHERE job_id = $1 AND started_attempt < $2 AND attempt >= $2",
        job.0,
        number(attempt)?
    )
    .execute(connection)
    .await
    .attempt("note that an attempt was started")?;
    Ok(())
}

/// Notes the stages of an attempt as they were just observed, and its end once it was seen. The end stays; stages of an ended
/// attempt are no longer replaced by those of an earlier look.
///
/// # Errors
/// Database errors.
pub async fn observe(
    connection: &mut PgConnection,
    job: JobId,
    attempt: u32,
    stages: &[StageObservation],
    ended: bool,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE ledger.job_attempts
         SET stages = $3, finished_at = CASE WHEN $4 THEN coalesce(finished_at, clock_timestamp()) END
         WHERE job_id = $1 AND attempt = $2 AND ($4 OR finished_at IS NULL)
           AND (stages IS DISTINCT FROM $3 OR ($4 AND finished_at IS NULL))",
        job.0,
        number(attempt)?,
        Json(stages) as _,
        ended
    )
    .execute(connection)
    .await
    .attempt("note the stages of an attempt")?;
    Ok(())
}

/// Notes that an attempt is over without having been seen to end.
///
/// # Errors
/// Database errors.
pub async fn close(connection: &mut PgConnection, job: JobId, attempt: u32) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE ledger.job_attempts SET finished_at = coalesce(finished_at, clock_timestamp()) WHERE job_id = $1 AND attempt = $2",
        job.0,
        number(attempt)?
    )
    .execute(connection)
    .await
    .attempt("close an attempt")?;
    Ok(())
}

/// An attempt as the schema counts it.
pub(super) fn number(attempt: u32) -> Result<i32, Error> {
    i32::try_from(attempt).map_err(Error::unreadable("job_attempts"))
}
