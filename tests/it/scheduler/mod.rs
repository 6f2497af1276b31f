//! The scheduler on a real Postgres, with an engine that fails where it is told to.

mod bench;
mod collecting;
mod dispatching;
mod engine;
mod interventions;
mod leasing;
mod observing;
mod reaping;
mod straying;
mod turns;
mod withdrawing;
