use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::engine::StageObservation;
use crate::ids::JobId;
use crate::ledger::{Attempt, Error};

/// An attempt with its stages as last observed.
#[derive(Clone, Debug, PartialEq)]
pub struct AttemptRow {
    /// 1 for the first.
    pub number: i32,
    /// When it was started.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Its stages, in order.
    pub stages: Vec<StageObservation>,
}

/// The attempts of a job, in order. There are few.
///
/// # Errors
/// Database errors, or stages that this version cannot read.
pub async fn list(connection: &mut PgConnection, job: JobId) -> Result<Vec<AttemptRow>, Error> {
    let rows = sqlx::query!(
        "SELECT attempt, started_at, finished_at, stages FROM ledger.job_attempts WHERE job_id = $1 ORDER BY attempt",
        job.0
    )
    .fetch_all(connection)
    .await
    .attempt("list a job's attempts")?;
    rows.into_iter()
        .map(|row| {
            Ok(AttemptRow {
                number: row.attempt,
                started_at: row.started_at,
                finished_at: row.finished_at,
                stages: serde_json::from_value(row.stages)
                    .map_err(Error::unreadable("job_attempts"))?,
            })
        })
        .collect()
}
