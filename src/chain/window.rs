//! Blocks that can still change, each with its logs and how these were proven complete.

use alloy::primitives::Address;

use super::block::{Header, RawLog};
use super::error::Error;
use super::provider::Provider;
use super::receipts::{self, Receipts};
use super::rpc::{Answers, Call, quantity};
use super::seal::SealedHeader;
use super::wire::WireReceipt;
use crate::ids::BlockRef;

/// Blocks whose receipts are asked for in one batch: those of a full block of a large chain take about a megabyte.
const RECEIPTS: usize = 8;

/// A block and its logs.
#[derive(Clone, Debug)]
pub struct WindowBlock {
    /// The header.
    pub header: Header,
    /// The logs of the followed addresses, in order.
    pub logs: Vec<RawLog>,
    /// How it was made sure that none is missing.
    pub proven: Proven,
}

/// How it was made sure that no log of a block is missing, strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Proven {
    /// Every receipt was read; they add up to the receipts root, and the header with that root to the block's hash.
    Root,
    /// The header adds up to the block's hash, its bloom filter excludes the addresses, and this provider's filters are true.
    Bloom,
    /// Two readings gave the same.
    TwoReads,
}

/// What a look at the tip brought along of the blocks after the recorded one.
#[derive(Clone, Debug, Default)]
pub struct Ahead {
    headers: Vec<SealedHeader>,
    /// Receipts of the first.
    receipts: Option<Vec<WireReceipt>>,
}

impl Ahead {
    /// The questions for so many blocks after `recorded`, and for the receipts of the first.
    pub(super) fn calls(recorded: u64, blocks: u64, receipts: bool) -> Vec<Call> {
        let heights = (1..=blocks).map(|block| quantity(recorded + block));
        let mut calls: Vec<_> = heights.map(|height| Call::block(&height)).collect();
        if receipts && blocks > 0 {
            calls.push(Receipts::call_at(recorded + 1));
        }
        calls
    }

    /// Reads the answers to [`Self::calls`], which begin at `place`. What is not there, or not in order, is left out: whoever
    /// needs it asks again.
    pub(super) fn read(provider: &Provider, answers: &Answers, place: usize, blocks: u64) -> Self {
        let count = usize::try_from(blocks).unwrap_or(0);
        let headers: Vec<_> = (place..place + count)
            .map_while(|place| provider.sealed_header(answers, place).ok().flatten())
            .collect();
        let has_receipts = answers.len() > place + count && !headers.is_empty();
        let receipts = has_receipts
            .then(|| answers.get(place + count).ok().flatten())
            .flatten();
        Self { headers, receipts }
    }

    /// The headers that follow each other from `recorded` on.
    fn linked(&self, recorded: BlockRef) -> &[SealedHeader] {
        let mut parent = recorded;
        let linked = self.headers.iter().take_while(|sealed| {
            let header = &sealed.header;
            let follows = header.parent == parent.hash && header.at.number == parent.number + 1;
            parent = header.at;
            follows
        });
        &self.headers[..linked.count()]
    }
}

impl Provider {
    /// Reads up to `blocks` blocks after `recorded`, as far as they follow each other, with the logs of `addresses`. Fewer, or
    /// none, when the chain ends or changed meanwhile. `other` gives the second reading where two are needed.
    ///
    /// # Errors
    /// [`Error`], transient.
    pub async fn window(
        &self,
        addresses: &[Address],
        recorded: BlockRef,
        blocks: u64,
        mut ahead: Ahead,
        other: Option<&Self>,
    ) -> Result<Vec<WindowBlock>, Error> {
        let brought = u64::try_from(ahead.headers.len()).unwrap_or(u64::MAX);
        if brought < blocks {
            let answers = self
                .ask(&Ahead::calls(recorded.number, blocks, false))
                .await?;
            ahead.headers = Ahead::read(self, &answers, 0, blocks).headers;
        }
        let linked = ahead.linked(recorded).to_vec();
        let mut read = Vec::with_capacity(linked.len());
        let mut brought = ahead.receipts.take();
        for some in linked.chunks(RECEIPTS) {
            let receipts = self.receipts_of(addresses, some, brought.take()).await?;
            for (sealed, receipts) in some.iter().zip(receipts) {
                let reading = Reading {
                    provider: self,
                    other: other.unwrap_or(self),
                    addresses,
                    sealed,
                };
                match reading.finish(receipts).await? {
                    Some(block) => read.push(block),
                    None => return Ok(read),
                }
            }
        }
        Ok(read)
    }

    /// The receipts of those blocks that may hold logs, in one batch.
    async fn receipts_of(
        &self,
        addresses: &[Address],
        blocks: &[SealedHeader],
        brought: Option<Vec<WireReceipt>>,
    ) -> Result<Vec<Found>, Error> {
        let mut found: Vec<_> = {
            let mut condition = self.condition();
            let abilities = &mut condition.abilities;
            let mut decide = |block: &SealedHeader| {
                if abilities.is_empty(block, addresses) {
                    Found::Empty
                } else if abilities.has_receipts() {
                    Found::ToAsk
                } else {
                    abilities.passed();
                    Found::NotServed
                }
            };
            blocks.iter().map(&mut decide).collect()
        };
        if let (Some(receipts), Some(first)) = (brought, found.first_mut())
            && matches!(first, Found::ToAsk)
        {
            // Asked by height: they may be those of another block, and are then asked for again.
            if let Ok(read) = Receipts::read(receipts, &blocks[0].header, addresses)
                && read.is_complete
            {
                *first = Found::Receipts(Box::new(read));
            }
        }
        let to_ask: Vec<usize> = (0..found.len())
            .filter(|place| matches!(found[*place], Found::ToAsk))
            .collect();
        self.ask_receipts(addresses, blocks, &to_ask, &mut found)
            .await?;
        Ok(found)
    }

