use crate::admission::{Answer, Decision, Evidence, Position, Recorded, RuleAnswer, Verdict};
use crate::ledger::upgrades::Upgrade;

/// Holds a verdict back that rests on anything said after a followed contract was given code that nobody vouches for: from then on
/// a genuine address may say anything. What was said before stands.
pub(super) fn hold(verdict: Verdict, events: &[Recorded], held: &[Upgrade]) -> Verdict {
    let newest = events.iter().map(Recorded::position).max();
    let since = held.iter().find(|upgrade| newest > Some(position(upgrade)));
    let Some(upgrade) = since else {
        return verdict;
    };
    let mut rules = verdict.rules;
    rules.push(RuleAnswer {
        rule: "known_code".into(),
        answer: Answer::Unknown,
        detail: format!(
            "{} runs {} from block {} on, which the deployment file does not list: an operator has to release it.",
            upgrade.proxy, upgrade.implementation, upgrade.block_number
        )
        .into(),
        evidence: Some(Evidence::Log(upgrade.log)),
    });
    Verdict {
        decision: Decision::Undecided {
            missing: Vec::new(),
        },
        rules,
        ..verdict
    }
}

fn position(upgrade: &Upgrade) -> Position {
    Position {
        block: upgrade.block_number,
        log_index: upgrade.log_index,
    }
}
