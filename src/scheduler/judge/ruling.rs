use std::collections::BTreeSet;

use alloy::primitives::B256;
use serde_json::{Value, json};

use super::hearing::Hearing;
use super::{Docket, Judge};
use crate::admission::{Answer, Decision, Recorded, RuleAnswer, Verdict};
use crate::ids::{JobId, JobName};
use crate::jobs::{Outcome, Phase, Reason, Status};
use crate::keeper::{ContractCalls, KeeperEvent};
use crate::ledger::jobs::{Anchor, Ensured, NewJob, Terms};
use crate::ledger::judge_queue::Due;
use crate::ledger::verdicts::Basis;
use crate::ledger::{Transaction, facts, jobs, judge_queue, status, verdicts};
use crate::scheduler::Error;
use crate::workflows::Catalog;

/// Name that the judge signs transitions with.
const WORKER: &str = "judge";

/// What the ledger is told about a job.
struct Ruling {
    word: &'static str,
    reason: Option<Reason>,
    rules: Value,
}

impl Ruling {
    fn of(verdict: &Verdict) -> Self {
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
            rules: json!(verdict.rules),
        }
    }

    /// One rule outside of admission that decides.
    fn by_one_rule(word: &'static str, reason: Reason, rule: &str) -> Self {
        let answer = RuleAnswer {
            rule: rule.to_owned(),
            answer: Answer::Fails,
            detail: reason.sentence().to_owned(),
            evidence: None,
        };
        Self {
            word,
            reason: Some(reason),
            rules: json!([answer]),
        }
    }

    /// Where the ruling puts a job that nobody has handed to an engine.
    fn status(&self, attempt: u32) -> Status {
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

    fn is(&self, last: Option<&verdicts::Row>) -> bool {
        last.is_some_and(|last| {
            last.verdict == self.word && last.reason.as_deref() == self.reason.map(Reason::as_str)
        })
    }
}

/// Where a job goes from `current`; `None` when the ruling leaves it where it is.
fn next(current: &Status, ruling: &Ruling, last: Option<&verdicts::Row>) -> Option<Status> {
    let target = ruling.status(current.attempt);
    match current.phase {
        Phase::Configuring
        | Phase::Running
        | Phase::Filtering
        | Phase::Publishing
        | Phase::AwaitingReview => None,
        // Admitted is admitted: the resolver may have gone on from there.
        Phase::Queued if ruling.word == "admitted" => None,
        Phase::Finished if !current.outcome.is_some_and(Outcome::is_verdict) => None,
        // The resolver may have refused what was admitted; the same verdict again changes nothing.
        Phase::Finished if ruling.is(last) => None,
        _ => (target != *current).then_some(target),
    }
}

impl<C: ContractCalls> Judge<C> {
    /// Writes what a hearing concluded, inside the transaction that moved the cursor.
    pub(super) async fn rule(
        &self,
        transaction: &mut Transaction,
        docket: &Docket,
        catalog: &Catalog,
        hearing: &Hearing,
    ) -> Result<(), Error> {
        for learned in &hearing.learned {
            let (about, value, at) = (learned.about, &learned.value, learned.at_block);
            facts::record(transaction, self.deployment_id, about, value, at).await?;
        }
        let basis = Basis {
            policy: Some(catalog.sha256),
            judged: docket.to,
        };
        let mut anchored = BTreeSet::new();
        let mut due = Vec::new();
        for (trigger, verdict) in &hearing.verdicts {
            let Some(new) = self.job_of(trigger) else {
                continue;
            };
            anchored.insert(new.key);
            self.rule_on(transaction, &new, trigger, verdict, &basis)
                .await?;
            due.extend(self.again(verdict));
        }
        due.extend(
            self.rule_on_orphans(transaction, docket, hearing, &anchored, &basis)
                .await?,
        );
        judge_queue::replace(
            transaction,
            self.deployment_id,
            hearing.agreement,
            soonest(due),
        )
        .await?;
        Ok(())
    }

    fn job_of(&self, trigger: &Recorded) -> Option<NewJob> {
        let KeeperEvent::ComputeFulfilled {
            agreement,
            did,
            consumer,
            condition,
        } = trigger.event
        else {
            return None;
        };
        let contract = self.deployment.contracts.compute_execution_condition;
        Some(NewJob {
            contract,
            key: condition.0,
            name: JobName::derive(self.deployment.chain_id, contract, condition.0),
            agreement,
            did,
            consumer,
        })
    }

