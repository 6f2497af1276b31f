//! The scheduler on a real Postgres, with an engine that fails where it is told to.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails; clippy sees tests only in functions that are marked as such"
)]

mod bench;
mod collecting;
mod dispatching;
mod engine;
mod leasing;
mod observing;
mod reaping;
