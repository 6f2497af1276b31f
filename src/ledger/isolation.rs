//! What attempts saw of the cluster's denial of the network: `job_attempts.isolation`, which follows from the stages that the
//! observer notes.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;

use super::{Attempt, Error};
use crate::engine::Isolation;
use crate::ids::DeploymentId;

/// The newest word about the cluster's denial of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastIsolation {
    /// What it was: proven or unproven.
    pub isolation: Isolation,
    /// When the attempt that found out was started.
    pub at: DateTime<Utc>,
}

/// What the newest attempt of a deployment that asked found out; `None` while none has. Attempts that the publisher lets use the
/// network say nothing about it.
///
/// # Errors
/// Database errors, or a word that this version cannot read.
pub async fn find_last(
    connection: &mut PgConnection,
    deployment: DeploymentId,
) -> Result<Option<LastIsolation>, Error> {
    let row = sqlx::query!(
        r#"SELECT a.isolation AS "isolation!", a.started_at
           FROM ledger.job_attempts a JOIN ledger.jobs j ON j.id = a.job_id
           WHERE j.deployment_id = $1 AND a.isolation IN ('proven', 'unproven')
           ORDER BY a.started_at DESC LIMIT 1"#,
        deployment.0
    )
    .fetch_optional(connection)
    .await
    .attempt("find what was last seen of the network's denial")?;
    row.map(|row| {
        Ok(LastIsolation {
            isolation: serde_json::from_value(Value::String(row.isolation))
                .map_err(Error::unreadable("job_attempts"))?,
            at: row.started_at,
        })
    })
    .transpose()
}
