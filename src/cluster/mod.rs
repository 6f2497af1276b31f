//! The Kubernetes engine: a `ComputeWorkflow` per job, the objects it is made of, and what their state means.
//!
//! It refuses to know Postgres and the chain. Two sides use it: schedulers ask [`KubernetesEngine`] for workflows (through
//! [`crate::engine::Engine`]), and the operator carries them out with [`manifests`], [`gate`] and [`state`], which are pure.
//! They meet only in the cluster.
//!
//! Layout:
//! - `workflow.rs`, `status.rs`: the custom resource, what is asked and what has become of it;
//! - `manifests/`: the objects of a workflow, rendered;
//! - `gate.rs`: whether an admitted pod is the one that was rendered;
//! - `state/`: workflow and objects in, the next step out;
//! - `engine.rs` with `inert.rs`, `observation.rs`, `logs.rs`, and `settings.rs`: the port's implementation;
//! - `rights.rs`, `survey.rs`: what each role may do, and whether the cluster has what jobs need;
//! - `client.rs`, `error.rs`: the way to the cluster, and its errors.
//!
//! Invariants:
//! - a workflow is made inert with its finalizer in the same request, and starts only by a patch that names its uid and
//!   resource version, so that a dispatcher that was stalled while making it starts nothing;
//! - the operator writes the uid of the one pod that it lets go, by compare-and-set, before it lets it go;
//! - an object whose uid was recorded and which is missing is lost; it is never made again;
//! - of what containers say only our own stages' [`crate::stages::Ending`] is read, and only where it fits what the kubelet saw.
//!
//! Why Jobs under a custom resource, and not pods: a Job's pod survives the deletion of nothing that we hold, its finished pods are
//! kept until we have read them, and quota, admission and eviction are told apart by what Kubernetes writes about them.

mod client;
mod engine;
mod error;
#[cfg(test)]
pub(crate) mod fixture;
pub mod gate;
#[cfg(test)]
mod golden;
mod inert;
mod logs;
pub mod manifests;
mod observation;
pub mod rights;
mod settings;
pub mod state;
mod status;
pub mod survey;
mod workflow;

pub use client::connect;
pub use engine::KubernetesEngine;
pub(crate) use engine::installed;
pub use error::{Attempt, Error, Verdict};
pub use settings::Settings;
pub use status::{ClaimStatus, ComputeWorkflowStatus, StageStatus, Why, from_kubernetes};
pub use workflow::{
    AccessMode, AlgorithmFacts, COLLECTED, ComputeWorkflow, ComputeWorkflowSpec, FilterFacts,
    JobFacts, NetworkPolicy, PullPolicy, ReleaseFacts, ResourceFacts, ResultsFacts, StorageFacts,
    TEMPLATE_VERSION, UnknownSetting, definition, definition_yaml,
};
