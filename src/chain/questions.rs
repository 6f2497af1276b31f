//! The single questions that a provider is asked.

use alloy::primitives::{Address, B256, Bytes, U64};
use serde_json::json;

use super::BlockId;
use super::block::Header;
use super::error::Error;
use super::look::{self, Tag};
use super::provider::Provider;
use super::providers::ChainIdentity;
use super::rpc::{Answers, Call, quantity};
use super::seal::SealedHeader;
use super::wire::WireHeader;

/// Headers that are asked for in one batch: hosted providers cap batches at a hundred or more.
const HEADERS: usize = 50;

impl Provider {
    /// EIP-155 chain id.
    ///
    /// # Errors
    /// [`Error`], transient.
    pub async fn chain_id(&self) -> Result<u64, Error> {
        let answers = self.ask_one(Call::new("eth_chainId", json!([]))).await?;
        Ok(answers.need::<U64>(0)?.to())
    }

    /// Hash of block 0.
    ///
    /// # Errors
    /// [`Error`], transient; [`Error::Missing`] if the provider has no block 0.
    pub async fn genesis_hash(&self) -> Result<B256, Error> {
        let genesis = self.header_at(0).await?;
        Ok(genesis.ok_or_else(|| self.missing(&0))?.at.hash)
    }

    /// The newest block.
    ///
    /// # Errors
    /// [`Error`], transient.
    pub async fn head(&self) -> Result<Header, Error> {
        let head = self.block_by("latest").await?;
        head.ok_or_else(|| self.missing(&"latest"))
    }

    /// The newest block that the chain's consensus calls final.
    ///
    /// # Errors
    /// [`Error`], transient. A provider without the tag, or without such a block yet, is no error: see [`Tag`].
    pub async fn finalized(&self) -> Result<Tag, Error> {
        look::tag(self.block_by("finalized").await)
    }

    /// The newest block that the chain's consensus calls safe.
    ///
    /// # Errors
    /// As [`Self::finalized`].
    pub async fn safe(&self) -> Result<Tag, Error> {
        look::tag(self.block_by("safe").await)
    }

    /// The block at a height of the provider's chain; `None` if it has none there.
    ///
    /// # Errors
    /// [`Error`], transient; an answer about another height is malformed.
    pub async fn header_at(&self, number: u64) -> Result<Option<Header>, Error> {
        let header = self.block_by(&quantity(number)).await?;
        self.at_height(number, header)
    }

    /// The block of a hash; `None` if the provider does not know it, as for orphaned blocks.
    ///
    /// # Errors
    /// [`Error`], transient; an answer about another block is malformed.
    pub async fn header_of(&self, hash: B256) -> Result<Option<Header>, Error> {
        let answers = self.ask_one(Call::block_of(hash)).await?;
        let header = self.header(&answers, 0)?;
        if let Some(header) = &header {
            self.expect_hash(hash, header)?;
        }
        Ok(header)
    }

    /// The blocks at many heights, in one batch and in the order of `numbers`.
    ///
    /// # Errors
    /// As [`Self::header_at`].
    pub async fn headers_at(&self, numbers: &[u64]) -> Result<Vec<Option<Header>>, Error> {
        let calls: Vec<_> = numbers
            .iter()
            .map(|number| Call::block(&quantity(*number)))
            .collect();
        let answers = self.ask(&calls).await?;
        let read = numbers.iter().enumerate().map(|(place, number)| {
            let header = self.header(&answers, place)?;
            self.at_height(*number, header)
        });
        read.collect()
    }

    /// Which of the blocks `from` to `to` may hold logs of these addresses: all but those whose filter excludes them, in a header that
    /// adds up to the block's hash. The blocks must follow each other.
    ///
    /// # Errors
    /// [`Error`], transient; [`Error::Missing`] if one is not there.
    pub async fn may_hold(
        &self,
        addresses: &[Address],
        (from, to): (u64, u64),
    ) -> Result<Vec<u64>, Error> {
        let numbers: Vec<u64> = (from..=to).collect();
        let (mut suspects, mut before) = (Vec::new(), None);
        for some in numbers.chunks(HEADERS) {
            let calls: Vec<_> = some
                .iter()
                .map(|number| Call::block(&quantity(*number)))
                .collect();
            let answers = self.ask(&calls).await?;
            for (place, number) in some.iter().enumerate() {
                let sealed = self.sealed_header(&answers, place)?;
                let sealed = sealed.ok_or_else(|| self.missing(number))?;
                let at = sealed.header.at;
                if at.number != *number || before.is_some_and(|hash| hash != sealed.header.parent) {
                    let problem =
                        format!("block {at}, which does not follow the one before {number}");
                    return Err(self.malformed("eth_getBlockByNumber", problem));
                }
                if !sealed.is_sealed || !sealed.header.excludes(addresses) {
                    suspects.push(*number);
                }
                before = Some(at.hash);
            }
        }
        Ok(suspects)
    }

