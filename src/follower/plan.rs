//! What to do next: decided from the ledger's cursor and a look at the chain, without any I/O.

use std::collections::BTreeMap;

use alloy::primitives::B256;

use super::following::ActAt;
use crate::ids::BlockRef;
use crate::ledger::cursors::Horizons;

/// What the ledger knows.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// Every log up to this block is recorded.
    pub(super) recorded: BlockRef,
    /// Highest block that may never roll back. It may lie above `recorded` while history is read.
    pub(super) irreversible: Option<BlockRef>,
    /// Hashes by height of every recorded block above the irreversible one, of that one itself if it is recorded, and perhaps
    /// of some below.
    pub(super) window: BTreeMap<u64, B256>,
}

impl Known {
    /// Whether a block is one of ours; `None` if no hash is known at its height.
    fn agrees(&self, block: BlockRef) -> Option<bool> {
        if block.number == self.recorded.number {
            return Some(block == self.recorded);
        }
        if let Some(irreversible) = self.irreversible
            && block.number == irreversible.number
        {
            return Some(block == irreversible);
        }
        self.window
            .get(&block.number)
            .map(|hash| *hash == block.hash)
    }
}

/// What a look at the chain showed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// The newest block.
    pub(super) head: BlockRef,
    /// The provider's block at the recorded height, if its chain is as long.
    pub(super) at_recorded: Option<BlockRef>,
    /// The block that is irreversible by the rule.
    pub(super) irreversible: Option<BlockRef>,
    /// The block that the tag of the acting rule names, if the rule is a tag and the tag names one.
    pub(super) act: Option<BlockRef>,
}

/// Blocks above the irreversible one that are read and recorded at once: two epochs of Ethereum, and what one batch takes.
const WINDOW: u64 = 64;

/// The next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Everything that the provider has is recorded, or it is behind us on the same chain.
    Rest,
    /// Read the logs of blocks that can never change, by number, after the recorded one and up to the irreversible one.
    ReadHistory { to: BlockRef },
    /// Read the blocks after the recorded one, by hash, up to this height.
    ReadWindow { to: u64 },
    /// The recorded block is not on the provider's chain: find where the two part.
    FindFork,
    /// A block that could never go away is gone.
    Halt { replaced: BlockRef, by: BlockRef },
    /// The provider's chain ends below a block that can never go away.
    Behind { irreversible: BlockRef },
    /// The answers do not fit each other; look again.
    Torn { number: u64 },
}

/// Decides the next step. Own hashes come first: only when the provider agrees at our height, or at its own if it is shorter, is
/// anything read or any horizon believed.
pub(super) fn next(known: &Known, seen: &Seen) -> Step {
    if let Some(irreversible) = known.irreversible
        && seen.head.number < irreversible.number
    {
        return Step::Behind { irreversible };
    }
    let ours = known.recorded;
    let theirs = if seen.head.number < ours.number {
        seen.head
    } else if let Some(block) = seen.at_recorded {
        block
    } else {
        return Step::Torn {
            number: ours.number,
        };
    };
    match known.agrees(theirs) {
        Some(true) => {}
        Some(false) => return disagreement(known, theirs),
        None => return Step::FindFork,
    }
    if let Some(step) = irreversible_moved(known, seen) {
        return step;
    }
    if seen.head.number <= ours.number {
        return Step::Rest;
    }
    match raised(known.irreversible, seen.irreversible) {
        Some(irreversible) if irreversible.number > ours.number => {
            Step::ReadHistory { to: irreversible }
        }
        _ => Step::ReadWindow {
            to: seen.head.number.min(ours.number + WINDOW),
        },
    }
}

/// The provider has another block at a height of ours.
fn disagreement(known: &Known, theirs: BlockRef) -> Step {
    let ours = BlockRef {
        number: theirs.number,
        hash: known
            .window
            .get(&theirs.number)
            .copied()
            .unwrap_or(known.recorded.hash),
    };
    match known.irreversible {
        Some(irreversible) if theirs.number == irreversible.number => Step::Halt {
            replaced: irreversible,
            by: theirs,
        },
        Some(irreversible) if theirs.number < irreversible.number => Step::Halt {
            replaced: ours,
            by: theirs,
        },
        _ => Step::FindFork,
    }
}

/// What follows if the irreversible block of the look does not fit what we know. Hashes chain, and the provider agreed at our
/// tip, so another block below it can only come from another moment than that agreement: look again rather than halt.
fn irreversible_moved(known: &Known, seen: &Seen) -> Option<Step> {
    let theirs = seen.irreversible?;
    let torn = theirs.number > seen.head.number || known.agrees(theirs) == Some(false);
    torn.then_some(Step::Torn {
        number: theirs.number,
    })
}

/// The higher of the stored irreversible block and the one seen now.
fn raised(stored: Option<BlockRef>, seen: Option<BlockRef>) -> Option<BlockRef> {
    match (stored, seen) {
        (Some(stored), Some(seen)) if seen.number > stored.number => Some(seen),
        (Some(stored), _) => Some(stored),
        (None, seen) => seen,
    }
}

/// The horizons once `known.recorded` is recorded, for a look that [`next`] found in agreement.
///
/// Depths for acting are counted from the recorded tip rather than from the provider's head: blocks of *our* chain lie on top,
/// so a head of another fork, which we have not followed yet, cannot make a block look deep. Only below the irreversible block,
/// where no fork can be, the head counts as well.
pub(super) fn horizons(known: &Known, seen: &Seen, rule: ActAt) -> Horizons {
    let recorded = known.recorded.number;
    let irreversible = raised(known.irreversible, seen.irreversible);
    let floor = irreversible.map(|block| block.number.min(recorded));
    let act = match rule {
        ActAt::Latest => Some(recorded),
        ActAt::Depth(depth) => {
            let buried = recorded.checked_sub(depth);
            let settled = floor
                .zip(seen.head.number.checked_sub(depth))
                .map(|(floor, deep)| floor.min(deep));
            buried.max(settled)
        }
        ActAt::Finalized | ActAt::Safe => match seen.act {
            Some(tag) if floor.is_some_and(|floor| tag.number <= floor) => Some(tag.number),
            Some(tag) if known.agrees(tag) == Some(true) => Some(tag.number),
            _ => floor,
        },
    };
    Horizons {
        head: seen.head,
        irreversible,
        act,
    }
}

/// The highest block that both have, if the answers reach down to one.
pub(super) fn fork(window: &BTreeMap<u64, B256>, theirs: &[BlockRef]) -> Option<BlockRef> {
    theirs
        .iter()
        .filter(|block| window.get(&block.number) == Some(&block.hash))
        .max_by_key(|block| block.number)
        .copied()
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
