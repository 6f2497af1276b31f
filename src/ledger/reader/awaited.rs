use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::ids::{DeploymentId, JobName};
use crate::ledger::{Attempt, Error};

/// What a job waits for from outside of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwaitedRow {
    /// `workflow`, `asset`, `algorithm`, `code` or `image`.
    pub what: Option<String>,
    /// Since when it is looked for.
    pub since: DateTime<Utc>,
    /// Until when; `None` in rows of releases that did not keep it.
    pub until: Option<DateTime<Utc>>,
    /// How often it was looked for in vain.
    pub tries: i32,
    /// Why it could not be had the last time, in our words; `None` before the first try ended.
    pub problem: Option<String>,
}

/// What a job waits for; `None` when it waits for nothing from outside, or nobody has looked yet.
///
/// # Errors
/// Database errors.
pub async fn find(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    job: &JobName,
) -> Result<Option<AwaitedRow>, Error> {
    sqlx::query_as!(
        AwaitedRow,
        r#"SELECT what, since AS "since!", until, tries AS "tries!", problem FROM tidewatch.awaited_documents
           WHERE deployment = $1 AND job = $2 ORDER BY since DESC LIMIT 1"#,
        deployment.0,
        job.as_str()
    )
    .fetch_optional(connection)
    .await
    .attempt("find what a job waits for")
}
