//! Reading what a step needs, in the form in which the ledger records it.

use std::collections::BTreeMap;

use alloy::primitives::B256;

use super::error::Error;
use crate::chain::{Proven, Provider, RangeRead, RawLog, WindowBlock};
use crate::ids::BlockRef;
use crate::ledger::blocks::{NewBlock, Proof};
use crate::ledger::logs::NewLog;

/// Blocks asked for in one step down the window.
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
    /// Which provider gave which range of history, both ends included.
    pub(super) readings: Vec<((u64, u64), String)>,
}

impl Batch {
    /// An empty batch of blocks that can never change, after `recorded`. One reading proves nothing, since pruned nodes leave out
    /// old logs in silence: a second one is the verifier's.
    pub(super) fn history(recorded: BlockRef) -> Self {
        Self {
            to: recorded,
            blocks: Vec::new(),
            logs: Vec::new(),
            proven: false,
            history: true,
            readings: Vec::new(),
        }
    }

    /// Blocks that can still change, if there are any.
    pub(super) fn window(blocks: Vec<WindowBlock>) -> Option<Self> {
        let to = blocks.last()?.header.at;
        let mut batch = Self {
            to,
            blocks: Vec::with_capacity(blocks.len()),
            logs: Vec::new(),
            proven: true,
            history: false,
            readings: Vec::new(),
        };
        for block in blocks {
            batch.blocks.push(NewBlock {
                at: block.header.at,
                parent: Some(block.header.parent),
                made_at: block.header.timestamp,
                proof: match block.proven {
                    Proven::Root => Proof::Root,
                    Proven::Bloom => Proof::Bloom,
                    Proven::TwoReads => Proof::TwoReads,
                },
            });
            batch.logs.extend(block.logs.into_iter().map(log));
        }
        Some(batch)
    }
}

/// Adds the range that follows to a batch of history.
pub(super) fn add(batch: &mut Batch, range: RangeRead) {
    let (before, to) = (batch.to.number, range.last.at.number);
    match batch.readings.last_mut() {
        Some(((_, end), provider)) if *provider == range.provider => *end = to,
        _ => batch.readings.push(((before + 1, to), range.provider)),
    }
    batch.to = range.last.at;
    batch
        .blocks
        .extend(range.blocks.iter().map(|block| NewBlock {
            at: block.at,
            parent: block.parent,
            made_at: block.timestamp,
            proof: Proof::SingleRead,
        }));
    batch.logs.extend(range.logs.into_iter().map(log));
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
