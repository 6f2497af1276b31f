use std::fmt;
use std::str::FromStr;

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// The provider fulfilled before the consumer paid; owed from the block of the payment.
    AwaitingPayment,
    /// Something that decides the verdict cannot be read now. Never a refusal.
    Undecided,
    /// Admitted; the workflow's document cannot be had yet.
    AwaitingDocument,
    /// Its workflow is frozen; it waits for its turn or for the cluster.
    Queued,
    /// Inputs are being fetched.
    Configuring,
    /// The algorithm runs.
    Running,
    /// The publisher's filter looks at what would come out.
    Filtering,
    /// Results and log are being stored.
    Publishing,
    /// Everything is stored and waits for the publisher's release.
    AwaitingReview,
    /// Nothing more will happen by itself; see [`Outcome`].
    Finished,
}

impl Phase {
    /// Every phase, in the order in which a job can meet them.
    pub const ALL: [Self; 10] = [
        Self::AwaitingPayment,
        Self::Undecided,
        Self::AwaitingDocument,
        Self::Queued,
        Self::Configuring,
        Self::Running,
        Self::Filtering,
        Self::Publishing,
        Self::AwaitingReview,
        Self::Finished,
    ];

    /// The word that the ledger, the API and people use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AwaitingPayment => "awaiting_payment",
            Self::Undecided => "undecided",
            Self::AwaitingDocument => "awaiting_document",
            Self::Queued => "queued",
            Self::Configuring => "configuring",
            Self::Running => "running",
            Self::Filtering => "filtering",
            Self::Publishing => "publishing",
            Self::AwaitingReview => "awaiting_review",
            Self::Finished => "finished",
        }
    }

    /// Whether a dispatcher has handed the job to an engine.
    pub const fn is_live(self) -> bool {
        matches!(
            self,
            Self::Configuring | Self::Running | Self::Filtering | Self::Publishing
        )
    }

    /// Whether judging again may still change the job: nothing has been handed to an engine yet.
    pub const fn is_judged_again(self) -> bool {
        matches!(
            self,
            Self::AwaitingPayment
                | Self::Undecided
                | Self::AwaitingDocument
                | Self::Queued
                | Self::Finished
        )
    }

    /// Whether a job in this phase may go to `next`.
    ///
    /// Before it is handed to an engine a job moves with its verdict, in both directions (a reorganisation can take a
    /// payment back). After that only forwards; observation may miss phases between, so forward jumps are legal. A
    /// finished job moves only by a new attempt, or back to judging when it was refused or skipped and its events changed.
    pub fn may_become(self, next: Self) -> bool {
        match (self, next) {
            (Self::Finished, Self::Configuring | Self::Running | Self::Filtering) => false,
            (Self::Finished, Self::Publishing | Self::AwaitingReview) => false,
            (Self::Finished, _) => true,
            (from, Self::Finished) => from != Self::Finished,
            (from, to) if from.is_judged_again() && to.is_judged_again() => from != to,
            (
                Self::Queued,
                Self::Configuring | Self::Running | Self::Filtering | Self::Publishing,
            ) => true,
            (from, to) if from.is_live() => to > from,
            _ => false,
        }
    }
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The algorithm ended with exit code 0 and everything it may release is stored.
    Succeeded,
    /// A stage failed.
    Failed,
    /// The run limit or the start limit passed.
    TimedOut,
    /// Somebody stopped it.
    Stopped,
    /// Judged and not owed, or not allowed.
    Refused,
    /// Its event is gone from the chain for good.
    Withdrawn,
    /// Judged; nothing for this publisher to do.
    Skipped,
    /// What ran it is gone and how it ended cannot be known.
    Lost,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 8] = [
        Self::Succeeded,
        Self::Failed,
        Self::TimedOut,
        Self::Stopped,
        Self::Refused,
        Self::Withdrawn,
        Self::Skipped,
        Self::Lost,
    ];

    /// The word that the ledger, the API and people use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Stopped => "stopped",
            Self::Refused => "refused",
            Self::Withdrawn => "withdrawn",
            Self::Skipped => "skipped",
            Self::Lost => "lost",
        }
    }

    /// Whether the job ended by a verdict, before anything ran: such a job is judged again when its events change.
    pub const fn is_verdict(self) -> bool {
        matches!(self, Self::Refused | Self::Skipped | Self::Withdrawn)
    }
}

/// A word that is none of the known ones: a row or a message from a newer version.
#[derive(Debug, thiserror::Error)]
#[error("{word:?} is no {kind} that this version knows")]
pub struct UnknownWord {
    /// What the word should have been.
    pub kind: &'static str,
    /// What it was.
    pub word: String,
}

macro_rules! words {
    ($type:ident, $kind:literal) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = UnknownWord;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                Self::ALL
                    .iter()
                    .copied()
                    .find(|value| value.as_str() == word)
                    .ok_or_else(|| UnknownWord {
                        kind: $kind,
                        word: word.to_owned(),
                    })
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = <String as serde::Deserialize>::deserialize(deserializer)?;
                word.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(super) use words;

words!(Phase, "phase");
words!(Outcome, "outcome");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_live_job_only_goes_forward() {
        assert!(Phase::Queued.may_become(Phase::Running));
        assert!(Phase::Running.may_become(Phase::Publishing));
        assert!(!Phase::Publishing.may_become(Phase::Running));
        assert!(!Phase::Running.may_become(Phase::Queued));
        assert!(!Phase::Finished.may_become(Phase::Running));
    }

    #[test]
    fn a_judged_job_follows_its_verdict_both_ways() {
        assert!(Phase::AwaitingPayment.may_become(Phase::Queued));
        assert!(Phase::Queued.may_become(Phase::AwaitingPayment));
        assert!(Phase::Finished.may_become(Phase::Undecided));
    }

    #[test]
    fn no_phase_becomes_itself_but_a_finished_one_may_be_finished_anew() {
        for phase in Phase::ALL {
            assert_eq!(phase.may_become(phase), phase == Phase::Finished, "{phase}");
        }
    }

    #[test]
    fn words_read_back() {
        for phase in Phase::ALL {
            assert_eq!(phase.as_str().parse::<Phase>().unwrap(), phase);
        }
        for outcome in Outcome::ALL {
            assert_eq!(outcome.as_str().parse::<Outcome>().unwrap(), outcome);
        }
        assert!("done".parse::<Phase>().is_err());
    }
}
