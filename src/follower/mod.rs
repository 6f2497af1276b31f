//! The worker that carries the chain's logs into the ledger, as raw as they are.
//!
//! It refuses to know what a log means, what is owed, and the cluster.
//!
//! Layout:
//! - `following.rs`: what is followed, by which rules;
//! - `identity.rs`: whether the provider is on that chain; the deployment's row;
//! - `plan.rs`: what to do next, decided without I/O; its tests, with properties, in `plan_tests.rs`;
//! - `looking.rs`: when to look at the chain, and what a look shows;
//! - `history.rs`: several ranges of history under way at once, handed out in order; `stretch.rs`: their way into the ledger;
//! - `window.rs`: blocks that can still change, and their way into the ledger;
//! - `read.rs`: what was read, in the form in which the ledger records it;
//! - `worker.rs`: the tick: look, decide, read;
//! - `commit.rs`: what was read goes into the ledger;
//! - `reorganisation.rs`: rollback, a new beginning, halt;
//! - `quorum.rs`: how many operators must name a block before work starts on it;
//! - `verifier.rs`: a worker of its own: reads history a second time and moves the verified cursor; `compare.rs`: what differs,
//!   decided without I/O; `settle.rs`: what a block really holds, and mending the ledger; `counters.rs`: the contracts' own count;
//!   `proving.rs`: what follows from headers; `resync.rs`: the same because an operator asks for it;
//! - `error.rs`: why following stands still or ends.
//!
//! Invariants:
//! - a block's rows and the cursor that says they are there are one commit, and the cursor's compare-and-set comes first in it;
//! - the node is never asked while a transaction is open;
//! - nothing is read, and no horizon believed, before the provider has named our own block at our own height;
//! - above the irreversible block, blocks are recorded one by one by hash, linked by parent; below it by ranges;
//! - a block that is replaced leaves tombstones; one at or below the irreversible block halts the deployment until an operator
//!   releases it;
//! - the judged cursor is moved by a rollback only, and only back.
//!
//! Why looks decide and notifications only wake: what nodes announce has gaps (a silent rollback, a reconnect), so a look at the
//! tip must suffice anyway, and an announcement can only make it come sooner.
//!
//! Why a proof per block: some nodes answer logs of a fresh block with nothing until they have indexed it. Receipts that add up
//! to the root in a header that adds up to the block's hash cannot leave a log out.
//!
//! Why a block of history that no provider gives holds everything up: to record beyond it would claim that it holds nothing. It is
//! parked by name for people to see, and tried again.

mod commit;
mod compare;
mod counters;
mod error;
mod following;
mod history;
mod identity;
mod looking;
mod plan;
mod proving;
mod quorum;
mod read;
mod reorganisation;
mod resync;
mod settle;
mod stretch;
mod verifier;
mod window;
mod worker;

pub use error::Error;
pub use following::{ActAt, BadRule, DEFAULT_DEPTH, Following, IrreversibleAt};
pub use identity::{check_contracts, open};
pub use resync::Resynced;
pub use verifier::Verifier;
pub use worker::Follower;
