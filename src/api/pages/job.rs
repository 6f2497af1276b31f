use axum::extract::{RawQuery, State};
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use serde_json::Value;

use super::frame::Page;
use super::story::story;
use super::timeline::{self, Story};
use super::words::{badge, id, linked_id, number, plain, when, words};
use super::{advice, verdict};
use crate::api::Shared;
use crate::api::cursor::Cursor;
use crate::api::job::held_back_by;
use crate::api::notation::{address, hash};
use crate::api::parameters::Parameters;
use crate::api::problem::Problem;
use crate::api::routes::job::Found;
use crate::api::routes::sync::Standing;
use crate::api::segment::Segment;
use crate::jobs::Reason;
use crate::ledger::reader::{self, AwaitedRow, JobRow, TransitionRow, WorkflowRow};

/// Most transitions that are shown; a job has a dozen.
const MOST: u32 = 500;

/// `GET /jobs/{id}`: a job's story, from the transaction to the result.
pub(super) async fn show(
    State(shared): State<Shared>,
    Segment(name): Segment,
    RawQuery(query): RawQuery,
) -> Result<Page, Problem> {
    Parameters::read(query.as_deref())?.finish()?;
    let mut transaction = shared.reader.snapshot().await?;
    let standing = Standing::find(&shared, &mut transaction).await?;
    let found = Found::find(&shared, &mut transaction, &name).await?;
    let (job, deployment) = (&found.details.job, found.deployment);
    let told = reader::list_told(&mut transaction, deployment, job.agreement).await?;
    let transitions = reader::list_transitions(&mut transaction, job.id, 0, MOST).await?;
    drop(transaction);
    let now = shared.clock.now();
    let steps = timeline::of(&Story {
        job,
        verdict: found.details.verdict.as_ref(),
        attempts: &found.details.attempts,
        told: &told,
        transitions: &transitions,
    });
    let body = html! {
        div #head data-part { (head(&found, now)) }
        div.columns {
            div {
                section { h2 { "Story" } div #story data-part { (story(&steps, now)) } }
                section {
                    h2 { "Verdict" }
                    div #verdict data-part {
                        @match &found.details.verdict { Some(its) => (verdict::show(its)), None => p.empty { "It is not judged yet." } }
                    }
                }
            }
            aside { h2 { "Facts" } div #facts data-part { (facts(job, found.details.workflow.as_ref())) } }
        }
        (log(job))
        (results(job))
        section {
            h2 { "Transitions" }
            div #transitions data-part { (chain(&transitions, now)) }
            p.note { "Each hash covers the one before it and the line itself, so nobody can change one unseen. "
                a href={ "/v1/jobs/" (job.name) "/transitions" } { "As JSON" } ", " a href={ "/v1/jobs/" (job.name) } { "the job as JSON" } "." }
        }
    };
    let last = transitions.last().map_or(0, |row| i64::from(row.number));
    let live = format!(
        "/v1/jobs/{}/transitions?cursor={}",
        job.name,
        Cursor([last])
    );
    Ok(Page {
        live: Some(live),
        ..Page::new(job.name.to_string(), "/", (&standing, now), body)
    })
}

fn head(found: &Found, now: DateTime<Utc>) -> Markup {
    let job = &found.details.job;
    let reason = job.reason.as_deref();
    let sentence = reason
        .and_then(|code| code.parse().ok())
        .map(Reason::sentence);
    html! {
        h1 { "Job " (id(job.name.as_str())) " " (badge(job.phase, job.outcome)) }
        @if let Some(code) = reason {
            p.lead { (sentence.unwrap_or_default()) " " code.reason { (plain(code)) } }
        }
        @if let Some(queue) = &found.queue {
            p.lead { "Place " (queue.ahead + 1) " in the queue. " (held_back_by(&queue.waits_for)) }
        }
        @if let Some(awaited) = &found.details.awaited { (looked_for(awaited, now)) }
        @if let Some(advice) = advice::of(job) {
            p.advice { strong { "What to do. " } (advice) " " a href={ "/agreements/" (job.agreement) } { "The agreement" } }
        }
        @if !job.block_canonical {
            p.warning { strong { "Off the chain." } " A reorganisation took this job's event. It goes on meanwhile, and nothing is published unless the event comes back." }
        }
    }
}

fn looked_for(awaited: &AwaitedRow, now: DateTime<Utc>) -> Markup {
    html! {
        p.lead {
            "Looked for: " (awaited.what.as_deref().map_or_else(|| "documents".to_owned(), words))
            ", since " (when(awaited.since, now)) ", " (awaited.tries) " tries"
            @if let Some(until) = awaited.until { ", until " (when(until, now)) } "."
            @if let Some(problem) = &awaited.problem { " Last time: " (plain(problem)) "." }
        }
    }
}

fn facts(job: &JobRow, workflow: Option<&WorkflowRow>) -> Markup {
    let (did, consumer) = (job.did.to_string(), address(job.consumer));
    html! {
        dl.facts {
            dt { "Agreement" } dd { (linked_id(&job.agreement.to_string(), &format!("/agreements/{}", job.agreement))) }
            dt { "Condition" } dd { (id(&hash(job.key))) }
            dt { "Asset" } dd { (linked_id(&did, &format!("/?did={did}"))) }
            dt { "Consumer" } dd { (linked_id(&consumer, &format!("/?consumer={consumer}"))) }
            @if let Some(provider) = job.provider.map(address) {
                dt { "Provider" } dd { (linked_id(&provider, &format!("/?provider={provider}"))) }
            }
            @if let Some(payment) = &job.payment {
                dt { "Paid" } dd { (payment) " smallest units" @if let Some(payer) = job.payer.map(address) { " by " (id(&payer)) } }
            }
            @if let Some(workflow) = workflow { (runs(workflow)) }
            dt { "Chain" } dd { (job.chain_id) }
            dt { "Contract" } dd { (id(&address(job.contract))) }
            dt { "Block" } dd { (number(job.block.number)) " " (id(&hash(job.block.hash))) }
            dt { "Attempts" } dd { (job.attempt) }
        }
    }
}

fn runs(workflow: &WorkflowRow) -> Markup {
    let resources = workflow.resources.as_ref().and_then(Value::as_object);
    let shown = |value: &Value| {
        let text = value.as_str().map(ToOwned::to_owned);
        plain(&text.unwrap_or_else(|| value.to_string())).into_owned()
    };
    html! {
        dt { "Workflow named by" } dd { (plain(&workflow.source)) }
        dt { "Algorithm" } dd { @match &workflow.algorithm { Some(did) => (id(&plain(did))), None => "raw code" } }
        @if let Some(image) = &workflow.image {
            dt { "Image" }
            dd { code.given { (plain(image)) @if let Some(tag) = &workflow.tag { ":" (plain(tag)) } }
                @if let Some(digest) = &workflow.digest { br; (id(&plain(digest))) } }
        }
        @if let Some(resources) = resources {
            dt { "May use" }
            dd { @for (name, value) in resources { span.pair { (name) " " (shown(value)) } " " } }
        }
    }
}

/// Filled by the script, for those who may read it.
fn log(job: &JobRow) -> Markup {
    let path = format!("/v1/jobs/{}/logs", job.name);
    html! {
        section #log data-job=(job.name) {
            h2 { "Log" }
            p.note {
                "What the algorithm prints is for the parties of the agreement, as far as the publisher's release rule lets it out. With a token: "
                code { "curl -N -H 'Authorization: Bearer …' …" (path) "?follow=true" }
            }
        }
    }
}

