//! Proving blocks of history by what follows from their headers, where readings are not believed or not needed.

use std::collections::BTreeSet;

use super::error::Error;
use super::verifier::Verifier;
use crate::ids::BlockRef;
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
}
