//! Reading what a step needs, in the form in which the ledger records it.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256};

use super::error::Error;
use crate::chain::{self, Header, Provider, RawLog};
use crate::ids::BlockRef;
use crate::ledger::blocks::{NewBlock, Proof};
use crate::ledger::logs::NewLog;

/// Blocks asked for in one batch: hosted providers cap batches at a hundred or more.
const BATCH: usize = 50;

/// What a step brings into the ledger.
#[derive(Debug)]
pub(super) struct Batch {
    /// The block that is recorded last.
    pub(super) to: BlockRef,
    /// Blocks to be recorded: the window's own, or those that hold logs.
    pub(super) blocks: Vec<NewBlock>,
    /// Their logs.
    pub(super) logs: Vec<NewLog>,
    /// Whether no log can be missing.
    pub(super) proven: bool,
    /// Whether it lies at or below the irreversible block.
    pub(super) history: bool,
    /// Who gave it.
    pub(super) provider: String,
}

/// Reads the logs of blocks that can never change, and the headers of those that hold any.
///
/// `Ok(None)` when the block before is not `recorded`, or the last one not `irreversible` at that height: the chain moved since
/// the look. One reading proves nothing, since pruned nodes leave out old logs in silence: a second one is the verifier's.
pub(super) async fn range(
    provider: &Provider,
    addresses: &[Address],
    recorded: BlockRef,
    to: u64,
    irreversible: BlockRef,
) -> Result<Option<Batch>, Error> {
    let read = provider
        .logs_in_range(addresses, recorded.number + 1, to)
        .await?;
    let other_end = to == irreversible.number && read.last.at != irreversible;
    if read.before.at != recorded || other_end {
        return Ok(None);
    }
    let heights: BTreeMap<u64, B256> = read
        .logs
        .iter()
        .map(|log| (log.block.number, log.block.hash))
        .collect();
    let hashes: Vec<B256> = heights.values().copied().collect();
    let mut blocks = Vec::with_capacity(hashes.len());
    for some in hashes.chunks(BATCH) {
        for header in provider.headers_of(some).await? {
            if heights.get(&header.at.number) != Some(&header.at.hash) {
                return Err(torn(provider, header.at.number));
            }
            blocks.push(block(&header, Proof::SingleRead));
        }
    }
    Ok(Some(Batch {
        to: read.last.at,
        blocks,
        logs: read.logs.into_iter().map(log).collect(),
        proven: false,
        history: true,
        provider: provider.name().to_owned(),
    }))
}

/// Reads one block above the irreversible one: its header, and its logs by the best proof that the provider has.
///
/// `Ok(None)` when it is not there (any more) or does not link to `recorded`: the chain moved since the look.
pub(super) async fn window_block(
    provider: &Provider,
    addresses: &[Address],
    recorded: BlockRef,
) -> Result<Option<Batch>, Error> {
    let Some(header) = provider.header_at(recorded.number + 1).await? else {
        return Ok(None);
    };
    if header.parent != recorded.hash {
        return Ok(None);
    }
    let (logs, proof) = match provider.logs_by_receipts(addresses, &header).await {
        Ok(Some(logs)) => (logs, Proof::Root),
        Ok(None) => match two_reads(provider, addresses, &header).await? {
            Some(logs) => (logs, Proof::TwoReads),
            None => return Err(torn(provider, header.at.number)),
        },
        Err(chain::Error::Missing { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(Some(Batch {
        to: header.at,
        blocks: vec![block(&header, proof)],
        logs: logs.into_iter().map(log).collect(),
        proven: true,
        history: false,
        provider: provider.name().to_owned(),
    }))
}

/// The logs of a block if two readings give the same.
async fn two_reads(
    provider: &Provider,
    addresses: &[Address],
    header: &Header,
) -> Result<Option<Vec<RawLog>>, Error> {
    let first = provider.logs_of_block(addresses, header).await?;
    let second = provider.logs_of_block(addresses, header).await?;
    Ok((first == second).then_some(first))
}

/// The provider's blocks at the heights of the window, highest first and only as deep as is needed to meet one of ours.
pub(super) async fn down_the_window(
    provider: &Provider,
    window: &BTreeMap<u64, B256>,
) -> Result<Vec<BlockRef>, Error> {
    let heights: Vec<u64> = window.keys().rev().copied().collect();
    let mut theirs = Vec::new();
    for some in heights.chunks(BATCH) {
        let headers = provider.headers_at(some).await?;
        theirs.extend(headers.into_iter().flatten().map(|header| header.at));
        if super::plan::fork(window, &theirs).is_some() {
            break;
        }
    }
    Ok(theirs)
}

fn torn(provider: &Provider, number: u64) -> Error {
    Error::Torn {
        provider: provider.name().to_owned(),
        number,
    }
}

fn block(header: &Header, proof: Proof) -> NewBlock {
    NewBlock {
        at: header.at,
        parent: header.parent,
        made_at: header.timestamp,
        proof,
    }
}

fn log(log: RawLog) -> NewLog {
    NewLog {
        block: log.block,
        transaction_hash: log.transaction_hash,
        transaction_index: log.transaction_index,
        log_index: log.log_index,
        address: log.address,
        topics: log.topics,
        data: log.data,
    }
}
