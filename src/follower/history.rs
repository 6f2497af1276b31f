//! Reading history ahead of the ledger: several ranges under way at once, handed out in order.

use std::collections::VecDeque;
use std::sync::Arc;

use alloy::primitives::Address;
use tokio_util::task::AbortOnDropHandle;

use super::error::Error;
use super::read::{self, Batch};
use crate::chain::{self, Providers, RangeRead};
use crate::ids::BlockRef;

/// Bytes of answers that are under way or wait for their turn at most. A row takes about 700 bytes on the wire and half of that
/// in memory, so this much, a commit and its copy stay well below the 80 MB that the program may take.
const UNDER_WAY: u64 = 8 << 20;
/// Bytes that one range is meant to bring: with as many as are under way, enough to hide 30 ms of latency at 100,000 rows a second.
const PER_RANGE: u64 = 3 << 19;
/// Ranges under way at most: what browsers, and so the services in front of nodes, take for a polite number of connections.
const RANGES: usize = 6;
/// Rows of a commit after which no further range is added to it: more of them make COPY no faster, and take memory.
const ROWS: usize = 10_000;

/// Ranges of one stretch of history, in order and without gaps.
#[derive(Debug)]
pub(super) struct History {
    providers: Providers,
    addresses: Arc<[Address]>,
    /// The first block that no range asks for yet.
    next: u64,
    target: BlockRef,
    ranges: VecDeque<Range>,
    /// Bytes per block, as the newest answers had them; `None` before the first.
    density: Option<u64>,
}

/// A range that is asked for.
#[derive(Debug)]
struct Range {
    from: u64,
    to: u64,
    bytes: u64,
    read: Read,
}

#[derive(Debug)]
enum Read {
    /// To be asked for again.
    Not,
    UnderWay(AbortOnDropHandle<Result<Vec<RangeRead>, chain::Error>>),
    Done(Result<Vec<RangeRead>, chain::Error>),
}

impl History {
    /// Begins after `recorded`, up to `target`, which can never be another block.
    pub(super) fn new(
        providers: Providers,
        addresses: &[Address],
        recorded: BlockRef,
        target: BlockRef,
    ) -> Self {
        Self {
            providers,
            addresses: addresses.into(),
            next: recorded.number + 1,
            target,
            ranges: VecDeque::new(),
            density: None,
        }
    }

    /// Goes on up to a later block.
    pub(super) fn extend(&mut self, target: BlockRef) {
        if target.number > self.target.number {
            self.target = target;
        }
    }

    /// Whether the next batch begins right after `recorded`.
    pub(super) fn continues(&self, recorded: BlockRef) -> bool {
        let first = self.ranges.front().map_or(self.next, |range| range.from);
        first == recorded.number + 1 && recorded.number < self.target.number
    }

    /// The next rows to be recorded. Waits for the first range under way, and takes along what else has come. Safe to drop.
    ///
    /// `Ok(None)` when the ranges do not follow each other or `recorded`: the chain moved.
    ///
    /// # Errors
    /// [`Error`]; the range that failed is asked for again by the next call.
    pub(super) async fn next(&mut self, recorded: BlockRef) -> Result<Option<Batch>, Error> {
        self.ask();
        let mut batch = Batch::history(recorded);
        let mut is_first = true;
        while batch.logs.len() < ROWS
            && let Some(range) = self.ranges.front_mut()
        {
            if !is_first && !range.has_come() {
                break;
            }
            range.wait().await;
            match range.read {
                Read::Done(Ok(_)) => {}
                Read::Done(Err(_)) if is_first => {}
                Read::Done(Err(_)) | Read::Not | Read::UnderWay(_) => break,
            }
            for piece in self.take_first()? {
                let is_target = piece.last.at.number == self.target.number;
                if piece.before.at != batch.to || is_target && piece.last.at != self.target {
                    return Ok(None);
                }
                read::add(&mut batch, piece);
            }
            is_first = false;
        }
        // The next ranges are under way while these rows are recorded.
        self.ask();
        Ok((batch.to != recorded).then_some(batch))
    }

