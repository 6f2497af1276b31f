use std::borrow::Cow;

use alloy::primitives::{Address, U256};
use serde::{Deserialize, Serialize};

use super::Rule;
use super::case::Case;
use super::opinion::Expectation;
use super::question::Position;
use crate::ids::{AgreementId, ConditionId, Did};
use crate::jobs::Reason;

/// What is to become of a job, and why, rule by rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The decision.
    pub decision: Decision,
    /// Every rule's answer, in order.
    pub rules: Vec<RuleAnswer>,
    /// The logs it rests on.
    pub evidence: Vec<(Role, i64)>,
    /// The asset's owner when the condition was fulfilled, as far as known.
    pub provider: Option<Address>,
    /// What the contracts must answer if the events are right; `None` where nothing hangs on it.
    pub expectation: Option<Expectation>,
    /// What a second opinion says otherwise, in a sentence: the job is for an operator to look at.
    pub dispute: Option<String>,
}

/// What is to become of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is owed.
    Admitted(Admission),
    /// It will be owed once it is paid.
    AwaitingPayment {
        /// Last block in which the lock can be fulfilled; `None`: its window never ends.
        until_block: Option<u64>,
    },
    /// Something that decides cannot be read now.
    Undecided {
        /// What, without repetition.
        missing: Vec<Missing>,
    },
    /// It is not owed.
    Refused(Reason),
    /// It is nothing for this publisher to do, or not any more.
    Skipped(Reason),
}

/// What is known of a job that is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The event from which it is owed: the condition's, or the payment's when that came later.
    pub owed_from: Position,
    /// Paid amount, in the token's smallest unit.
    pub payment: U256,
    /// Whom the escrow pays.
    pub payee: Address,
    /// Where the agreement was created.
    pub agreement_created: Position,
}

/// Something that a call would answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Missing {
    /// Whether the agreement exists, and under which template.
    Agreement(AgreementId),
    /// A condition's window.
    Condition(ConditionId),
    /// Who owned the asset when the condition was fulfilled.
    Owner(Did),
    /// From which block on the operator acts; no call answers this, the follower does.
    ActFrom,
}

/// One rule's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleAnswer {
    /// The rule's stable name.
    pub rule: Cow<'static, str>,
    /// What came out.
    pub answer: Answer,
    /// A sentence for people.
    pub detail: Cow<'static, str>,
    /// What decided it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
}

/// What a rule says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// What it asks for is so.
    Holds,
    /// It is not so.
    Fails,
    /// It cannot be told now.
    Unknown,
    /// It was not asked, since another rule had decided or could not be answered.
    NotReached,
}

/// What decided a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Evidence {
    /// The ledger's id of a log.
    Log(i64),
    /// A contract call.
    Call(String),
    /// A block by its number: a window's last one, the one from which a job is owed.
    Block(u64),
}

/// The part that a log plays for a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The agreement's creation.
    Creation,
    /// The registration that says who owns the asset.
    Registration,
    /// The payment.
    Lock,
    /// The condition's own event.
    Execute,
    /// An aborted condition.
    Abort,
}

impl Role {
    /// The word that the ledger uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Creation => "creation",
            Self::Registration => "registration",
            Self::Lock => "lock",
            Self::Execute => "execute",
            Self::Abort => "abort",
        }
    }
}

/// What a rule finds.
pub(super) struct Finding {
    pub(super) outcome: Outcome,
    pub(super) detail: Cow<'static, str>,
    pub(super) evidence: Option<Evidence>,
    pub(super) roles: Vec<(Role, i64)>,
}

/// What follows from a finding.
#[derive(Clone, Copy)]
pub(super) enum Outcome {
    Holds,
    Fails(Reason),
    Skips(Reason),
    Unknown(Missing),
    /// For the payment, at most until that block.
    Waits(Option<u64>),
    /// It rests on something that another rule found wrong or unknown.
    NotReached,
}

