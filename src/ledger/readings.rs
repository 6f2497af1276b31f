//! Ranges of history that were read, and by whom: `readings`. Append-only. Written by: follower, verifier.

use sqlx::PgConnection;

use super::column::{bigint, count};
use super::{Attempt, Error};
use crate::ids::DeploymentId;

const TABLE: &str = "readings";

/// Notes that `provider` gave the logs of the blocks `from` to `to`.
///
/// # Errors
/// Database errors.
pub async fn record(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    (from, to): (u64, u64),
    provider: &str,
) -> Result<(), Error> {
    sqlx::query!(
        "INSERT INTO ledger.readings (deployment_id, from_number, to_number, provider) VALUES ($1, $2, $3, $4)",
        deployment.0,
        bigint(TABLE, from)?,
        bigint(TABLE, to)?,
        provider
    )
    .execute(connection)
    .await
    .attempt("note who read a range")?;
    Ok(())
}

/// Who has read any of the blocks `from` to `to`.
///
/// # Errors
/// Database errors.
pub async fn list_providers(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    (from, to): (u64, u64),
) -> Result<Vec<String>, Error> {
    sqlx::query_scalar!(
        "SELECT DISTINCT provider FROM ledger.readings WHERE deployment_id = $1 AND to_number >= $2 AND from_number <= $3",
        deployment.0,
        bigint(TABLE, from)?,
        bigint(TABLE, to)?
    )
    .fetch_all(connection)
    .await
    .attempt("find who read a range")
}

/// The last block up to which the same providers have read every block from `from` on; `None` where nobody has read any.
///
/// # Errors
/// Database errors.
pub async fn same_readers_until(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    from: u64,
) -> Result<Option<u64>, Error> {
    let until = sqlx::query_scalar!(
        "SELECT min(CASE WHEN from_number <= $2 THEN to_number ELSE from_number - 1 END)
         FROM ledger.readings WHERE deployment_id = $1 AND to_number >= $2",
        deployment.0,
        bigint(TABLE, from)?
    )
    .fetch_one(connection)
    .await
    .attempt("find how far the same providers have read")?;
    until.map(|until| count(TABLE, until)).transpose()
}
