use std::time::Duration;

use axum::extract::{RawQuery, State};
use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::frame::Page;
use super::warnings;
use super::words::{between, duration, number, plain, when};
use crate::api::Shared;
use crate::api::parameters::Parameters;
use crate::api::problem::Problem;
use crate::api::routes::sync::Standing;
use crate::ledger::providers::ProviderRow;
use crate::ledger::reader::Progress;
use crate::ledger::schema::RELEASE;

/// Silence after which a node counts as away: three rounds of those who ask.
const AWAY: Duration = Duration::from_secs(60);

/// `GET /health`: how far the chain is followed, by whom, and what stands still.
pub(super) async fn show(
    State(shared): State<Shared>,
    RawQuery(query): RawQuery,
) -> Result<Page, Problem> {
    Parameters::read(query.as_deref())?.finish()?;
    let mut transaction = shared.reader.snapshot().await?;
    let standing = Standing::find(&shared, &mut transaction).await?;
    drop(transaction);
    let now = shared.clock.now();
    let body = html! {
        h1 { "Health" }
        (strip(&standing, now))
        div #health data-part {
            section { h2 { "How far" } (heights(standing.progress.as_ref(), now)) }
            section { h2 { "Nodes" } (providers(&standing.providers, now)) }
            section { h2 { "What holds back" } (holds(&standing, now)) }
            section {
                h2 { "Versions" }
                dl.facts {
                    dt { "Tidewatch" } dd { (env!("CARGO_PKG_VERSION")) }
                    dt { "Release of the schema" } dd { (RELEASE) }
                    dt { "Last migration" }
                    dd { @match standing.schema { Some(schema) => (schema), None => "none" } }
                }
            }
        }
        p.note { "The same for machines: " a href="/v1/sync" { code { "/v1/sync" } } ", and the metrics on their own port." }
    };
    Ok(Page {
        live: Some("/v1/transitions".to_owned()),
        ..Page::new("Health", "/health", (&standing, now), body)
    })
}

/// How far everything is, in a line.
pub(super) fn strip(standing: &Standing, now: DateTime<Utc>) -> Markup {
    let Some(progress) = &standing.progress else {
        return html! { div #strip data-part {} };
    };
    let answering = standing.providers.iter();
    let answering = answering.filter(|node| !is_away(node, now)).count();
    html! {
        div #strip data-part {
            dl.strip aria-label="How far the chain is followed" {
                div { dt { "Chain" } dd { (progress.chain_id) } }
                div { dt { "Head" } dd { (height(progress.head)) } }
                div { dt { "Recorded" } dd { (number(progress.recorded)) (behind(progress.head, progress.recorded)) } }
                div { dt { "Judged" } dd { (number(progress.judged)) (behind(progress.head, progress.judged)) } }
                div { dt { "Verified" } dd { (number(progress.verified)) (behind(progress.head, progress.verified)) } }
                div { dt { "Irreversible" } dd { (height(progress.irreversible)) } }
                div { dt { "Lag" } dd { (lag(progress)) } }
                div { dt { "Nodes" } dd { (answering) " of " (standing.providers.len()) } }
                div { dt { "Network" } dd { @match standing.isolation { Some(last) => (last.isolation.as_str()), None => "not seen" } } }
            }
        }
    }
}

fn height(number_of: Option<u64>) -> String {
    number_of.map_or_else(|| "–".to_owned(), number)
}

fn behind(head: Option<u64>, at: u64) -> Markup {
    let missing = head.map_or(0, |head| head.saturating_sub(at));
    html! { @if missing > 0 { small { " −" (number(missing)) } } }
}

fn lag(progress: &Progress) -> String {
    match progress.lag_seconds {
        Some(0) => "none".to_owned(),
        Some(seconds) => duration(Duration::from_secs(seconds.unsigned_abs())),
        None => "unknown".to_owned(),
    }
}

fn heights(progress: Option<&Progress>, now: DateTime<Utc>) -> Markup {
    let Some(progress) = progress else {
        return html! { p.empty { "No chain was followed yet." } };
    };
    let rows = [
        (
            "Head",
            progress.head,
            "The highest block that a node named.",
        ),
        (
            "Recorded",
            Some(progress.recorded),
            "Every log up to it is in the ledger.",
        ),
        (
            "Judged",
            Some(progress.judged),
            "Every consequence of logs up to it is drawn.",
        ),
        (
            "Verified",
            Some(progress.verified),
            "Logs up to it are proven complete; work starts on such blocks only.",
        ),
        (
            "Irreversible",
            progress.irreversible,
            "It can no longer be rolled back.",
        ),
    ];
    html! {
        div.scroll tabindex="0" { table {
            thead { tr { th scope="col" { "Horizon" } th.number scope="col" { "Block" } th scope="col" { "Meaning" } } }
            tbody {
                @for (name, block, meaning) in rows {
                    tr { th scope="row" { (name) } td.number { (height(block)) } td { (meaning) } }
                }
            }
        } }
        p { "Something moved last " (when(progress.updated_at, now)) "." }
    }
}

fn is_away(node: &ProviderRow, now: DateTime<Utc>) -> bool {
    let silent = node.answered_at.and_then(|answered| between(answered, now));
    match silent {
        Some(silent) => silent > AWAY,
        // an answer from the future is a difference of clocks
        None => node.answered_at.is_none(),
    }
}

fn providers(nodes: &[ProviderRow], now: DateTime<Utc>) -> Markup {
    if nodes.is_empty() {
        return html! { p.empty { "No node has been asked yet." } };
    }
    html! {
        div.scroll tabindex="0" { table {
            thead { tr {
                th scope="col" { "Node" } th scope="col" { "State" } th.number scope="col" { "Block" }
                th scope="col" { "Answered" } th scope="col" { "Failed last" }
            } }
            tbody {
                @for node in nodes {
                    tr {
                        th scope="row" { (plain(&node.name)) }
                        td { @if is_away(node, now) { span.badge.bad { span aria-hidden="true" { "✕" } " away" } }
                             @else { span.badge.good { span aria-hidden="true" { "✓" } " answers" } } }
                        td.number { (height(node.head)) }
                        td { @match node.answered_at { Some(at) => (when(at, now)), None => "never" } }
                        td { @match node.failed_at { Some(at) => (when(at, now)), None => "never" } }
                    }
                }
            }
        } }
    }
}

fn holds(standing: &Standing, now: DateTime<Utc>) -> Markup {
    let progress = standing.progress.as_ref();
    let heard = progress.and_then(|progress| warnings::heard(standing, progress));
    html! {
        dl.facts {
            dt { "Follower" }
            dd { @match heard { Some(at) => { "last heard of " (when(at, now)) }, None => "never heard of" } }
            dt { "Halt" }
            dd { @match progress.and_then(|progress| progress.halt.as_deref()) { Some(why) => (plain(why)), None => "none" } }
            dt { "Verification" }
            dd { @match progress.and_then(|progress| progress.unverified.as_deref()) { Some(why) => (plain(why)), None => "goes on" } }
            dt { "Starting of jobs" }
            dd { @match &standing.pause { Some(why) => { "paused: " (plain(why)) }, None => "goes on" } }
            dt { "Network of algorithms" }
            dd {
                @match standing.isolation {
                    Some(last) => { (last.isolation.as_str()) ", by the attempt started " (when(last.at, now)) },
                    None => "no algorithm has asked yet",
                }
            }
        }
    }
}
