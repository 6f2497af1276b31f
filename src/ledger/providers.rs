//! The nodes that are asked, as they last answered: `providers`. Written by: verifier.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::column::{bigint, count};
use super::{Attempt, Error};
use crate::ids::{BlockRef, DeploymentId};

const TABLE: &str = "providers";

/// A node, as it last answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderRow {
    /// Host and port.
    pub name: String,
    /// Height of the newest block it named.
    pub head: Option<u64>,
    /// When it last answered.
    pub answered_at: Option<DateTime<Utc>>,
    /// When it last failed to.
    pub failed_at: Option<DateTime<Utc>>,
    /// What went wrong then.
    pub failure: Option<String>,
}

/// Notes the newest block that a node named.
///
/// # Errors
/// Database errors.
pub async fn note_head(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    name: &str,
    head: BlockRef,
) -> Result<(), Error> {
    sqlx::query!(
        "INSERT INTO ledger.providers (deployment_id, name, head_number, head_hash, answered_at)
         VALUES ($1, $2, $3, $4, now())
         ON CONFLICT (deployment_id, name) DO UPDATE
         SET head_number = excluded.head_number, head_hash = excluded.head_hash, answered_at = excluded.answered_at",
        deployment.0,
        name,
        bigint(TABLE, head.number)?,
        head.hash.as_slice()
    )
    .execute(connection)
    .await
    .attempt("note what a provider answered")?;
    Ok(())
}

/// Notes that a node did not answer, and why.
///
/// # Errors
/// Database errors.
pub async fn note_failure(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    name: &str,
    failure: &str,
) -> Result<(), Error> {
    sqlx::query!(
        "INSERT INTO ledger.providers (deployment_id, name, failed_at, failure) VALUES ($1, $2, now(), $3)
         ON CONFLICT (deployment_id, name) DO UPDATE SET failed_at = excluded.failed_at, failure = excluded.failure",
        deployment.0,
        name,
        failure.replace('\0', "\u{fffd}")
    )
    .execute(connection)
    .await
    .attempt("note that a provider failed")?;
    Ok(())
}

/// The nodes that are asked for a deployment, by name.
///
/// # Errors
/// Database errors; [`Error::Unreadable`].
pub async fn list(
    connection: &mut PgConnection,
    deployment: DeploymentId,
) -> Result<Vec<ProviderRow>, Error> {
    let rows = sqlx::query!(
        r#"SELECT name AS "name!", head_number, answered_at, failed_at, failure FROM tidewatch.providers
           WHERE deployment = $1 ORDER BY name"#,
        deployment.0
    )
    .fetch_all(connection)
    .await
    .attempt("list the providers")?;
    rows.into_iter()
        .map(|row| {
            Ok(ProviderRow {
                name: row.name,
                head: row
                    .head_number
                    .map(|number| count(TABLE, number))
                    .transpose()?,
                answered_at: row.answered_at,
                failed_at: row.failed_at,
                failure: row.failure,
            })
        })
        .collect()
}
