//! How well founded a decision has to be before anything is done.
//!
//! What a watch brought is true and may be old. Then a decision to go on finds out by itself: an object that is there cannot be made
//! twice, a workflow that changed takes no status. A decision that something is missing, has failed or has to end does not.

use crate::cluster::state::Decision;
use crate::cluster::{ComputeWorkflow, ComputeWorkflowStatus};
use crate::jobs::Outcome;

/// What a snapshot rests on, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Grounds {
    /// What the watches brought.
    Watched,
    /// The same, and the API server took a status for the workflow as it is there: nobody stopped, suspended or withdrew it before.
    Confirmed,
    /// Everything was read from the API server in this look.
    Read,
}

/// What a decision has to rest on.
pub(super) fn needed(decision: &Decision, workflow: &ComputeWorkflow) -> Grounds {
    match decision {
        Decision::Wait(_) | Decision::CreateClaim(_) => Grounds::Watched,
        Decision::Record(status) | Decision::Forget(_, status) if goes_on(workflow, status) => {
            Grounds::Watched
        }
        Decision::Shorten(..) if !ends_something(workflow) => Grounds::Watched,
        // Something begins to run, or to leave.
        Decision::CreateJob(_) | Decision::Release(_) => Grounds::Confirmed,
        Decision::Record(_)
        | Decision::Forget(..)
        | Decision::Shorten(..)
        | Decision::DeleteJob(_)
        | Decision::Ask(_) => Grounds::Read,
    }
}

/// Whether a status tells of nothing that failed or is being ended, beyond what stood there.
fn goes_on(workflow: &ComputeWorkflow, status: &ComputeWorkflowStatus) -> bool {
    let before = workflow.status.as_ref();
    let stages = before.map_or(&[][..], |before| &before.stages);
    let mut changed = status.stages.iter().filter(|stage| !stages.contains(stage));
    changed.all(|stage| stage.reason.is_none())
        && (status.reason.is_none() || status.reason == before.and_then(|it| it.reason))
        && matches!(status.outcome, None | Some(Outcome::Succeeded))
}

/// Whether a stage is being ended.
fn ends_something(workflow: &ComputeWorkflow) -> bool {
    let stages = workflow.status.iter().flat_map(|status| &status.stages);
    let mut open = stages.filter(|stage| !stage.is_over());
    open.any(|stage| stage.reason.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::StageStatus;
    use crate::cluster::state::ObjectRef;
    use crate::engine::Stage;
    use crate::jobs::{Phase, Reason};

    fn workflow_of(stages: Vec<StageStatus>) -> ComputeWorkflow {
        let mut workflow = crate::cluster::fixture::workflow(1);
        workflow.status = Some(ComputeWorkflowStatus {
            stages,
            ..ComputeWorkflowStatus::default()
        });
        workflow
    }

    fn stage(reason: Option<Reason>) -> StageStatus {
        StageStatus {
            reason,
            ..StageStatus::begun(Stage::Algorithm, 1, "job".to_owned(), "uid".to_owned())
        }
    }

    fn recorded(
        workflow: &ComputeWorkflow,
        change: impl FnOnce(&mut ComputeWorkflowStatus),
    ) -> Decision {
        let mut status = workflow.status.clone().unwrap();
        change(&mut status);
        Decision::Record(Box::new(status))
    }

    #[test]
    fn what_goes_on_may_rest_on_the_watches() {
        let workflow = workflow_of(vec![stage(None)]);
        let begun = recorded(&workflow, |status| status.stages.push(stage(None)));
        assert_eq!(needed(&begun, &workflow), Grounds::Watched);
        let over = recorded(&workflow, |status| {
            status.stages[0].exit_code = Some(0);
            status.phase = Some(Phase::Finished);
            status.outcome = Some(Outcome::Succeeded);
        });
        assert_eq!(needed(&over, &workflow), Grounds::Watched);
        assert_eq!(needed(&Decision::Wait(None), &workflow), Grounds::Watched);
    }

    #[test]
    fn what_lets_something_run_rests_on_the_workflow_as_it_is() {
        let pod = ObjectRef {
            name: "pod".to_owned(),
            uid: "uid".to_owned(),
        };
        let workflow = workflow_of(vec![stage(None)]);
        assert_eq!(
            needed(&Decision::Release(pod), &workflow),
            Grounds::Confirmed
        );
    }

    #[test]
    fn a_deadline_is_a_matter_of_course_until_it_ends_a_stage() {
        let pod = ObjectRef {
            name: "pod".to_owned(),
            uid: "uid".to_owned(),
        };
        let shorten = Decision::Shorten(pod, 60);
        let running = workflow_of(vec![stage(None)]);
        assert_eq!(needed(&shorten, &running), Grounds::Watched);
        let ending = workflow_of(vec![stage(Some(Reason::TimeExceeded))]);
        assert_eq!(needed(&shorten, &ending), Grounds::Read);
    }

    #[test]
    fn what_failed_or_is_ended_is_read_again_first() {
        let workflow = workflow_of(vec![stage(None)]);
        let missing = recorded(&workflow, |status| {
            status.stages[0].reason = Some(Reason::PodMissing);
        });
        assert_eq!(needed(&missing, &workflow), Grounds::Read);
        let stopped = recorded(&workflow, |status| {
            status.outcome = Some(Outcome::Stopped);
            status.reason = Some(Reason::StoppedByOperator);
        });
        assert_eq!(needed(&stopped, &workflow), Grounds::Read);
        // That a stage which is being ended is over rests on nothing of it being there any more.
        let ending = workflow_of(vec![stage(Some(Reason::StartTimeExceeded))]);
        let over = recorded(&ending, |status| status.stages[0].exit_code = Some(1));
        assert_eq!(needed(&over, &ending), Grounds::Read);
        let other = recorded(&ending, |status| status.observed_generation = Some(2));
        assert_eq!(needed(&other, &ending), Grounds::Watched);
    }
}
