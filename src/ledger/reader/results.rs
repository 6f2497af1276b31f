use alloy::primitives::B256;
use sqlx::PgConnection;

use super::hash;
use crate::ids::JobId;
use crate::ledger::{Attempt, Error};

/// What a job published, as the ledger has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultsRow {
    /// The attempt.
    pub attempt: u32,
    /// Where its manifest lies, below the publisher's prefix.
    pub manifest_key: String,
    /// SHA-256 of the manifest's bytes.
    pub manifest_sha256: B256,
}

/// The results of the last attempt that published any.
///
/// # Errors
/// Database errors, or rows that this version cannot read.
pub async fn find(connection: &mut PgConnection, job: JobId) -> Result<Option<ResultsRow>, Error> {
    let row = sqlx::query!(
        r#"SELECT attempt, manifest_key, manifest_sha256 AS "manifest_sha256: Vec<u8>" FROM ledger.results
           WHERE job_id = $1 ORDER BY attempt DESC LIMIT 1"#,
        job.0
    )
    .fetch_optional(connection)
    .await
    .attempt("find the results of a job")?;
    row.map(|row| {
        Ok(ResultsRow {
            attempt: u32::try_from(row.attempt).map_err(Error::unreadable("results"))?,
            manifest_key: row.manifest_key,
            manifest_sha256: hash("results", &row.manifest_sha256)?,
        })
    })
    .transpose()
}
