//! What could not be handled and does not hold up the rest: `parked`. Written by: every worker.

use sqlx::PgConnection;

use super::{Attempt, Error};
use crate::ids::{DeploymentId, JobName};

/// Parks a job with a reason for operators. The scheduler leaves it alone until it is replayed. Parked already: nothing, and false.
///
/// # Errors
/// Database errors.
pub async fn park_job(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    job: &JobName,
    reason: &str,
) -> Result<bool, Error> {
    let parked = sqlx::query!(
        "INSERT INTO ledger.parked (deployment_id, kind, key, reason) VALUES ($1, 'job', $2, $3) ON CONFLICT DO NOTHING",
        deployment.0,
        job.as_str(),
        // Postgres takes no NUL in a text.
        reason.replace('\0', "\u{fffd}")
    )
    .execute(connection)
    .await
    .attempt("park a job")?;
    Ok(parked.rows_affected() == 1)
}

/// Parks a log that could not be decoded, with the reason. Parked already: nothing.
///
/// # Errors
/// Database errors.
pub async fn park_log(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    log: i64,
    reason: &str,
) -> Result<(), Error> {
    sqlx::query!(
        "INSERT INTO ledger.parked (deployment_id, kind, key, reason) VALUES ($1, 'log', $2, $3) ON CONFLICT DO NOTHING",
        deployment.0,
        log.to_string(),
        reason.replace('\0', "\u{fffd}")
    )
    .execute(connection)
    .await
    .attempt("park a log")?;
    Ok(())
}