    /// Asks for the receipts of some of the blocks: at once, and one by one if that is too much.
    async fn ask_receipts(
        &self,
        addresses: &[Address],
        blocks: &[SealedHeader],
        to_ask: &[usize],
        found: &mut [Found],
    ) -> Result<(), Error> {
        let call = |place: &usize| Receipts::call(blocks[*place].header.at.hash);
        let calls: Vec<_> = to_ask.iter().map(call).collect();
        match self.ask(&calls).await {
            Ok(answers) => {
                for (answer, place) in to_ask.iter().enumerate() {
                    let header = &blocks[*place].header;
                    found[*place] = self.receipts_in(&answers, answer, header, addresses)?;
                }
            }
            Err(error) if error.asks_for_less() => {
                for place in to_ask {
                    found[*place] = match self.ask_one(call(place)).await {
                        Ok(answers) => {
                            self.receipts_in(&answers, 0, &blocks[*place].header, addresses)?
                        }
                        Err(error) if error.asks_for_less() => Found::NotServed,
                        Err(error) => return Err(error),
                    };
                }
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn receipts_in(
        &self,
        answers: &Answers,
        place: usize,
        header: &Header,
        addresses: &[Address],
    ) -> Result<Found, Error> {
        let receipts: Vec<WireReceipt> = match answers.get(place) {
            Ok(Some(receipts)) => receipts,
            Ok(None) => return Ok(Found::Gone),
            Err(error) if error.is_unknown_method() => {
                self.condition().abilities.asked_for_receipts(false);
                return Ok(Found::NotServed);
            }
            // Too many of them, or words that nobody knows: the logs can be read in other ways.
            Err(error) if error.asks_for_less() => return Ok(Found::NotServed),
            Err(error) => return Err(error),
        };
        self.condition().abilities.asked_for_receipts(true);
        Receipts::read(receipts, header, addresses)
            .map(|receipts| Found::Receipts(Box::new(receipts)))
            .map_err(|problem| self.malformed(receipts::METHOD, problem))
    }
}

/// What was found of a block's receipts.
enum Found {
    /// Not needed: the block's trusted filter excludes the addresses.
    Empty,
    ToAsk,
    NotServed,
    /// The provider does not know the block any more.
    Gone,
    Receipts(Box<Receipts>),
}

/// A block that is being read.
struct Reading<'a> {
    provider: &'a Provider,
    other: &'a Provider,
    addresses: &'a [Address],
    sealed: &'a SealedHeader,
}

impl Reading<'_> {
    /// The block with its logs; `None` when it is gone.
    async fn finish(&self, found: Found) -> Result<Option<WindowBlock>, Error> {
        let (logs, proven) = match found {
            Found::Gone => return Ok(None),
            Found::Empty => (Vec::new(), Proven::Bloom),
            Found::Receipts(receipts) if receipts.is_complete => {
                let is_sealed = self.learn(&receipts);
                if is_sealed {
                    (receipts.logs, Proven::Root)
                } else {
                    self.compared_with(self.other, receipts.logs).await?
                }
            }
            Found::ToAsk | Found::NotServed | Found::Receipts(_) => {
                let first = self
                    .provider
                    .logs_of_block(self.addresses, &self.sealed.header)
                    .await;
                match first {
                    Ok(first) => self.compared_with(self.other, first).await?,
                    Err(Error::Refused { .. }) if self.is_gone().await? => return Ok(None),
                    Err(error) => return Err(error),
                }
            }
        };
        Ok(Some(WindowBlock {
            header: self.sealed.header.clone(),
            logs,
            proven,
        }))
    }

    /// Learns from receipts that add up to the header's root whether the header's filter is true. Answers whether the header is
    /// under the block's hash, with the true filter in the place of a wrong one.
    fn learn(&self, receipts: &Receipts) -> bool {
        let given = self.sealed.header.logs_bloom;
        let is_sealed = self.sealed.is_sealed
            || given != receipts.bloom && self.sealed.is_sealed_with(receipts.bloom);
        let mut condition = self.provider.condition();
        let abilities = &mut condition.abilities;
        abilities.compared(given, receipts.bloom);
        if abilities.seals != Some(true) && abilities.seals.replace(is_sealed) != Some(is_sealed) {
            let provider = self.provider.name();
            tracing::info!(
                provider,
                block = %self.sealed.header.at,
                "hashes of provider {provider}'s headers {} be computed anew",
                if is_sealed { "can" } else { "cannot" }
            );
        }
        is_sealed
    }

    async fn compared_with(
        &self,
        other: &Provider,
        first: Vec<RawLog>,
    ) -> Result<(Vec<RawLog>, Proven), Error> {
        let second = other
            .logs_of_block(self.addresses, &self.sealed.header)
            .await?;
        if first == second {
            return Ok((first, Proven::TwoReads));
        }
        Err(Error::Disagreement {
            provider: self.provider.name().to_owned(),
            other: other.name().to_owned(),
            block: self.sealed.header.at,
        })
    }

    /// Whether the provider does not know the block any more.
    async fn is_gone(&self) -> Result<bool, Error> {
        Ok(self
            .provider
            .header_of(self.sealed.header.at.hash)
            .await?
            .is_none())
    }
}
