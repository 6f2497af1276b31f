use axum::Json;
use axum::extract::{Path, RawQuery, State};
use serde::Serialize;

use crate::api::Shared;
use crate::api::notation::{exact_time, hash};
use crate::api::parameters::{Cursor, Parameters};
use crate::api::problem::Problem;
use crate::ledger::reader::{self, TransitionRow};

const USUAL_LIMIT: u32 = 200;
const MOST: u32 = 1000;

/// A page of transitions.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct Page {
    job: String,
    transitions: Vec<TransitionShown>,
    next_cursor: Option<String>,
}

/// A transition, with everything that its hash covers: SHA-256 of the previous hash's bytes and the line
/// `job number phase outcome reason attempt at`, absent fields written `-`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TransitionShown {
    number: i32,
    phase: String,
    outcome: Option<String>,
    reason: Option<String>,
    attempt: i32,
    at: String,
    previous_hash: String,
    hash: String,
    worker: String,
}

/// `GET /v1/jobs/{id}/transitions`: oldest first.
pub(in crate::api) async fn list(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Page>, Problem> {
    let mut parameters = Parameters::read(query.as_deref())?;
    let limit = parameters.limit(USUAL_LIMIT, MOST)?;
    let wanted = "the nextCursor of the page before";
    let cursor: Option<Cursor> = parameters.value("cursor", wanted)?;
    parameters.finish()?;
    let after = i32::try_from(cursor.map_or(0, |cursor| cursor.0))
        .map_err(|_| Problem::invalid_parameter("cursor", wanted))?;

    let mut transaction = shared.reader.snapshot().await?;
    let (_, job) = shared.job(&mut transaction, &id).await?;
    let mut rows =
        reader::list_transitions(&mut transaction, job.id, after, limit.saturating_add(1)).await?;
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = rows.len() > most;
    rows.truncate(most);
    let last = rows.last().filter(|_| has_more);
    Ok(Json(Page {
        job: job.name.to_string(),
        next_cursor: last.map(|row| Cursor(row.number.into()).to_string()),
        transitions: rows.into_iter().map(TransitionShown::from).collect(),
    }))
}

impl From<TransitionRow> for TransitionShown {
    fn from(row: TransitionRow) -> Self {
        Self {
            number: row.number,
            phase: row.phase,
            outcome: row.outcome,
            reason: row.reason,
            attempt: row.attempt,
            at: exact_time(row.at),
            previous_hash: hash(row.previous_hash),
            hash: hash(row.hash),
            worker: row.worker,
        }
    }
}
