//! What the program measures of itself: every metric's name, unit and meaning, and the one way to add to it.
//!
//! Rooms call the functions below and know nothing of how metrics are kept or shown. Labels come from small sets of words only,
//! never from a stranger's text, so the number of series is bounded. Without a recorder (in tests, in one-off commands) every
//! call is nothing. Names and units follow Prometheus' conventions ("Metric and label naming"): base units, `_total` for what
//! only grows.
//!
//! What the ledger knows (heights, queues, jobs by phase) is not counted here: it is read when it is asked for, so that it is
//! the same on every replica and right after a restart.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};

const TICKS: &str = "tidewatch_ticks_total";
const TICK_SECONDS: &str = "tidewatch_tick_seconds";
const ANSWER_SECONDS: &str = "tidewatch_http_request_seconds";

/// Bounds of every histogram of seconds: from a statement to a stalled worker.
pub const SECONDS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 300.0,
];

/// How a worker's tick ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tick {
    /// Nothing to do.
    Idle,
    /// Something was done.
    More,
    /// A transient error: it will be tried again.
    Failed,
    /// A fatal error: the process ends.
    Ended,
}

impl Tick {
    const ALL: [Self; 4] = [Self::Idle, Self::More, Self::Failed, Self::Ended];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::More => "more",
            Self::Failed => "failed",
            Self::Ended => "ended",
        }
    }
}

/// Says what each metric is, for whoever reads them. Once, after a recorder was installed.
pub fn describe() {
    describe_counter!(
        TICKS,
        Unit::Count,
        "Ticks of each worker by how they ended."
    );
    describe_histogram!(
        TICK_SECONDS,
        Unit::Seconds,
        "How long a worker's ticks took."
    );
    describe_histogram!(
        ANSWER_SECONDS,
        Unit::Seconds,
        "How long the API took to begin an answer, by route and status."
    );
}

/// Makes a worker's counters appear at zero, so that a rate can be told from the first event on.
pub fn expect_worker(worker: &'static str) {
    for tick in Tick::ALL {
        counter!(TICKS, "worker" => worker, "outcome" => tick.as_str()).absolute(0);
    }
}

/// A tick of a worker ended.
pub fn ticked(worker: &'static str, tick: Tick, took: Duration) {
    counter!(TICKS, "worker" => worker, "outcome" => tick.as_str()).increment(1);
    histogram!(TICK_SECONDS, "worker" => worker).record(took);
}

/// The API began an answer. `route` is the pattern that matched, never the path that was asked for.
pub fn answered(route: &str, status: u16, took: Duration) {
    histogram!(ANSWER_SECONDS, "route" => route.to_owned(), "status" => status.to_string())
        .record(took);
}
