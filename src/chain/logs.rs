//! Logs of a range or a block, with the checks that an answer carries within itself.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use alloy::primitives::{Address, B256};
use chrono::{DateTime, Utc};
use serde_json::json;

use super::block::{Header, LogBlock, RawLog};
use super::error::{Error, Range};
use super::provider::Provider;
use super::rpc::{Answers, Call, quantity};
use super::wire::WireLog;

const METHOD: &str = "eth_getLogs";
/// Headers asked for at once: a header is about two kilobytes.
const HEADERS: usize = 500;

/// When the block of each log was made, where the provider says.
type Times = Vec<Option<DateTime<Utc>>>;

/// Logs of a range of blocks, read together with the blocks at its edges.
#[derive(Clone, Debug)]
pub struct RangeRead {
    /// The block before the range: it must be the one that the reader has recorded.
    pub before: Header,
    /// The blocks that hold logs, in order.
    pub blocks: Vec<LogBlock>,
    /// The logs of the followed addresses, in order of block and log index.
    pub logs: Vec<RawLog>,
    /// The last block of the range.
    pub last: Header,
    /// Who gave it.
    pub provider: String,
    /// Bytes that the answer took on the wire.
    pub bytes: usize,
}

impl Provider {
    /// Reads the logs of the blocks `from` to `to`, both included; `from` is at least 1.
    ///
    /// One batch, so that a service with many nodes behind it answers from one of them, asks for the block before, the logs,
    /// and the last block. A pruned node may still answer an old range with nothing and no error: this is one reading, not a proof.
    ///
    /// # Errors
    /// [`Error`], transient. [`Error::asks_for_less`] says whether a smaller range may be answered; [`Error::Missing`] when the
    /// provider's chain ends before `to`.
    pub async fn logs_in_range(
        &self,
        addresses: &[Address],
        from: u64,
        to: u64,
    ) -> Result<RangeRead, Error> {
        let ahead = from.saturating_sub(1);
        let filter =
            json!([{"fromBlock": quantity(from), "toBlock": quantity(to), "address": addresses}]);
        let calls = [
            Call::block(&quantity(ahead)),
            Call::new(METHOD, filter),
            Call::block(&quantity(to)),
        ];
        let read = self.read_range(addresses, (from, to), &calls).await;
        let asked = to - ahead;
        match &read {
            Ok(_) => self.condition().limits.answered(asked),
            Err(error) => self.condition().limits.refused(asked, error.refusal()),
        }
        read
    }

    async fn read_range(
        &self,
        addresses: &[Address],
        (from, to): (u64, u64),
        calls: &[Call],
    ) -> Result<RangeRead, Error> {
        let ahead = from.saturating_sub(1);
        let answers = self.ask(calls).await?;
        // The edges first: a range beyond the provider's head must not look like one that is too wide.
        let before = self.at_height(ahead, self.header(&answers, 0)?)?;
        let last = self.at_height(to, self.header(&answers, 2)?)?;
        let before = before.ok_or_else(|| self.missing(&ahead))?;
        let last = last.ok_or_else(|| self.missing(&to))?;
        let bytes = answers.bytes();
        let (logs, times) = self.raw_logs(&answers, 1)?;
        drop(answers);
        check(&logs, addresses, from..=to, &last).map_err(|problem| {
            self.malformed(METHOD, format!("{problem}, asked for {}", Range(from, to)))
        })?;
        let blocks = match by_times(&logs, &times) {
            Some(blocks) => blocks,
            None => self.blocks_of(&logs).await?,
        };
        Ok(RangeRead {
            before,
            blocks,
            logs,
            last,
            provider: self.name().to_owned(),
            bytes,
        })
    }

    /// Reads the logs of one block by its hash. One reading, not a proof.
    ///
    /// # Errors
    /// [`Error`], transient; a block that the provider does not know is refused by it.
    pub async fn logs_of_block(
        &self,
        addresses: &[Address],
        header: &Header,
    ) -> Result<Vec<RawLog>, Error> {
        let filter = json!([{"blockHash": header.at.hash, "address": addresses}]);
        let answers = self.ask_one(Call::new(METHOD, filter)).await?;
        let (logs, _) = self.raw_logs(&answers, 0)?;
        let number = header.at.number;
        check(&logs, addresses, number..=number, header).map_err(|problem| {
            self.malformed(METHOD, format!("{problem}, asked for {}", header.at))
        })?;
        Ok(logs)
    }

    /// The blocks of logs by their headers, in batches: nodes that are older than times in logs.
    async fn blocks_of(&self, logs: &[RawLog]) -> Result<Vec<LogBlock>, Error> {
        let mut hashes: Vec<B256> = logs.iter().map(|log| log.block.hash).collect();
        hashes.dedup();
        let mut blocks = Vec::with_capacity(hashes.len());
        for some in hashes.chunks(HEADERS) {
            let headers = self.headers_of(some).await?;
            blocks.extend(headers.into_iter().map(|sealed| LogBlock {
                at: sealed.header.at,
                parent: sealed.is_sealed.then_some(sealed.header.parent),
                timestamp: sealed.header.timestamp,
            }));
        }
        let in_logs = logs.iter().map(|log| log.block);
        let mut places = blocks.iter();
        let mut place = places.next();
        for block in in_logs {
            while place.is_some_and(|place| place.at.hash != block.hash) {
                place = places.next();
            }
            if place.is_none_or(|place| place.at != block) {
                let problem = format!("a block of that hash that is not number {}", block.number);
                return Err(self.malformed("eth_getBlockByHash", problem));
            }
        }
        Ok(blocks)
    }

