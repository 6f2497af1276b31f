use alloy::primitives::B256;
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;

use super::{evidence, hash, unsigned};
use crate::ids::{BlockRef, JobId};
use crate::ledger::{Attempt, Error};

/// A verdict.
#[derive(Clone, Debug, PartialEq)]
pub struct VerdictRow {
    /// Whether the job is owed.
    pub admitted: bool,
    /// The verdict's word.
    pub verdict: String,
    /// Catalog that judged, by the SHA-256 of its file.
    pub policy: Option<B256>,
    /// Every rule's answer, with the place on the chain of what decided it.
    pub rules: Value,
    /// The block up to which events were considered.
    pub judged: BlockRef,
    /// When it was recorded.
    pub judged_at: DateTime<Utc>,
}

/// The verdict in force: the last one. `None` before the first.
///
/// # Errors
/// Database errors.
pub async fn find_last(
    connection: &mut PgConnection,
    job: JobId,
) -> Result<Option<VerdictRow>, Error> {
    let row = sqlx::query!(
        r#"SELECT admitted, verdict, rules, policy_sha256 AS "policy_sha256: Vec<u8>", judged_number,
                  judged_hash AS "judged_hash: Vec<u8>", judged_at
           FROM ledger.verdicts WHERE job_id = $1 ORDER BY number DESC LIMIT 1"#,
        job.0
    )
    .fetch_optional(&mut *connection)
    .await
    .attempt("find a job's verdict")?;
    let Some(mut row) = row else { return Ok(None) };
    evidence::locate(connection, &mut row.rules).await?;
    let policy = row.policy_sha256.as_deref();
    Ok(Some(VerdictRow {
        admitted: row.admitted,
        verdict: row.verdict,
        policy: policy.map(|bytes| hash("verdicts", bytes)).transpose()?,
        rules: row.rules,
        judged: BlockRef {
            number: unsigned("verdicts", row.judged_number)?,
            hash: hash("verdicts", &row.judged_hash)?,
        },
        judged_at: row.judged_at,
    }))
}
