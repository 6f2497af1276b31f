use std::fmt::Write;

use serde_json::Value;

use super::standing::Standing;
use crate::jobs::Reason;
use crate::ledger::reader::{ActRow, JobRow, ToldEvent, VerdictRow};
use crate::preflight::{Awaited, Until, Windows};

/// Puts what is known of an agreement into words.
pub(in crate::app) fn tell(standing: &Standing) -> String {
    let mut told = Told::default();
    told.line(format_args!("agreement {}", standing.agreement));
    for event in standing.events.iter().filter(|event| matters(event)) {
        told.event(event);
    }
    if standing.jobs.is_empty() {
        told.line("There is no job.");
        told.awaited(&standing.awaited);
    }
    for (job, verdict) in &standing.jobs {
        told.job(job, verdict.as_ref());
    }
    for act in &standing.acts {
        told.act(act);
    }
    if let Some(progress) = &standing.progress {
        let (recorded, judged) = (progress.recorded, progress.judged);
        told.line(format_args!(
            "Everything is recorded up to block {recorded} and judged up to block {judged}."
        ));
        if let Some(halt) = &progress.halt {
            told.line(format_args!("Following stands still: {halt}"));
        }
    }
    told.0
}

/// Events that people sent transactions for; the condition store only repeats them.
fn matters(event: &ToldEvent) -> bool {
    event.name != "ConditionCreated" && event.name != "AgreementActorAdded"
}

#[derive(Default)]
struct Told(String);

impl Told {
    fn line(&mut self, line: impl std::fmt::Display) {
        // writing to a string cannot fail
        _ = writeln!(self.0, "{line}");
    }

    fn event(&mut self, event: &ToldEvent) {
        let orphaned = if event.canonical {
            ""
        } else {
            ", taken back by a reorganisation"
        };
        let state = match event.arguments["state"].as_u64() {
            Some(2) => " to fulfilled",
            Some(3) => " to aborted",
            _ => "",
        };
        self.line(format_args!(
            "  block {} {}.{}{state}, transaction {}, log {}{orphaned}",
            event.block, event.contract, event.name, event.transaction, event.log_index
        ));
    }

    fn job(&mut self, job: &JobRow, verdict: Option<&VerdictRow>) {
        let outcome = job.outcome.map(|outcome| format!(": {outcome}"));
        self.line(format_args!(
            "{} is {}{}",
            job.name,
            job.phase,
            outcome.unwrap_or_default()
        ));
        if let Some(reason) = &job.reason {
            let sentence = reason.parse().map_or("", Reason::sentence);
            self.line(format_args!("  {reason}: {sentence}"));
        }
        if !job.block_canonical {
            self.line("  The block of its event is not on the chain any more.");
        }
        let Some(verdict) = verdict else {
            return self.line("  It is not judged yet.");
        };
        let (word, at) = (&verdict.verdict, verdict.judged.number);
        self.line(format_args!(
            "  verdict: {word}, on the events up to block {at}"
        ));
        self.rules(&verdict.rules);
    }

    fn act(&mut self, act: &ActRow) {
        let by = match act.done_by.as_deref() {
            Some("other") => " by somebody else",
            _ => "",
        };
        let reason = act.reason.as_ref().map(|reason| format!(" ({reason})"));
        self.line(format_args!(
            "the publisher's agent, {}: {}{by}{}",
            act.act,
            act.state,
            reason.unwrap_or_default()
        ));
        if let Some(detail) = &act.detail {
            self.line(format_args!("  {detail}"));
        }
        if let (Some(transaction), Some(block)) = (act.transaction, act.block) {
            self.line(format_args!("  transaction {transaction} in block {block}"));
        }
        self.rules(&act.rules);
        if act.state == "declined"
            && let Some(refund) = &act.refund
        {
            self.refund(refund);
        }
    }

    fn refund(&mut self, refund: &Value) {
        let calls = refund["transactions"].as_array();
        for call in calls.into_iter().flatten() {
            let part = |name: &str| call[name].as_str().unwrap_or_default().to_owned();
            self.line(format_args!(
                "  to refund, from block {}: {}: send to {} the data {}",
                refund["fromBlock"],
                part("what"),
                part("to"),
                part("data")
            ));
        }
    }

