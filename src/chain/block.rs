use alloy::primitives::{Address, B256, Bloom, Bytes};
use chrono::{DateTime, Utc};

use super::seal::excludes;
use crate::ids::BlockRef;

/// What a header says that following a chain needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Height and hash.
    pub at: BlockRef,
    /// Hash of the block before.
    pub parent: B256,
    /// When the block was made, by its maker's clock; whole seconds.
    pub timestamp: DateTime<Utc>,
    /// Root of the receipts' trie: with the receipts in hand it proves that no log is missing.
    pub receipts_root: B256,
    /// Bloom filter of the logs. It proves absence only, and only on nodes that tell the truth about it.
    pub logs_bloom: Bloom,
}

impl Header {
    /// Whether the bloom filter excludes logs of all these addresses. A hint as long as the filter is not known to be true.
    pub fn excludes(&self, addresses: &[Address]) -> bool {
        excludes(&self.logs_bloom, addresses)
    }
}

/// A log exactly as the node gave it: kept raw, so that a newer decoder needs no second reading of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawLog {
    /// The block it is in.
    pub block: BlockRef,
    /// The transaction that made it.
    pub transaction_hash: B256,
    /// That transaction's place in the block.
    pub transaction_index: u64,
    /// The log's place in the block.
    pub log_index: u64,
    /// The contract that made it.
    pub address: Address,
    /// At most four topics (Yellow Paper, section 4.3.1); the first is the event's signature hash unless it is anonymous.
    pub topics: Vec<B256>,
    /// The data, not decoded.
    pub data: Bytes,
}

/// A block that holds logs, as far as a reading by range tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogBlock {
    /// Height and hash.
    pub at: BlockRef,
    /// Hash of the block before, where the header adds up to the block's hash or the block before was read as well; else one provider's
    /// word, which is not kept.
    pub parent: Option<B256>,
    /// When the block was made, by its maker's clock; whole seconds.
    pub timestamp: DateTime<Utc>,
}
