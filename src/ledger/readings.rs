//! Ranges of history that were read, and by whom: `readings`. Append-only. Written by: follower, verifier.

use sqlx::PgConnection;

use super::column::bigint;
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
