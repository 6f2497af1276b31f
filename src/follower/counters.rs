//! Comparing the contracts' own counters with the recorded events, and finding where they part.

use super::error::Error;
use super::verifier::Verifier;
use crate::ids::BlockRef;
use crate::keeper;
use crate::keeper::counters::{Counted, Counter};
use crate::ledger::counter_checks::{self, Agreed, CounterCheck};
use crate::ledger::repairs::FoundBy;
use crate::ledger::verification::Standing;
use crate::worker::Progress;

/// Blocks after which verified history is checked once more. Three calls per thousand blocks.
const EVERY: u64 = 1_000;
/// Widest place of a hole whose every block is proven by receipts. A wider one is searched by reading it with every provider.
const SEARCHED: u64 = 256;
/// Blocks of such a reading.
const WIDTH: u64 = 1_000;

/// A counter with everything that it is compared with.
struct Comparison {
    counter: Counter,
    counted: Counted,
    at: BlockRef,
    since: Since,
}

impl Verifier {
    /// Compares every counter at a block that may never roll back, and mends what is missing. `Idle` when all agree; not checked at
    /// all while `is_verified` and not long ago. `More` when something was mended: look again.
    pub(super) async fn check_counters(
        &mut self,
        keeper: &keeper::Deployment,
        standing: &Standing,
        at: BlockRef,
        is_verified: bool,
    ) -> Result<Progress, Error> {
        for counter in Counter::ALL {
            let Some(counted) = counter.counted(keeper) else {
                continue;
            };
            let Some(since) = self.since(keeper, counter, at).await? else {
                continue;
            };
            // What only counts firsts is counted anew as a whole, so not for every few blocks.
            let is_near = at.number.saturating_sub(since.agreed.number) < EVERY;
            if is_near && since.is_checked && (is_verified || counted.firsts_only) {
                continue;
            }
            // What was registered before the start may be registered again, which is an event and no new asset.
            if counted.firsts_only && since.agreed.before_start > 0 {
                continue;
            }
            let comparison = Comparison {
                counter,
                counted: self.refined(keeper, counter, counted, at).await?,
                at,
                since,
            };
            if self.compare(keeper, standing, &comparison).await? == Progress::More {
                return Ok(Progress::More);
            }
        }
        Ok(Progress::Idle)
    }

    /// The last check that agreed, else what was counted before the first followed block; `None` while there is no block after that up to
    /// `at`.
    async fn since(
        &self,
        keeper: &keeper::Deployment,
        counter: Counter,
        at: BlockRef,
    ) -> Result<Option<Since>, Error> {
        let mut connection = self.ledger.acquire().await?;
        let below = at.number.saturating_add(1);
        let id = self.deployment;
        let agreed =
            counter_checks::find_agreed(&mut connection, id, counter.as_str(), below).await?;
        drop(connection);
        if let Some(agreed) = agreed {
            let since = Since {
                agreed,
                is_checked: true,
                is_assumed: false,
            };
            return Ok((agreed.number < at.number).then_some(since));
        }
        let number = self.following.first_block().saturating_sub(1);
        if number >= at.number {
            return Ok(None);
        }
        let (before_start, is_assumed) = match self.count(keeper, counter, number).await {
            Ok(counted) => (counted, false),
            // Nodes that answer, and have no state of that time any more, cannot say: none, as far as anybody knows.
            Err(_) if self.anybody_answers(number).await => (0, true),
            Err(error) => return Err(error),
        };
        let agreed = Agreed {
            number,
            before_start,
            recorded: 0,
        };
        Ok(Some(Since {
            agreed,
            is_checked: false,
            is_assumed,
        }))
    }

    async fn anybody_answers(&self, number: u64) -> bool {
        for provider in &self.providers {
            if provider.header_at(number).await.is_ok() {
                return true;
            }
        }
        false
    }

    /// On a chain that was upgraded while it was followed, the older contracts' agreements made no event of the store.
    async fn refined(
        &self,
        keeper: &keeper::Deployment,
        counter: Counter,
        counted: Counted,
        at: BlockRef,
    ) -> Result<Counted, Error> {
        let Some(upgraded) = counter.began_with(keeper) else {
            return Ok(counted);
        };
        let mut connection = self.ledger.acquire().await?;
        let range = (0, at.number);
        let upgrades =
            counter_checks::count_events(&mut connection, self.deployment, upgraded, range).await?;
        Ok(Counted {
            at_least: counted.at_least || upgrades > 0,
            ..counted
        })
    }

