//! Proving blocks of history by what follows from their headers, where readings are not believed or not needed.

use std::collections::BTreeSet;

use super::error::Error;
use super::settle::Wrong;
use super::verifier::Verifier;
use crate::ids::BlockRef;
use crate::ledger::judging::Logged;
use crate::ledger::repairs::FoundBy;
use crate::ledger::verification::Standing;
use crate::worker::Progress;

impl Verifier {
    /// Proves the few last blocks of history by their receipts; reads them a second time where that cannot be.
    pub(super) async fn prove(
        &mut self,
        standing: &Standing,
        irreversible: BlockRef,
        (from, to): (u64, u64),
    ) -> Result<Progress, Error> {
        let provider = self.choose((from, to)).await?;
        self.same_chain(&provider, irreversible).await?;
        let recorded = self.recorded((from, to)).await?;
        let found = self.find_wrong(from..=to, &recorded, None).await?;
        if !found.wrong.is_empty() {
            return self
                .mend(standing, &found.wrong, FoundBy::SecondReading)
                .await;
        }
        let by = Some((&provider, found.proof));
        self.note_read(standing, (from, to), by).await
    }

    /// Proves doubted blocks one by one. A header's filter spares the receipts of blocks that hold none of our logs, but only where
    /// it is under the block's hash: there are nodes that serve empty ones, some of them now and then.
    pub(super) async fn prove_all(
        &mut self,
        standing: &Standing,
        irreversible: BlockRef,
        (from, to): (u64, u64),
    ) -> Result<Progress, Error> {
        let provider = self.choose((from, to)).await?;
        self.same_chain(&provider, irreversible).await?;
        let recorded = self.recorded((from, to)).await?;
        let addresses = &self.following.addresses;
        let suspects = provider.may_hold(addresses, (from, to)).await?;
        let mut numbers: BTreeSet<u64> = suspects.into_iter().collect();
        numbers.extend(recorded.iter().map(|logged| logged.log.block.number));
        let found = self.find_wrong(numbers, &recorded, None).await?;
        if !found.wrong.is_empty() {
            return self
                .mend(standing, &found.wrong, FoundBy::SecondReading)
                .await;
        }
        let by = Some((&provider, found.proof));
        self.note_read(standing, (from, to), by).await
    }

    /// What a cut answer lacks is its end, and an operator that is alone can cut both readings at the same place. So there the
    /// range's last block, and the last one of which a log is known, are proven by themselves.
    pub(super) async fn wrong_at_the_end(
        &self,
        to: u64,
        recorded: &[Logged],
    ) -> Result<Option<Wrong>, Error> {
        if !self.is_alone() {
            return Ok(None);
        }
        let last = recorded.last().map(|logged| logged.log.block.number);
        let ends: BTreeSet<u64> = last.into_iter().chain([to]).collect();
        let found = self.find_wrong(ends, recorded, None).await?;
        Ok(found.wrong.into_iter().next())
    }

    /// An operator that is alone and was seen to leave something out is not believed twice either: whatever it read and nobody
    /// verified yet is proven by headers and receipts from now on.
    pub(super) async fn doubt(
        &self,
        standing: &Standing,
        history: u64,
        wrong: &[Wrong],
    ) -> Result<Progress, Error> {
        let doubted = (standing.verified + 1, history);
        tracing::warn!(
            deployment = self.deployment.0,
            "the only provider leaves logs out: blocks {} to {} are proven one by one",
            doubted.0,
            doubted.1
        );
        self.mend_doubting(standing, wrong, (FoundBy::SecondReading, Some(doubted)))
            .await?;
        Ok(Progress::More)
    }
}
