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
const REORGANISATIONS: &str = "tidewatch_reorganisations_total";
const FINISHED: &str = "tidewatch_jobs_finished_total";
const LOGS: &str = "tidewatch_job_logs_total";
const LOG_BYTES: &str = "tidewatch_job_log_bytes_total";

/// How long jobs stay in a phase; it has bounds of its own, [`PHASE_SECONDS_BOUNDS`].
pub const PHASE_SECONDS: &str = "tidewatch_job_phase_seconds";

/// Bounds of every histogram of seconds: from a statement to a stalled worker.
pub const SECONDS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 300.0,
];

/// Bounds for phases of jobs: from a stage that is over at once to the longest that a run may take.
pub const PHASE_SECONDS_BOUNDS: [f64; 10] = [
    1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0, 604_800.0,
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
    describe_counter!(
        REORGANISATIONS,
        Unit::Count,
        "Rollbacks of recorded blocks, by how many they were."
    );
    for depth in DEPTHS {
        counter!(REORGANISATIONS, "depth" => depth).absolute(0);
    }
    describe_histogram!(
        PHASE_SECONDS,
        Unit::Seconds,
        "How long jobs were in a phase that they left."
    );
    describe_counter!(FINISHED, Unit::Count, "Jobs that ended, by their outcome.");
    describe_counter!(
        LOGS,
        Unit::Count,
        "Logs of stages that were closed, by how far they are what was printed."
    );
    describe_counter!(
        LOG_BYTES,
        Unit::Bytes,
        "Bytes of job logs that were stored, while they were written and as records."
    );
    counter!(LOG_BYTES).absolute(0);
}

/// Makes the counters of these outcomes of jobs, and of these words for the completeness of logs, appear at zero.
pub fn expect_jobs(
    outcomes: impl IntoIterator<Item = &'static str>,
    completeness: impl IntoIterator<Item = &'static str>,
) {
    for outcome in outcomes {
        counter!(FINISHED, "outcome" => outcome).absolute(0);
    }
    for word in completeness {
        counter!(LOGS, "completeness" => word).absolute(0);
    }
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

const DEPTHS: [&str; 4] = ["1", "2-5", "6-20", "more"];

/// The follower rolled back that many blocks, at least 1.
pub fn reorganised(depth: u64) {
    let [one, few, several, more] = DEPTHS;
    let words = match depth {
        0..=1 => one,
        2..=5 => few,
        6..=20 => several,
        _ => more,
    };
    counter!(REORGANISATIONS, "depth" => words).increment(1);
}

/// A job left a phase after so long. Should the transaction that moves it fail, it is counted again when it is moved.
pub fn left_phase(phase: &'static str, after: Duration) {
    histogram!(PHASE_SECONDS, "phase" => phase).record(after);
}

/// A job ended. Should the transaction that ends it fail, it is counted again when it is ended again; so it is with logs.
pub fn finished(outcome: &'static str) {
    counter!(FINISHED, "outcome" => outcome).increment(1);
}

/// So many bytes of a job log were stored.
pub fn stored_log(bytes: u64) {
    counter!(LOG_BYTES).increment(bytes);
}

/// A log was closed.
pub fn closed_log(completeness: &'static str) {
    counter!(LOGS, "completeness" => completeness).increment(1);
}

/// The API began an answer. `route` is the pattern that matched, never the path that was asked for.
pub fn answered(route: &str, status: u16, took: Duration) {
    histogram!(ANSWER_SECONDS, "route" => route.to_owned(), "status" => status.to_string())
        .record(took);
}
