//! Reads blocks, headers, receipts and raw logs from an Ethereum provider over JSON-RPC.
//!
//! It refuses to know agreements, the ledger, and what any log means.
//!
//! Layout:
//! - `block.rs`: what a header and a log are to us;
//! - `provider.rs`: one provider and the single questions it is asked;
//! - `look.rs`: one look at the chain's tip, in one batch;
//! - `logs.rs`: logs of a range or of a block, with the checks that an answer carries within itself;
//! - `receipts.rs`: logs proven complete by the header's receipts root;
//! - `wire.rs`: the answers as they come, read by a few needed fields;
//! - `error.rs`: what went wrong, and what it means.
//!
//! Invariants:
//! - an answer that contradicts itself is an error, never data;
//! - errors name a provider by its host alone: its URL may hold a key;
//! - nothing is retried here. The worker's next tick is the retry, and a refused range must shrink, not repeat: several
//!   providers say "too many results" with the code that others use for a rate limit (-32005), so a retry layer that trusts
//!   the code would ask the same range for ever.
//!
//! Why headers are read by few fields: proof-of-authority chains (Aura) leave out `mixHash` and `nonce` and add fields of
//! their own, and none of those is needed to follow a chain.

mod block;
mod error;
mod logs;
mod look;
mod provider;
mod receipts;
mod wire;

pub use alloy::eips::BlockId;

pub use block::{Header, RawLog};
pub use error::Error;
pub use logs::RangeRead;
pub use look::{Look, Tag};
pub use provider::Provider;