    /// Takes what the first range brought. A range cut short leaves the rest of itself in its place.
    fn take_first(&mut self) -> Result<Vec<RangeRead>, chain::Error> {
        let Some(mut range) = self.ranges.pop_front() else {
            return Ok(Vec::new());
        };
        let pieces = match std::mem::replace(&mut range.read, Read::Not) {
            Read::Done(Ok(pieces)) => pieces,
            Read::Done(Err(error)) => {
                self.ranges.push_front(range);
                return Err(error);
            }
            Read::Not | Read::UnderWay(_) => {
                self.ranges.push_front(range);
                return Ok(Vec::new());
            }
        };
        let bytes: usize = pieces.iter().map(|piece| piece.bytes).sum();
        if let Some(last) = pieces.last() {
            let reached = last.last.at.number;
            let blocks = (reached + 1).saturating_sub(range.from).max(1);
            self.density = Some(denser(
                self.density,
                u64::try_from(bytes).unwrap_or(u64::MAX) / blocks,
            ));
            if reached < range.to {
                range.from = reached + 1;
                self.ranges.push_front(range);
            }
        }
        Ok(pieces)
    }

    /// Asks for as many ranges as may be under way; for one as long as nothing is known of their size.
    fn ask(&mut self) {
        for range in &mut self.ranges {
            if matches!(range.read, Read::Not) {
                range.read = ask(&self.providers, &self.addresses, range.from, range.to);
            }
        }
        let most = if self.density.is_some() { RANGES } else { 1 };
        while self.next <= self.target.number && self.ranges.len() < most {
            let under_way: u64 = self.ranges.iter().map(|range| range.bytes).sum();
            let width = width(self.density, self.providers.range_limit());
            let bytes = width.saturating_mul(self.density.unwrap_or(0));
            if !self.ranges.is_empty() && under_way + bytes > UNDER_WAY {
                break;
            }
            let (from, to) = (self.next, self.target.number.min(self.next + width - 1));
            self.ranges.push_back(Range {
                from,
                to,
                bytes,
                read: ask(&self.providers, &self.addresses, from, to),
            });
            self.next = to + 1;
        }
    }
}

impl Range {
    fn has_come(&self) -> bool {
        match &self.read {
            Read::Not => false,
            Read::UnderWay(task) => task.is_finished(),
            Read::Done(_) => true,
        }
    }

    async fn wait(&mut self) {
        if let Read::UnderWay(task) = &mut self.read {
            self.read = match task.await {
                Ok(read) => Read::Done(read),
                // Only a panic or the end of the program ends a task before its end.
                Err(_) => Read::Not,
            };
        }
    }
}

/// Reads a range piece by piece, and no further than about the bytes it is meant to bring.
fn ask(providers: &Providers, addresses: &Arc<[Address]>, from: u64, to: u64) -> Read {
    let (providers, addresses) = (providers.clone(), Arc::clone(addresses));
    let reading = async move {
        let (mut pieces, mut next, mut bytes) = (Vec::new(), from, 0_u64);
        while next <= to && bytes < PER_RANGE {
            let piece = match providers.logs_in_range(&addresses, next, to).await {
                Ok(piece) => piece,
                // What has come is not thrown away; the rest is asked for again.
                Err(_) if !pieces.is_empty() => break,
                Err(error) => return Err(error),
            };
            next = piece.last.at.number + 1;
            bytes += u64::try_from(piece.bytes).unwrap_or(u64::MAX);
            pieces.push(piece);
        }
        Ok(pieces)
    };
    Read::UnderWay(AbortOnDropHandle::new(tokio::spawn(reading)))
}

/// Blocks of a range, by what a block is expected to bring and what a provider takes; at least 1.
fn width(density: Option<u64>, limit: u64) -> u64 {
    density
        .map_or(limit, |density| limit.min(PER_RANGE / density.max(1)))
        .max(1)
}

/// Follows a density that rises at once, since it is memory that is at stake, and one that falls slowly.
fn denser(before: Option<u64>, now: u64) -> u64 {
    before.map_or(now, |before| {
        now.max(before - before.saturating_sub(now) / 4)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_range_never_expects_more_than_its_bytes_nor_more_blocks_than_are_given(
            density in proptest::option::of(0_u64..100 << 20), limit in 1_u64..1_000_000
        ) {
            let width = width(density, limit);
            prop_assert!(width >= 1 && width <= limit);
            prop_assert!(width == 1 || width.saturating_mul(density.unwrap_or(0)) <= PER_RANGE);
        }

        #[test]
        fn density_is_never_below_the_newest_and_comes_down_to_it(before in 0_u64..1 << 30, now in 0_u64..1 << 30) {
            let mut density = before;
            for _ in 0..200 {
                density = denser(Some(density), now);
                prop_assert!(density >= now);
            }
            prop_assert!(density <= now + 3, "{density} after {now}");
        }
    }
}
