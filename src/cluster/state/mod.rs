//! What a workflow needs next. Pure: workflow and objects as they are now go in, one [`Decision`] comes out.
//!
//! It is level-triggered: nothing is remembered between two calls but what stands in the workflow's status, so the path after a
//! crash, on a second operator or after a lost event is the only path there is. Whoever acts on a decision looks again and asks
//! again, until the answer is to wait.
//!
//! Layout: `attempt.rs` walks an attempt from stage to stage, `stage.rs` follows one stage's Job and pod, `ending.rs` reads how a
//! pod ended, `outcome.rs` says what that means for the job.
//!
//! Invariants:
//! - what is decided is written before it is done: a stage's `reason` before its pod is ended, a pod's uid before its gate is lifted;
//! - a stage is over only when nothing of it runs any more, so two stages never share the volume;
//! - in an attempt one pod of the algorithm at most is ever recorded, and only a recorded one is let go, while it is what was rendered;
//! - `publish` runs after every algorithm that ran, however it ended: it brings the job log out. It does not begin while the job's
//!   event is off the chain, unless the job is ended: then it lets nothing else out;
//! - silence decides nothing. The only clocks are the start deadline, which counts from a pod that the cluster has made and cannot
//!   start, and the pods' own deadlines, which the kubelet keeps.

mod attempt;
mod ending;
mod outcome;
#[cfg(test)]
mod simulation;
mod stage;
#[cfg(test)]
mod tests;

use std::time::Duration;

use chrono::{DateTime, Utc};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};

use super::status::ComputeWorkflowStatus;
use super::workflow::{COLLECTED, ComputeWorkflow, TEMPLATE_VERSION};
use crate::jobs::{Outcome, Phase, Reason};
use attempt::Attempt;

/// The condition that the Secret with the source URLs is gone from the cluster.
pub const PLAN_ERASED: &str = "PlanErased";
/// The condition that nothing more will happen by itself.
pub const FINISHED: &str = "Finished";

/// A workflow and everything of it in the cluster. The workflow is read first: what its status names was there before, so what is
/// missing in a later reading is gone.
#[derive(Clone, Copy, Debug)]
pub struct World<'a> {
    /// The workflow.
    pub workflow: &'a ComputeWorkflow,
    /// The claim with the name that the attempt's claim has.
    pub claim: Option<&'a PersistentVolumeClaim>,
    /// The Jobs that carry the job's label.
    pub jobs: &'a [Job],
    /// The pods that carry the job's label.
    pub pods: &'a [Pod],
    /// What admission said to [`Decision::Ask`], if it was asked.
    pub answer: Option<Answer>,
    /// The present moment.
    pub now: DateTime<Utc>,
}

/// What admission says to a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It would be made.
    Admitted,
    /// Not now: a quota is used up.
    NoRoom,
    /// Never.
    Refused,
}

/// The next step.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Nothing until something changes, or until that time has passed.
    Wait(Option<Duration>),
    /// Make the attempt's claim.
    CreateClaim(Box<PersistentVolumeClaim>),
    /// Make a stage's Job.
    CreateJob(Box<Job>),
    /// Write the status, if the workflow is still as it was read.
    Record(Box<ComputeWorkflowStatus>),
    /// Delete the Secret of that name, then write the status.
    Forget(String, Box<ComputeWorkflowStatus>),
    /// Lift the gate of the recorded pod, if it still has that uid.
    Release(PodRef),
    /// Lower the deadline of the pod with that uid to so many seconds after its start.
    Shorten(PodRef, i64),
    /// Delete a Job with that uid, and its pods.
    DeleteJob(ObjectRef),
    /// Ask admission what it thinks of the Job's pod, which the Job's controller does not make.
    Ask(Box<Job>),
}

/// An object by name and uid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectRef {
    /// Name.
    pub name: String,
    /// Uid; an object of that name with another one is another one.
    pub uid: String,
}

/// A pod by name and uid.
pub type PodRef = ObjectRef;

/// The next step of a workflow.
pub fn decide(world: &World<'_>) -> Decision {
    let generation = world.workflow.metadata.generation;
    let seen = world.workflow.status.as_ref();
    match step(world) {
        Decision::Wait(wait) => match seen {
            Some(status) if status.observed_generation != generation => {
                Decision::Record(Box::new(observed(status, generation)))
            }
            _ => Decision::Wait(wait),
        },
        Decision::Record(status) => Decision::Record(Box::new(observed(&status, generation))),
        Decision::Forget(secret, status) => {
            Decision::Forget(secret, Box::new(observed(&status, generation)))
        }
        other => other,
    }
}

/// The next step after the API server refused to make an object, and will refuse it again: the job ends.
pub fn refused(world: &World<'_>) -> Decision {
    let status = world.workflow.status.clone().unwrap_or_default();
    Attempt::new(world, status).map_or(Decision::Wait(None), |attempt| {
        attempt.give_up(Reason::ClusterRefused)
    })
}

fn observed(status: &ComputeWorkflowStatus, generation: Option<i64>) -> ComputeWorkflowStatus {
    ComputeWorkflowStatus {
        observed_generation: generation,
        ..status.clone()
    }
}

fn step(world: &World<'_>) -> Decision {
    let workflow = world.workflow;
    let deleting = workflow.metadata.deletion_timestamp.is_some();
    let is_ours = |names: &Vec<String>| names.iter().any(|name| name == COLLECTED);
    let held = workflow.metadata.finalizers.as_ref().is_some_and(is_ours);
    if deleting && !held || workflow.spec.job.template_version != TEMPLATE_VERSION {
        return Decision::Wait(None);
    }
    let status = workflow.status.clone().unwrap_or_default();
    let asked = workflow.spec.attempt;
    match status.phase {
        Some(Phase::Finished) if asked <= status.attempt => Decision::Wait(None),
        None | Some(Phase::Finished) if asked > status.attempt => begin(status),
        None if deleting => Decision::Record(Box::new(ComputeWorkflowStatus {
            phase: Some(Phase::Finished),
            outcome: Some(Outcome::Stopped),
            reason: Some(Reason::WorkflowDeleted),
            ..status
        })),
        None => Decision::Wait(None),
        Some(_) => {
            Attempt::new(world, status).map_or(Decision::Wait(None), |attempt| attempt.step())
        }
    }
}

/// The status at the beginning of the next attempt. What is known of earlier ones stays.
fn begin(before: ComputeWorkflowStatus) -> Decision {
    Decision::Record(Box::new(ComputeWorkflowStatus {
        attempt: before.attempt + 1,
        phase: Some(Phase::Configuring),
        outcome: None,
        reason: None,
        published: None,
        conditions: Vec::new(),
        ..before
    }))
}