    async fn rule_on(
        &self,
        transaction: &mut Transaction,
        new: &NewJob,
        trigger: &Recorded,
        verdict: &Verdict,
        basis: &Basis,
    ) -> Result<(), Error> {
        let ensured = jobs::ensure(transaction, self.deployment_id, new).await?;
        let ruling = if ensured.collides {
            Ruling::by_one_rule("refused", Reason::NameCollision, "name")
        } else {
            Ruling::of(verdict)
        };
        let anchor = Anchor {
            log: trigger.log,
            block: trigger.block,
        };
        self.apply(transaction, ensured, Some(&anchor), &ruling, basis)
            .await?;
        jobs::note_terms(transaction, ensured.job, &terms(verdict)).await?;
        for (role, log) in &verdict.evidence {
            verdicts::record_evidence(transaction, ensured.job, role.as_str(), *log).await?;
        }
        Ok(())
    }

    /// Jobs whose event is on no canonical block: marked, and withdrawn once the fork can no longer return. Answers when to look
    /// again.
    async fn rule_on_orphans(
        &self,
        transaction: &mut Transaction,
        docket: &Docket,
        hearing: &Hearing,
        anchored: &BTreeSet<B256>,
        basis: &Basis,
    ) -> Result<Vec<(Due, &'static str)>, Error> {
        let known =
            jobs::list_of_agreement(transaction, self.deployment_id, hearing.agreement).await?;
        let settled = docket
            .seen
            .irreversible
            .map(|number| number.min(docket.to.number));
        let mut due = Vec::new();
        for job in known.iter().filter(|job| !anchored.contains(&job.key)) {
            jobs::orphan(transaction, job.job).await?;
            if settled.is_some_and(|settled| settled >= job.block_number) {
                let ruling = Ruling::by_one_rule("withdrawn", Reason::EventWithdrawn, "event");
                let ensured = Ensured {
                    job: job.job,
                    is_new: false,
                    collides: false,
                };
                self.apply(transaction, ensured, None, &ruling, basis)
                    .await?;
            } else {
                due.push((Due::Block(job.block_number), "event orphaned"));
            }
        }
        Ok(due)
    }

    async fn apply(
        &self,
        transaction: &mut Transaction,
        ensured: Ensured,
        anchor: Option<&Anchor>,
        ruling: &Ruling,
        basis: &Basis,
    ) -> Result<(), Error> {
        let job = ensured.job;
        if ensured.is_new
            && let Some(anchor) = anchor
        {
            let status = ruling.status(0);
            jobs::open(transaction, self.deployment_id, job, &status, anchor).await?;
            status::begin(transaction, job, WORKER).await?;
            return append(transaction, job, ruling, basis).await;
        }
        let mut locked = status::lock(transaction, job).await?;
        if let Some(anchor) = anchor {
            jobs::anchor(transaction, job, anchor).await?;
        }
        let last = verdicts::find_last_judged(transaction, job).await?;
        if let Some(status) = next(&locked.status, ruling, last.as_ref()) {
            status::advance(transaction, &mut locked, status, WORKER).await?;
        }
        let is_the_same =
            ruling.is(last.as_ref()) && last.is_some_and(|last| last.rules == ruling.rules);
        if is_the_same {
            return Ok(());
        }
        append(transaction, job, ruling, basis).await
    }

    /// When a verdict has to be looked at again, though no event may come.
    fn again(&self, verdict: &Verdict) -> Option<(Due, &'static str)> {
        match verdict.decision {
            Decision::AwaitingPayment {
                until_block: Some(block),
            } => Some((Due::Block(block), "payment awaited")),
            Decision::Undecided { .. } => Some((Due::After(self.retry), "fact missing")),
            _ => None,
        }
    }
}

async fn append(
    transaction: &mut Transaction,
    job: JobId,
    ruling: &Ruling,
    basis: &Basis,
) -> Result<(), Error> {
    let words = (ruling.word, ruling.reason);
    verdicts::append(transaction, job, words, &ruling.rules, basis).await?;
    Ok(())
}

fn terms(verdict: &Verdict) -> Terms {
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
fn soonest(due: Vec<(Due, &'static str)>) -> Option<(Due, &'static str)> {
    due.into_iter().min_by_key(|(due, _)| match due {
        Due::After(delay) => (0, delay.as_millis()),
        Due::Block(number) => (1, u128::from(*number)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ruling(word: &'static str, reason: Option<Reason>) -> Ruling {
        Ruling {
            word,
            reason,
            rules: json!([]),
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
            let current = Status::finished(outcome, Some(Reason::TimeExceeded), 1);
            let moved = next(&current, &refused, None);
            assert_eq!(moved.is_some(), outcome.is_verdict(), "{outcome}");
        }
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
