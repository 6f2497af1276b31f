use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::timeline::{Mark, Place, Step};
use super::words::{between, duration, linked_id, number, plain, when, words};
use crate::api::notation::hash;

/// The steps, each with its place, its proof and its time.
pub(super) fn story(steps: &[Step], now: DateTime<Utc>) -> Markup {
    let mut last: Option<DateTime<Utc>> = None;
    let mut rows = Vec::new();
    for step in steps {
        let gap = last.zip(step.at).and_then(|(last, at)| between(last, at));
        last = step.at.or(last);
        rows.push((step, gap));
    }
    html! {
        ol.timeline {
            @for (step, gap) in rows {
                @let (class, said) = mark(step.mark);
                li class=(class) {
                    div.what { (step.what) span.unseen { " (" (said) ")" } }
                    div.where {
                        (place(&step.place))
                        @if let Some(took) = step.took { span { "took " (duration(took)) } }
                    }
                    @if let Some(at) = step.at {
                        div.times {
                            @if let Some(gap) = gap.filter(|gap| gap.as_secs() > 0) { span.gap { "+" (duration(gap)) } }
                            (when(at, now))
                        }
                    }
                    @if let Some(note) = &step.note { div.note { (note) } }
                }
            }
        }
    }
}

const fn mark(mark: Mark) -> (&'static str, &'static str) {
    match mark {
        Mark::Done => ("done", "done"),
        Mark::Now => ("now", "now"),
        Mark::Bad => ("bad", "went wrong"),
        Mark::Ahead => ("ahead", "to come"),
    }
}

fn place(place: &Place) -> Markup {
    match place {
        Place::Log {
            block,
            transaction,
            log_index,
            proof,
            canonical,
        } => {
            let its = hash(*transaction);
            html! {
                span { "block " (number(*block)) }
                span { "transaction " (linked_id(&its, &format!("/transactions/{its}#log-{log_index}"))) }
                span { "log " (log_index) }
                @if let Some(proof) = proof { span title=(meaning(proof)) { "proof " (words(proof)) } }
                @if !canonical { span.bad { "off the chain" } }
            }
        }
        Place::Ledger(worker) => html! { span { (plain(worker)) } },
        Place::Stage(stage, attempt) => html! {
            span { "stage " (stage.as_str()) }
            span { "attempt " (attempt) }
        },
        Place::Nowhere => html! {},
    }
}

/// How a block's logs were proven complete.
fn meaning(proof: &str) -> &'static str {
    match proof {
        "root" => "All receipts were read and the block's receipts root was recomputed from them.",
        "bloom" => "The bloom filter of the block's own header rules out any other log.",
        "two_reads" => "Two readings agreed.",
        "single_read" => "One reading; nothing starts on it.",
        _ => "",
    }
}
