//! What could not be handled and does not hold up the rest: `parked`. Written by: every worker.

use sqlx::PgConnection;

use super::column::bigint;
use super::{Attempt, Error};
use crate::ids::{DeploymentId, JobName};

/// Parks a job with a reason for operators. The scheduler leaves it alone until it is replayed. Parked already: nothing.
///
/// # Errors
/// Database errors.
pub async fn park_job(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    job: &JobName,
    reason: &str,
) -> Result<(), Error> {
    sqlx::query!(
        "INSERT INTO ledger.parked (deployment_id, kind, key, reason) VALUES ($1, 'job', $2, $3) ON CONFLICT DO NOTHING",
        deployment.0,
        job.as_str(),
        // Postgres takes no NUL in a text.
        reason.replace('\0', "\u{fffd}")
    )
    .execute(connection)
    .await
    .attempt("park a job")?;
    Ok(())
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

/// Parks a block of history that no provider gives, with the reason. Following stands still before it until one does. Parked
/// already: nothing.
///
/// # Errors
/// Database errors.
pub async fn park_block(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    number: u64,
    reason: &str,
) -> Result<(), Error> {
    sqlx::query!(
        "INSERT INTO ledger.parked (deployment_id, kind, key, reason) VALUES ($1, 'block', $2, $3) ON CONFLICT DO NOTHING",
        deployment.0,
        number.to_string(),
        reason.replace('\0', "\u{fffd}")
    )
    .execute(connection)
    .await
    .attempt("park a block")?;
    Ok(())
}

/// Closes the parked blocks that are recorded by now, and answers whether others are open.
///
/// # Errors
/// Database errors.
pub async fn release_blocks(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    recorded: u64,
) -> Result<bool, Error> {
    sqlx::query!(
        "UPDATE ledger.parked SET replayed_at = now()
         WHERE deployment_id = $1 AND kind = 'block' AND replayed_at IS NULL AND key::bigint <= $2",
        deployment.0,
        bigint("parked", recorded)?
    )
    .execute(&mut *connection)
    .await
    .attempt("close parked blocks that are recorded")?;
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM ledger.parked WHERE deployment_id = $1 AND kind = 'block' AND replayed_at IS NULL)
           AS "open!""#,
        deployment.0
    )
    .fetch_one(connection)
    .await
    .attempt("look for parked blocks")
}
