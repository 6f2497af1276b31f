use serde_json::Value;
use sqlx::PgConnection;

use crate::ids::{DeploymentId, JobId, JobName};
use crate::ledger::{Attempt, Error};

/// What decides how much of a job is let out.
#[derive(Clone, Debug, PartialEq)]
pub struct ReleaseRow {
    /// The publisher's rule, as it was frozen with the job; `None` before that.
    pub rule: Option<Value>,
    /// Whether an operator let it out after a review, and nothing was done to it since.
    pub is_reviewed: bool,
    /// Whether an operator erased it.
    pub is_erased: bool,
}

/// What decides how much of a job is let out. Of a job that does not exist: nothing is known of it.
///
/// Whoever releases a job holds its row, and so does whoever stops it or has it tried again; so the last of these three says which
/// of them holds. A job that was tried again has been reviewed only once it was released again.
///
/// # Errors
/// Database errors.
pub async fn find(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    name: &JobName,
    job: Option<JobId>,
) -> Result<ReleaseRow, Error> {
    let row = sqlx::query!(
        r#"SELECT (SELECT w.release FROM tidewatch.workflows w WHERE w.deployment = $1 AND w.job = $2
                   ORDER BY w.frozen_at DESC LIMIT 1) AS rule,
                  coalesce((SELECT o.action = 'jobs release' FROM ledger.operator_actions o
                            WHERE o.subject = $2 AND o.action IN ('jobs release', 'jobs stop', 'jobs retry')
                            ORDER BY o.id DESC LIMIT 1), false) AS "is_reviewed!",
                  EXISTS (SELECT FROM ledger.erasures e WHERE e.job_id = $3) AS "is_erased!""#,
        deployment.0,
        name.as_str(),
        job.map(|job| job.0)
    )
    .fetch_one(connection)
    .await
    .attempt("find what of a job is let out")?;
    Ok(ReleaseRow {
        rule: row.rule,
        is_reviewed: row.is_reviewed,
        is_erased: row.is_erased,
    })
}
