//! The development engine: jobs as guarded processes of this machine. They need neither a cluster nor an object store.
//!
//! `bench.rs` carries out workflows without chain and ledger; `place.rs` is a whole service with its chain.

mod bench;
mod crashes;
mod dashboard;
mod ends;
mod place;
mod port;
mod purchase;
mod walls;
