use axum::extract::{RawQuery, State};
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use serde_json::Value;

use super::frame::Page;
use super::words::{Tone, id, linked_id, number, plain, when, words};
use super::{events, listing, verdict};
use crate::api::Shared;
use crate::api::notation::{address, hash};
use crate::api::parameters::Parameters;
use crate::api::problem::Problem;
use crate::api::routes::agreement::{AwaitedShown, Known};
use crate::api::routes::sync::Standing;
use crate::api::segment::Segment;
use crate::ids::AgreementId;
use crate::ledger::reader::ActRow;
use crate::preflight::{Awaited, Sale};

/// `GET /agreements/{id}`: what became of a purchase, or what it waits for, from whom, until when, and how it is refunded.
pub(super) async fn show(
    State(shared): State<Shared>,
    named: Segment,
    RawQuery(query): RawQuery,
) -> Result<Page, Problem> {
    Parameters::read(query.as_deref())?.finish()?;
    let agreement: AgreementId = named.hash("id")?;
    let mut transaction = shared.reader.snapshot().await?;
    let standing = Standing::find(&shared, &mut transaction).await?;
    let known = Known::get(&shared, &mut transaction, agreement).await?;
    drop(transaction);
    let known = known.asked(&shared).await;
    let now = shared.clock.now();
    let awaited = known.awaited();
    let said = AwaitedShown::new(&awaited, !known.jobs.is_empty());
    let body = html! {
        h1 { "Agreement " (id(&agreement.to_string())) }
        div #agreement data-part {
            p.lead { (said.sentence) }
            @if let Awaited::Answer { refund: Some(refund), .. } = &awaited {
                (refunded(&html! { h2 { "If nobody answers" } }, &refund.sentence(), &refund.to_json()))
            }
            @if !known.jobs.is_empty() { section { h2 { "Jobs" } (listing::jobs(&known.jobs, now)) } }
            (facts(&known))
            @if !known.agent.is_empty() {
                section { h2 { "The publisher's agent" } @for act in &known.agent { (acted(act, now)) } }
            }
        }
        section { h2 { "What the chain says of it" } (events::told(&known.told)) }
        p.note {
            "Recorded up to block " (number(known.recorded)) ", judged up to block " (number(known.judged)) ". "
            a href={ "/v1/agreements/" (agreement) } { "As JSON" }
        }
    };
    Ok(Page {
        live: Some("/v1/transitions".to_owned()),
        ..Page::new("Agreement", "", (&standing, now), body)
    })
}

fn facts(known: &Known<'_>) -> Markup {
    let (sale, asset) = (known.sale(), known.asset());
    html! {
        section {
            h2 { "Facts" }
            dl.facts {
                @if let Some(did) = asset.map(|did| did.to_string()) {
                    dt { "Asset" } dd { (linked_id(&did, &format!("/?did={did}"))) }
                }
                @if let Some(sale) = &sale { (bought(sale)) }
            }
        }
    }
}

fn bought(sale: &Sale) -> Markup {
    let consumer = address(sale.consumer);
    html! {
        dt { "Consumer" } dd { (linked_id(&consumer, &format!("/?consumer={consumer}"))) }
        dt { "Made in" } dd { "block " (number(sale.created.block)) }
        dt { "Paid" }
        dd { @match sale.paid { Some(paid) => { (paid.amount) " smallest units, in block " (number(paid.block.number)) }, None => "not yet" } }
        dt { "Compute condition" } dd { (id(&sale.compute.to_string())) }
        dt { "Lock condition" } dd { (id(&sale.lock.to_string())) }
        dt { "Escrow condition" } dd { (id(&sale.escrow.to_string())) }
    }
}

/// Transactions that pay the consumer back, in their order.
fn refunded(heading: &Markup, sentence: &str, refund: &Value) -> Markup {
    let calls = refund["transactions"].as_array().map(Vec::as_slice);
    html! {
        section.refund {
            (heading)
            p { (sentence) }
            ol {
                @for call in calls.unwrap_or_default() {
                    @let part = |name: &str| plain(call[name].as_str().unwrap_or_default()).into_owned();
                    li {
                        (part("what"))
                        dl.arguments {
                            dt { "to" } dd { code.copy title=(part("to")) { (part("to")) } }
                            dt { "data" } dd { code.copy.long tabindex="0" title=(part("data")) { (part("data")) } }
                        }
                    }
                }
            }
        }
    }
}

/// What the agent did, waits for or declined.
fn acted(act: &ActRow, now: DateTime<Utc>) -> Markup {
    let tone = match act.state.as_str() {
        "done" => Tone::Good,
        "declined" | "failed" => Tone::Bad,
        "waiting" => Tone::Waiting,
        _ => Tone::Working,
    };
    let (class, sign) = tone.shown();
    html! {
        article.act {
            h3 { (words(&act.act)) " " span class={ "badge " (class) } { span aria-hidden="true" { (sign) } " " (words(&act.state)) } }
            p {
                @if act.done_by.as_deref() == Some("other") { "Somebody else did it first. " }
                @if let Some(detail) = &act.detail { (plain(detail)) " " }
                @if let Some(reason) = &act.reason { code.reason { (plain(reason)) } " " }
                @if let Some(until) = act.until_block { "It can be done up to block " (number(until)) ". " }
                span.where { "since " (when(act.changed_at, now)) }
            }
            @if let (Some(transaction), Some(block)) = (act.transaction.map(hash), act.block) {
                p.where { "transaction " (linked_id(&transaction, &format!("/transactions/{transaction}"))) " in block " (number(block)) }
            }
            (verdict::rules(&act.rules))
            @if let Some(refund) = act.refund.as_ref().filter(|_| act.state == "declined") {
                (refunded(&html! { h4 { "How the consumer is paid back" } }, &format!("From block {} on anybody can send these:", refund["fromBlock"]), refund))
            }
        }
    }
}
