//! Carrying history into the ledger: a stretch of it that is read ahead, committed batch by batch.

use std::time::Duration;

use tokio::time::Instant;

use super::error::Error;
use super::history::History;
use super::identity::Opened;
use super::plan::{Known, Seen};
use super::worker::Follower;
use crate::chain;
use crate::ids::BlockRef;
use crate::ledger::cursors::{Cursor, Position};
use crate::ledger::parked;
use crate::worker::Progress;

/// How long a look at the tip serves while history is read: the head that people are shown is no older.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// A stretch of history that is being read, and the look at the chain that it rests on.
#[derive(Debug)]
pub(super) struct Stretch {
    position: Position,
    seen: Seen,
    looked: Instant,
    ranges: History,
}

impl Follower {
    /// Begins to read history after a look, or goes on with what is under way.
    pub(super) fn begin_history(&mut self, position: Position, seen: Seen, to: BlockRef) {
        let under_way = self.history.take().map(|stretch| stretch.ranges);
        let ranges = match under_way.filter(|ranges| ranges.continues(position.recorded)) {
            Some(mut ranges) => {
                ranges.extend(to);
                ranges
            }
            None => {
                let addresses = &self.following.addresses;
                History::new(self.providers.clone(), addresses, position.recorded, to)
            }
        };
        self.history = Some(Stretch {
            position,
            seen,
            looked: Instant::now(),
            ranges,
        });
    }

    /// Commits what has come of the stretch under way; `None` when a look at the chain is due first.
    pub(super) async fn go_on_in_history(
        &mut self,
        opened: &Opened,
        cursor: &Cursor,
        known: &Known,
    ) -> Result<Option<Progress>, Error> {
        let Some(stretch) = &mut self.history else {
            return Ok(None);
        };
        if stretch.position != cursor.position || !stretch.ranges.continues(known.recorded) {
            self.history = None;
            return Ok(None);
        }
        if stretch.looked.elapsed() > LOOK_AGAIN {
            return Ok(None);
        }
        let seen = stretch.seen;
        let read = match stretch.ranges.next(known.recorded).await {
            Ok(Some(batch)) => batch,
            Ok(None) => {
                self.history = None;
                return Ok(Some(Progress::Idle));
            }
            Err(Error::Chain(error @ chain::Error::Poisoned { .. })) => {
                return Err(self.park(opened, error).await?);
            }
            Err(error) => return Err(error),
        };
        let to = read.to;
        let progress = self
            .apply(opened, cursor.position, known.clone(), &seen, read)
            .await?;
        if let Some(stretch) = &mut self.history {
            stretch.position.recorded = to;
        }
        self.release_parked(opened, to).await?;
        Ok(Some(progress))
    }

    /// Names a block that cannot be read, for people. Following stands still before it and tries again: to go on would be to
    /// claim that what it holds is known.
    async fn park(&mut self, opened: &Opened, error: chain::Error) -> Result<Error, Error> {
        if let chain::Error::Poisoned { block, .. } = &error {
            self.has_parked = true;
            let reason = crate::worker::Chain(&error).to_string();
            let mut connection = self.ledger.acquire().await?;
            parked::park_block(&mut connection, opened.id, *block, &reason).await?;
        }
        Ok(error.into())
    }

    /// Blocks that were parked, by this process or one before it, and are recorded now.
    async fn release_parked(&mut self, opened: &Opened, recorded: BlockRef) -> Result<(), Error> {
        if self.has_parked {
            let mut connection = self.ledger.acquire().await?;
            let left = parked::release_blocks(&mut connection, opened.id, recorded.number).await?;
            self.has_parked = left;
        }
        Ok(())
    }
}
