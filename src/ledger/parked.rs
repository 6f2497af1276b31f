//! What could not be handled and does not hold up the rest: `parked`. Written by: every worker; replayed by operator commands.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::agent::acts::Act;
use super::agent::failed;
use super::column::bigint;
use super::{Attempt, Error, Transaction, replaying};
use crate::ids::{DeploymentId, JobName};

/// What can be parked.
pub const KINDS: [&str; 6] = ["act", "block", "document", "job", "log", "workflow"];

/// Something parked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parked {
    /// Its number.
    pub id: i64,
    /// One of [`KINDS`].
    pub kind: String,
    /// Which: the log's or block's number, the job's or workflow's name, the name of the job that needs the document, what is done
    /// about which agreement.
    pub key: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub parked_at: DateTime<Utc>,
}

/// What is parked, oldest first, at most `limit`.
///
/// # Errors
/// Database errors.
pub async fn list(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    limit: i64,
) -> Result<Vec<Parked>, Error> {
    sqlx::query_as!(
        Parked,
        "SELECT id, kind, key, reason, parked_at FROM ledger.parked
         WHERE deployment_id = $1 AND replayed_at IS NULL ORDER BY id LIMIT $2",
        deployment.0,
        limit
    )
    .fetch_all(connection)
    .await
    .attempt("list what is parked")
}

/// Lets something parked be tried again, by whoever works on such things. Answers it; `None` if nothing of that number is parked.
///
/// # Errors
/// Database errors; [`Error::Unreadable`].
pub async fn replay(
    transaction: &mut Transaction,
    deployment: DeploymentId,
    id: i64,
) -> Result<Option<Parked>, Error> {
    let parked = sqlx::query_as!(
        Parked,
        "UPDATE ledger.parked SET replayed_at = now() WHERE deployment_id = $1 AND id = $2 AND replayed_at IS NULL
         RETURNING id, kind, key, reason, parked_at",
        deployment.0,
        id
    )
    .fetch_optional(&mut **transaction)
    .await
    .attempt("replay something parked")?;
    if let Some(parked) = &parked {
        replaying::try_again(transaction, deployment, parked).await?;
    }
    Ok(parked)
}

/// Notes that logs, if they were parked, can be read now.
///
/// # Errors
/// Database errors.
pub async fn close_logs(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    logs: &[i64],
) -> Result<(), Error> {
    let keys: Vec<String> = logs.iter().map(i64::to_string).collect();
    sqlx::query!(
        "UPDATE ledger.parked SET replayed_at = now()
         WHERE deployment_id = $1 AND kind = 'log' AND key = ANY($2) AND replayed_at IS NULL",
        deployment.0,
        &keys
    )
    .execute(connection)
    .await
    .attempt("note that parked logs can be read")?;
    Ok(())
}

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
    park(connection, deployment, ("job", job.as_str()), reason).await
}

/// Parks what a job needed and could not be had in time: the job is refused, and replaying has it looked for again. Parked already:
/// nothing.
///
/// # Errors
/// Database errors.
pub async fn park_document(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    job: &JobName,
    reason: &str,
) -> Result<(), Error> {
    park(connection, deployment, ("document", job.as_str()), reason).await?;
    Ok(())
}

/// Parks an act of the agent that was sent and had no effect. Parked already: nothing.
///
/// # Errors
/// Database errors.
pub async fn park_act(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    act: &Act,
    reason: &str,
) -> Result<(), Error> {
    park(connection, deployment, ("act", &failed::key(act)), reason).await?;
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
    park(connection, deployment, ("log", &log.to_string()), reason).await?;
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
    let key = number.to_string();
    park(connection, deployment, ("block", &key), reason).await?;
    Ok(())
}

async fn park(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    (kind, key): (&'static str, &str),
    reason: &str,
) -> Result<bool, Error> {
    let parked = sqlx::query!(
        "INSERT INTO ledger.parked (deployment_id, kind, key, reason) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        deployment.0,
        kind,
        key,
        // Postgres takes no NUL in a text.
        reason.replace('\0', "\u{fffd}")
    )
    .execute(connection)
    .await
    .attempt("park something")?;
    Ok(parked.rows_affected() == 1)
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
