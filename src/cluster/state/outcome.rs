use chrono::TimeDelta;

use crate::cluster::status::{ComputeWorkflowStatus, StageStatus};
use crate::engine::Stage;
use crate::jobs::Reason;

/// Pauses before the first, second and third repetition of a stage. After that the job ends.
const PAUSES: [TimeDelta; 3] = [
    TimeDelta::seconds(2),
    TimeDelta::seconds(20),
    TimeDelta::seconds(120),
];

/// How long to wait before a stage that is over is repeated; `None` when it is not. Only our own two stages are, since doing them
/// twice is doing them once, and only for what the cluster did to them; of `publish` also when the store did not take what it was
/// given, which an operator may mend meanwhile.
pub(super) fn pause_before_repeating(stage: &StageStatus) -> Option<TimeDelta> {
    let by_cluster = matches!(stage.reason?, Reason::Evicted | Reason::PodMissing);
    let repeatable = match stage.stage {
        Stage::Configure => by_cluster,
        Stage::Publish => by_cluster || stage.reason == Some(Reason::PublishingFailed),
        Stage::Algorithm | Stage::Filter => false,
    };
    let next = usize::try_from(stage.repetition).ok()?;
    PAUSES.get(next).copied().filter(|_| repeatable)
}

/// Whether the job ends with this stage, which is over: `None` when the next stage follows, `Some(None)` when it went well to the
/// end, else why not.
pub(super) fn end_after(
    stage: &StageStatus,
    status: &ComputeWorkflowStatus,
) -> Option<Option<Reason>> {
    match stage.stage {
        Stage::Configure => stage.reason.map(Some),
        // Once it ran there is a log to bring out.
        Stage::Algorithm if stage.started_at.is_some() => None,
        Stage::Algorithm => Some(Some(stage.reason.unwrap_or(Reason::PodMissing))),
        // However it ended, the record of the log is brought out.
        Stage::Filter => None,
        Stage::Publish => {
            let reason_of = |stage| status.stage(stage).and_then(|stage| stage.reason);
            let algorithm = reason_of(Stage::Algorithm);
            Some(
                algorithm
                    .or_else(|| reason_of(Stage::Filter))
                    .or(stage.reason),
            )
        }
    }
}
