use std::sync::Arc;

use alloy::consensus::proofs::calculate_receipt_root;
use alloy::consensus::{Header, Receipt};
use alloy::network::AnyReceiptEnvelope;
use alloy::primitives::{Address, B256, Bloom, Bytes, Log, keccak256};
use alloy::rpc::types::Header as Shown;
use serde_json::{Value, json};
use tidewatch::ids::BlockRef;

use super::contents::Transaction;

/// What kind of chain the world has: which fields its headers and receipts hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Era {
    /// As Ethereum before EIP-658 and EIP-1559.
    Early,
    /// As Ethereum now.
    Present,
    /// Proof of authority: headers have seals in place of `mixHash` and `nonce`, and their hash is not that of the fields shown.
    Authority,
}

/// A block with its real hash, bloom filter and receipts root.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) at: BlockRef,
    pub(super) header: Header,
    pub(super) transactions: Vec<Arc<Transaction>>,
    /// The logs of the followed contracts, in order.
    pub(super) followed: Vec<Placed>,
    era: Era,
}

/// A log at its place: the truth that a row of the ledger is compared with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Placed {
    pub(super) number: u64,
    pub(super) hash: B256,
    pub(super) index: u64,
    pub(super) transaction: B256,
    pub(super) transaction_index: u64,
    pub(super) address: Address,
    pub(super) topics: Vec<B256>,
    pub(super) data: Bytes,
}

impl Block {
    /// The block after `parent`, or the first one. `salt` tells blocks of the same content apart; `addresses` are followed.
    pub(super) fn after(
        parent: Option<&Self>,
        era: Era,
        transactions: Vec<Arc<Transaction>>,
        salt: B256,
        addresses: &[Address],
    ) -> Self {
        let receipts = receipts(&transactions);
        let number = parent.map_or(0, |parent| parent.at.number + 1);
        let mut header = Header {
            parent_hash: parent.map_or(B256::ZERO, |parent| parent.at.hash),
            number,
            timestamp: made_at(number),
            state_root: salt,
            receipts_root: calculate_receipt_root(&receipts),
            logs_bloom: receipts
                .iter()
                .map(AnyReceiptEnvelope::bloom)
                .fold(Bloom::ZERO, |bloom, receipt| bloom | receipt),
            gas_limit: 30_000_000,
            gas_used: transactions.iter().map(|transaction| transaction.gas).sum(),
            ..Header::default()
        };
        if era == Era::Present {
            header.base_fee_per_gas = Some(1_000_000_000);
            header.withdrawals_root = Some(salt);
            header.blob_gas_used = Some(0);
            header.excess_blob_gas = Some(0);
            header.parent_beacon_block_root = Some(salt);
        }
        let hash = match era {
            Era::Early | Era::Present => header.hash_slow(),
            // The seals go into the hash and are none of the fields that a follower reads.
            Era::Authority => keccak256([header.hash_slow(), salt].concat()),
        };
        let mut block = Self {
            at: BlockRef { number, hash },
            header,
            transactions,
            followed: Vec::new(),
            era,
        };
        block.followed = block.logs();
        block
            .followed
            .retain(|log| addresses.contains(&log.address));
        block
    }

    /// Every log, in order.
    pub(super) fn logs(&self) -> Vec<Placed> {
        let logs = self
            .transactions
            .iter()
            .zip(0..)
            .flat_map(|(transaction, place)| {
                transaction
                    .logs
                    .iter()
                    .map(move |log| (transaction.hash, place, log))
            });
        logs.zip(0..)
            .map(|((transaction, transaction_index, log), index)| Placed {
                number: self.at.number,
                hash: self.at.hash,
                index,
                transaction,
                transaction_index,
                address: log.address,
                topics: log.topics().to_vec(),
                data: log.data.data.clone(),
            })
            .collect()
    }

    /// As `eth_getBlockBy…` shows it.
    pub(super) fn shown(&self) -> Value {
        let header = Shown {
            hash: self.at.hash,
            inner: self.header.clone(),
            total_difficulty: None,
            size: None,
        };
        let mut shown = serde_json::to_value(header).unwrap();
        let hashes: Vec<_> = self.transactions.iter().map(|one| one.hash).collect();
        shown["transactions"] = json!(hashes);
        shown["uncles"] = json!([]);
        if self.era == Era::Authority {
            let fields = shown.as_object_mut().unwrap();
            fields.remove("mixHash");
            fields.remove("nonce");
            shown["author"] = json!(self.header.beneficiary);
            shown["sealFields"] = json!(["0x8413", "0xb841"]);
            shown["step"] = json!("1");
        }
        shown
    }

    /// As `eth_getBlockReceipts` shows them.
    pub(super) fn shown_receipts(&self) -> Vec<Value> {
        let mut logs = self.logs().into_iter().peekable();
        receipts(&self.transactions)
            .into_iter()
            .zip(&self.transactions)
            .zip(0_u64..)
            .map(|((receipt, transaction), place)| {
                let mut shown = serde_json::to_value(receipt).unwrap();
                let mut its = Vec::new();
                while let Some(log) = logs.next_if(|log| log.transaction_index == place) {
                    its.push(log.shown());
                }
                shown["logs"] = Value::Array(its);
                shown["transactionHash"] = json!(transaction.hash);
                shown["transactionIndex"] = json!(format!("{place:#x}"));
                shown["blockHash"] = json!(self.at.hash);
                shown["blockNumber"] = json!(format!("{:#x}", self.at.number));
                shown
            })
            .collect()
    }
}

impl Placed {
    /// As `eth_getLogs` shows it.
    pub(super) fn shown(&self) -> Value {
        json!({
            "blockNumber": format!("{:#x}", self.number),
            "blockHash": self.hash,
            "logIndex": format!("{:#x}", self.index),
            "transactionHash": self.transaction,
            "transactionIndex": format!("{:#x}", self.transaction_index),
            "address": self.address,
            "topics": self.topics,
            "data": self.data,
            "removed": false,
        })
    }
}

/// When the block of a height is made, in seconds since 1970.
pub(super) const fn made_at(number: u64) -> u64 {
    1_600_000_000 + 12 * number
}

fn receipts(transactions: &[Arc<Transaction>]) -> Vec<AnyReceiptEnvelope<Log>> {
    let mut cumulative_gas_used = 0;
    transactions
        .iter()
        .map(|transaction| {
            cumulative_gas_used += transaction.gas;
            let receipt = Receipt {
                status: transaction.outcome,
                cumulative_gas_used,
                logs: transaction.logs.clone(),
            };
            AnyReceiptEnvelope {
                inner: receipt.with_bloom(),
                r#type: transaction.kind,
            }
        })
        .collect()
}
