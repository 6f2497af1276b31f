//! Integration tests on real parts. `tests/run` prepares them.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test ends where something is not as it must be"
)]

mod admission;
mod agent;
mod api;
mod architecture;
mod canary;
mod checking;
mod commands;
mod crash;
mod decoding;
mod documents;
mod end_to_end;
mod equipment;
mod follower;
mod isolation;
mod judging;
mod keeper;
mod large_logs;
mod lifecycle;
mod operator;
mod process;
mod resolution;
mod scheduler;
mod simulation;
mod stages;
mod support;
mod upgrading;
