//! Answers as they come over the wire: the fields that are needed, everything else ignored.

use alloy::primitives::{Address, B256, Bloom, Bytes, U64};
use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::block::{Header, RawLog};
use crate::ids::BlockRef;

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireHeader {
    number: U64,
    hash: B256,
    parent_hash: B256,
    timestamp: U64,
    receipts_root: B256,
    logs_bloom: Bloom,
}

impl WireHeader {
    /// The header, or what is wrong with it.
    pub(super) fn read(self) -> Result<Header, String> {
        let timestamp = time(self.timestamp)?;
        Ok(Header {
            at: BlockRef {
                number: self.number.to(),
                hash: self.hash,
            },
            parent: self.parent_hash,
            timestamp,
            receipts_root: self.receipts_root,
            logs_bloom: self.logs_bloom,
        })
    }
}

fn time(seconds: U64) -> Result<DateTime<Utc>, String> {
    i64::try_from(seconds.to::<u64>())
        .ok()
        .and_then(|seconds| DateTime::from_timestamp(seconds, 0))
        .ok_or_else(|| format!("timestamp {seconds} is no time"))
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireLog {
    block_number: U64,
    block_hash: B256,
    transaction_hash: B256,
    transaction_index: U64,
    log_index: U64,
    address: Address,
    topics: Vec<B256>,
    data: Bytes,
    #[serde(default)]
    removed: bool,
    /// When the block was made. Clients have added it since 2024 (ethereum/execution-apis, schema of Log); it spares a header.
    #[serde(default)]
    block_timestamp: Option<U64>,
}

impl WireLog {
    /// When the block was made, if the provider says.
    pub(super) fn time(&self) -> Result<Option<DateTime<Utc>>, String> {
        self.block_timestamp.map(time).transpose()
    }

    /// The log, or what is wrong with it.
    pub(super) fn read(self) -> Result<RawLog, String> {
        let (number, index) = (self.block_number.to::<u64>(), self.log_index.to::<u64>());
        if self.removed {
            return Err(format!("log {index} of block {number} is marked removed"));
        }
        if self.topics.len() > 4 {
            return Err(format!(
                "log {index} of block {number} has {} topics",
                self.topics.len()
            ));
        }
        Ok(RawLog {
            block: BlockRef {
                number,
                hash: self.block_hash,
            },
            transaction_hash: self.transaction_hash,
            transaction_index: self.transaction_index.to(),
            log_index: index,
            address: self.address,
            topics: self.topics,
            data: self.data,
        })
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireReceipt {
    /// Absent before EIP-2718.
    #[serde(default, rename = "type")]
    pub(super) kind: U64,
    /// Since EIP-658.
    pub(super) status: Option<U64>,
    /// Before EIP-658.
    pub(super) root: Option<B256>,
    pub(super) cumulative_gas_used: U64,
    pub(super) logs: Vec<WireLog>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_of_a_proof_of_authority_chain_is_read() {
        let answer = format!(
            r#"{{"number":"0x10","hash":"{h}","parentHash":"{h}","timestamp":"0x5d000000","receiptsRoot":"{h}",
                "logsBloom":"0x{bloom}","author":"0x00","sealFields":["0x8413","0xb841"],"signature":"00","step":"1"}}"#,
            h = B256::repeat_byte(7),
            bloom = "00".repeat(256),
        );
        let header: WireHeader = serde_json::from_str(&answer).unwrap();
        assert_eq!(header.read().unwrap().at.number, 16);
    }

    #[test]
    fn a_removed_log_is_refused() {
        let answer = format!(
            r#"{{"blockNumber":"0x1","blockHash":"{h}","transactionHash":"{h}","transactionIndex":"0x0","logIndex":"0x0",
                "address":"{a}","topics":[],"data":"0x","removed":true}}"#,
            h = B256::ZERO,
            a = Address::ZERO,
        );
        let log: WireLog = serde_json::from_str(&answer).unwrap();
        assert!(log.read().unwrap_err().contains("removed"));
    }
}
