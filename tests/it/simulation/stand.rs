use std::sync::Arc;

use tidewatch::ids::BlockRef;

use super::block::Block;

/// A chain that the network agreed on for a while, and how far it was sure of it.
#[derive(Clone, Debug)]
pub(super) struct Stand {
    /// From block 0 on.
    pub(super) blocks: Arc<Vec<Arc<Block>>>,
    /// What the tag `safe` named.
    pub(super) safe: u64,
    /// What the tag `finalized` named.
    pub(super) finalized: u64,
}

impl Stand {
    /// The newest block.
    pub(super) fn head(&self) -> &Arc<Block> {
        self.blocks.last().unwrap()
    }

    /// The block at a height.
    pub(super) fn at(&self, number: u64) -> Option<&Arc<Block>> {
        self.blocks.get(usize::try_from(number).unwrap())
    }

    /// The same chain as somebody sees it who is so many blocks behind.
    pub(super) fn behind_by(&self, lag: u64) -> Self {
        let head = self.head().at.number.saturating_sub(lag);
        let shown = usize::try_from(head + 1).unwrap();
        Self {
            blocks: Arc::new(self.blocks[..shown].to_vec()),
            safe: self.safe.min(head),
            finalized: self.finalized.min(head),
        }
    }

    /// Whether the block is part of it.
    pub(super) fn holds(&self, block: BlockRef) -> bool {
        self.at(block.number).is_some_and(|its| its.at == block)
    }
}
