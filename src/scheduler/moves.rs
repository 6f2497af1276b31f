//! What an observation says about a job. Pure.

use crate::engine::{Observation, Stage};
use crate::jobs::{Phase, Status};

/// Whether an observation is of the recorded workflow, and of the attempt that the ledger speaks of. Any other one is of a
/// workflow that is not ours, or of a look that is older than the last move.
pub(super) fn concerns(seen: &Observation, workflow_uid: &str, attempt: u32) -> bool {
    seen.uid.0 == workflow_uid && seen.attempt == attempt
}

/// The end that the engine reports for the attempt, if it does.
pub(super) fn end_of(seen: &Observation) -> Option<Status> {
    seen.status
        .filter(|status| status.phase == Phase::Finished && status.attempt == seen.attempt)
}

/// The moves that bring a live job forward to what was seen, but never to its end: the phases of stages that have started, in
/// order, so that the history of a job does not depend on how often somebody looked; and at last the engine's own reason for
/// standing where it stands.
pub(super) fn passed(current: Status, seen: &Observation) -> Vec<Status> {
    let reported = seen.status.filter(|status| status.attempt == seen.attempt);
    if !current.phase.is_live() || current.attempt != seen.attempt {
        return Vec::new();
    }
    let started = |phase| {
        seen.stages
            .iter()
            .any(|stage| stage.started_at.is_some() && phase_of(stage.stage) == phase)
    };
    let mut moves: Vec<Status> = Phase::ALL
        .into_iter()
        .filter(|phase| phase.is_live() && *phase > current.phase)
        .filter(|phase| started(*phase) || reported.is_some_and(|status| status.phase == *phase))
        .map(|phase| Status::of_phase(phase, current.attempt))
        .collect();
    let reached = moves.last().copied().unwrap_or(current);
    if let Some(reported) = reported.filter(|status| status.phase == reached.phase) {
        match moves.last_mut() {
            Some(last) => *last = reported,
            None if reported != current => moves.push(reported),
            None => {}
        }
    }
    moves
}

const fn phase_of(stage: Stage) -> Phase {
    match stage {
        Stage::Configure => Phase::Configuring,
        Stage::Algorithm => Phase::Running,
        Stage::Filter => Phase::Filtering,
        Stage::Publish => Phase::Publishing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{StageObservation, WorkflowUid};
    use crate::jobs::{Footing, Outcome, Reason};

    fn seen(status: Option<Status>, stages: &[Stage]) -> Observation {
        let stage = |stage: &Stage| StageObservation {
            stage: *stage,
            runner: None,
            started_at: chrono::DateTime::from_timestamp(1, 0),
            finished_at: None,
            exit_code: None,
            isolation: None,
        };
        Observation {
            uid: WorkflowUid("u".to_owned()),
            status,
            attempt: 1,
            stages: stages.iter().map(stage).collect(),
            published: None,
            deleting: false,
            footing: Footing::Canonical,
        }
    }

    fn phases(moves: Vec<Status>) -> Vec<Phase> {
        moves.into_iter().map(|status| status.phase).collect()
    }

    #[test]
    fn a_late_look_finds_every_phase_that_was_passed() {
        let configuring = Status::of_phase(Phase::Configuring, 1);
        let all = [Stage::Configure, Stage::Algorithm, Stage::Publish];
        let ended = Status::finished(Outcome::Succeeded, None, 1);
        let moves = passed(configuring, &seen(Some(ended), &all));
        assert_eq!(phases(moves), [Phase::Running, Phase::Publishing]);
    }

    #[test]
    fn nothing_goes_back_and_nothing_of_another_attempt_counts() {
        let publishing = Status::of_phase(Phase::Publishing, 1);
        let running = Status::of_phase(Phase::Running, 1);
        assert!(passed(publishing, &seen(Some(running), &[Stage::Algorithm])).is_empty());
        let second = Status::of_phase(Phase::Configuring, 2);
        assert!(passed(second, &seen(Some(running), &[Stage::Algorithm])).is_empty());
        let finished = Status::finished(Outcome::Lost, Some(Reason::WorkflowMissing), 1);
        assert!(passed(finished, &seen(Some(running), &[Stage::Algorithm])).is_empty());
        let queued = Status::of_phase(Phase::Queued, 0);
        assert!(passed(queued, &seen(None, &[])).is_empty());
    }

    #[test]
    fn a_reason_for_waiting_is_passed_on_once() {
        let plain = Status::of_phase(Phase::Configuring, 1);
        let waiting = Status {
            reason: Some(Reason::ImageUnavailable),
            ..plain
        };
        assert_eq!(passed(plain, &seen(Some(waiting), &[])), [waiting]);
        assert!(passed(waiting, &seen(Some(waiting), &[])).is_empty());
    }

    #[test]
    fn an_end_without_a_stage_moves_nothing_before_it_is_collected() {
        let configuring = Status::of_phase(Phase::Configuring, 1);
        let ended = Status::finished(Outcome::Failed, Some(Reason::DataProvisioningFailed), 1);
        let observation = seen(Some(ended), &[Stage::Configure]);
        assert!(passed(configuring, &observation).is_empty());
        assert_eq!(end_of(&observation), Some(ended));
    }
}