    fn raw_logs(&self, answers: &Answers, place: usize) -> Result<(Vec<RawLog>, Times), Error> {
        let wire: Vec<WireLog> = answers.need(place)?;
        let (mut logs, mut times) = (
            Vec::with_capacity(wire.len()),
            Vec::with_capacity(wire.len()),
        );
        for log in wire {
            let read = log.time().and_then(|time| Ok((time, log.read()?)));
            let (time, log) = read.map_err(|problem| self.malformed(METHOD, problem))?;
            times.push(time);
            logs.push(log);
        }
        Ok((logs, times))
    }
}

/// The blocks of logs by the times that came with each; `None` if some came without, or if those of one block differ.
fn by_times(logs: &[RawLog], times: &[Option<DateTime<Utc>>]) -> Option<Vec<LogBlock>> {
    let mut blocks: Vec<LogBlock> = Vec::new();
    for (log, time) in logs.iter().zip(times) {
        let timestamp = (*time)?;
        match blocks.last() {
            Some(last) if last.at == log.block && last.timestamp != timestamp => return None,
            Some(last) if last.at == log.block => {}
            _ => blocks.push(LogBlock {
                at: log.block,
                parent: None,
                timestamp,
            }),
        }
    }
    Some(blocks)
}

/// Says what is wrong with an answer: another address or block than asked for, order or uniqueness broken, two hashes for one
/// height, or another last block than the provider names.
fn check(
    logs: &[RawLog],
    addresses: &[Address],
    range: RangeInclusive<u64>,
    last: &Header,
) -> Result<(), String> {
    let mut hashes: HashMap<u64, B256> = HashMap::from([(last.at.number, last.at.hash)]);
    let mut previous: Option<(u64, u64)> = None;
    for log in logs {
        let place = (log.block.number, log.log_index);
        let named = || format!("log {} of block {}", log.log_index, log.block.number);
        if !range.contains(&log.block.number) {
            return Err(format!("{} is outside", named()));
        }
        if !addresses.contains(&log.address) {
            return Err(format!("{} is of {}", named(), log.address));
        }
        if previous.is_some_and(|previous| previous >= place) {
            return Err(format!("{} is out of order or twice there", named()));
        }
        let known = *hashes.entry(log.block.number).or_insert(log.block.hash);
        if known != log.block.hash {
            return Err(format!("{} is of another block of that height", named()));
        }
        previous = Some(place);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Bloom, Bytes};

    use super::*;
    use crate::ids::BlockRef;

    const ADDRESS: Address = Address::repeat_byte(1);

    fn block(number: u64, fork: u8) -> BlockRef {
        BlockRef {
            number,
            hash: B256::left_padding_from(&[&[fork], number.to_be_bytes().as_slice()].concat()),
        }
    }

    fn log(number: u64, fork: u8, log_index: u64) -> RawLog {
        RawLog {
            block: block(number, fork),
            transaction_hash: B256::ZERO,
            transaction_index: 0,
            log_index,
            address: ADDRESS,
            topics: vec![],
            data: Bytes::new(),
        }
    }

    fn checked(logs: &[RawLog]) -> Result<(), String> {
        let last = Header {
            at: block(9, 0),
            parent: B256::ZERO,
            timestamp: DateTime::UNIX_EPOCH,
            receipts_root: B256::ZERO,
            logs_bloom: Bloom::ZERO,
        };
        check(logs, &[ADDRESS], 5..=9, &last)
    }

    #[test]
    fn times_of_logs_tell_of_their_blocks_if_all_do_and_agree() {
        let logs = [log(5, 0, 0), log(5, 0, 1), log(9, 0, 0)];
        let at = |second| DateTime::from_timestamp(second, 0);
        let blocks = by_times(&logs, &[at(1), at(1), at(2)]).unwrap();
        let heights: Vec<_> = blocks
            .iter()
            .map(|block| (block.at.number, block.timestamp))
            .collect();
        assert_eq!(heights, [(5, at(1).unwrap()), (9, at(2).unwrap())]);
        assert_eq!(by_times(&logs, &[at(1), at(2), at(2)]), None);
        assert_eq!(by_times(&logs, &[at(1), at(1), None]), None);
        assert_eq!(by_times(&[], &[]), Some(vec![]));
    }

    #[test]
    fn an_answer_that_contradicts_itself_is_refused() {
        assert_eq!(checked(&[log(5, 0, 0), log(5, 0, 1), log(9, 0, 0)]), Ok(()));
        for (lie, says) in [
            (vec![log(4, 0, 0)], "outside"),
            (vec![log(10, 0, 0)], "outside"),
            (vec![log(6, 0, 1), log(6, 0, 0)], "order"),
            (vec![log(7, 0, 0), log(6, 0, 0)], "order"),
            (vec![log(6, 0, 0), log(6, 0, 0)], "twice"),
            (vec![log(6, 0, 0), log(6, 1, 1)], "another block"),
            (vec![log(9, 1, 0)], "another block"),
        ] {
            assert!(checked(&lie).unwrap_err().contains(says), "{lie:?}");
        }
        let mut foreign = log(6, 0, 0);
        foreign.address = Address::ZERO;
        assert!(checked(&[foreign]).is_err());
    }
}
