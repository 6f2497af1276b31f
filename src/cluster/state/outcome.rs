use crate::cluster::status::{ComputeWorkflowStatus, StageStatus};
use crate::engine::Stage;
use crate::jobs::{Outcome, Reason};

/// How a job ends when a stage ended for that reason.
pub(super) const fn outcome_of(reason: Reason) -> Outcome {
    match reason {
        Reason::TimeExceeded | Reason::StartTimeExceeded | Reason::PublishingTimeExceeded => {
            Outcome::TimedOut
        }
        Reason::StoppedByOperator | Reason::WorkflowDeleted => Outcome::Stopped,
        Reason::EventWithdrawn => Outcome::Withdrawn,
        Reason::PodMissing => Outcome::Lost,
        _ => Outcome::Failed,
    }
}

/// Whether the job ends with this stage, which is over: `None` when the next stage follows, `Some(None)` when it went well to the
/// end, else why not.
pub(super) fn end_after(
    stage: &StageStatus,
    status: &ComputeWorkflowStatus,
) -> Option<Option<Reason>> {
    match stage.stage {
        Stage::Configure | Stage::Filter => stage.reason.map(Some),
        // Once it ran there is a log to bring out.
        Stage::Algorithm if stage.started_at.is_some() => None,
        Stage::Algorithm => Some(Some(stage.reason.unwrap_or(Reason::PodMissing))),
        Stage::Publish => {
            let algorithm = status.stage(Stage::Algorithm);
            Some(
                algorithm
                    .and_then(|algorithm| algorithm.reason)
                    .or(stage.reason),
            )
        }
    }
}
