//! Judges what has not happened yet: a condition as if it were fulfilled now, and a purchase as if it were made. Pure.
//!
//! It refuses to know where events come from and who sends transactions: no network, no ledger. It holds no rule of its own
//! either: what is supposed is put in the form of events and given to the same [`admission`](crate::admission) and the same
//! [`workflows`](crate::workflows) that judge what happened, so that a promise and the later verdict cannot differ by rule.
//!
//! Layout:
//! - `sale.rs`: what the events say of one agreement: who buys what, under which conditions;
//! - `supposition.rs`: the event that a fulfilled condition would make;
//! - `intention.rs`: a purchase that somebody intends, with the transactions to send; `stage.rs`: the events that it would make; `safe_batch.rs`: those as a file;
//! - `awaited.rs`: what an agreement waits for, and until when;
//! - `refund.rs`: how a consumer whose agreement is not answered gets the money back.
//!
//! Why suppositions are events with negative log ids: admission takes events and nothing else, no log of a ledger has such an
//! id, and whatever rests on one can be told from what is proven.

mod awaited;
mod intention;
mod refund;
mod safe_batch;
mod sale;
mod stage;
mod supposition;

pub use awaited::{Awaited, Progressed, Until, Windows};
pub use intention::{Intention, Naming, Preflight, Present, preflight};
pub use refund::{Refund, refund};
pub use safe_batch::safe_batch;
pub use sale::{NotASale, Sale};
pub use supposition::{Supposition, without_supposed};
