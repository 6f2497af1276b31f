//! The supervised loop that every worker runs in.
//!
//! A worker is a function `tick`, called again and again. It takes no input but what it reads from its ports, so the
//! path after a crash, on a second replica, or after a lost notification is the only path there is. A tick ends with
//! [`Progress`]: `More` calls it again at once, `Idle` waits for a wake-up or the worker's interval. A transient error
//! waits with growing delay; a fatal one ends the worker, and with it the process. Each error is logged once, here, however often it
//! comes again in a row.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::fault::Fault;
use crate::meters::{self, Tick};

/// What a tick says of the work that is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing to do now.
    Idle,
    /// Something was done and there may be more: tick again at once.
    More,
}

/// A worker's error, as the loop sees it.
pub trait TickError: std::error::Error + Send + Sync + 'static {
    /// What the loop does about it. `Rejected` is treated as transient here: a worker parks rejected items itself.
    fn fault(&self) -> Fault;
}

/// Something that is done in ticks.
pub trait Worker: Send + 'static {
    /// The worker's error.
    type Error: TickError;

    /// Name in logs and metrics, lower case.
    const NAME: &'static str;

    /// Does a bounded piece of work. Must be safe to drop at any await: whatever it had begun is healed by a later tick.
    fn tick(&mut self) -> impl Future<Output = Result<Progress, Self::Error>> + Send;
}

/// A hint that there may be work: many wakers, one waiter, no queue. A lost hint costs latency, never work.
#[derive(Clone, Debug, Default)]
pub struct Wake(Arc<Notify>);

impl Wake {
    /// Wakes the waiter, or lets its next wait end at once.
    pub fn wake(&self) {
        self.0.notify_one();
    }

    /// Waits for a hint.
    pub async fn woken(&self) {
        self.0.notified().await;
    }
}

/// How often a worker looks without being woken, and how it backs off.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Wait after an idle tick.
    pub interval: Duration,
    /// First wait after a transient error; doubles with each further one.
    pub first_retry: Duration,
    /// Longest wait after a transient error.
    pub longest_retry: Duration,
}

impl Pace {
    /// An interval with the usual back-off: 0.2 s doubling to 10 s.
    pub const fn every(interval: Duration) -> Self {
        Self {
            interval,
            first_retry: Duration::from_millis(200),
            longest_retry: Duration::from_secs(10),
        }
    }

    /// The waits before the tries after a row of failures: doubling up to the longest, each prolonged at random by up to as much
    /// again, so that replicas that failed together do not come back together.
    fn retries(&self) -> ExponentialBackoff {
        ExponentialBuilder::new()
            .with_min_delay(self.first_retry)
            .with_max_delay(self.longest_retry)
            .without_max_times()
            .with_jitter()
            .build()
    }
}

/// A worker that ended with a fatal error.
#[derive(Debug, thiserror::Error)]
#[error("worker {worker} cannot go on")]
pub struct Ended {
    worker: &'static str,
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// Runs `worker` until `stop` is cancelled (`Ok`) or a tick fails fatally.
///
/// A tick that is under way when `stop` is cancelled is finished first; whoever cannot wait that long drops the future.
///
/// # Errors
/// [`Ended`] with the fatal error as its source. It is not logged here: it is handled by whoever started the worker.
pub async fn run<W: Worker>(
    mut worker: W,
    pace: Pace,
    wake: Wake,
    stop: CancellationToken,
) -> Result<(), Ended> {
    let (mut failures, mut retries, mut told) = (0, pace.retries(), String::new());
    meters::expect_worker(W::NAME);
    while !stop.is_cancelled() {
        let began = Instant::now();
        let ticked = worker.tick().await;
        meters::ticked(W::NAME, ending(&ticked), began.elapsed());
        let wait = match ticked {
            Ok(Progress::More) => {
                if recovered::<W>(&mut failures) {
                    retries = pace.retries();
                }
                continue;
            }
            Ok(Progress::Idle) => {
                if recovered::<W>(&mut failures) {
                    retries = pace.retries();
                }
                pace.interval
            }
            Err(error) if error.fault() == Fault::Fatal => {
                return Err(Ended {
                    worker: W::NAME,
                    source: Box::new(error),
                });
            }
            Err(error) => {
                failures += 1;
                let wait = retries.next().unwrap_or(pace.longest_retry);
                tell::<W>(Chain(&error).to_string(), &mut told, failures, wait);
                wait
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = wake.woken(), if failures == 0 => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
    Ok(())
}

fn ending<E: TickError>(ticked: &Result<Progress, E>) -> Tick {
    match ticked {
        Ok(Progress::Idle) => Tick::Idle,
        Ok(Progress::More) => Tick::More,
        Err(error) if error.fault() == Fault::Fatal => Tick::Ended,
        Err(_) => Tick::Failed,
    }
}

/// Tells of a failure once: the same again in a row is for whoever looks closer.
fn tell<W: Worker>(error: String, told: &mut String, failures: u32, wait: Duration) {
    let (worker, retry_ms) = (W::NAME, wait.as_millis());
    if failures > 1 && error == *told {
        tracing::debug!(
            worker,
            failures,
            retry_ms,
            error,
            "{worker} still stands still"
        );
    } else {
        tracing::warn!(
            worker,
            failures,
            retry_ms,
            error,
            "{worker} stands still and will try again"
        );
    }
    *told = error;
}

/// Ends a row of failures; answers whether there was one.
fn recovered<W: Worker>(failures: &mut u32) -> bool {
    let ended = std::mem::take(failures);
    if ended > 0 {
        tracing::info!(worker = W::NAME, failures = ended, "{} goes on", W::NAME);
    }
    ended > 0
}

/// Displays an error with all its sources, since no `Display` of ours repeats its source.
#[derive(Debug)]
pub struct Chain<'a>(pub &'a (dyn std::error::Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("away")]
    struct Away(Fault);

    impl TickError for Away {
        fn fault(&self) -> Fault {
            self.0
        }
    }

    struct Script(Vec<Result<Progress, Away>>, CancellationToken);

    impl Worker for Script {
        type Error = Away;
        const NAME: &'static str = "script";

        async fn tick(&mut self) -> Result<Progress, Away> {
            self.0.pop().unwrap_or_else(|| {
                self.1.cancel();
                Ok(Progress::Idle)
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn transient_errors_are_survived_and_fatal_ones_end_the_worker() {
        let stop = CancellationToken::new();
        let transient = vec![
            Err(Away(Fault::Transient)),
            Ok(Progress::More),
            Err(Away(Fault::Transient)),
        ];
        let script = Script(transient, stop.clone());
        let pace = Pace::every(Duration::from_secs(1));
        run(script, pace, Wake::default(), stop).await.unwrap();

        let stop = CancellationToken::new();
        let script = Script(vec![Err(Away(Fault::Fatal))], stop.clone());
        let ended = run(script, pace, Wake::default(), stop).await.unwrap_err();
        assert_eq!(
            Chain(&ended).to_string(),
            "worker script cannot go on: away"
        );
    }

    #[test]
    fn retries_double_up_to_their_bound() {
        let pace = Pace::every(Duration::from_secs(1));
        let waits = pace.retries().map(|wait| wait.as_millis()).take(99);
        let least = [200, 400, 800, 1_600, 3_200, 6_400]
            .into_iter()
            .chain(std::iter::repeat(10_000));
        for (wait, least) in waits.zip(least) {
            assert!(
                (least..=2 * least).contains(&wait),
                "{wait} ms where {least} ms is due"
            );
        }
    }
}
