use alloy::primitives::Address;
use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::address;
use crate::ids::DeploymentId;
use crate::ledger::{Attempt, Error};

/// An account that the publisher's agent acts with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentAccount {
    /// The account.
    pub account: Address,
    /// What it has, in wei.
    pub balance: String,
    /// When a node said so: an old time says that no agent runs.
    pub read_at: DateTime<Utc>,
}

/// The agent's accounts on a deployment's chain, the one that was read last first.
///
/// # Errors
/// Database errors, or rows that this version cannot read.
pub async fn list(
    connection: &mut PgConnection,
    deployment: DeploymentId,
) -> Result<Vec<AgentAccount>, Error> {
    let rows = sqlx::query!(
        r#"SELECT a.account AS "account!: Vec<u8>", a.balance::text AS "balance!", a.read_at AS "read_at!"
           FROM tidewatch.agent_accounts a JOIN ledger.deployments d ON d.chain_id = a.chain_id AND d.genesis_hash = a.genesis_hash
           WHERE d.id = $1 ORDER BY a.read_at DESC"#,
        deployment.0
    )
    .fetch_all(connection)
    .await
    .attempt("list the agent's accounts")?;
    rows.into_iter()
        .map(|row| {
            Ok(AgentAccount {
                account: address("agent_accounts", &row.account)?,
                balance: row.balance,
                read_at: row.read_at,
            })
        })
        .collect()
}
