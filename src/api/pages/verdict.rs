use maud::{Markup, html};
use serde_json::Value;

use super::words::{id, linked, number, plain, words};
use crate::api::notation::hash;
use crate::ledger::reader::VerdictRow;

/// The verdict in words, and each rule with what decided it.
pub(super) fn show(verdict: &VerdictRow) -> Markup {
    html! {
        p.lead {
            strong { (sentence(verdict)) } " Judged on the events up to block " (number(verdict.judged.number))
            @if let Some(policy) = verdict.policy { ", under the catalog " (id(&hash(policy))) }
            "."
        }
        (rules(&verdict.rules))
    }
}

fn sentence(verdict: &VerdictRow) -> &'static str {
    match verdict.verdict.as_str() {
        "admitted" => "Admitted: every rule holds.",
        "refused" => "Refused.",
        "skipped" => "Skipped: it is nothing for this publisher to do.",
        "awaiting_payment" => "It waits for the payment.",
        "undecided" => "Undecided: something that decides cannot be read now.",
        "withdrawn" => "Withdrawn: its event is gone from the chain.",
        _ => "",
    }
}

/// Rules in their order. Those that were not asked come last, in one line.
pub(super) fn rules(rules: &Value) -> Markup {
    let all = rules.as_array().map(Vec::as_slice).unwrap_or_default();
    let word = |rule: &Value, name: &str| rule[name].as_str().unwrap_or_default().to_owned();
    let (asked, left): (Vec<&Value>, Vec<&Value>) =
        all.iter().partition(|rule| rule["answer"] != "not_reached");
    html! {
        ol.rules {
            @for rule in asked {
                @let (class, sign, said) = mark(&word(rule, "answer"));
                li class=(class) {
                    span.sign aria-hidden="true" { (sign) }
                    div {
                        strong { (words(&plain(&word(rule, "rule")))) } span.unseen { ": " (said) "." } " "
                        span.detail { (plain(&word(rule, "detail"))) }
                        (decided_by(&rule["evidence"]))
                    }
                }
            }
        }
        @if !left.is_empty() {
            p.note { "Not asked: " (left.iter().map(|rule| words(&plain(&word(rule, "rule")))).collect::<Vec<_>>().join(", ")) "." }
        }
    }
}

fn mark(answer: &str) -> (&'static str, &'static str, &'static str) {
    match answer {
        "holds" => ("good", "✓", "holds"),
        "fails" => ("bad", "✕", "fails"),
        _ => ("waiting", "?", "not known"),
    }
}

/// The log, the call or the block behind an answer.
fn decided_by(evidence: &Value) -> Markup {
    let log = &evidence["log"];
    if let (Some(block), Some(transaction)) =
        (log["blockNumber"].as_u64(), log["transactionHash"].as_str())
    {
        let index = log["logIndex"].as_u64().unwrap_or_default();
        let to = format!("/transactions/{transaction}#log-{index}");
        return html! {
            div.decided { "log " (index) " of " (linked(transaction, &to)) " in block " (number(block))
                @if log["canonical"] == false { " " span.bad { "(off the chain)" } } }
        };
    }
    if let Some(call) = evidence["call"].as_str() {
        return html! { div.decided { "call " code { (plain(call)) } } };
    }
    match evidence["block"].as_u64() {
        Some(block) => html! { div.decided { "block " (number(block)) } },
        None => html! {},
    }
}
