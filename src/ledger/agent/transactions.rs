//! Every transaction ever signed: `agent_transactions`.

use std::time::Duration;

use alloy::primitives::{B256, Bytes, U256};
use sqlx::PgConnection;

use super::Account;
use crate::ledger::column::{bigint, count, hash};
use crate::ledger::{Attempt, Error};

const TABLE: &str = "agent_transactions";
/// Longest piece of a node's words that is kept.
const LONGEST_REFUSAL: usize = 300;

/// What a transaction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The act itself.
    Act,
    /// A transfer of nothing to oneself that takes the act's nonce.
    Cancel,
}

impl Purpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Act => "act",
            Self::Cancel => "cancel",
        }
    }
}

/// A signed transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Its hash.
    pub hash: B256,
    /// What it is for.
    pub purpose: Purpose,
    /// The signed bytes.
    pub raw: Bytes,
    /// Most gas it can use.
    pub gas_limit: u64,
    /// Most wei per gas.
    pub max_fee: u128,
    /// Wei per gas for the block's maker.
    pub priority_fee: u128,
}

/// Records a signed transaction before it is sent. Call it with the act's lease confirmed. The same bytes again: nothing.
///
/// # Errors
/// Database errors.
pub async fn record(
    connection: &mut PgConnection,
    account: &Account,
    nonce: u64,
    signed: &Signed,
) -> Result<(), Error> {
    sqlx::query!(
        "INSERT INTO ledger.agent_transactions
             (hash, chain_id, genesis_hash, account, nonce, purpose, raw, gas_limit, max_fee, priority_fee)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::text::numeric, $10::text::numeric) ON CONFLICT DO NOTHING",
        signed.hash.as_slice(),
        bigint(TABLE, account.chain_id)?,
        account.genesis_hash.as_slice(),
        account.address.as_slice(),
        bigint(TABLE, nonce)?,
        signed.purpose.as_str(),
        &signed.raw[..],
        bigint(TABLE, signed.gas_limit)?,
        signed.max_fee.to_string(),
        signed.priority_fee.to_string()
    )
    .execute(connection)
    .await
    .attempt("record a signed transaction")?;
    Ok(())
}

/// The transactions of a nonce, oldest first, each with the time since it was signed.
///
/// # Errors
/// Database errors, and [`Error::Unreadable`].
pub async fn list(
    connection: &mut PgConnection,
    account: &Account,
    nonce: u64,
) -> Result<Vec<(Signed, Duration)>, Error> {
    let rows = sqlx::query!(
        r#"SELECT hash AS "hash: Vec<u8>", purpose, raw, gas_limit, max_fee::text AS "max_fee!", priority_fee::text AS "priority_fee!",
                  greatest(extract(epoch FROM clock_timestamp() - signed_at), 0)::float8 AS "age!"
           FROM ledger.agent_transactions
           WHERE chain_id = $1 AND genesis_hash = $2 AND account = $3 AND nonce = $4 ORDER BY signed_at"#,
        bigint(TABLE, account.chain_id)?,
        account.genesis_hash.as_slice(),
        account.address.as_slice(),
        bigint(TABLE, nonce)?
    )
    .fetch_all(connection)
    .await
    .attempt("list the transactions of a nonce")?;
    rows.into_iter()
        .map(|row| {
            let fee = |text: &str| text.parse().map_err(Error::unreadable(TABLE));
            let signed = Signed {
                hash: hash(TABLE, &row.hash)?,
                purpose: if row.purpose == Purpose::Cancel.as_str() {
                    Purpose::Cancel
                } else {
                    Purpose::Act
                },
                raw: row.raw.into(),
                gas_limit: count(TABLE, row.gas_limit)?,
                max_fee: fee(&row.max_fee)?,
                priority_fee: fee(&row.priority_fee)?,
            };
            Ok((signed, Duration::from_secs_f64(row.age)))
        })
        .collect()
}

/// Records that a node took a transaction.
///
/// # Errors
/// Database errors.
pub async fn note_sent(connection: &mut PgConnection, hash: B256) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE ledger.agent_transactions SET sent_at = coalesce(sent_at, clock_timestamp()), refusal = NULL WHERE hash = $1",
        hash.as_slice()
    )
    .execute(connection)
    .await
    .attempt("record that a transaction was sent")?;
    Ok(())
}

/// Records what a node said when it did not take a transaction.
///
/// # Errors
/// Database errors.
pub async fn note_refused(
    connection: &mut PgConnection,
    hash: B256,
    refusal: &str,
) -> Result<(), Error> {
    let refusal: String = refusal
        .chars()
        .filter(|character| *character != '\0')
        .take(LONGEST_REFUSAL)
        .collect();
    sqlx::query!(
        "UPDATE ledger.agent_transactions SET refusal = $2 WHERE hash = $1",
        hash.as_slice(),
        refusal
    )
    .execute(connection)
    .await
    .attempt("record that a transaction was refused")?;
    Ok(())
}

/// Records how a transaction went, as of the block it is in now.
///
/// # Errors
/// Database errors.
pub async fn note_mined(
    connection: &mut PgConnection,
    hash: B256,
    gas_used: u64,
    succeeded: bool,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE ledger.agent_transactions
         SET gas_used = $2, succeeded = $3, sent_at = coalesce(sent_at, clock_timestamp()), refusal = NULL WHERE hash = $1",
        hash.as_slice(),
        bigint(TABLE, gas_used)?,
        succeeded
    )
    .execute(connection)
    .await
    .attempt("record how a transaction went")?;
    Ok(())
}

/// Gas of an account's transactions of the last 24 hours, each nonce once: what was used, or for what is not mined the most that
/// can be.
///
/// # Errors
/// Database errors.
pub async fn gas_of_day(connection: &mut PgConnection, account: &Account) -> Result<u64, Error> {
    let gas = sqlx::query_scalar!(
        r#"SELECT coalesce(sum(gas), 0)::bigint AS "gas!" FROM (
               SELECT coalesce(max(gas_used), max(gas_limit)) AS gas FROM ledger.agent_transactions
               WHERE chain_id = $1 AND genesis_hash = $2 AND account = $3 AND signed_at > clock_timestamp() - interval '24 hours'
               GROUP BY nonce) AS spent"#,
        bigint(TABLE, account.chain_id)?,
        account.genesis_hash.as_slice(),
        account.address.as_slice()
    )
    .fetch_one(connection)
    .await
    .attempt("add up the gas of a day")?;
    count(TABLE, gas)
}

/// Most wei that an account's transactions which are not mined can still cost.
///
/// # Errors
/// Database errors, and [`Error::Unreadable`].
pub async fn reserved(connection: &mut PgConnection, account: &Account) -> Result<U256, Error> {
    let wei = sqlx::query_scalar!(
        r#"SELECT coalesce(sum(cost), 0)::text AS "wei!" FROM (
               SELECT max(t.gas_limit * t.max_fee) AS cost FROM ledger.agent_transactions t
               JOIN ledger.agent_nonces n USING (chain_id, genesis_hash, account, nonce)
               WHERE chain_id = $1 AND genesis_hash = $2 AND account = $3 AND n.state = 'held'
               GROUP BY nonce HAVING max(t.gas_used) IS NULL) AS open"#,
        bigint(TABLE, account.chain_id)?,
        account.genesis_hash.as_slice(),
        account.address.as_slice()
    )
    .fetch_one(connection)
    .await
    .attempt("add up what open transactions can cost")?;
    wei.parse().map_err(Error::unreadable(TABLE))
}
