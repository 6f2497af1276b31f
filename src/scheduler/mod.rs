//! The workers between ledger and engine: judge, resolver, dispatcher, observer, collector, reaper.
//!
//! They meet only in the ledger, take no input but what they read there and from the engine, and may run in any number of
//! replicas. They refuse to know how an engine does what it is asked (they are generic over [`crate::engine::Engine`]), and
//! nothing here opens a connection to a chain provider.
//!
//! Layout:
//! - `judge/`: what the recorded events mean; `resolver/`: what an admitted job runs; `governing.rs`: under which version of the
//!   catalog;
//! - `dispatcher.rs`: hands queued jobs to the engine, each exactly once;
//! - `stopping.rs`: what the dispatcher tells the engine of what an operator stopped;
//! - `telling.rs`: what the dispatcher tells the engine of the events of running jobs;
//! - `observer.rs`: notes what became of them, `moves.rs` being the pure half: what an observation says about a status;
//! - `sweeping.rs`: what the observer finds in the engine that no job has on record;
//! - `collector.rs`: copies the log while it is written and brings the end of a job into the ledger, with `preview.rs` for the
//!   copying and `ending.rs` for the one transaction in which a job ends;
//! - `reaper.rs`: removes what is over and collected from the engine;
//! - `holding.rs`: acting under a lease, and what a failed step leads to; `hints.rs`: the engine's changes as wake-ups;
//! - `error.rs`: the room's error.
//!
//! Invariants:
//! - an effect outside is safe to repeat, is asked for under a lease, and is then recorded; whatever a crash left between the
//!   two is found in the ledger by the next tick, on any replica;
//! - a job's start is committed (its phase, its attempt) before the engine is asked for it, and its end is committed (outcome,
//!   log, results) before the engine may forget it;
//! - an error of the engine moves no job. Only what the engine truthfully says does: a status, or twice that a workflow is gone;
//! - results are recorded only while what owes their job is on the chain. Off it the job runs on and its results wait; gone for good
//!   it is ended: the judge decides that and writes it down, the dispatcher has the engine do it (`telling.rs`);
//! - who does what: the dispatcher moves from `queued` to `configuring`, the observer on up to `publishing` and to `lost`, the
//!   collector to every other end.
//!
//! Why leases on rows and not one leader: work goes on when one replica hangs in one call, and a stalled holder is harmless,
//! because every write of a leased step names the lease's token.

mod collector;
mod dispatcher;
mod ending;
mod error;
mod governing;
mod hints;
mod holding;
mod judge;
mod moves;
mod observer;
mod preview;
mod reaper;
mod resolver;
mod stopping;
mod sweeping;
mod telling;

pub use collector::Collector;
pub use dispatcher::{Dispatcher, DispatcherSettings};
pub use error::Error;
pub use hints::forward_changes;
pub use judge::{Difference, Judge, rejudge};
pub use observer::Observer;
pub use reaper::{Reaper, ReaperSettings};
pub use resolver::{Resolver, ResolverSettings};
