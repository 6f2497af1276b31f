//! The objects of a workflow, rendered from the workflow alone. Pure: no clock, no client, no configuration.
//!
//! One file per object: `claim.rs`, `configure.rs`, `algorithm.rs`, `filter.rs`, `publish.rs` and `plan.rs` (the Secret that carries source
//! URLs to `configure`); `names.rs`, `job.rs` and `pod.rs` hold what they share. `golden/` shows them as Kubernetes reads them.
//!
//! Invariants:
//! - the same workflow renders the same objects, whatever version of this program does it: [`super::TEMPLATE_VERSION`] changes
//!   when they do, and everything that configuration decides is pinned in the workflow's spec;
//! - every pod meets the Pod Security Standard *restricted* and says so field by field, also where Kubernetes' default is
//!   the same: the gate compares what was admitted with what is rendered here, and a default filled in by the server would hide
//!   one filled in by somebody else;
//! - only `configure` sees the plan and the inputs' Secrets, only `publish` sees the results' credentials, and neither the
//!   algorithm nor the filter sees any of them.

mod algorithm;
mod claim;
mod configure;
mod filter;
mod job;
mod names;
mod plan;
mod pod;
mod publish;

pub use algorithm::{GUARD_MARGIN_SECONDS, algorithm};
pub use claim::claim;
pub use configure::configure;
pub use filter::filter;
pub use job::RELEASE_GATE;
pub use names::{JOB_LABEL, Names, STAGE_LABEL, Subject};
pub use plan::plan;
pub use pod::container_of;
pub use publish::{Leaving, publish};

#[cfg(test)]
mod golden_test;
