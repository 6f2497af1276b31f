//! Reads blocks, headers and raw logs from Ethereum providers.

mod block;

pub use block::{Header, RawLog};
