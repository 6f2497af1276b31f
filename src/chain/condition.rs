//! What is known of a provider from how it answered: health, latency, learned limits and abilities.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::limits::Limits;
use super::pace::Pace;
use super::refusal::Refusal;
use super::seal::Abilities;
use crate::ids::BlockRef;

/// Weight of the newest answer in the mean latency: about the last eight answers count.
const NEWEST: f64 = 0.125;
/// Failures in a row after which a provider is sick: one is chance.
const SICK_AFTER: u32 = 3;
/// How long a provider that lags, or is on another chain, is passed over at first when there is another; doubles each time.
const SHUNNED: Duration = Duration::from_secs(30);
/// Doublings at most: sixteen minutes.
const LONGEST_SHUNNED: u32 = 5;

/// What is known of one provider.
#[derive(Debug)]
pub(super) struct Condition {
    pub(super) pace: Pace,
    pub(super) limits: Limits,
    pub(super) abilities: Abilities,
    /// Seconds from question to answer, a moving mean; `None` before the first answer.
    latency: Option<f64>,
    pub(super) in_flight: u32,
    failures: u32,
    shunned_until: Option<Instant>,
    shunned: u32,
    /// Grows with every failure of the connection: what was compared before it must be compared again.
    pub(super) connection: u64,
    /// The connection for which the chain was compared.
    pub(super) compared: Option<u64>,
    pub(super) head: Option<BlockRef>,
    pub(super) calls: u64,
    pub(super) refusals: BTreeMap<&'static str, u64>,
}

impl Condition {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            pace: Pace::new(now),
            limits: Limits::default(),
            abilities: Abilities::default(),
            latency: None,
            in_flight: 0,
            failures: 0,
            shunned_until: None,
            shunned: 0,
            connection: 0,
            compared: None,
            head: None,
            calls: 0,
            refusals: BTreeMap::new(),
        }
    }

    pub(super) fn answered(&mut self, took: Duration) {
        self.failures = 0;
        let seconds = took.as_secs_f64();
        self.latency = Some(
            self.latency
                .map_or(seconds, |mean| mean + NEWEST * (seconds - mean)),
        );
        self.pace.answered();
    }

    /// An answer was not waited for any longer.
    pub(super) fn given_up(&mut self, after: Duration) {
        let seconds = after.as_secs_f64();
        self.latency = Some(self.latency.map_or(seconds, |mean| mean.max(seconds)));
    }

    pub(super) fn refused(&mut self, refusal: Refusal, now: Instant) {
        *self.refusals.entry(refusal.as_str()).or_default() += 1;
        self.pace.refused(refusal, now);
        match refusal {
            Refusal::Unreachable | Refusal::NotJson | Refusal::Cut | Refusal::Foreign => {
                self.failures = self.failures.saturating_add(1);
                // Whoever answers next may be another node.
                self.connection += 1;
            }
            Refusal::TimedOut | Refusal::Nonsense => {
                self.failures = self.failures.saturating_add(1);
            }
            Refusal::RateLimited(_)
            | Refusal::RangeTooWide(_)
            | Refusal::TooManyLogs(_)
            | Refusal::BatchTooLarge(_)
            | Refusal::TooLarge
            | Refusal::Ambiguous
            | Refusal::Unknown
            | Refusal::Lagging
            | Refusal::Unsupported
            | Refusal::Reverted
            | Refusal::Resting => {}
        }
    }

    /// Passes over the provider for a while: its answers are well formed, and of no use.
    pub(super) fn shun(&mut self, now: Instant) {
        self.shunned_until = Some(now + SHUNNED * 2_u32.pow(self.shunned.min(LONGEST_SHUNNED)));
        self.shunned = self.shunned.saturating_add(1);
    }

    /// Its answers are of use again.
    pub(super) fn welcome(&mut self) {
        self.shunned_until = None;
        self.shunned = 0;
    }

    pub(super) fn is_sick(&self, now: Instant) -> bool {
        self.failures >= SICK_AFTER || self.shunned_until.is_some_and(|until| until > now)
    }

    pub(super) fn mean_latency(&self) -> Option<Duration> {
        self.latency.map(Duration::from_secs_f64)
    }

    /// Smaller is better: the sick last, then the wait that is due and the time that an answer takes beside those under way. One
    /// that has never answered comes first, to be known.
    pub(super) fn rank(&self, now: Instant) -> (bool, Duration) {
        let latency = self.mean_latency().unwrap_or_default();
        let wait = self.pace.wait(now);
        (self.is_sick(now), wait + latency * (1 + self.in_flight))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_sick_come_last_and_come_back() {
        let now = Instant::now();
        let (mut quick, mut slow) = (Condition::new(now), Condition::new(now));
        quick.answered(Duration::from_millis(1));
        slow.answered(Duration::from_millis(100));
        assert!(quick.rank(now) < slow.rank(now));
        for _ in 0..SICK_AFTER {
            quick.refused(Refusal::Unreachable, now);
        }
        assert!(quick.rank(now) > slow.rank(now));
        quick.answered(Duration::from_millis(1));
        let later = now + Duration::from_secs(60);
        assert!(quick.rank(later) < slow.rank(later));
        quick.shun(later);
        assert!(quick.rank(later) > slow.rank(later));
        assert!(quick.rank(later + SHUNNED) < slow.rank(later + SHUNNED));
        assert_eq!(quick.connection, u64::from(SICK_AFTER));
    }
}
