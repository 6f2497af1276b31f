use alloy::primitives::B256;
use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::unsigned;
use crate::ids::DeploymentId;
use crate::ledger::{Attempt, Error};

/// Which deployment an API shows: the newest of this contract set. (A development chain that was restarted is a new deployment of
/// the same contract set.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Followed {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// `deployments.contracts_hash`.
    pub contracts_hash: B256,
}

/// The newest deployment, of the given contract set if one is given; `None` while nothing was ever followed.
///
/// # Errors
/// Database errors.
pub async fn find(
    connection: &mut PgConnection,
    followed: Option<Followed>,
) -> Result<Option<DeploymentId>, Error> {
    let chain_id = followed
        .map(|followed| i64::try_from(followed.chain_id))
        .transpose()
        .map_err(Error::unreadable("deployments"))?;
    let contracts = followed.map(|followed| followed.contracts_hash.to_vec());
    let id = sqlx::query_scalar!(
        "SELECT id FROM ledger.deployments
         WHERE ($1::bigint IS NULL OR chain_id = $1) AND ($2::bytea IS NULL OR contracts_hash = $2::bytea)
         ORDER BY id DESC LIMIT 1",
        chain_id,
        contracts
    )
    .fetch_optional(connection)
    .await
    .attempt("find the followed deployment")?;
    Ok(id.map(DeploymentId))
}

/// How far a deployment is followed. Block numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Highest block that the node named.
    pub head: Option<u64>,
    /// Highest block that may never roll back.
    pub irreversible: Option<u64>,
    /// Every log up to it is in the ledger.
    pub recorded: u64,
    /// Every consequence of logs up to it has been drawn.
    pub judged: u64,
    /// Logs up to it are proven complete.
    pub verified: u64,
    /// Why following stands still.
    pub halt: Option<String>,
    /// Why `verified` stands still.
    pub unverified: Option<String>,
    /// When the follower last moved anything, by the database's clock.
    pub updated_at: DateTime<Utc>,
    /// Age of the newest recorded block whose time is known, in whole seconds by the database's clock; 0 when the head is
    /// recorded.
    pub lag_seconds: Option<i64>,
}

/// How far a deployment is followed; `None` before its cursor exists.
///
/// # Errors
/// Database errors.
pub async fn progress(
    connection: &mut PgConnection,
    deployment: DeploymentId,
) -> Result<Option<Progress>, Error> {
    let row = sqlx::query!(
        r#"SELECT d.chain_id, c.head_number, c.irreversible_number, c.recorded_number, c.judged_number, c.verified_number,
                  c.halt, c.unverified, c.updated_at,
                  CASE WHEN c.head_number <= c.recorded_number THEN 0
                       ELSE greatest(0, extract(epoch FROM now() -
                           (SELECT b.made_at FROM ledger.blocks b
                            WHERE b.deployment_id = d.id AND b.canonical AND b.number <= c.recorded_number
                            ORDER BY b.number DESC LIMIT 1)))::bigint
                  END AS lag_seconds,
                  EXISTS (SELECT FROM ledger.blocks b WHERE b.deployment_id = d.id AND b.canonical) AS "any_block!"
           FROM ledger.deployments d JOIN ledger.cursors c ON c.deployment_id = d.id WHERE d.id = $1"#,
        deployment.0
    )
    .fetch_optional(connection)
    .await
    .attempt("read how far the deployment is followed")?;
    let Some(row) = row else { return Ok(None) };
    let height = |number: i64| unsigned("cursors", number);
    // greatest() leaves nulls out, so a time that is not known would read as no lag at all.
    let is_known = row.any_block
        || row
            .head_number
            .is_some_and(|head| head <= row.recorded_number);
    Ok(Some(Progress {
        chain_id: height(row.chain_id)?,
        head: row.head_number.map(height).transpose()?,
        irreversible: row.irreversible_number.map(height).transpose()?,
        recorded: height(row.recorded_number)?,
        judged: height(row.judged_number)?,
        verified: height(row.verified_number)?,
        halt: row.halt,
        unverified: row.unverified,
        updated_at: row.updated_at,
        lag_seconds: row.lag_seconds.filter(|_| is_known),
    }))
}
