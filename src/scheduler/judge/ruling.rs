use std::borrow::Cow;

use serde_json::{Value, json};

use crate::admission::{Answer, Decision, RuleAnswer, Verdict};
use crate::jobs::{Outcome, Phase, Reason, Status};
use crate::ledger::jobs::Terms;
use crate::ledger::judge_queue::Due;
use crate::ledger::verdicts;

/// What the ledger is told about a job.
pub(super) struct Ruling<'a> {
    pub(super) word: &'static str,
    pub(super) reason: Option<Reason>,
    /// Borrowed from the verdict: a history has very many, and each is written once.
    pub(super) rules: Cow<'a, [RuleAnswer]>,
}

impl<'a> Ruling<'a> {
    pub(super) fn of(verdict: &'a Verdict) -> Self {
        let (word, reason) = match &verdict.decision {
            Decision::Admitted(_) => ("admitted", None),
            Decision::AwaitingPayment { .. } => ("awaiting_payment", None),
            Decision::Undecided { .. } => ("undecided", None),
            Decision::Refused(reason) => ("refused", Some(*reason)),
            Decision::Skipped(reason) => ("skipped", Some(*reason)),
        };
        Self {
            word,
            reason,
            rules: Cow::Borrowed(&verdict.rules),
        }
    }

    /// One rule outside of admission that decides.
    pub(super) fn by_one_rule(word: &'static str, reason: Reason, rule: &'static str) -> Self {
        let answer = RuleAnswer {
            rule: rule.into(),
            answer: Answer::Fails,
            detail: reason.sentence().into(),
            evidence: None,
        };
        Self {
            word,
            reason: Some(reason),
            rules: vec![answer].into(),
        }
    }

    /// The rules' answers as a verdict's row has them.
    pub(super) fn value(&self) -> Value {
        json!(self.rules)
    }

    /// Where the ruling puts a job that nobody has handed to an engine.
    pub(super) fn status(&self, attempt: u32) -> Status {
        let outcome = match self.word {
            "admitted" => return Status::of_phase(Phase::AwaitingDocument, attempt),
            "awaiting_payment" => return Status::of_phase(Phase::AwaitingPayment, attempt),
            "undecided" => return Status::of_phase(Phase::Undecided, attempt),
            "skipped" => Outcome::Skipped,
            "withdrawn" => Outcome::Withdrawn,
            _ => Outcome::Refused,
        };
        Status::finished(outcome, self.reason, attempt)
    }

    /// Whether the last verdict says the same, if not in the same words.
    pub(super) fn is(&self, last: Option<&verdicts::Row>) -> bool {
        last.is_some_and(|last| {
            last.verdict == self.word && last.reason.as_deref() == self.reason.map(Reason::as_str)
        })
    }

    /// Whether the last verdict says the same in the same words.
    pub(super) fn repeats(&self, last: Option<&verdicts::Row>) -> bool {
        self.is(last) && last.is_some_and(|last| last.rules == self.value())
    }
}

/// Where a job goes from `current`; `None` when the ruling leaves it where it is.
pub(super) fn next(
    current: &Status,
    ruling: &Ruling<'_>,
    last: Option<&verdicts::Row>,
) -> Option<Status> {
    let target = ruling.status(current.attempt);
    match current.phase {
        Phase::Configuring | Phase::Running | Phase::Filtering | Phase::Publishing => None,
        // It runs no more, and nothing has left yet.
        Phase::AwaitingReview => (ruling.word == "withdrawn").then_some(target),
        // Admitted is admitted: the resolver may have gone on from there.
        Phase::Queued if ruling.word == "admitted" => None,
        // What ran is over, whatever the chain says later: it does not run again by itself.
        Phase::Finished if current.attempt > 0 => None,
        Phase::Finished if !current.outcome.is_some_and(Outcome::is_verdict) => None,
        // The resolver may have refused what was admitted; the same verdict again changes nothing.
        Phase::Finished if ruling.is(last) => None,
        _ => (target != *current).then_some(target),
    }
}

/// A job's terms, as far as its verdict has them.
pub(super) fn terms(verdict: &Verdict) -> Terms {
    let admission = match &verdict.decision {
        Decision::Admitted(admission) => Some(admission),
        _ => None,
    };
    Terms {
        owed_block: admission.map(|admission| admission.owed_from.block),
        provider: verdict.provider,
        payment: admission.map(|admission| admission.payment),
    }
}

/// The entry that comes first: a delay before a block, since it is bounded.
pub(super) fn soonest(due: Vec<(Due, &'static str)>) -> Option<(Due, &'static str)> {
    due.into_iter().min_by_key(|(due, _)| match due {
        Due::After(delay) => (0, delay.as_millis()),
        Due::Block(number) => (1, u128::from(*number)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ruling(word: &'static str, reason: Option<Reason>) -> Ruling<'static> {
        Ruling {
            word,
            reason,
            rules: Cow::Borrowed(&[]),
        }
    }

    fn row(word: &str, reason: Option<Reason>) -> verdicts::Row {
        verdicts::Row {
            verdict: word.to_owned(),
            reason: reason.map(|reason| reason.as_str().to_owned()),
            rules: json!([]),
        }
    }

    #[test]
    fn what_was_handed_to_an_engine_is_never_moved() {
        let refused = ruling("refused", Some(Reason::Underpaid));
        for phase in Phase::ALL {
            let handed = phase.is_live() || phase == Phase::AwaitingReview;
            if phase == Phase::Finished {
                continue;
            }
            let moved = next(&Status::of_phase(phase, 1), &refused, None);
            assert_eq!(moved.is_none(), handed, "{phase}");
        }
        for outcome in Outcome::ALL {
            let unstarted = Status::finished(outcome, Some(Reason::TimeExceeded), 0);
            let moved = next(&unstarted, &refused, None);
            assert_eq!(moved.is_some(), outcome.is_verdict(), "{outcome}");
            let ran = Status::finished(outcome, Some(Reason::TimeExceeded), 1);
            assert_eq!(next(&ran, &refused, None), None, "{outcome}");
        }
    }

    #[test]
    fn only_a_withdrawal_ends_what_waits_for_its_review() {
        let waiting = Status::of_phase(Phase::AwaitingReview, 1);
        let refused = ruling("refused", Some(Reason::Underpaid));
        assert_eq!(next(&waiting, &refused, None), None);
        let withdrawn = ruling("withdrawn", Some(Reason::EventWithdrawn));
        let end = Status::finished(Outcome::Withdrawn, Some(Reason::EventWithdrawn), 1);
        assert_eq!(next(&waiting, &withdrawn, None), Some(end));
    }

    #[test]
    fn what_the_resolver_decided_stands_until_the_verdict_changes() {
        let admitted = ruling("admitted", None);
        let refused = Status::finished(Outcome::Refused, Some(Reason::NoAlgorithm), 0);
        let last = row("admitted", None);
        assert_eq!(next(&refused, &admitted, Some(&last)), None);
        let queued = Status::of_phase(Phase::Queued, 0);
        assert_eq!(next(&queued, &admitted, Some(&last)), None);
        let last = row("awaiting_payment", None);
        let again = Some(Status::of_phase(Phase::AwaitingDocument, 0));
        assert_eq!(next(&refused, &admitted, Some(&last)), again);
        let withdrawn = Status::finished(Outcome::Withdrawn, Some(Reason::EventWithdrawn), 0);
        let last = row("withdrawn", Some(Reason::EventWithdrawn));
        assert_eq!(next(&withdrawn, &admitted, Some(&last)), again);
    }
}
