//! Which act a nonce is for: `agent_nonces`.
//!
//! A nonce is taken in the transaction that records the first signed bytes for it, so that none is ever held by nothing: a gap
//! would keep every later transaction of the account waiting.

use std::collections::BTreeSet;

use sqlx::PgConnection;

use super::Account;
use super::acts::Act;
use crate::ledger::column::{bigint, count, hash};
use crate::ledger::{Attempt, Error, Transaction};

const TABLE: &str = "agent_nonces";

/// What became of a nonce, irreversibly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// A transaction of ours used it.
    Used,
    /// Somebody else with the same key did.
    Lost,
}

/// Waits for the turn to give out nonces of an account. The lock ends with the transaction.
///
/// # Errors
/// Database errors.
pub async fn lock(transaction: &mut Transaction, account: &Account) -> Result<(), Error> {
    let key = format!(
        "tidewatch nonce {} {} {}",
        account.chain_id, account.genesis_hash, account.address
    );
    sqlx::query!(
        r#"SELECT pg_advisory_xact_lock(hashtextextended($1, 0)) AS "lock!: ()""#,
        key
    )
    .fetch_one(&mut **transaction)
    .await
    .attempt("wait for the turn to take a nonce")?;
    Ok(())
}

/// Every nonce from `from` on that was ever taken. Call it under [`lock`].
///
/// # Errors
/// Database errors.
pub async fn list_taken(
    connection: &mut PgConnection,
    account: &Account,
    from: u64,
) -> Result<BTreeSet<u64>, Error> {
    let rows = sqlx::query_scalar!(
        "SELECT nonce FROM ledger.agent_nonces WHERE chain_id = $1 AND genesis_hash = $2 AND account = $3 AND nonce >= $4",
        bigint(TABLE, account.chain_id)?,
        account.genesis_hash.as_slice(),
        account.address.as_slice(),
        bigint(TABLE, from)?
    )
    .fetch_all(connection)
    .await
    .attempt("read the nonces that were taken")?;
    rows.into_iter().map(|nonce| count(TABLE, nonce)).collect()
}

/// Takes a nonce for an act. Call it under [`lock`], with the act's lease confirmed.
///
/// # Errors
/// Database errors; a nonce that is taken, or a second one for the act, violates a key.
pub async fn take(
    connection: &mut PgConnection,
    account: &Account,
    nonce: u64,
    act: &Act,
) -> Result<(), Error> {
    sqlx::query!(
        "INSERT INTO ledger.agent_nonces (chain_id, genesis_hash, account, nonce, act_id) VALUES ($1, $2, $3, $4, $5)",
        bigint(TABLE, account.chain_id)?,
        account.genesis_hash.as_slice(),
        account.address.as_slice(),
        bigint(TABLE, nonce)?,
        act.id
    )
    .execute(connection)
    .await
    .attempt("take a nonce for an act of the agent")?;
    Ok(())
}

/// Takes a nonce that nobody uses, so that an act's own one, behind it, can be mined. Call it under [`lock`].
///
/// # Errors
/// Database errors; a nonce that is taken violates a key.
pub async fn fill(
    connection: &mut PgConnection,
    account: &Account,
    nonce: u64,
    act: &Act,
) -> Result<(), Error> {
    sqlx::query!(
        "INSERT INTO ledger.agent_nonces (chain_id, genesis_hash, account, nonce, act_id, state)
         VALUES ($1, $2, $3, $4, $5, 'filling')",
        bigint(TABLE, account.chain_id)?,
        account.genesis_hash.as_slice(),
        account.address.as_slice(),
        bigint(TABLE, nonce)?,
        act.id
    )
    .execute(connection)
    .await
    .attempt("take an unused nonce")?;
    Ok(())
}

/// The nonces from `from` on that only fill gaps, in order.
///
/// # Errors
/// Database errors.
pub async fn list_filling(
    connection: &mut PgConnection,
    account: &Account,
    from: u64,
) -> Result<Vec<u64>, Error> {
    let rows = sqlx::query_scalar!(
        "SELECT nonce FROM ledger.agent_nonces
         WHERE chain_id = $1 AND genesis_hash = $2 AND account = $3 AND nonce >= $4 AND state = 'filling' ORDER BY nonce",
        bigint(TABLE, account.chain_id)?,
        account.genesis_hash.as_slice(),
        account.address.as_slice(),
        bigint(TABLE, from)?
    )
    .fetch_all(connection)
    .await
    .attempt("read the nonces that fill gaps")?;
    rows.into_iter().map(|nonce| count(TABLE, nonce)).collect()
}

/// The nonce that an act holds, with its account: an operator may have given the agent another key since.
///
/// # Errors
/// Database errors, and [`Error::Unreadable`].
pub async fn find_held(
    connection: &mut PgConnection,
    act: &Act,
) -> Result<Option<(Account, u64)>, Error> {
    let row = sqlx::query!(
        r#"SELECT chain_id, genesis_hash AS "genesis_hash: Vec<u8>", account AS "account: Vec<u8>", nonce
           FROM ledger.agent_nonces WHERE act_id = $1 AND state = 'held'"#,
        act.id
    )
    .fetch_optional(connection)
    .await
    .attempt("find the nonce of an act of the agent")?;
    let Some(row) = row else { return Ok(None) };
    let account = Account {
        chain_id: count(TABLE, row.chain_id)?,
        genesis_hash: hash(TABLE, &row.genesis_hash)?,
        address: row
            .account
            .as_slice()
            .try_into()
            .map_err(Error::unreadable(TABLE))?,
    };
    Ok(Some((account, count(TABLE, row.nonce)?)))
}

/// Records what became of the nonce that an act holds.
///
/// # Errors
/// Database errors.
pub async fn settle(connection: &mut PgConnection, act: &Act, fate: Fate) -> Result<(), Error> {
    let word = match fate {
        Fate::Used => "used",
        Fate::Lost => "lost",
    };
    sqlx::query!(
        "UPDATE ledger.agent_nonces SET state = $2 WHERE act_id = $1 AND state = 'held'",
        act.id,
        word
    )
    .execute(connection)
    .await
    .attempt("record what became of a nonce")?;
    Ok(())
}
