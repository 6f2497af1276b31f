//! The agent: what the publisher's own key does on chain. Only an asset's owner or provider may fulfil a compute condition, so
//! that with a consumer who does nothing but send transactions somebody on the publisher's side has to answer.
//!
//! It refuses to know the cluster: what it does follows from the chain and the ledger alone.
//!
//! - **approve**: judges an agreement that was paid *before* it fulfils the compute condition, by the same rules that judge the
//!   job afterwards, document and policy included. A refusal then costs the consumer nothing but time: an unanswered condition
//!   can be aborted and refunded, whereas after the answer the escrow may pay though nothing ran.
//! - **release**: lets the escrow pay once the job has succeeded and its results are published; never otherwise.
//!
//! Layout:
//! - `worker.rs`: the tick: find acts, take those that are due, do one step of each under its lease;
//! - `discovery.rs`: which acts there are; `view.rs`: how far the ledger is;
//! - `hearing.rs`, `events.rs`, `facts.rs`: may this agreement be answered; `declining.rs`: why not; `releasing.rs`: may this escrow
//!   pay; `ruling.rs`: what came out;
//! - `sending.rs`: nonce, signature, record, send; `pursuing.rs`: what became of a transaction; `wishing.rs`: is it still wanted;
//!   `confirming.rs`: until it is irreversible;
//! - `gaps.rs`: nonces that somebody else left unused;
//! - `node.rs`, `whereabouts.rs`: the questions a node is asked; `fees.rs`, `nonce.rs`, `signing.rs`: the small decisions.
//!
//! Invariants:
//! - an act is a row, unique by deployment, kind and agreement; whoever works on it holds its lease and names its token;
//! - nonce, signed bytes and the act's state are committed together *before* anything is sent. Whatever dies afterwards, the
//!   same bytes are sent again;
//! - an act holds one nonce at a time, and another only once the first is irreversibly used or lost: no two transactions of one
//!   act can both be mined. A stuck one is replaced under its own nonce, by a higher fee or, when the act became pointless, by a
//!   transfer of nothing to oneself;
//! - nothing is concluded from a block that can still be rolled back: an act is `mined` until then and only then `done`;
//! - nothing is sent that would be late: a condition fulfilled after its window is aborted by its own contract.
//!
//! Why signing happens while the account's lock is held: a nonce without bytes would be a gap, and behind a gap nothing is mined.
//! Why a signer from alloy: its trait is the one that key services and hardware are supported behind, and the file's key is just
//! one of them.

mod confirming;
mod declining;
mod discovery;
mod error;
mod events;
mod facts;
mod fees;
mod gaps;
mod hearing;
mod node;
mod nonce;
mod pursuing;
mod releasing;
mod ruling;
mod searching;
mod sending;
mod signing;
mod view;
mod whereabouts;
mod wishing;
mod worker;

pub use error::Error;
pub use node::Node;
pub use whereabouts::Whereabouts;
pub use worker::{Agent, Settings, Works};

pub use crate::ledger::agent::acts::Kind;
