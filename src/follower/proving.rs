//! Proving blocks of history by what follows from their headers, where readings are not believed or not needed.

use alloy::primitives::{Address, BloomInput};

use super::error::Error;
use super::settle::Wrong;
use super::verifier::Verifier;
use crate::chain::{Header, Provider};
use crate::ids::BlockRef;
use crate::ledger::blocks::Proof;
use crate::ledger::judging::Logged;
use crate::ledger::repairs::FoundBy;
use crate::ledger::verification::Standing;
use crate::worker::Progress;

/// Headers that are asked for in one batch: hosted providers cap batches at a hundred or more.
const BATCH: usize = 50;

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
        let wrong = self.find_wrong(from..=to, &recorded, None).await?;
        if !wrong.is_empty() {
            return self.mend(standing, &wrong, FoundBy::SecondReading).await;
        }
        // What could not be proven by a root was read twice, besides the first reading.
        let proof = match self.has_receipts(&provider, to).await? {
            true => Proof::Root,
            false => Proof::TwoReads,
        };
        let by = Some((&provider, proof));
        self.note_read(standing, (from, to), by).await
    }

    /// Proves doubted blocks one by one. A header's bloom spares the receipts of blocks that hold none of our logs, but only while
    /// the blooms of the blocks that do hold some are true: there are nodes that serve empty ones.
    pub(super) async fn prove_all(
        &mut self,
        standing: &Standing,
        irreversible: BlockRef,
        (from, to): (u64, u64),
    ) -> Result<Progress, Error> {
        let provider = self.choose((from, to)).await?;
        self.same_chain(&provider, irreversible).await?;
        let recorded = self.recorded((from, to)).await?;
        let heights: Vec<u64> = (from..=to).collect();
        let mut headers = Vec::with_capacity(heights.len());
        for some in heights.chunks(BATCH) {
            headers.extend(provider.headers_at(some).await?.into_iter().flatten());
        }
        if headers.len() != heights.len() {
            return Err(Error::Torn {
                provider: provider.name().to_owned(),
                number: to,
            });
        }
        let addresses = &self.following.addresses;
        let are_true = self.has_true_blooms(&provider, addresses).await?;
        let suspects = headers
            .iter()
            .filter(|header| !are_true || may_hold(header, addresses));
        let numbers: Vec<u64> = suspects.map(|header| header.at.number).collect();
        let wrong: Vec<Wrong> = self.find_wrong(numbers, &recorded, None).await?;
        if !wrong.is_empty() {
            return self.mend(standing, &wrong, FoundBy::SecondReading).await;
        }
        let by = Some((&provider, Proof::Root));
        self.note_read(standing, (from, to), by).await
    }

    /// Whether the blooms of this provider tell of the logs that are there, by the newest recorded ones.
    async fn has_true_blooms(
        &self,
        provider: &Provider,
        addresses: &[Address],
    ) -> Result<bool, Error> {
        let newest: Vec<Logged> = self.newest_logs().await?;
        let mut seen = 0;
        for logged in &newest {
            let Some(header) = provider.header_at(logged.log.block.number).await? else {
                return Ok(false);
            };
            let tells = header
                .logs_bloom
                .contains_input(BloomInput::Raw(logged.log.address.as_slice()));
            let excludes = addresses.iter().any(|address| {
                !header
                    .logs_bloom
                    .contains_input(BloomInput::Raw(address.as_slice()))
            });
            // All ones tell nothing, and a bloom without the log's own address is false.
            if header.at != logged.log.block || !tells {
                return Ok(false);
            }
            seen += usize::from(excludes || addresses.len() == 1);
        }
        Ok(seen > 0)
    }

    async fn has_receipts(&self, provider: &Provider, number: u64) -> Result<bool, Error> {
        let Some(header) = provider.header_at(number).await? else {
            return Ok(false);
        };
        let logs = provider.logs_by_receipts(&self.following.addresses, &header);
        Ok(logs.await?.is_some())
    }
}

fn may_hold(header: &Header, addresses: &[Address]) -> bool {
    let bloom = &header.logs_bloom;
    addresses
        .iter()
        .any(|address| bloom.contains_input(BloomInput::Raw(address.as_slice())))
}
