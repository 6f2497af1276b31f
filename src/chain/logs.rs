//! Logs of a range or a block, with the checks that an answer carries within itself.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use alloy::primitives::{Address, B256};
use alloy::transports::TransportResult;
use serde_json::json;

use super::block::{Header, RawLog};
use super::error::{Error, Range};
use super::provider::{Provider, quantity};
use super::wire::WireLog;

const METHOD: &str = "eth_getLogs";

/// Logs of a range of blocks, read together with the blocks at its edges.
#[derive(Clone, Debug)]
pub struct RangeRead {
    /// The block before the range: it must be the one that the reader has recorded.
    pub before: Header,
    /// The logs of the followed addresses, in order of block and log index.
    pub logs: Vec<RawLog>,
    /// The last block of the range.
    pub last: Header,
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
        const BLOCK: &str = "eth_getBlockByNumber";
        let mut batch = self.client.new_batch();
        let ahead = from.saturating_sub(1);
        let before = batch.add_call(BLOCK, &json!([quantity(ahead), false]));
        let before = self.heard(BLOCK, before)?;
        let filter =
            json!([{"fromBlock": quantity(from), "toBlock": quantity(to), "address": addresses}]);
        let logs = self.heard(METHOD, batch.add_call(METHOD, &filter))?;
        let last = batch.add_call(BLOCK, &json!([quantity(to), false]));
        let last = self.heard(BLOCK, last)?;
        self.heard(METHOD, batch.send().await)?;

        // The edges first: a range beyond the provider's head must not look like one that is too wide.
        let (before, last) = (before.await, last.await);
        let before = self.at_height(ahead, self.header(BLOCK, before)?)?;
        let last = self.at_height(to, self.header(BLOCK, last)?)?;
        let before = before.ok_or_else(|| self.missing(&ahead))?;
        let last = last.ok_or_else(|| self.missing(&to))?;
        let logs = self.raw_logs(METHOD, logs.await)?;
        check(&logs, addresses, from..=to, &last).map_err(|problem| {
            self.malformed(METHOD, format!("{problem}, asked for {}", Range(from, to)))
        })?;
        Ok(RangeRead { before, logs, last })
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
        let logs = self.raw_logs(METHOD, self.client.request(METHOD, filter).await)?;
        let number = header.at.number;
        check(&logs, addresses, number..=number, header).map_err(|problem| {
            self.malformed(METHOD, format!("{problem}, asked for {}", header.at))
        })?;
        Ok(logs)
    }

    fn raw_logs(
        &self,
        method: &'static str,
        answer: TransportResult<Vec<WireLog>>,
    ) -> Result<Vec<RawLog>, Error> {
        self.heard(method, answer)?
            .into_iter()
            .map(WireLog::read)
            .collect::<Result<_, _>>()
            .map_err(|problem| self.malformed(method, problem))
    }
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
    use chrono::DateTime;

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