    async fn compare(
        &self,
        keeper: &keeper::Deployment,
        standing: &Standing,
        comparison: &Comparison,
    ) -> Result<Progress, Error> {
        let (counter, at) = (comparison.counter, comparison.at);
        let counted = self.count(keeper, counter, at.number).await?;
        let recorded = self.recorded_events(comparison, at.number).await?;
        let agrees = comparison.agrees(counted, recorded);
        let check = CounterCheck {
            counter: counter.as_str(),
            at,
            counted,
            before_start: comparison.since.agreed.before_start,
            recorded,
            at_least: comparison.counted.at_least,
            agrees,
        };
        let mut connection = self.ledger.acquire().await?;
        counter_checks::record(&mut connection, self.deployment, &check).await?;
        drop(connection);
        if agrees {
            return Ok(Progress::Idle);
        }
        let (low, high) = self.locate(keeper, comparison).await?;
        // Whoever left that out may have left out what nobody counts as well: all of it is proven block by block.
        let doubted = (comparison.since.agreed.number + 1, at.number);
        if self.search(standing, (low + 1, high), doubted).await? == Progress::More {
            return Ok(Progress::More);
        }
        Err(Error::Uncounted {
            counter: counter.as_str(),
            counted,
            recorded: comparison.since.agreed.before_start + recorded,
            at: at.number,
            from: low + 1,
            to: high,
            unknown_at: comparison
                .since
                .is_assumed
                .then_some(comparison.since.agreed.number),
        })
    }

    /// The counter's value after a block; where there is no contract yet it is nothing.
    async fn count(
        &self,
        keeper: &keeper::Deployment,
        counter: Counter,
        at: u64,
    ) -> Result<u64, Error> {
        let mut failure = None;
        for provider in &self.providers {
            match counter.ask(provider, keeper, at).await {
                Ok(answer) => return Ok(answer.unwrap_or(0)),
                Err(error) => _ = failure.get_or_insert(error),
            }
        }
        Err(failure.map_or(Error::NoProvider, Error::from))
    }

    async fn recorded_events(&self, comparison: &Comparison, up_to: u64) -> Result<u64, Error> {
        let mut connection = self.ledger.acquire().await?;
        let Counted {
            address, signature, ..
        } = comparison.counted;
        let (id, events, since) = (
            self.deployment,
            (address, signature),
            comparison.since.agreed,
        );
        if comparison.counted.firsts_only {
            return Ok(counter_checks::count_named(&mut connection, id, events, up_to).await?);
        }
        let range = (since.number, up_to);
        let more = counter_checks::count_events(&mut connection, id, events, range).await?;
        Ok(since.recorded + more)
    }

    /// Halves the way between a block where counter and events agree and one where they do not, as far down as providers have
    /// the state: the hole lies above the first and not above the second block that is answered.
    async fn locate(
        &self,
        keeper: &keeper::Deployment,
        comparison: &Comparison,
    ) -> Result<(u64, u64), Error> {
        let (mut low, mut high) = (comparison.since.agreed.number, comparison.at.number);
        let mut unseen = low;
        while high - unseen > 1 {
            let middle = unseen + (high - unseen) / 2;
            match self.count(keeper, comparison.counter, middle).await {
                Ok(counted) => {
                    let recorded = self.recorded_events(comparison, middle).await?;
                    if comparison.agrees(counted, recorded) {
                        low = middle;
                        unseen = middle;
                    } else {
                        high = middle;
                    }
                }
                Err(Error::Ledger(error)) => return Err(error.into()),
                Err(_) => unseen = middle,
            }
        }
        Ok((low, high))
    }

    /// Looks for wrong rows in a range that holds some, and mends them. `Idle` when no provider shows any.
    async fn search(
        &self,
        standing: &Standing,
        (from, to): (u64, u64),
        doubted: (u64, u64),
    ) -> Result<Progress, Error> {
        let found = (FoundBy::Counters, Some(doubted));
        if to - from < SEARCHED {
            let recorded = self.recorded((from, to)).await?;
            let wrong = self.find_wrong(from..=to, &recorded, None).await?.wrong;
            if wrong.is_empty() {
                return Ok(Progress::Idle);
            }
            self.mend_doubting(standing, &wrong, found).await?;
            return Ok(Progress::More);
        }
        let mut first = from;
        while first <= to {
            let last = to.min(first + WIDTH - 1);
            let wrong = self.find_wrong_in((first, last)).await?;
            if !wrong.is_empty() {
                self.mend_doubting(standing, &wrong, found).await?;
                return Ok(Progress::More);
            }
            first = last + 1;
        }
        Ok(Progress::Idle)
    }
}

/// Where a comparison begins.
struct Since {
    agreed: Agreed,
    is_checked: bool,
    /// Whether nobody could say what the contract counted there.
    is_assumed: bool,
}

impl Comparison {
    const fn agrees(&self, counted: u64, recorded: u64) -> bool {
        let expected = self.since.agreed.before_start + recorded;
        counted == expected || (self.counted.at_least && counted > expected)
    }
}
