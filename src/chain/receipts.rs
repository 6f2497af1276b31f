//! Logs proven complete: every receipt of the block, checked against the receipts root in its header.

use alloy::consensus::proofs::calculate_receipt_root;
use alloy::consensus::{Eip658Value, Receipt};
use alloy::network::AnyReceiptEnvelope;
use alloy::primitives::{Address, B256, Bloom, Log};
use serde_json::json;

use super::block::{Header, RawLog};
use super::error::Error;
use super::provider::Provider;
use super::rpc::{Call, quantity};
use super::wire::{WireLog, WireReceipt};
use crate::ids::BlockRef;

pub(super) const METHOD: &str = "eth_getBlockReceipts";

/// All receipts of a block, read.
#[derive(Debug)]
pub(super) struct Receipts {
    /// The logs of the addresses that were asked for.
    pub(super) logs: Vec<RawLog>,
    /// Whether their trie's root (Yellow Paper, section 4.3.2) is the header's. No log can then be missing, altered or made up;
    /// only the transactions' hashes are the provider's word.
    pub(super) is_complete: bool,
    /// The filter of all logs.
    pub(super) bloom: Bloom,
}

impl Receipts {
    /// The question for all receipts of a block.
    pub(super) fn call(block: B256) -> Call {
        Call::new(METHOD, json!([block]))
    }

    /// The same by height: the answer may be of another block than the one that was there before.
    pub(super) fn call_at(number: u64) -> Call {
        Call::new(METHOD, json!([quantity(number)]))
    }

    /// Reads the receipts of a block. The root comes out otherwise for receipts of a kind that has fields of its own, such as
    /// those of some rollups.
    ///
    /// # Errors
    /// What contradicts itself.
    pub(super) fn read(
        receipts: Vec<WireReceipt>,
        header: &Header,
        addresses: &[Address],
    ) -> Result<Self, String> {
        let (mut envelopes, mut found) = (Vec::with_capacity(receipts.len()), Vec::new());
        let mut log_index = 0;
        for (receipt, transaction_index) in receipts.into_iter().zip(0..) {
            let place = Place {
                header,
                transaction_index,
            };
            let (envelope, logs) = place.read(receipt, &mut log_index)?;
            envelopes.push(envelope);
            found.extend(
                logs.into_iter()
                    .filter(|log| addresses.contains(&log.address)),
            );
        }
        let bloom = envelopes.iter().fold(Bloom::ZERO, |bloom, envelope| {
            bloom | envelope.inner.logs_bloom
        });
        Ok(Self {
            logs: found,
            is_complete: calculate_receipt_root(&envelopes) == header.receipts_root,
            bloom,
        })
    }
}

/// The logs of a block out of all its receipts, which add up to the root in the header.
#[derive(Clone, Debug)]
pub struct ByReceipts {
    /// The logs of the addresses that were asked for.
    pub logs: Vec<RawLog>,
    /// Whether the header adds up to the block's hash. Only then are they proven, whoever gave them: else the root is the
    /// provider's word as much as the receipts are.
    pub is_sealed: bool,
}

impl Provider {
    /// Reads the logs of a block out of all its receipts. `Ok(None)` when the provider does not serve them, or when they do not
    /// add up to the header's root: then they prove nothing.
    ///
    /// # Errors
    /// [`Error`], transient; [`Error::Missing`] when the provider does not know the block any more.
    pub async fn logs_by_receipts(
        &self,
        addresses: &[Address],
        block: BlockRef,
    ) -> Result<Option<ByReceipts>, Error> {
        let calls = [Receipts::call(block.hash), Call::block_of(block.hash)];
        let answers = self.ask(&calls).await?;
        let sealed = self.sealed_header(&answers, 1)?;
        let sealed = sealed.filter(|sealed| sealed.header.at == block);
        let sealed = sealed.ok_or_else(|| self.missing(&block))?;
        let receipts = match answers.get(0) {
            Ok(Some(receipts)) => receipts,
            Ok(None) => return Err(self.missing(&block)),
            Err(error) if error.is_unknown_method() => return Ok(None),
            Err(error) => return Err(error),
        };
        let receipts = Receipts::read(receipts, &sealed.header, addresses)
            .map_err(|problem| self.malformed(METHOD, problem))?;
        Ok(receipts.is_complete.then(|| ByReceipts {
            is_sealed: sealed.is_sealed || sealed.is_sealed_with(receipts.bloom),
            logs: receipts.logs,
        }))
    }
}

struct Place<'a> {
    header: &'a Header,
    transaction_index: u64,
}

impl Place<'_> {
    /// A receipt as the trie holds it, and its logs. Places are counted here, since the root proves order but not the numbers
    /// that the provider wrote beside the logs; those must agree.
    fn read(
        &self,
        receipt: WireReceipt,
        log_index: &mut u64,
    ) -> Result<(AnyReceiptEnvelope, Vec<RawLog>), String> {
        let status = match (receipt.status, receipt.root) {
            (Some(status), _) => Eip658Value::Eip658(!status.is_zero()),
            (None, Some(root)) => Eip658Value::PostState(root),
            (None, None) => return Err("a receipt has neither status nor root".to_owned()),
        };
        let kind = u8::try_from(receipt.kind.to::<u64>())
            .map_err(|_| format!("a receipt has type {}", receipt.kind))?;
        let mut logs = Vec::with_capacity(receipt.logs.len());
        for log in receipt.logs {
            logs.push(self.place(log, *log_index)?);
            *log_index += 1;
        }
        let inner = Receipt {
            status,
            cumulative_gas_used: receipt.cumulative_gas_used.to(),
            logs: logs.iter().map(encodable).collect(),
        };
        let envelope = AnyReceiptEnvelope {
            inner: inner.with_bloom(),
            r#type: kind,
        };
        Ok((envelope, logs))
    }

    fn place(&self, log: WireLog, log_index: u64) -> Result<RawLog, String> {
        let log = log.read()?;
        let placed = (log.block, log.transaction_index, log.log_index);
        if placed == (self.header.at, self.transaction_index, log_index) {
            Ok(log)
        } else {
            Err(format!(
                "log {log_index} of transaction {} of block {} claims to be log {} of transaction {} of block {}",
                self.transaction_index,
                self.header.at,
                log.log_index,
                log.transaction_index,
                log.block
            ))
        }
    }
}

fn encodable(log: &RawLog) -> Log {
    let topics: Vec<B256> = log.topics.clone();
    Log::new_unchecked(log.address, topics, log.data.clone())
}
