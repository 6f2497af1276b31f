use alloy::primitives::{Address, B256, Bytes};
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;

use super::{address, hash, unsigned};
use crate::ids::{AgreementId, BlockRef, ConditionId, DeploymentId, Did};
use crate::ledger::{Attempt, Error, subjects};

/// Which events; `None` means any.
#[derive(Clone, Copy, Debug, Default)]
pub struct EventFilter {
    /// Those about an agreement.
    pub agreement: Option<AgreementId>,
    /// Those about a condition.
    pub condition: Option<ConditionId>,
    /// Those about an asset.
    pub did: Option<Did>,
    /// Those of a transaction.
    pub transaction: Option<B256>,
    /// In this block or later ones.
    pub from_block: Option<u64>,
    /// In this block or earlier ones.
    pub to_block: Option<u64>,
    /// Those that a reorganisation took from the chain, instead of those that are on it.
    pub orphaned: bool,
    /// Before this place in the order newest first: where the page before ended.
    pub before: Option<EventPlace>,
}

/// A place in the list of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventPlace {
    /// Block number.
    pub block: i64,
    /// Place in the block.
    pub log_index: i64,
    /// The row: two forks can have an event at one place.
    pub row: i64,
}

/// A recorded event.
#[derive(Clone, Debug, PartialEq)]
pub struct EventRow {
    /// Where it stands in the list.
    pub place: EventPlace,
    /// Its block.
    pub block: BlockRef,
    /// The transaction that made it.
    pub transaction: B256,
    /// That transaction's place in the block.
    pub transaction_index: u64,
    /// Its own place in the block.
    pub log_index: u64,
    /// The contract.
    pub address: Address,
    /// The contract's name; `None` while undecoded.
    pub contract: Option<String>,
    /// The event's name; `None` while undecoded.
    pub name: Option<String>,
    /// Its arguments, text made safe; `None` while undecoded.
    pub arguments: Option<Value>,
    /// Topics as the node gave them.
    pub topics: Vec<Bytes>,
    /// Data as the node gave it.
    pub data: Bytes,
    /// Whether it is on the chain.
    pub canonical: bool,
    /// When it was recorded.
    pub recorded_at: DateTime<Utc>,
}

/// The newest `limit` events that fit the filter, by block and place in it, newest first.
///
/// # Errors
/// Database errors, or rows that this version cannot read.
pub async fn list(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    filter: &EventFilter,
    limit: u32,
) -> Result<Vec<EventRow>, Error> {
    let height = |number: Option<u64>| {
        let number = number.map(i64::try_from).transpose();
        number.map_err(Error::unreadable("logs"))
    };
    let before = filter.before;
    let rows = sqlx::query_file!(
        "src/ledger/reader/events.sql",
        deployment.0,
        filter.agreement.map(|agreement| agreement.0.to_vec()),
        subjects::AGREEMENT,
        filter.condition.map(|condition| condition.0.to_vec()),
        subjects::CONDITION,
        filter.did.map(|did| did.0.to_vec()),
        subjects::DID,
        filter.transaction.map(|transaction| transaction.to_vec()),
        height(filter.from_block)?,
        height(filter.to_block)?,
        filter.orphaned,
        before.map(|place| place.block),
        before.map(|place| place.log_index),
        before.map(|place| place.row),
        i64::from(limit)
    )
    .fetch_all(connection)
    .await
    .attempt("list recorded events")?;
    rows.into_iter()
        .map(|row| {
            Ok(EventRow {
                place: EventPlace {
                    block: row.block_number,
                    log_index: row.log_index,
                    row: row.id,
                },
                block: BlockRef {
                    number: unsigned("logs", row.block_number)?,
                    hash: hash("logs", &row.block_hash)?,
                },
                transaction: hash("logs", &row.transaction_hash)?,
                transaction_index: unsigned("logs", row.transaction_index)?,
                log_index: unsigned("logs", row.log_index)?,
                address: address("logs", &row.address)?,
                contract: row.contract,
                name: row.name,
                arguments: row.arguments,
                topics: row.topics.into_iter().map(Bytes::from).collect(),
                data: Bytes::from(row.data),
                canonical: row.canonical,
                recorded_at: row.recorded_at,
            })
        })
        .collect()
}
