//! What publishing stored: `results`, write-once. Written by: collector.

use super::attempts::number;
use super::{Attempt, Error, Transaction};
use crate::engine::Published;
use crate::ids::JobId;

/// Records where an attempt's manifest lies. Done already: nothing.
///
/// # Errors
/// Database errors.
pub async fn record(
    transaction: &mut Transaction,
    job: JobId,
    attempt: u32,
    published: &Published,
) -> Result<(), Error> {
    sqlx::query!(
        "INSERT INTO ledger.results (job_id, attempt, manifest_key, manifest_sha256, files, bytes)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        job.0,
        number(attempt)?,
        published.manifest_key,
        published.manifest_sha256.as_slice(),
        i32::try_from(published.files).map_err(Error::unreadable("results"))?,
        i64::try_from(published.bytes).map_err(Error::unreadable("results"))?
    )
    .execute(&mut **transaction)
    .await
    .attempt("record the results of a job")?;
    Ok(())
}
