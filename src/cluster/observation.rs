use super::status::{ComputeWorkflowStatus, StageStatus};
use super::workflow::ComputeWorkflow;
use crate::engine::{Observation, StageObservation, WorkflowUid};
use crate::jobs::{Footing, Status};

/// A workflow as schedulers see it: attempts are the job's, of which earlier workflows may have had some. A status that still speaks of
/// an earlier attempt is none.
pub(super) fn observation(workflow: &ComputeWorkflow) -> Observation {
    let attempt = workflow.spec.attempt;
    let before = workflow.spec.job.attempts_before;
    let status = workflow
        .status
        .as_ref()
        .filter(|status| status.attempt == attempt);
    Observation {
        uid: WorkflowUid(workflow.metadata.uid.clone().unwrap_or_default()),
        status: status.and_then(|status| job_status(status, before)),
        attempt: if attempt == 0 { 0 } else { before + attempt },
        stages: status.map(stages).unwrap_or_default(),
        published: status.and_then(|status| status.published.clone()),
        deleting: workflow.metadata.deletion_timestamp.is_some(),
        footing: footing(workflow, attempt),
    }
}

/// What the workflow was told of the event of its attempt.
pub(super) fn footing(workflow: &ComputeWorkflow, attempt: u32) -> Footing {
    match &workflow.spec {
        spec if attempt > 0 && spec.withdrawn >= attempt => Footing::Withdrawn,
        spec if spec.hold_publishing => Footing::Orphaned,
        _ => Footing::Canonical,
    }
}

fn job_status(status: &ComputeWorkflowStatus, before: u32) -> Option<Status> {
    Some(Status {
        phase: status.phase?,
        outcome: status.outcome,
        reason: status.reason,
        attempt: before + status.attempt,
    })
}

fn stages(status: &ComputeWorkflowStatus) -> Vec<StageObservation> {
    let mut stages: Vec<_> = status
        .stages
        .iter()
        .filter(|stage| stage.attempt == status.attempt)
        .map(stage)
        .collect();
    stages.sort_by_key(|stage| stage.stage);
    stages
}

fn stage(status: &StageStatus) -> StageObservation {
    StageObservation {
        stage: status.stage,
        runner: status.pod_uid.clone(),
        started_at: status.started_at,
        finished_at: status.finished_at,
        exit_code: status.exit_code,
        isolation: status.isolation,
    }
}
