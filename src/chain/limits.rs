//! How much a provider gives at once, learned from what it gave and refused.

use super::refusal::Refusal;

/// Width of the first range, in blocks: most providers take it, and a development chain is read at once.
const FIRST_WIDTH: u64 = 1_000;
/// Widest range. Providers refuse more than 2,000 to 10,000 blocks, or serve any number; wider ones gain nothing.
const WIDEST: u64 = 100_000;
/// Calls in one batch at first: hosted providers cap batches at a hundred or more.
const FIRST_BATCH: u64 = 100;
/// Full answers after which a learned limit is tried again at first: what was refused may have been one dense or damaged block.
const FIRST_PATIENCE: u32 = 8;
/// The same after the limit held, time after time: limits change, and one refusal in so many answers is cheap.
const LONGEST_PATIENCE: u32 = 256;

/// Learned limits of one provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// Blocks asked for at once.
    width: u64,
    /// A width that was refused.
    refused: Option<u64>,
    batch: u64,
    /// Full answers since the last refusal, or since a limit was tried again.
    answered: u32,
    /// Full answers after which a limit is tried again; doubles when it holds.
    patience: u32,
    /// While a limit is being tried again: the width that was taken before.
    before: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            width: FIRST_WIDTH,
            refused: None,
            batch: FIRST_BATCH,
            answered: 0,
            patience: FIRST_PATIENCE,
            before: None,
        }
    }
}

impl Limits {
    /// Blocks that may be asked for at once; at least 1.
    pub(super) fn width(&self) -> u64 {
        self.width
    }

    /// Calls that may be sent at once; at least 1.
    pub(super) fn batch(&self) -> usize {
        usize::try_from(self.batch).unwrap_or(usize::MAX)
    }

    /// A range of so many blocks was answered. Narrower ones than allowed teach nothing.
    pub(super) fn answered(&mut self, asked: u64) {
        if asked < self.width {
            return;
        }
        self.answered = self.answered.saturating_add(1);
        if self.before.take().is_some() {
            self.patience = FIRST_PATIENCE;
        }
        self.width = match self.refused {
            Some(refused) if self.answered >= self.patience => {
                self.refused = None;
                self.before = Some(self.width);
                self.answered = 0;
                refused.max(self.width + 1)
            }
            // Halfway to what was refused, until the two are within an eighth of each other.
            Some(refused) if refused.saturating_sub(self.width) > self.width / 8 + 1 => {
                self.width + (refused - self.width) / 2
            }
            Some(_) => self.width,
            None => self.width.saturating_mul(2),
        }
        .clamp(1, WIDEST);
    }

    /// A range of so many blocks was refused. Nothing is learned from a refusal that a narrower range would meet as well.
    pub(super) fn refused(&mut self, asked: u64, refusal: Refusal) {
        let half = (asked / 2).max(1);
        let (width, ceiling) = match refusal {
            // One that counts both ends calls a range of its own limit too wide.
            Refusal::RangeTooWide(Some(limit)) if limit == asked => (asked - 1, Some(asked)),
            Refusal::RangeTooWide(Some(limit)) if limit < asked => (limit, Some(limit + 1)),
            Refusal::RangeTooWide(_) | Refusal::Ambiguous | Refusal::Unknown => (half, Some(asked)),
            // Not about blocks: where logs are fewer, more blocks will do again.
            Refusal::TooManyLogs(Some(blocks)) if blocks < asked => (blocks, Some(asked)),
            Refusal::TooManyLogs(_) | Refusal::TooLarge | Refusal::Cut | Refusal::TimedOut => {
                (half, Some(asked))
            }
            Refusal::BatchTooLarge(limit) => {
                self.batch = limit
                    .filter(|limit| *limit < self.batch)
                    .unwrap_or(self.batch / 2)
                    .max(1);
                return;
            }
            Refusal::RateLimited(_)
            | Refusal::NotJson
            | Refusal::Unreachable
            | Refusal::Lagging
            | Refusal::Unsupported
            | Refusal::Reverted
            | Refusal::Nonsense
            | Refusal::Resting
            | Refusal::Foreign => return,
        };
        self.answered = 0;
        self.refused = ceiling;
        // A limit that was tried again and holds: what was taken before is taken still, as far as is known.
        if let Some(before) = self.before.take().filter(|before| *before < asked) {
            self.patience = (self.patience * 2).min(LONGEST_PATIENCE);
            self.width = before.max(width);
            return;
        }
        self.width = self.width.min(width).max(1);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Asks a provider that takes `limit` blocks until so many ranges were answered; answers the width of the last of them and how
    /// often it was refused.
    fn settle(
        limits: &mut Limits,
        limit: u64,
        says: fn(u64) -> Refusal,
        rounds: u32,
    ) -> (u64, u32) {
        let (mut last, mut answers, mut refusals) = (0, 0, 0);
        while answers < rounds {
            let asked = limits.width();
            if asked <= limit {
                limits.answered(asked);
                last = asked;
                answers += 1;
            } else {
                limits.refused(asked, says(limit));
                refusals += 1;
            }
        }
        (last, refusals)
    }

    #[test]
    fn a_limit_that_is_named_is_met_at_once_and_one_that_counts_both_ends_at_the_second_try() {
        let named = |limit| Refusal::RangeTooWide(Some(limit));
        // 1,000 first; the double is refused once when it is tried, and the limit taken.
        assert_eq!(settle(&mut Limits::default(), 1_500, named, 2), (1_500, 1));
        let both_ends = |limit| Refusal::RangeTooWide(Some(limit + 1));
        assert_eq!(
            settle(&mut Limits::default(), 1_499, both_ends, 2),
            (1_499, 2)
        );
    }

    #[test]
    fn a_batch_limit_is_learned() {
        let mut limits = Limits::default();
        limits.refused(10, Refusal::BatchTooLarge(Some(20)));
        assert_eq!((limits.batch(), limits.width()), (20, FIRST_WIDTH));
        limits.refused(10, Refusal::BatchTooLarge(None));
        assert_eq!(limits.batch(), 10);
    }

    proptest! {
        // A failure is told with its smallest case; a file beside the sources would tell it twice.
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn an_unnamed_limit_is_found_to_an_eighth_with_few_refusals(limit in 1_u64..WIDEST) {
            let mut limits = Limits::default();
            let (width, refusals) = settle(&mut limits, limit, |_| Refusal::Unknown, 100);
            prop_assert!(width <= limit && width >= limit - limit / 8 - 1, "{width} of {limit}");
            prop_assert!(refusals <= 24, "{refusals} refusals");
        }

        #[test]
        fn a_limit_that_changes_is_learned_anew(before in 1_u64..WIDEST, after in 1_u64..WIDEST) {
            let mut limits = Limits::default();
            settle(&mut limits, before, |_| Refusal::Ambiguous, 100);
            let (width, refusals) = settle(&mut limits, after, |_| Refusal::Ambiguous, 4_000);
            prop_assert!(width <= after, "{width} of {after}");
            prop_assert!(width >= after - after / 4 - 1, "{width} of {after}");
            prop_assert!(refusals <= 120, "{refusals} refusals");
        }
    }
}
