use axum::Json;
use axum::extract::{RawQuery, State};
use serde::Serialize;

use crate::api::Shared;
use crate::api::job::JobSummary;
use crate::api::parameters::{Cursor, Parameters};
use crate::api::problem::Problem;
use crate::ids::JobId;
use crate::jobs::Reason;
use crate::ledger::reader::{self, JobFilter};

const USUAL_LIMIT: u32 = 50;
const MOST: u32 = 200;

/// A page of jobs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct Page {
    jobs: Vec<JobSummary>,
    /// Where the next page begins; null on the last one.
    next_cursor: Option<String>,
}

/// `GET /v1/jobs`: newest first.
pub(in crate::api) async fn list(
    State(shared): State<Shared>,
    RawQuery(query): RawQuery,
) -> Result<Json<Page>, Problem> {
    let (filter, limit) = read(query.as_deref())?;
    let mut transaction = shared.reader.snapshot().await?;
    let Some(deployment) = shared.deployment(&mut transaction).await? else {
        return Ok(Json(Page {
            jobs: Vec::new(),
            next_cursor: None,
        }));
    };
    // One more than asked for tells whether there is a next page.
    let mut rows = reader::list_jobs(
        &mut transaction,
        deployment,
        &filter,
        limit.saturating_add(1),
    )
    .await?;
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = rows.len() > most;
    rows.truncate(most);
    let last = rows.last().filter(|_| has_more);
    Ok(Json(Page {
        next_cursor: last.map(|row| Cursor(row.id.0).to_string()),
        jobs: rows.into_iter().map(JobSummary::from).collect(),
    }))
}

fn read(query: Option<&str>) -> Result<(JobFilter, u32), Problem> {
    let mut parameters = Parameters::read(query)?;
    let address = "an address: 0x and 40 hexadecimal digits";
    let hash = "0x and 64 hexadecimal digits";
    let reason: Option<Reason> = parameters.value("reason", "a reason's code")?;
    let cursor: Option<Cursor> = parameters.value("cursor", "the nextCursor of the page before")?;
    let filter = JobFilter {
        phase: parameters.value("phase", "a phase, such as running")?,
        outcome: parameters.value("outcome", "an outcome, such as succeeded")?,
        reason: reason.map(|reason| reason.as_str().to_owned()),
        consumer: parameters.value("consumer", address)?,
        provider: parameters.value("provider", address)?,
        did: parameters.value("did", "did:op: and 64 hexadecimal digits")?,
        agreement: parameters.value("agreementId", hash)?,
        condition: parameters.value("conditionId", hash)?,
        transaction: parameters.value("transactionHash", hash)?,
        created_after: parameters.time("createdAfter")?,
        created_before: parameters.time("createdBefore")?,
        before: cursor.map(|cursor| JobId(cursor.0)),
        ..JobFilter::default()
    };
    let limit = parameters.limit(USUAL_LIMIT, MOST)?;
    parameters.finish()?;
    Ok((filter, limit))
}
