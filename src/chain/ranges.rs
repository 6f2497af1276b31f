//! Ranges of history from whichever provider gives them, and single blocks that none gives as they are asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alloy::primitives::Address;

use super::block::{Header, LogBlock, RawLog};
use super::error::Error;
use super::logs::RangeRead;
use super::provider::Provider;
use super::providers::Providers;

impl Providers {
    /// Reads the logs of blocks from `from` on, up to `to` or as far as one provider gives at once. A range that is refused is
    /// asked for in halves and elsewhere; a block that is refused by itself is split by address, then read by receipts.
    ///
    /// # Errors
    /// [`Error::Poisoned`] for a block that no provider gives in any way; another [`Error`] when none can be asked now.
    pub async fn logs_in_range(
        &self,
        addresses: &Arc<[Address]>,
        from: u64,
        to: u64,
    ) -> Result<RangeRead, Error> {
        loop {
            let widest = Arc::new(AtomicU64::new(0));
            let question = |provider: Provider| {
                let (addresses, widest) = (Arc::clone(addresses), Arc::clone(&widest));
                async move {
                    let to = to.min(from.saturating_add(provider.range_limit() - 1));
                    widest.fetch_max(to - from + 1, Ordering::Relaxed);
                    provider.logs_in_range(&addresses, from, to).await
                }
            };
            match self.ask(question).await {
                Ok((read, _)) => return Ok(read),
                Err(error) if !error.asks_for_less() => return Err(error),
                // Every provider's limit has just shrunk: this ends, at the latest, when all are asked for one block.
                Err(error) if widest.load(Ordering::Relaxed) > 1 => {
                    tracing::debug!(from, to, %error, "a range from block {from} on was refused");
                }
                Err(error) => return self.single_block(addresses, from, error).await,
            }
        }
    }

    /// Reads a block that was refused by all when it was asked for as a range of one.
    async fn single_block(
        &self,
        addresses: &Arc<[Address]>,
        number: u64,
        refused: Error,
    ) -> Result<RangeRead, Error> {
        let question = |provider: Provider| {
            let addresses = Arc::clone(addresses);
            async move { provider.logs_in_parts(&addresses, number).await }
        };
        match self.ask(question).await {
            Ok((read, provider)) => {
                let provider = provider.name();
                tracing::info!(
                    number,
                    provider,
                    "block {number} was read in parts: {refused}"
                );
                Ok(read)
            }
            Err(error) if error.asks_for_less() || error.is_unknown_method() => {
                Err(Error::Poisoned {
                    block: number,
                    source: Box::new(refused),
                })
            }
            Err(error) => Err(error),
        }
    }
}

impl Provider {
    /// Reads the logs of one block address by address, or else by its receipts.
    async fn logs_in_parts(&self, addresses: &[Address], number: u64) -> Result<RangeRead, Error> {
        let mut headers = self.headers_at(&[number - 1, number]).await?.into_iter();
        let mut header = || {
            headers
                .next()
                .flatten()
                .ok_or_else(|| self.missing(&number))
        };
        let (before, last) = (header()?, header()?);
        let logs = match self.logs_by_address(addresses, &last).await {
            Err(error) if error.asks_for_less() => {
                self.logs_by_receipts(addresses, last.at)
                    .await?
                    .ok_or(error)?
                    .logs
            }
            logs => logs?,
        };
        let block = LogBlock {
            at: last.at,
            parent: (last.parent == before.at.hash).then_some(last.parent),
            timestamp: last.timestamp,
        };
        Ok(RangeRead {
            before,
            blocks: (!logs.is_empty()).then_some(block).into_iter().collect(),
            logs,
            last,
            provider: self.name().to_owned(),
            bytes: 0,
        })
    }

    async fn logs_by_address(
        &self,
        addresses: &[Address],
        header: &Header,
    ) -> Result<Vec<RawLog>, Error> {
        let mut logs = Vec::new();
        for address in addresses {
            logs.extend(self.logs_of_block(&[*address], header).await?);
        }
        logs.sort_unstable_by_key(|log| log.log_index);
        Ok(logs)
    }
}