    fn rules(&mut self, rules: &Value) {
        for rule in rules.as_array().into_iter().flatten() {
            let part = |name: &str| rule[name].as_str().unwrap_or_default();
            let mark = match part("answer") {
                "holds" => "yes",
                "fails" => "NO",
                "not_reached" => continue,
                _ => "?",
            };
            let (name, detail) = (part("rule"), part("detail"));
            let decided = decided_by(&rule["evidence"]);
            self.line(format_args!("  {mark:>3}  {name}: {detail}{decided}"));
        }
    }

    fn awaited(&mut self, awaited: &Awaited) {
        match awaited {
            Awaited::Creation => {
                self.line("No followed contract tells of its creation up to the judged block.");
            }
            Awaited::Nothing => self.line(
                "Its conditions are not those of a compute job for an account that it names, so none can come of it.",
            ),
            Awaited::Answered => self.line("It was answered; the judge has not come to it yet."),
            Awaited::Payment { windows } => {
                self.line(format_args!(
                    "It waits for the payment (LockRewardCondition.fulfill), which anybody can make {}.",
                    words(windows.payment)
                ));
            }
            Awaited::Answer {
                paid_in,
                windows,
                refund,
            } => {
                self.answer(*paid_in, windows);
                if let Some(refund) = refund {
                    self.line(refund.sentence());
                    self.refund(&refund.to_json());
                }
            }
        }
    }

    fn answer(&mut self, paid_in: u64, windows: &Windows) {
        self.line(format_args!(
            "It was paid in block {paid_in} and waits for the publisher (ComputeExecutionCondition.fulfill), who can answer {}.",
            words(windows.answer)
        ));
        match windows.answer {
            Until::Ever => self.line("Its condition never times out, so the contracts give no refund: only the publisher can pay back."),
            Until::Over => self.line("Its condition was ended already: releasing the escrow (EscrowReward.fulfill) pays it out or back."),
            Until::Unknown | Until::Block(_) => {}
        }
    }
}

fn words(until: Until) -> String {
    match until {
        Until::Unknown => "for as long as the condition's window lasts (name a node by TIDEWATCH_RPC_URLS to learn it)".to_owned(),
        Until::Ever => "at any time".to_owned(),
        Until::Block(last) => format!("up to block {last}"),
        Until::Over => "no more".to_owned(),
    }
}

/// The log or the call behind an answer.
fn decided_by(evidence: &Value) -> String {
    if let Some(call) = evidence["call"].as_str() {
        return format!(" [call {call}]");
    }
    let log = &evidence["log"];
    match (log["blockNumber"].as_u64(), log["transactionHash"].as_str()) {
        (Some(block), Some(transaction)) => format!(
            " [block {block}, transaction {transaction}, log {}]",
            log["logIndex"]
        ),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_rule_is_told_with_what_decided_it() {
        let mut told = Told::default();
        told.rules(&json!([
            {"rule": "payment", "answer": "holds", "detail": "The lock paid 10.",
             "evidence": {"log": {"blockNumber": 7, "transactionHash": "0xab", "logIndex": 3}}},
            {"rule": "window", "answer": "fails", "detail": "Too late.", "evidence": {"call": "getCondition(0x1)"}},
            {"rule": "payee", "answer": "not_reached", "detail": "Not asked."},
        ]));
        assert_eq!(
            told.0,
            "  yes  payment: The lock paid 10. [block 7, transaction 0xab, log 3]\n   NO  window: Too late. [call getCondition(0x1)]\n"
        );
    }

    #[test]
    fn who_waits_is_told_for_whom_and_until_when() {
        let mut told = Told::default();
        told.awaited(&Awaited::Answer {
            paid_in: 5,
            windows: Windows {
                payment: Until::Over,
                answer: Until::Block(90),
            },
            refund: None,
        });
        assert!(told.0.contains("paid in block 5"), "{}", told.0);
        assert!(told.0.contains("up to block 90"), "{}", told.0);
    }
}