impl Finding {
    pub(super) fn new(outcome: Outcome, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            outcome,
            detail: detail.into(),
            evidence: None,
            roles: Vec::new(),
        }
    }

    pub(super) fn holds(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Outcome::Holds, detail)
    }

    /// Fails with the reason's own sentence.
    pub(super) fn fails(reason: Reason) -> Self {
        Self::new(Outcome::Fails(reason), reason.sentence())
    }

    pub(super) fn not_reached() -> Self {
        Self::new(Outcome::NotReached, NOT_REACHED)
    }

    pub(super) fn by_log(mut self, log: i64) -> Self {
        self.evidence = Some(Evidence::Log(log));
        self
    }

    pub(super) fn by_call(mut self, call: impl Into<String>) -> Self {
        self.evidence = Some(Evidence::Call(call.into()));
        self
    }

    pub(super) fn by_block(mut self, block: u64) -> Self {
        self.evidence = Some(Evidence::Block(block));
        self
    }

    pub(super) fn in_role(mut self, role: Role, log: i64) -> Self {
        self.roles.push((role, log));
        self
    }
}

const NOT_REACHED: &str = "Not asked.";

/// A verdict in the making.
#[derive(Default)]
pub(super) struct Draft {
    rules: Vec<RuleAnswer>,
    evidence: Vec<(Role, i64)>,
    refused: Option<Reason>,
    skipped: Option<Reason>,
    missing: Vec<Missing>,
    waits: Option<Option<u64>>,
}

impl Draft {
    /// Asks the rules in order until one refuses. An unknown answer does not end it, since a later rule may refuse anyway; nor
    /// does skipping, which a refusal outweighs.
    pub(super) fn ask(&mut self, rules: &[Rule], case: &Case<'_>) {
        for (name, rule) in rules {
            if self.refused.is_some() {
                self.note(name, Finding::not_reached());
            } else {
                self.note(name, rule(case));
            }
        }
    }

    /// Notes rules that are not asked.
    pub(super) fn leave(&mut self, rules: &[Rule]) {
        for (name, _) in rules {
            self.note(name, Finding::not_reached());
        }
    }

    /// Whether nothing has been decided and nothing is unknown so far.
    pub(super) fn is_open(&self) -> bool {
        self.refused.is_none() && self.skipped.is_none() && self.missing.is_empty()
    }

    fn note(&mut self, name: &'static str, finding: Finding) {
        let answer = match finding.outcome {
            Outcome::Holds => Answer::Holds,
            Outcome::NotReached => Answer::NotReached,
            Outcome::Fails(reason) => {
                self.refused.get_or_insert(reason);
                Answer::Fails
            }
            Outcome::Skips(reason) => {
                self.skipped.get_or_insert(reason);
                Answer::Fails
            }
            Outcome::Unknown(missing) => {
                self.missing.push(missing);
                Answer::Unknown
            }
            Outcome::Waits(until) => {
                self.waits = Some(until);
                Answer::Unknown
            }
        };
        self.evidence.extend(finding.roles);
        self.rules.push(RuleAnswer {
            rule: Cow::Borrowed(name),
            answer,
            detail: finding.detail,
            evidence: finding.evidence,
        });
    }

    /// The verdict: a refusal outweighs skipping, which outweighs what is unknown, which outweighs waiting.
    pub(super) fn close(mut self, case: &Case<'_>) -> Verdict {
        self.missing.sort_unstable();
        self.missing.dedup();
        self.evidence.push((Role::Execute, case.trigger.log));
        self.evidence.sort_unstable();
        self.evidence.dedup();
        let decision = if let Some(reason) = self.refused {
            Decision::Refused(reason)
        } else if let Some(reason) = self.skipped {
            Decision::Skipped(reason)
        } else if !self.missing.is_empty() {
            Decision::Undecided {
                missing: self.missing,
            }
        } else if let Some(until_block) = self.waits {
            Decision::AwaitingPayment { until_block }
        } else {
            // When every rule holds, all of it is known.
            let unknown = Decision::Undecided {
                missing: Vec::new(),
            };
            case.admission().map_or(unknown, Decision::Admitted)
        };
        Verdict {
            expectation: Expectation::of(case, &decision),
            decision,
            rules: self.rules,
            evidence: self.evidence,
            provider: case.owner().known(),
            dispute: None,
        }
    }
}
