//! Carrying blocks that can still change into the ledger.

use super::error::Error;
use super::identity::Opened;
use super::plan::{Known, Seen};
use super::read::Batch;
use super::worker::Follower;
use crate::chain::{Ahead, Provider};
use crate::ledger::cursors::Position;
use crate::worker::Progress;

/// A look at the chain, as far as reading goes on from it.
pub(super) struct Looked {
    pub(super) provider: Provider,
    pub(super) seen: Seen,
    pub(super) ahead: Ahead,
}

impl Follower {
    /// Reads the blocks after the recorded one, up to a height, and commits them together. Blocks and what the look brought of them
    /// come from the provider that was looked at; a second reading, where one is needed, comes from another if there is one.
    pub(super) async fn read_window(
        &mut self,
        opened: &Opened,
        position: Position,
        known: Known,
        looked: Looked,
        to: u64,
    ) -> Result<Progress, Error> {
        let Looked {
            provider,
            seen,
            ahead,
        } = looked;
        let other = self.providers.other_than(&provider).await;
        let (addresses, recorded) = (&self.following.addresses, known.recorded);
        let blocks = to - recorded.number;
        let blocks = provider
            .window(addresses, recorded, blocks, ahead, other.as_ref())
            .await?;
        let Some(batch) = Batch::window(blocks) else {
            // Its chain has just changed, or it names a head that it does not have: another one may know better.
            provider.shun();
            return Ok(Progress::Idle);
        };
        let (recorded, horizons) = (batch.to, self.horizons_after(known.clone(), &seen, &batch));
        let progress = self.apply(opened, position, known, &seen, batch).await?;
        if progress == Progress::More && recorded == seen.head && !self.held {
            // That was all there is: no look is needed to know it.
            self.fix_start(&provider, opened, &horizons).await?;
            self.rested(
                seen.head,
                Position {
                    recorded,
                    ..position
                },
            );
            return Ok(Progress::Idle);
        }
        Ok(progress)
    }
}
