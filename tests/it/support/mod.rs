//! Real parts for tests: each test gets its own, ended when the test ends.

pub(crate) mod anvil;
pub(crate) mod database;
pub(crate) mod keeper;

use std::path::PathBuf;

/// The cache of downloaded packages that tests share with the program: `TIDEWATCH_CACHE`, else `~/.cache/tidewatch`.
#[expect(
    clippy::disallowed_methods,
    reason = "tests read where the machine keeps things"
)]
pub(crate) fn cache() -> PathBuf {
    std::env::var("TIDEWATCH_CACHE").map_or_else(
        |_| PathBuf::from(std::env::var("HOME").expect("HOME is set")).join(".cache/tidewatch"),
        PathBuf::from,
    )
}