    /// The blocks of many hashes, in one batch and in the order of `hashes`.
    ///
    /// # Errors
    /// As [`Self::header_of`]; [`Error::Missing`] if one is not known.
    pub(super) async fn headers_of(&self, hashes: &[B256]) -> Result<Vec<SealedHeader>, Error> {
        let calls: Vec<_> = hashes.iter().map(|hash| Call::block_of(*hash)).collect();
        let answers = self.ask(&calls).await?;
        let read = hashes.iter().enumerate().map(|(place, hash)| {
            let sealed = self.sealed_header(&answers, place)?;
            let sealed = sealed.ok_or_else(|| self.missing(hash))?;
            self.expect_hash(*hash, &sealed.header)?;
            Ok(sealed)
        });
        read.collect()
    }

    /// The code at an address as of the newest block; empty where there is no contract.
    ///
    /// # Errors
    /// [`Error`], transient.
    pub async fn code_at(&self, address: Address) -> Result<Bytes, Error> {
        let code = Call::new("eth_getCode", json!([address, "latest"]));
        self.ask_one(code).await?.need(0)
    }

    /// What a contract's function answers, without a transaction.
    ///
    /// # Errors
    /// [`Error`]: rejected if the call was reverted, else transient.
    pub async fn call(&self, to: Address, data: Bytes, at: BlockId) -> Result<Bytes, Error> {
        let call = Call::new("eth_call", json!([{"to": to, "data": data}, at]));
        self.ask_one(call).await?.need(0)
    }

    /// What code that is on no chain returns on the newest state, as if it made a contract.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn run(&self, code: Bytes) -> Result<Bytes, Error> {
        let call = Call::new("eth_call", json!([{"data": code}, "latest"]));
        self.ask_one(call).await?.need(0)
    }

    async fn block_by(&self, at: &str) -> Result<Option<Header>, Error> {
        let answers = self.ask_one(Call::block(at)).await?;
        self.header(&answers, 0)
    }

    pub(super) fn at_height(
        &self,
        number: u64,
        header: Option<Header>,
    ) -> Result<Option<Header>, Error> {
        match &header {
            Some(header) if header.at.number != number => Err(self.malformed(
                "eth_getBlockByNumber",
                format!("block {} instead of {number}", header.at),
            )),
            _ => Ok(header),
        }
    }

    fn expect_hash(&self, hash: B256, header: &Header) -> Result<(), Error> {
        if header.at.hash == hash {
            return Ok(());
        }
        Err(self.malformed(
            "eth_getBlockByHash",
            format!("block {} instead of {hash:#x}", header.at),
        ))
    }

    /// Reads a header with all the fields that are under its hash; `None` where the provider has no such block.
    pub(super) fn sealed_header(
        &self,
        answers: &Answers,
        place: usize,
    ) -> Result<Option<SealedHeader>, Error> {
        let header = self.header(answers, place)?;
        // A header of another chain's shape is no error: its hash just cannot be computed.
        let fields = answers.get(place).ok().flatten();
        Ok(header.map(|header| SealedHeader::new(header, fields)))
    }

    /// Reads a header; `None` where the provider has no such block.
    pub(super) fn header(&self, answers: &Answers, place: usize) -> Result<Option<Header>, Error> {
        let header: Option<WireHeader> = answers.get(place)?;
        header
            .map(WireHeader::read)
            .transpose()
            .map_err(|problem| self.malformed("eth_getBlockByNumber", problem))
    }
}

impl Provider {
    /// Asks whether the provider is on a chain.
    ///
    /// # Errors
    /// [`Error::OtherChain`] when it is on another; [`Error::Missing`] when it has not come as far as one of the anchors.
    pub(super) async fn compare(&self, expected: &ChainIdentity) -> Result<(), Error> {
        let mut calls = vec![Call::new("eth_chainId", json!([]))];
        let heights = expected
            .anchors
            .iter()
            .map(|anchor| quantity(anchor.number));
        calls.extend(heights.map(|height| Call::block(&height)));
        let answers = self.ask(&calls).await?;
        let found = answers.need::<U64>(0)?.to::<u64>();
        if found != expected.chain_id {
            return Err(self.other_chain(format!("chain {found}, not {}", expected.chain_id)));
        }
        for (anchor, place) in expected.anchors.iter().zip(1..) {
            let header = self.at_height(anchor.number, self.header(&answers, place)?)?;
            let header = header.ok_or_else(|| self.missing(anchor))?;
            if header.at != *anchor {
                return Err(self.other_chain(format!("block {}, not {anchor}", header.at)));
            }
        }
        Ok(())
    }
}
