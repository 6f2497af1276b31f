use serde::Serialize;

use super::{Outcome, Phase, Reason, Status};

/// A status as OEP-12's clients poll it. Source of the codes: OEP-12, section "status of a job", with the failure codes
/// that Ocean Node added (31, 32, 41, 42, 61, 62).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Oep12Status {
    /// The code.
    pub status: u16,
    /// Its text.
    pub status_text: &'static str,
}

impl Oep12Status {
    /// The status of a job.
    ///
    /// Old clients poll until they see a code of 70 or a `dateFinished`, so whatever waits answers 1 and whatever was
    /// refused, skipped or withdrawn answers 32 beside its `dateFinished`.
    pub fn of(status: &Status) -> Self {
        match (status.phase, status.outcome) {
            (Phase::Finished, outcome) => Self::finished(outcome, status.reason),
            (Phase::Configuring, _) => Self::new(30, "Provisioning success"),
            (Phase::Running, _) => Self::new(40, "Running algorithm"),
            (Phase::Filtering, _) => Self::new(50, "Filtering results"),
            (Phase::Publishing | Phase::AwaitingReview, _) => Self::new(60, "Publishing results"),
            (
                Phase::AwaitingPayment | Phase::Undecided | Phase::AwaitingDocument | Phase::Queued,
                _,
            ) => Self::new(1, "Warming up"),
        }
    }

    fn finished(outcome: Option<Outcome>, reason: Option<Reason>) -> Self {
        let provisioning_failed = Self::new(32, "Algorithm provisioning failed");
        let algorithm_failed = Self::new(41, "Algorithm failed");
        let limit_exceeded = Self::new(42, "Limit exceeded");
        match outcome {
            Some(Outcome::Succeeded) => Self::new(70, "Job completed"),
            Some(Outcome::Refused | Outcome::Withdrawn | Outcome::Skipped) | None => {
                provisioning_failed
            }
            Some(Outcome::Stopped | Outcome::Lost) => algorithm_failed,
            Some(Outcome::TimedOut) => match reason {
                Some(Reason::PublishingTimeExceeded) => {
                    Self::new(62, "Results not published in time")
                }
                _ => limit_exceeded,
            },
            Some(Outcome::Failed) => match reason {
                Some(Reason::DataProvisioningFailed) => Self::new(31, "Data provisioning failed"),
                Some(Reason::MemoryExceeded | Reason::DiskExceeded) => limit_exceeded,
                Some(Reason::PublishingFailed | Reason::FilterFailed) => {
                    Self::new(61, "Publishing failed")
                }
                Some(
                    Reason::AlgorithmProvisioningFailed
                    | Reason::ImageUnavailable
                    | Reason::ClusterRefused
                    | Reason::PodAltered
                    | Reason::NetworkUnproven,
                ) => provisioning_failed,
                _ => algorithm_failed,
            },
        }
    }

    const fn new(status: u16, status_text: &'static str) -> Self {
        Self {
            status,
            status_text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(phase: Phase, outcome: Option<Outcome>, reason: Option<Reason>) -> u16 {
        Oep12Status::of(&Status {
            phase,
            outcome,
            reason,
            attempt: 1,
        })
        .status
    }

    #[test]
    fn every_phase_and_outcome_has_the_code_that_old_clients_expect() {
        let phases = Phase::ALL.map(|phase| code(phase, None, None));
        assert_eq!(phases, [1, 1, 1, 1, 30, 40, 50, 60, 60, 32]);
        let finished = |outcome, reason| code(Phase::Finished, Some(outcome), Some(reason));
        assert_eq!(code(Phase::Finished, Some(Outcome::Succeeded), None), 70);
        assert_eq!(finished(Outcome::Failed, Reason::AlgorithmFailed), 41);
        assert_eq!(
            finished(Outcome::Failed, Reason::DataProvisioningFailed),
            31
        );
        assert_eq!(finished(Outcome::Failed, Reason::MemoryExceeded), 42);
        assert_eq!(finished(Outcome::TimedOut, Reason::TimeExceeded), 42);
        assert_eq!(
            finished(Outcome::TimedOut, Reason::PublishingTimeExceeded),
            62
        );
        assert_eq!(finished(Outcome::Refused, Reason::NoAlgorithm), 32);
        assert_eq!(finished(Outcome::Stopped, Reason::StoppedByOperator), 41);
        assert_eq!(finished(Outcome::Lost, Reason::WorkflowMissing), 41);
    }
}
