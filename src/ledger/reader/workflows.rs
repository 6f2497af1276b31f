use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::PgConnection;

use crate::ids::{DeploymentId, JobName};
use crate::ledger::{Attempt, Error};

/// The public part of what a job runs.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkflowRow {
    /// Who named it: `consumer`, `asset`, `service` or `catalog`.
    pub source: String,
    /// The algorithm's DID; `None` for raw code.
    pub algorithm: Option<String>,
    /// Image repository.
    pub image: Option<String>,
    /// The image's tag.
    pub tag: Option<String>,
    /// The image's digest.
    pub digest: Option<String>,
    /// Ceilings.
    pub resources: Option<Value>,
}

/// What a job runs; `None` before it is frozen.
///
/// # Errors
/// Database errors.
pub async fn find(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    job: &JobName,
) -> Result<Option<WorkflowRow>, Error> {
    sqlx::query_as!(
        WorkflowRow,
        r#"SELECT source AS "source!", algorithm, image, tag, digest, resources FROM tidewatch.workflows
           WHERE deployment = $1 AND job = $2 ORDER BY frozen_at DESC LIMIT 1"#,
        deployment.0,
        job.as_str()
    )
    .fetch_optional(connection)
    .await
    .attempt("find what a job runs")
}

/// The algorithms' DIDs of those jobs that run one with a DID, in one statement.
///
/// # Errors
/// Database errors.
pub async fn list_algorithms(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    jobs: &[String],
) -> Result<BTreeMap<String, String>, Error> {
    let rows = sqlx::query!(
        r#"SELECT job AS "job!", algorithm AS "algorithm!" FROM tidewatch.workflows
           WHERE deployment = $1 AND job = ANY($2) AND algorithm IS NOT NULL ORDER BY frozen_at"#,
        deployment.0,
        jobs
    )
    .fetch_all(connection)
    .await
    .attempt("list the algorithms of jobs")?;
    Ok(rows
        .into_iter()
        .map(|row| (row.job, row.algorithm))
        .collect())
}
