use crate::engine::{Published, Stage};
use crate::jobs::Reason;
use crate::stages::Ending;

/// How a stage's program ended, as far as it said so itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct StageEnding {
    pub(super) exit_code: Option<i32>,
    pub(super) signal: Option<i32>,
    /// Why it failed; absent when it went well.
    pub(super) reason: Option<Reason>,
    /// Our own stage's words.
    pub(super) message: Option<String>,
    pub(super) published: Option<Published>,
}

/// Reads what a program that is gone has left. One that left nothing was killed, or never started: it is lost.
pub(super) fn read(stage: Stage, said: Option<Ending>) -> StageEnding {
    match (stage, said) {
        (Stage::Configure, Some(Ending::Configure { reason, detail })) => StageEnding {
            exit_code: reason.is_none().then_some(0),
            reason,
            message: detail,
            ..StageEnding::default()
        },
        (
            Stage::Algorithm | Stage::Filter,
            Some(Ending::Algorithm {
                exit_code,
                signal,
                reason,
                ..
            }),
        ) => {
            let failed = failure(stage, exit_code, signal);
            StageEnding {
                exit_code,
                signal,
                reason: match stage {
                    Stage::Filter => reason.or(failed).map(|_| Reason::FilterFailed),
                    _ => reason.or(failed),
                },
                ..StageEnding::default()
            }
        }
        (
            Stage::Publish,
            Some(Ending::Publish {
                published,
                reason,
                detail,
            }),
        ) => StageEnding {
            exit_code: published.is_some().then_some(0),
            reason: match published {
                Some(_) => reason,
                None => reason.or(Some(Reason::PublishingFailed)),
            },
            message: detail,
            published: published.filter(|_| reason.is_none()),
            ..StageEnding::default()
        },
        _ => StageEnding {
            reason: Some(Reason::PodMissing),
            ..StageEnding::default()
        },
    }
}

/// Why an end that the guard did not bring about is a failure, if it is.
fn failure(stage: Stage, exit_code: Option<i32>, signal: Option<i32>) -> Option<Reason> {
    match (exit_code, signal) {
        (Some(0), None) => None,
        // The guard itself refused.
        (None, None) if stage == Stage::Algorithm => Some(Reason::AlgorithmProvisioningFailed),
        _ => Some(Reason::AlgorithmFailed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Completeness, LogSummary};

    fn guard(exit_code: Option<i32>, signal: Option<i32>, reason: Option<Reason>) -> Ending {
        Ending::Algorithm {
            exit_code,
            signal,
            reason,
            isolation: None,
            log: LogSummary {
                bytes: 0,
                sha256: alloy::primitives::B256::ZERO,
                completeness: Completeness::Complete,
            },
        }
    }

    #[test]
    fn an_end_without_a_word_is_a_loss_and_a_word_of_another_stage_is_none() {
        let stages = [
            Stage::Configure,
            Stage::Algorithm,
            Stage::Filter,
            Stage::Publish,
        ];
        for stage in stages {
            assert_eq!(read(stage, None).reason, Some(Reason::PodMissing));
        }
        let foreign = read(Stage::Publish, Some(guard(Some(0), None, None)));
        assert_eq!(foreign.reason, Some(Reason::PodMissing));
    }

    #[test]
    fn the_guards_word_comes_before_the_exit_code() {
        let table = [
            (guard(Some(0), None, None), None),
            (guard(Some(42), None, None), Some(Reason::AlgorithmFailed)),
            (guard(None, Some(9), None), Some(Reason::AlgorithmFailed)),
            (
                guard(None, Some(9), Some(Reason::TimeExceeded)),
                Some(Reason::TimeExceeded),
            ),
            (
                guard(Some(0), None, Some(Reason::DiskExceeded)),
                Some(Reason::DiskExceeded),
            ),
            (
                guard(None, None, None),
                Some(Reason::AlgorithmProvisioningFailed),
            ),
        ];
        for (said, reason) in table {
            assert_eq!(
                read(Stage::Algorithm, Some(said.clone())).reason,
                reason,
                "{said:?}"
            );
        }
        let filter = read(
            Stage::Filter,
            Some(guard(None, None, Some(Reason::TimeExceeded))),
        );
        assert_eq!(filter.reason, Some(Reason::FilterFailed));
    }
}
