//! What of a job is let out to its parties: the publisher's release rule, and what stands beside it. Pure; operators are not asked.

use crate::engine::Stage;
use crate::jobs::{Outcome, Phase};
use crate::workflows::{Release, ReleaseRule};

/// How a job stands as far as letting anything out is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// The rule frozen with the job; `None` before that, and then nothing was ever made that could be let out.
    pub(super) rule: Option<ReleaseRule>,
    /// Where it stands.
    pub(super) phase: Phase,
    /// How it ended.
    pub(super) outcome: Option<Outcome>,
    /// Whether what owes it is on the chain.
    pub(super) is_canonical: bool,
    /// Whether an operator let it out.
    pub(super) is_reviewed: bool,
}

/// Why something is not let out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Withheld {
    /// The rule lets nothing of that kind out.
    ByRule,
    /// The rule lets out what the publisher's filter left, and that is asked for in another way.
    Unfiltered,
    /// It is our own stage's, which only operators read.
    OurOwn,
    /// An operator has to look first.
    UntilReviewed,
    /// What owes the job is not on the chain.
    Orphaned,
}

impl Standing {
    /// Which stage's log somebody reads who asks for that one, or for none in particular; `Ok(None)`: there is none yet.
    pub(super) fn log(&self, asked: Option<Stage>) -> Result<Option<Stage>, Withheld> {
        let Some(rule) = &self.rule else {
            return Ok(None);
        };
        let stage = match (rule.logs, asked) {
            (_, Some(Stage::Configure | Stage::Publish)) => return Err(Withheld::OurOwn),
            (Release::None, _) | (Release::Raw, Some(Stage::Filter)) => {
                return Err(Withheld::ByRule);
            }
            (Release::Raw, Some(Stage::Algorithm) | None) => Stage::Algorithm,
            (Release::Filtered, Some(Stage::Algorithm)) => return Err(Withheld::Unfiltered),
            (Release::Filtered, Some(Stage::Filter) | None) => Stage::Filter,
        };
        self.nothing_holds_it(rule)?;
        Ok(Some(stage))
    }

    /// Whether results are let out; what of them the filter left is all that was published.
    pub(super) fn results(&self) -> Result<(), Withheld> {
        let Some(rule) = &self.rule else {
            return Err(Withheld::ByRule);
        };
        if rule.results == Release::None {
            return Err(Withheld::ByRule);
        }
        self.nothing_holds_it(rule)
    }

    /// Whether a party learns the exit code: an algorithm can say a letter by it, so it goes where the log goes as it is.
    pub(super) fn shows_exit_code(&self) -> bool {
        self.log(Some(Stage::Algorithm)) == Ok(Some(Stage::Algorithm))
    }

    fn nothing_holds_it(&self, rule: &ReleaseRule) -> Result<(), Withheld> {
        if !self.is_canonical || self.outcome == Some(Outcome::Withdrawn) {
            return Err(Withheld::Orphaned);
        }
        if rule.review && !(self.is_reviewed && self.phase == Phase::Finished) {
            return Err(Withheld::UntilReviewed);
        }
        Ok(())
    }
}

impl Withheld {
    /// The same as a sentence.
    pub(super) const fn sentence(self) -> &'static str {
        match self {
            Self::ByRule => "The publisher's release rule for this job does not let this out.",
            Self::Unfiltered => {
                "The publisher's release rule lets out only what the filter left of the log: ask for stage=filter."
            }
            Self::OurOwn => "Only operators read the log of this stage.",
            Self::UntilReviewed => {
                "The publisher's release rule holds everything of this job until an operator has released it."
            }
            Self::Orphaned => {
                "What owes this job is not on the chain now; nothing is let out unless it comes back."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(logs: Release, results: Release) -> Standing {
        let rule = ReleaseRule {
            results,
            logs,
            review: false,
            result_bytes: 1,
            result_files: 1,
            log_bytes: 1,
        };
        Standing {
            rule: Some(rule),
            phase: Phase::Finished,
            outcome: Some(Outcome::Succeeded),
            is_canonical: true,
            is_reviewed: false,
        }
    }

    #[test]
    fn the_rule_says_which_log_is_let_out() {
        use Release::{Filtered, None as Nothing, Raw};
        use Stage::{Algorithm, Configure, Filter, Publish};
        let ours = Err(Withheld::OurOwn);
        let by_rule = Err(Withheld::ByRule);
        let table = [
            (Raw, None, Ok(Some(Algorithm))),
            (Raw, Some(Algorithm), Ok(Some(Algorithm))),
            (Raw, Some(Filter), by_rule),
            (Raw, Some(Configure), ours),
            (Raw, Some(Publish), ours),
            (Filtered, None, Ok(Some(Filter))),
            (Filtered, Some(Algorithm), Err(Withheld::Unfiltered)),
            (Filtered, Some(Filter), Ok(Some(Filter))),
            (Filtered, Some(Publish), ours),
            (Nothing, None, by_rule),
            (Nothing, Some(Algorithm), by_rule),
            (Nothing, Some(Filter), by_rule),
            (Nothing, Some(Configure), ours),
        ];
        for (rule, asked, answer) in table {
            assert_eq!(
                finished(rule, Raw).log(asked),
                answer,
                "{rule:?}: {asked:?}"
            );
            let shows = finished(rule, Raw).shows_exit_code();
            assert_eq!(shows, rule == Raw, "{rule:?}");
        }
        assert_eq!(finished(Nothing, Raw).results(), Ok(()));
        assert_eq!(finished(Raw, Filtered).results(), Ok(()));
        assert_eq!(finished(Raw, Nothing).results(), by_rule.map(drop));
    }

    #[test]
    fn a_review_holds_everything_until_an_operator_has_released_it() {
        let mut standing = finished(Release::Raw, Release::Raw);
        if let Some(rule) = &mut standing.rule {
            rule.review = true;
        }
        let phases = [
            Phase::Running,
            Phase::AwaitingReview,
            Phase::Queued,
            Phase::Finished,
        ];
        for (phase, is_reviewed) in phases.into_iter().flat_map(|it| [(it, false), (it, true)]) {
            standing.phase = phase;
            standing.is_reviewed = is_reviewed;
            // A job that runs again has been released once, but not what it makes now.
            let expected = if is_reviewed && phase == Phase::Finished {
                Ok(())
            } else {
                Err(Withheld::UntilReviewed)
            };
            assert_eq!(standing.results(), expected, "{phase}");
            assert_eq!(standing.log(None).map(drop), expected, "{phase}");
            assert_eq!(standing.shows_exit_code(), expected.is_ok());
        }
    }

    #[test]
    fn nothing_is_let_out_of_a_job_whose_event_is_gone_or_that_has_no_rule() {
        let whole = finished(Release::Raw, Release::Raw);
        for standing in [
            Standing {
                is_canonical: false,
                ..whole.clone()
            },
            Standing {
                outcome: Some(Outcome::Withdrawn),
                ..whole.clone()
            },
        ] {
            assert_eq!(standing.results(), Err(Withheld::Orphaned));
            assert_eq!(standing.log(None), Err(Withheld::Orphaned));
        }
        let unfrozen = Standing {
            rule: None,
            ..whole
        };
        assert_eq!(unfrozen.log(None), Ok(None));
        assert_eq!(unfrozen.results(), Err(Withheld::ByRule));
        assert!(!unfrozen.shows_exit_code());
    }
}
