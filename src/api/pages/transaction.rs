use alloy::primitives::B256;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use maud::{Markup, html};

use super::frame::Page;
use super::words::{id, linked, number, plain};
use super::{events, listing};
use crate::api::Shared;
use crate::api::parameters::Parameters;
use crate::api::problem::Problem;
use crate::api::routes::sync::Standing;
use crate::api::segment::Segment;
use crate::ids::{AgreementId, DeploymentId};
use crate::ledger::reader::{self, EventFilter, EventRow, JobFilter};
use crate::ledger::{Error, Transaction};

/// Most events and jobs of a transaction that are shown.
const MOST: u32 = 200;

/// `GET /transactions/{hash}`: what a transaction said to the followed contracts, as far as recorded.
pub(super) async fn show(
    State(shared): State<Shared>,
    named: Segment,
    RawQuery(query): RawQuery,
) -> Result<Page, Problem> {
    Parameters::read(query.as_deref())?.finish()?;
    let transaction_hash: B256 = named.hash("hash")?;
    let mut transaction = shared.reader.snapshot().await?;
    let standing = Standing::find(&shared, &mut transaction).await?;
    let (mut rows, mut agreements, mut jobs) = (Vec::new(), Vec::new(), Vec::new());
    if let Some(deployment) = shared.deployment(&mut transaction).await? {
        rows = recorded(&mut transaction, deployment, transaction_hash).await?;
        agreements = reader::agreements_of(&mut transaction, deployment, transaction_hash).await?;
        let filter = JobFilter {
            transaction: Some(transaction_hash),
            ..JobFilter::default()
        };
        jobs = reader::list_jobs(&mut transaction, deployment, &filter, MOST).await?;
    }
    drop(transaction);
    let now = shared.clock.now();
    let body = html! {
        h1 { "Transaction " (id(&format!("{transaction_hash:#x}"))) }
        @if rows.is_empty() { (silent(&standing)) }
        @if !jobs.is_empty() { section { h2 { "Jobs" } (listing::jobs(&jobs, now)) } }
        @if !agreements.is_empty() { section { h2 { "Agreements" } (list(&agreements)) } }
        @if !rows.is_empty() { section { h2 { "What it said" } (said(&rows)) } }
    };
    let status = match rows.is_empty() {
        true => StatusCode::NOT_FOUND,
        false => StatusCode::OK,
    };
    Ok(Page {
        status,
        ..Page::new("Transaction", "", (&standing, now), body)
    })
}

/// Its events, on the chain and off it, in their order.
async fn recorded(
    transaction: &mut Transaction,
    deployment: DeploymentId,
    of: B256,
) -> Result<Vec<EventRow>, Error> {
    let mut rows = Vec::new();
    for orphaned in [false, true] {
        let filter = EventFilter {
            transaction: Some(of),
            orphaned,
            ..EventFilter::default()
        };
        rows.extend(reader::list_events(transaction, deployment, &filter, MOST).await?);
    }
    rows.sort_by_key(|row| (row.block.number, row.log_index));
    Ok(rows)
}

fn silent(standing: &Standing) -> Markup {
    let recorded = standing.progress.as_ref().map(|progress| progress.recorded);
    html! {
        p.lead {
            "No followed contract said anything in this transaction, in any block up to "
            (recorded.map_or_else(|| "now".to_owned(), number)) "."
        }
        p { "Either it is not mined yet, or it was mined without effect, or it went to other contracts. "
            "The command " code { "tidewatch explain" } " asks a node which of these it is." }
    }
}

fn list(agreements: &[AgreementId]) -> Markup {
    html! {
        ul { @for agreement in agreements {
            li { (linked(&agreement.to_string(), &format!("/agreements/{agreement}"))) }
        } }
    }
}

fn said(rows: &[EventRow]) -> Markup {
    html! {
        ol.events {
            @for row in rows {
                li.gone[!row.canonical] id={ "log-" (row.log_index) } {
                    h3 { (plain(row.contract.as_deref().unwrap_or("unknown"))) "." (plain(row.name.as_deref().unwrap_or("unknown"))) }
                    p.where {
                        "block " (number(row.block.number)) " " (id(&format!("{:#x}", row.block.hash))) ", log " (row.log_index)
                        @if !row.canonical { ", taken from the chain by a reorganisation" }
                    }
                    @if let Some(arguments) = &row.arguments { (events::arguments(arguments)) }
                    @else { p.note { "Not decoded yet." } }
                }
            }
        }
    }
}
