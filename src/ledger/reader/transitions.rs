use alloy::primitives::B256;
use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::hash;
use crate::ids::JobId;
use crate::ledger::{Attempt, Error};

/// A recorded change of a job's status, in the words it was hashed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransitionRow {
    /// 1 for the job's first, then without gaps.
    pub number: i32,
    /// What it became.
    pub phase: String,
    /// How it ended.
    pub outcome: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// The attempt it speaks of.
    pub attempt: i32,
    /// When, in whole microseconds.
    pub at: DateTime<Utc>,
    /// Hash of the one before.
    pub previous_hash: B256,
    /// Its own hash.
    pub hash: B256,
    /// Who recorded it.
    pub worker: String,
}

/// At most `limit` transitions of a job after number `after`, in order.
///
/// # Errors
/// Database errors.
pub async fn list(
    connection: &mut PgConnection,
    job: JobId,
    after: i32,
    limit: u32,
) -> Result<Vec<TransitionRow>, Error> {
    let rows = sqlx::query!(
        r#"SELECT number, phase, outcome, reason, attempt, at, previous_hash AS "previous_hash: Vec<u8>", hash AS "hash: Vec<u8>",
                  worker
           FROM ledger.transitions WHERE job_id = $1 AND number > $2 ORDER BY number LIMIT $3"#,
        job.0,
        after,
        i64::from(limit)
    )
    .fetch_all(connection)
    .await
    .attempt("list a job's transitions")?;
    rows.into_iter()
        .map(|row| {
            Ok(TransitionRow {
                number: row.number,
                phase: row.phase,
                outcome: row.outcome,
                reason: row.reason,
                attempt: row.attempt,
                at: row.at,
                previous_hash: hash("transitions", &row.previous_hash)?,
                hash: hash("transitions", &row.hash)?,
                worker: row.worker,
            })
        })
        .collect()
}
