//! Reads blocks, headers, receipts and raw logs from an Ethereum provider over JSON-RPC.
//!
//! It refuses to know agreements, the ledger, and what any log means.
//!
//! Layout:
//! - `providers.rs`: all providers of a chain: who is asked, who next, and when a second beside the first;
//! - `provider.rs`: one provider: every question goes through its pace, every outcome into its condition;
//! - `condition.rs`: health and latency; `limits.rs`: how much it gives at once; `pace.rs`: when it may be asked next; all
//!   three learned, and decided without I/O;
//! - `refusal.rs`: what a refusal means, by its form and its words;
//! - `questions.rs`: the single questions; `look.rs`: one look at the chain's tip, in one batch;
//! - `ranges.rs`: a range as wide as some provider gives, and a block that is refused by all, read in other ways;
//! - `logs.rs`: logs of a range or of a block, with the checks that an answer carries within itself;
//! - `window.rs`: blocks that can still change, each with its logs and their proof; `seal.rs`: hashes computed anew, and whose
//!   bloom filters are believed; `receipts.rs`: all receipts of a block against its header's root;
//! - `announcements.rs`: new blocks as WebSockets announce them, for speed alone;
//! - `rpc.rs`: JSON-RPC; `http.rs` and `websocket.rs`: its transports;
//! - `block.rs`: what a header and a log are to us; `wire.rs`: the answers as they come, read by a few needed fields;
//! - `error.rs`: what went wrong, and what it means.
//!
//! Invariants:
//! - an answer that contradicts itself is an error, never data;
//! - errors name a provider by its host alone: its URL may hold a key;
//! - a batch goes to one provider: answers of two never stand beside each other as if they were one's;
//! - whatever a provider refuses, it is asked a bounded number of times a second, and a refused range shrinks, never repeats;
//! - a provider shows that it is on the expected chain before it is asked, and again after its connection failed.
//!
//! Why JSON-RPC is spoken here and not by alloy's client: what a refusal means lies in what that client hides or repeats away
//! (Retry-After, a body cut short, a page instead of JSON, one error for a whole batch), a retry layer that trusts error codes
//! would ask a range that is too wide for ever, and answers of megabytes are read once, in place.
//!
//! Why headers are read by few fields: proof-of-authority chains (Aura) leave out `mixHash` and `nonce` and add fields of
//! their own, and none of those is needed to follow a chain.

mod announcements;
mod block;
mod condition;
mod error;
mod http;
mod limits;
mod logs;
mod look;
mod operator;
mod pace;
mod provider;
mod providers;
mod questions;
mod ranges;
mod receipts;
mod refusal;
mod rpc;
mod seal;
mod websocket;
mod window;
mod wire;

pub use alloy::eips::BlockId;

pub use announcements::Announced;
pub use block::{Header, LogBlock, RawLog};
pub use error::Error;
pub use logs::RangeRead;
pub use look::{Look, LookAt, Tag};
pub use provider::{Provider, ProviderStatus};
pub use providers::{ChainIdentity, Providers};
pub use receipts::ByReceipts;
pub use refusal::Refusal;
pub use window::{Ahead, Proven, WindowBlock};
