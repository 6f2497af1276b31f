//! What the contracts count themselves, beside the recorded events: `counter_checks`. Written by: verifier.

use alloy::primitives::{Address, B256};
use sqlx::PgConnection;

use super::column::{bigint, count};
use super::{Attempt, Error};
use crate::ids::{BlockRef, DeploymentId};

const TABLE: &str = "counter_checks";

/// A comparison of one counter with the recorded events, at a block that may never roll back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CounterCheck {
    /// `conditions`, `agreements` or `dids`.
    pub counter: &'static str,
    /// Where it was asked.
    pub at: BlockRef,
    /// The contract's answer.
    pub counted: u64,
    /// Its answer before the first followed block.
    pub before_start: u64,
    /// Recorded events up to the block.
    pub recorded: u64,
    /// Whether some of what it counts makes no event that is followed.
    pub at_least: bool,
    /// Whether it holds.
    pub agrees: bool,
}

/// The last check of a counter that agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// Where.
    pub number: u64,
    /// The contract's answer before the first followed block.
    pub before_start: u64,
    /// Recorded events up to there.
    pub recorded: u64,
}

/// Notes a check; one of the same block and counter is replaced.
///
/// # Errors
/// Database errors.
pub async fn record(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    check: &CounterCheck,
) -> Result<(), Error> {
    sqlx::query!(
        "INSERT INTO ledger.counter_checks
             (deployment_id, counter, block_number, block_hash, counted, before_start, recorded, comparison, agrees)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (deployment_id, counter, block_number) DO UPDATE
         SET block_hash = excluded.block_hash, counted = excluded.counted, before_start = excluded.before_start,
             recorded = excluded.recorded, comparison = excluded.comparison, agrees = excluded.agrees, checked_at = now()",
        deployment.0,
        check.counter,
        bigint(TABLE, check.at.number)?,
        check.at.hash.as_slice(),
        bigint(TABLE, check.counted)?,
        bigint(TABLE, check.before_start)?,
        bigint(TABLE, check.recorded)?,
        if check.at_least { "at_least" } else { "exact" },
        check.agrees
    )
    .execute(connection)
    .await
    .attempt("note what a contract counts")?;
    Ok(())
}

/// The last check of a counter that agreed, below block `below`.
///
/// # Errors
/// Database errors; [`Error::Unreadable`].
pub async fn find_agreed(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    counter: &str,
    below: u64,
) -> Result<Option<Agreed>, Error> {
    let row = sqlx::query!(
        "SELECT block_number, before_start, recorded FROM ledger.counter_checks
         WHERE deployment_id = $1 AND counter = $2 AND block_number < $3 AND agrees ORDER BY block_number DESC LIMIT 1",
        deployment.0,
        counter,
        bigint(TABLE, below)?
    )
    .fetch_optional(connection)
    .await
    .attempt("find what a contract counted before")?;
    row.map(|row| {
        Ok(Agreed {
            number: count(TABLE, row.block_number)?,
            before_start: count(TABLE, row.before_start)?,
            recorded: count(TABLE, row.recorded)?,
        })
    })
    .transpose()
}

/// Recorded events of a contract and signature in the blocks after `after` up to `up_to`.
///
/// # Errors
/// Database errors; [`Error::Unreadable`].
pub async fn count_events(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    (address, signature): (Address, B256),
    (after, up_to): (u64, u64),
) -> Result<u64, Error> {
    let counted = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM ledger.logs
           WHERE deployment_id = $1 AND canonical AND address = $2 AND topics[1] = $3::bytea
             AND block_number > $4 AND block_number <= $5"#,
        deployment.0,
        address.as_slice(),
        signature.as_slice(),
        bigint(TABLE, after)?,
        bigint(TABLE, up_to)?
    )
    .fetch_one(connection)
    .await
    .attempt("count recorded events")?;
    count(TABLE, counted)
}

/// Different first arguments of such events up to block `up_to`: how many things were named for the first time.
///
/// # Errors
/// Database errors; [`Error::Unreadable`].
pub async fn count_named(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    (address, signature): (Address, B256),
    up_to: u64,
) -> Result<u64, Error> {
    let counted = sqlx::query_scalar!(
        r#"SELECT count(DISTINCT topics[2]) AS "count!" FROM ledger.logs
           WHERE deployment_id = $1 AND canonical AND address = $2 AND topics[1] = $3::bytea AND block_number <= $4"#,
        deployment.0,
        address.as_slice(),
        signature.as_slice(),
        bigint(TABLE, up_to)?
    )
    .fetch_one(connection)
    .await
    .attempt("count what recorded events name")?;
    count(TABLE, counted)
}

/// A last check in which a contract counts more than the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beyond {
    /// `conditions`, `agreements` or `dids`.
    pub counter: String,
    /// Where it was asked.
    pub number: u64,
    /// The contract's answer.
    pub counted: u64,
    /// Recorded events up to there.
    pub recorded: u64,
}

/// The counters whose last check says that the contract counts more than the ledger.
///
/// # Errors
/// Database errors; [`Error::Unreadable`].
pub async fn list_beyond(
    connection: &mut PgConnection,
    deployment: DeploymentId,
) -> Result<Vec<Beyond>, Error> {
    let rows = sqlx::query!(
        "SELECT counter, block_number, counted, recorded
         FROM (SELECT DISTINCT ON (counter) * FROM ledger.counter_checks WHERE deployment_id = $1
               ORDER BY counter, block_number DESC) AS last
         WHERE NOT agrees AND counted > before_start + recorded ORDER BY counter",
        deployment.0
    )
    .fetch_all(connection)
    .await
    .attempt("find what contracts count beyond the ledger")?;
    rows.into_iter()
        .map(|row| {
            Ok(Beyond {
                counter: row.counter,
                number: count(TABLE, row.block_number)?,
                counted: count(TABLE, row.counted)?,
                recorded: count(TABLE, row.recorded)?,
            })
        })
        .collect()
}

/// Takes what a contract counts beyond the ledger to be older than the first followed block: an operator's decision.
///
/// # Errors
/// Database errors.
pub async fn accept(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    beyond: &Beyond,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE ledger.counter_checks SET before_start = counted - recorded, agrees = true
         WHERE deployment_id = $1 AND counter = $2 AND block_number = $3",
        deployment.0,
        beyond.counter,
        bigint(TABLE, beyond.number)?
    )
    .execute(connection)
    .await
    .attempt("accept what a contract counts")?;
    Ok(())
}
