//! What a job is, and how it may change. Pure: no I/O, no clock, no storage.
//!
//! A **job** is our row for one fulfilled condition. It has a [`Phase`] while it lives, an [`Outcome`] with a [`Reason`] once
//! it is finished, and a chain of [`Transition`]s that say how it came there. The legal moves are in [`Phase::may_become`].
//!
//! It refuses to know where jobs are stored, who judged them, and what runs them.
//!
//! Layout:
//! - `phase.rs`: phases, outcomes and the legal moves;
//! - `reason.rs`: every stable reason with its sentence;
//! - `footing.rs`: how a running job's event stands on the chain;
//! - `oep12.rs`: the status codes that OEP-12's clients poll;
//! - `transition.rs`: the hash-chained record of a change.
//!
//! Whether a job's block is canonical is not a phase: `block.canonical` stands beside the phase, and a running job whose
//! event is orphaned keeps its phase while its fork may still return; [`Footing`] says what that means for it.

mod footing;
mod oep12;
mod phase;
mod reason;
mod transition;

pub use footing::Footing;
pub use oep12::Oep12Status;
pub use phase::{Outcome, Phase, UnknownWord};
pub use reason::Reason;
pub use transition::{Status, Transition, TransitionHash};
