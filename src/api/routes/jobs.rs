use axum::Json;
use axum::extract::{RawQuery, State};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::Shared;
use crate::api::cursor::Cursor;
use crate::api::job::JobSummary;
use crate::api::parameters::{self, Parameters};
use crate::api::problem::Problem;
use crate::ids::JobId;
use crate::jobs::Reason;
use crate::ledger::reader::{self, JobFilter, JobRow};
use crate::ledger::{Connection, Error};

const USUAL_LIMIT: u32 = 50;
const MOST: u32 = 200;

/// A page of jobs.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct Page {
    /// Newest first.
    jobs: Vec<JobSummary>,
    /// Where the next page begins; null on the last one.
    next_cursor: Option<String>,
}

/// Jobs, newest first. Filters combine; what is not known here is an error and not ignored.
#[utoipa::path(get, path = "/v1/jobs", tag = "jobs",
    params(
        ("phase" = Option<String>, Query, description = "Where they stand."),
        ("outcome" = Option<String>, Query, description = "How they ended."),
        ("reason" = Option<String>, Query, description = "Why, by code."),
        ("consumer" = Option<String>, Query, description = "For whom they are.", pattern = "^0x[0-9a-fA-F]{40}$"),
        ("provider" = Option<String>, Query, description = "Whose asset they compute on.", pattern = "^0x[0-9a-fA-F]{40}$"),
        ("did" = Option<String>, Query, description = "The asset.", pattern = "^did:op:[0-9a-fA-F]{64}$"),
        ("agreementId" = Option<String>, Query, description = "The agreement.", pattern = "^0x[0-9a-fA-F]{64}$"),
        ("conditionId" = Option<String>, Query, description = "The compute condition.", pattern = "^0x[0-9a-fA-F]{64}$"),
        ("transactionHash" = Option<String>, Query, description = "Any transaction of the agreement.", pattern = "^0x[0-9a-fA-F]{64}$"),
        ("createdAfter" = Option<String>, Query, description = "Recorded after this moment.", format = DateTime),
        ("createdBefore" = Option<String>, Query, description = "Recorded before this moment.", format = DateTime),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200, description = "Most jobs in the page; 50 if absent."),
        ("cursor" = Option<String>, Query, description = "The nextCursor of the page before.", pattern = "^01[0-7][0-9a-f]{15}$"),
    ),
    responses(
        (status = 200, description = "A page.", body = Page),
        (status = "default", description = "Anything else.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(in crate::api) async fn list(
    State(shared): State<Shared>,
    RawQuery(query): RawQuery,
) -> Result<Json<Page>, Problem> {
    let (filter, limit) = read(query.as_deref(), USUAL_LIMIT)?;
    // One statement sees one moment: no transaction is needed.
    let mut connection = shared.reader.acquire().await?;
    let (rows, next_cursor) = find_page(&shared, &mut connection, &filter, limit).await?;
    drop(connection);
    Ok(Json(Page {
        jobs: rows.into_iter().map(JobSummary::from).collect(),
        next_cursor,
    }))
}

/// A page of jobs, and where the next one begins.
pub(in crate::api) async fn find_page(
    shared: &Shared,
    connection: &mut Connection,
    filter: &JobFilter,
    limit: u32,
) -> Result<(Vec<JobRow>, Option<String>), Error> {
    let Some(deployment) = shared.deployment(connection).await? else {
        return Ok((Vec::new(), None));
    };
    // One more than asked for tells whether there is a next page.
    let limited = limit.saturating_add(1);
    let rows = reader::list_jobs(connection, deployment, filter, limited).await?;
    let (rows, last) = parameters::page(rows, limit);
    Ok((rows, last.map(|row| Cursor([row.id.0]).to_string())))
}

/// Reads the filters and how many jobs a page has, `usual` if the query does not say.
pub(in crate::api) fn read(query: Option<&str>, usual: u32) -> Result<(JobFilter, u32), Problem> {
    let mut parameters = Parameters::read(query)?;
    let address = "an address: 0x and 40 hexadecimal digits";
    let hash = "0x and 64 hexadecimal digits";
    let reason: Option<Reason> = parameters.value("reason", "a reason's code")?;
    let cursor = parameters.cursor()?;
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
        before: cursor.map(|Cursor([id])| JobId(id)),
        ..JobFilter::default()
    };
    let limit = parameters.limit(usual, MOST)?;
    parameters.finish()?;
    Ok((filter, limit))
}
