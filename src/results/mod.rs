//! The publisher's object stores: where publishing puts results and logs, where the collector finds the record of a log, and
//! where inputs may lie.
//!
//! It refuses to know jobs' states, the cluster and the ledger; it knows addresses, options and keys.
//!
//! Layout: `options.rs` the options of a store, by the names of its usual variables; `store.rs` the store itself; `keys.rs` what
//! lies where below the publisher's prefix; `error.rs` what failed.
//!
//! # Why the record of a log comes this way
//!
//! A log may have hundreds of megabytes. The kubelet serves only the newest file of a container's log, which it begins anew at
//! 10 MiB (`containerLogMaxSize`, KubeletConfiguration), and nothing once the pod is gone; so the guard's file on the job's
//! volume is the record, and `publish`, which is bound to run after every algorithm that ran, brings it out: as one object beside
//! the results, before the manifest. From then on neither the pod, nor the volume, nor the cluster is needed: a collector that
//! was down meanwhile, or dies halfway, begins again and finds the same bytes, whose number and hash it knows from the workflow's
//! status.
//!
//! The alternative, a port of `publish` that collectors read from, would keep the pod alive until somebody came, would need a way
//! into the jobs' namespace through the network policy, and would end with an eviction. The price of the store is that the collector
//! needs to read below the prefix; it may be a credential that can read `*/record/*` and nothing else, and it is the collector's
//! own, in its environment. The one that `publish` mounts may still be one that only writes.
//!
//! Invariants: an object appears whole or not at all; neither errors nor `Debug` show an option's value or an address that could
//! hold one.

mod error;
pub mod keys;
mod options;
mod store;

pub use error::Error;
pub use options::Options;
pub use store::{Access, Existing, Pieces, Store};
