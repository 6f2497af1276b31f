use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::notation::{address, hash, time};
use crate::ledger::reader::{ActRow, EventRow, ToldEvent};

/// A recorded event of a followed contract.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct EventShown {
    /// Height of its block.
    block_number: u64,
    /// Hash of its block.
    block_hash: String,
    /// Whether that block is on the chain.
    canonical: bool,
    /// The transaction that made it.
    transaction_hash: String,
    /// That transaction's place in the block.
    transaction_index: u64,
    /// Its own place in the block.
    log_index: u64,
    /// The contract's address.
    address: String,
    /// The contract's name; null while the event is not decoded.
    contract: Option<String>,
    /// The event's name; null while it is not decoded.
    name: Option<String>,
    /// Its arguments, for people: text is made safe. The topics and data are the record.
    #[schema(value_type = Option<Object>)]
    arguments: Option<Value>,
    /// Topics as the node gave them.
    topics: Vec<String>,
    /// Data as the node gave it.
    data: String,
    /// When it was recorded.
    #[schema(format = DateTime)]
    recorded_at: String,
}

impl From<EventRow> for EventShown {
    fn from(row: EventRow) -> Self {
        Self {
            block_number: row.block.number,
            block_hash: hash(row.block.hash),
            canonical: row.canonical,
            transaction_hash: hash(row.transaction),
            transaction_index: row.transaction_index,
            log_index: row.log_index,
            address: address(row.address),
            contract: row.contract,
            name: row.name,
            arguments: row.arguments,
            topics: row.topics.iter().map(ToString::to_string).collect(),
            data: row.data.to_string(),
            recorded_at: time(row.recorded_at),
        }
    }
}

/// An event as an agreement's story has it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToldShown {
    /// Height of its block.
    block_number: u64,
    /// Whether that block is on the chain.
    canonical: bool,
    /// The transaction that made it.
    transaction_hash: String,
    /// Its place in the block.
    log_index: u64,
    /// The contract's name.
    contract: String,
    /// The event's name.
    name: String,
    /// Its arguments, for people.
    #[schema(value_type = Object)]
    arguments: Value,
}

impl From<ToldEvent> for ToldShown {
    fn from(event: ToldEvent) -> Self {
        Self {
            block_number: event.block,
            canonical: event.canonical,
            transaction_hash: hash(event.transaction),
            log_index: event.log_index,
            contract: event.contract,
            name: event.name,
            arguments: event.arguments,
        }
    }
}

/// What the publisher's agent did about an agreement, waits for, or declined.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ActShown {
    /// `approve` or `release`.
    act: String,
    /// `waiting`, `sent`, `mined`, `done`, `declined` or `failed`.
    state: String,
    /// Why, as a stable code.
    reason: Option<String>,
    /// The same as sentences.
    detail: Option<String>,
    /// The judgement rule by rule.
    #[schema(value_type = Vec<Object>)]
    rules: Value,
    /// Last block in which it can be done; null: it never ends, or that is not judged yet.
    until_block: Option<u64>,
    /// `agent`, or `other` when somebody else did it first.
    done_by: Option<String>,
    /// The agent's transaction that did it.
    transaction_hash: Option<String>,
    /// Height of its block.
    block_number: Option<u64>,
    /// When state or reason changed last.
    #[schema(format = DateTime)]
    changed_at: String,
}

impl From<ActRow> for ActShown {
    fn from(row: ActRow) -> Self {
        Self {
            act: row.act,
            state: row.state,
            reason: row.reason,
            detail: row.detail,
            rules: row.rules,
            until_block: row.until_block,
            done_by: row.done_by,
            transaction_hash: row.transaction.map(hash),
            block_number: row.block,
            changed_at: time(row.changed_at),
        }
    }
}
