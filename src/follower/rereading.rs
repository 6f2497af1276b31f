//! Reading blocks that can still change a second time, where they were read only once.
//!
//! Most blocks of the window are proven by what their headers say. Where a provider cannot prove them so, the follower has a provider of
//! another operator read them as well, at once. When none is at hand the block is recorded as read once, which is no proof: it is read
//! again here, by another operator as soon as one answers. Where all providers are of one operator there is nobody else to ask; then
//! it reads the block again itself, clearly later: a node that answers for a block which it has not indexed yet does so for moments, and
//! would only say the same twice at once. Several operators of which only one answers stay at one reading, visibly, since whoever
//! configured several wants to be told so.

use std::time::Duration;

use super::compare;
use super::error::Error;
use super::verifier::Verifier;
use crate::chain::Header;
use crate::ids::BlockRef;
use crate::ledger::blocks::{self, Proof};
use crate::ledger::cursors;
use crate::ledger::repairs::FoundBy;
use crate::ledger::verification::{self, Standing};
use crate::ledger::{self, readings};
use crate::worker::Progress;

/// How much later the same operator is asked again: longer than the time between two blocks on the chains that the contracts live on,
/// so that its node has taken in at least one block more.
pub(super) const LATER: Duration = Duration::from_secs(15);

impl Verifier {
    /// Reads the first block again at which `verified` stands, if it was read once. Everything below is verified.
    pub(super) async fn read_window_again(
        &mut self,
        standing: &Standing,
    ) -> Result<Progress, Error> {
        if standing.verified >= standing.recorded.number {
            return Ok(Progress::Idle);
        }
        let (id, number) = (self.deployment, standing.verified + 1);
        let age = if self.is_alone() {
            self.later
        } else {
            Duration::ZERO
        };
        let mut connection = self.ledger.acquire().await?;
        let single = blocks::find_read_once(&mut connection, id, number, age).await?;
        let above = (standing.verified, standing.recorded.number);
        let proven = verification::proven_after(&mut connection, id, above, false).await?;
        drop(connection);
        let Some(ours) = single else {
            if proven > standing.verified {
                // It was mended, or proven by whoever was quicker.
                return self.go_on(standing).await;
            }
            return Ok(Progress::Idle);
        };
        let provider = self.choose((number, number)).await?;
        let theirs = provider.header_at(number).await?;
        let Some(header) = theirs.filter(|header| header.at == ours) else {
            return Err(Error::Torn {
                provider: provider.name().to_owned(),
                number,
            });
        };
        let recorded = self.recorded((number, number)).await?;
        let logs = provider
            .logs_of_block(&self.following.addresses, &header)
            .await?;
        if compare::differing_blocks(&recorded, &logs).is_empty() {
            return self
                .note_window_read(standing, &header, provider.name())
                .await;
        }
        let found = self.find_wrong([number], &recorded, Some(&logs)).await?;
        let wrong = found.wrong;
        if wrong.is_empty() && self.has_moved(standing).await? {
            return Ok(Progress::More);
        }
        if wrong.is_empty() {
            return Err(Error::Omits {
                provider: provider.name().to_owned(),
                from: number,
                to: number,
            });
        }
        self.mend(standing, &wrong, FoundBy::SecondReading).await
    }

    /// Moves `verified` over the proven blocks that follow.
    async fn go_on(&self, standing: &Standing) -> Result<Progress, Error> {
        let (id, verified) = (self.deployment, standing.verified);
        let mut transaction = self.ledger.begin().await?;
        let reached =
            verification::advance_verified(&mut transaction, id, standing, verified).await?;
        if reached.is_some() {
            cursors::tell_recorded(&mut transaction, id).await?;
            ledger::commit(transaction).await?;
        }
        Ok(Progress::More)
    }

    async fn note_window_read(
        &self,
        standing: &Standing,
        header: &Header,
        provider: &str,
    ) -> Result<Progress, Error> {
        let (id, BlockRef { number, .. }) = (self.deployment, header.at);
        let mut transaction = self.ledger.begin().await?;
        // Locks the row and compares the epoch: had the block been replaced since, another would be proven.
        if !verification::advance_reread(&mut transaction, id, standing, standing.reread).await? {
            return Ok(Progress::More);
        }
        let range = (number, number);
        blocks::prove(&mut transaction, id, range, Proof::TwoReads).await?;
        readings::record(&mut transaction, id, range, provider).await?;
        let verified = standing.verified;
        let reached =
            verification::advance_verified(&mut transaction, id, standing, verified).await?;
        if reached.is_some() {
            cursors::tell_recorded(&mut transaction, id).await?;
            ledger::commit(transaction).await?;
        }
        Ok(Progress::More)
    }
}
