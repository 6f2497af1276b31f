//! When a provider may be asked next: bounded calls per second under any refusal. Pure; the time is handed in.

use std::time::Duration;

use tokio::time::Instant;

use super::refusal::Refusal;

/// Refusals in a row that cost no wait: enough to halve the widest range down to one block.
const FREE: u32 = 20;
/// Refusals in the long run, whatever is answered between them: one in this time, once [`FREE`] have come faster.
const PER_REFUSAL: Duration = Duration::from_millis(250);
/// First wait after more refusals than that, or after a failed connection; doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// Longest wait that is decided here: how late it may be noticed that a node is back.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// Longest wait that a provider may ask for with Retry-After: a day's quota that is used up is looked at again all the same.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(600);
/// First distance between two questions after a rate limit: 20 a second, what the smallest hosted plans allow.
const FIRST_INTERVAL: Duration = Duration::from_millis(50);
/// Longest distance that is learned.
const LONGEST_INTERVAL: Duration = Duration::from_secs(5);
/// A distance below which there is none.
const NO_INTERVAL: Duration = Duration::from_millis(4);
/// Answers in a row after which the distance shrinks by a tenth.
const GRACE: u32 = 20;

/// The pace of one provider.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    not_before: Instant,
    interval: Duration,
    /// Refusals of any kind since the last answer.
    refusals: u32,
    /// When all refusals so far are paid for, at one in [`PER_REFUSAL`]: answers between them pay for none, or who is answered
    /// about the tip and refused about logs would ask for logs without end.
    paid: Instant,
    /// Rate limits since the last answer.
    limited: u32,
    answers: u32,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            not_before: now,
            interval: Duration::ZERO,
            refusals: 0,
            paid: now,
            limited: 0,
            answers: 0,
        }
    }

    /// How long the provider must be left alone.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        self.not_before.saturating_duration_since(now)
    }

    /// Takes the next slot and answers how long it is away: questions that are asked side by side take one each.
    pub(super) fn take(&mut self, now: Instant) -> Duration {
        let slot = self.not_before.max(now);
        if !self.interval.is_zero() {
            self.not_before = slot + self.interval;
        }
        slot - now
    }

    /// The provider answered.
    pub(super) fn answered(&mut self) {
        self.refusals = 0;
        self.limited = 0;
        self.answers += 1;
        if self.answers.is_multiple_of(GRACE) {
            self.interval = self.interval * 9 / 10;
            if self.interval < NO_INTERVAL {
                self.interval = Duration::ZERO;
            }
        }
    }

    /// The provider refused.
    pub(super) fn refused(&mut self, refusal: Refusal, now: Instant) {
        if refusal.is_an_answer() || refusal == Refusal::Resting {
            return;
        }
        self.answers = 0;
        self.refusals = self.refusals.saturating_add(1);
        let wait = match refusal {
            Refusal::RateLimited(asked) => {
                self.limited = self.limited.saturating_add(1);
                self.interval = (self.interval * 2).clamp(FIRST_INTERVAL, LONGEST_INTERVAL);
                match asked {
                    Some(asked) => asked.clamp(FIRST_WAIT, LONGEST_RETRY_AFTER),
                    None => doubled(2 * FIRST_WAIT, self.limited - 1),
                }
            }
            // It may be a rate limit as well.
            Refusal::Ambiguous => doubled(FIRST_WAIT, (self.refusals - 1).min(4)),
            Refusal::Unreachable | Refusal::NotJson | Refusal::Foreign => {
                doubled(FIRST_WAIT, self.refusals - 1)
            }
            _ if self.refusals > FREE => doubled(FIRST_WAIT, self.refusals - FREE - 1),
            _ => Duration::ZERO,
        };
        self.paid = self.paid.max(now) + PER_REFUSAL;
        let owed = (self.paid - now).saturating_sub(PER_REFUSAL * FREE);
        self.not_before = self.not_before.max(now + wait.max(owed));
    }
}

fn doubled(first: Duration, times: u32) -> Duration {
    first
        .saturating_mul(2_u32.saturating_pow(times))
        .min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: [Refusal; 12] = [
        Refusal::RateLimited(None),
        Refusal::RateLimited(Some(Duration::ZERO)),
        Refusal::RangeTooWide(None),
        Refusal::TooManyLogs(None),
        Refusal::BatchTooLarge(None),
        Refusal::TooLarge,
        Refusal::Cut,
        Refusal::NotJson,
        Refusal::TimedOut,
        Refusal::Ambiguous,
        Refusal::Unknown,
        Refusal::Unreachable,
    ];

    /// Calls in a minute to a provider that refuses at once, whatever it is asked, by somebody who asks whenever it may.
    fn calls_in_a_minute(refusal: Refusal) -> u32 {
        let begin = Instant::now();
        let (mut pace, mut now, mut calls) = (Pace::new(begin), begin, 0);
        while now - begin < Duration::from_secs(60) && calls < 10_000 {
            now += pace.take(now);
            calls += 1;
            pace.refused(refusal, now);
        }
        calls
    }

    #[tokio::test]
    async fn calls_are_bounded_under_any_refusal() {
        for refusal in EVERY {
            let calls = calls_in_a_minute(refusal);
            // Asked to wait for nothing, four a second; else the free ones and the doubling waits.
            let bound = if refusal == Refusal::RateLimited(Some(Duration::ZERO)) {
                241
            } else {
                32
            };
            assert!(calls <= bound, "{calls} calls a minute under {refusal:?}");
        }
    }

    #[tokio::test]
    async fn retry_after_is_obeyed() {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        pace.refused(Refusal::RateLimited(Some(Duration::from_secs(7))), now);
        assert_eq!(pace.wait(now), Duration::from_secs(7));
        pace.refused(Refusal::RateLimited(None), now);
        assert_eq!(pace.wait(now), Duration::from_secs(7));
    }

    #[tokio::test]
    async fn a_rate_is_learned_and_forgotten() {
        let mut now = Instant::now();
        let mut pace = Pace::new(now);
        pace.refused(Refusal::RateLimited(None), now);
        now += pace.wait(now);
        assert_eq!(pace.take(now), Duration::ZERO);
        assert_eq!(pace.take(now), FIRST_INTERVAL);
        for _ in 0..1_000 {
            pace.answered();
        }
        now += Duration::from_secs(1);
        pace.take(now);
        assert_eq!(pace.take(now), Duration::ZERO);
    }

    #[tokio::test]
    async fn a_question_about_blocks_that_are_not_there_is_no_reason_to_wait() {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        for _ in 0..1_000 {
            pace.refused(Refusal::Lagging, now);
        }
        assert_eq!(pace.wait(now), Duration::ZERO);
    }
}
