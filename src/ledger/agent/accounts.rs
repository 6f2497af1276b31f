//! The agent's accounts as the node showed them last: `agent_accounts`.

use alloy::primitives::U256;
use sqlx::PgConnection;

use super::Account;
use crate::ledger::column::bigint;
use crate::ledger::{Attempt, Error};

/// What a node said of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// In wei.
    pub balance: U256,
    /// Transactions mined, by whoever uses the key.
    pub latest_count: u64,
    /// The same, those in the node's pool included.
    pub pending_count: u64,
}

/// Records a reading in the place of the one before.
///
/// # Errors
/// Database errors.
pub async fn record(
    connection: &mut PgConnection,
    account: &Account,
    reading: &Reading,
) -> Result<(), Error> {
    let table = "agent_accounts";
    sqlx::query!(
        "INSERT INTO ledger.agent_accounts (chain_id, genesis_hash, account, balance, latest_count, pending_count)
         VALUES ($1, $2, $3, $4::text::numeric, $5, $6)
         ON CONFLICT (chain_id, genesis_hash, account) DO UPDATE
         SET balance = excluded.balance, latest_count = excluded.latest_count, pending_count = excluded.pending_count,
             read_at = clock_timestamp()",
        bigint(table, account.chain_id)?,
        account.genesis_hash.as_slice(),
        account.address.as_slice(),
        reading.balance.to_string(),
        bigint(table, reading.latest_count)?,
        bigint(table, reading.pending_count)?
    )
    .execute(connection)
    .await
    .attempt("record the balance of the agent's account")?;
    Ok(())
}
