//! Integration tests on real parts. `tests/run` prepares them.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends where something is not as it must be"
)]

mod api;
mod architecture;
mod support;