/// Filled by the script, for those who may have them.
fn results(job: &JobRow) -> Markup {
    html! {
        section #results data-job=(job.name) {
            h2 { "Results" }
            p.note {
                "Results are for the parties, too: "
                code { "curl -H 'Authorization: Bearer …' …/v1/jobs/" (job.name) "/results" }
            }
        }
    }
}

fn chain(transitions: &[TransitionRow], now: DateTime<Utc>) -> Markup {
    if transitions.is_empty() {
        return html! { p.empty { "None yet." } };
    }
    html! {
        div.scroll tabindex="0" { table {
            thead { tr {
                th.number scope="col" { "#" } th scope="col" { "Became" } th scope="col" { "When" }
                th.wide scope="col" { "By" } th scope="col" { "Hash" }
            } }
            tbody {
                @for row in transitions {
                    tr {
                        td.number { (row.number) }
                        td {
                            (words(&row.phase))
                            @if let Some(outcome) = &row.outcome { ": " (words(outcome)) }
                            @if let Some(reason) = &row.reason { " " small { (words(reason)) } }
                            @if row.attempt > 1 { " " small { "attempt " (row.attempt) } }
                        }
                        td { (when(row.at, now)) }
                        td.wide { (plain(&row.worker)) }
                        td { (id(&hash(row.hash))) }
                    }
                }
            }
        } }
    }
}
