use axum::Extension;
use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::Shared;
use crate::api::asker::Asker;
use crate::api::cursor::Cursor;
use crate::api::notation::{exact_time, hash};
use crate::api::parameters::Parameters;
use crate::api::problem::Problem;
use crate::api::segment::Segment;
use crate::api::{events, parameters};
use crate::ledger::reader::{self, StreamPlace, StreamedTransition, TransitionRow};

const USUAL_LIMIT: u32 = 200;
const MOST: u32 = 1000;

/// A page of a job's transitions.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct OfJob {
    /// The job.
    #[schema(example = "job-0123456789abcdef0123456789abcdef")]
    job: String,
    /// Oldest first.
    transitions: Vec<TransitionShown>,
    /// Where the next page begins; null on the last one.
    next_cursor: Option<String>,
}

/// A page of all transitions.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct OfAll {
    /// In the order of the transactions that recorded them.
    transitions: Vec<StreamedShown>,
    /// Where the next page begins; null on the last one. The last transition's `cursor` goes on from there later.
    next_cursor: Option<String>,
}

/// A transition, with everything that its hash covers: SHA-256 of the previous hash's bytes and the line
/// `job number phase outcome reason attempt at`, absent fields written `-`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct TransitionShown {
    /// 1 for the job's first, then without gaps.
    number: i32,
    /// What the job became.
    phase: String,
    /// How it ended.
    outcome: Option<String>,
    /// Why, as a stable code.
    reason: Option<String>,
    /// The attempt it speaks of.
    attempt: i32,
    /// When, in whole microseconds.
    #[schema(format = DateTime)]
    at: String,
    /// Hash of the one before; zero before the first.
    previous_hash: String,
    /// Its own hash.
    hash: String,
    /// Which worker recorded it.
    worker: String,
}

/// A transition among those of all jobs.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct StreamedShown {
    /// The job.
    job: String,
    /// Goes on behind this transition.
    cursor: String,
    #[serde(flatten)]
    transition: TransitionShown,
}

/// A job's transitions, oldest first: a page, or with `Accept: text/event-stream` all after the last event's id (or from the first),
/// and then each as it is recorded.
#[utoipa::path(get, path = "/v1/jobs/{id}/transitions", tag = "jobs",
    params(
        ("id" = String, Path, description = "The job.", pattern = "^job-[0-9a-f]{32}$"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "Most transitions in the page; 200 if absent."),
        ("cursor" = Option<String>, Query, description = "The nextCursor of the page before.", pattern = "^01[0-7][0-9a-f]{15}$"),
        ("Last-Event-ID" = Option<String>, Header, description = "Streams only: the id of the last event that was had.", pattern = "^01[0-7][0-9a-f]{15}$"),
    ),
    responses(
        (status = 200, description = "The page, or the stream.", content((OfJob = "application/json"), (String = "text/event-stream"))),
        (status = "default", description = "Anything else.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(in crate::api) async fn of_job(
    State(shared): State<Shared>,
    Extension(asker): Extension<Asker>,
    Segment(id): Segment,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut parameters = Parameters::read(query.as_deref())?;
    let limit = parameters.limit(USUAL_LIMIT, MOST)?;
    let cursor = events::resumed::<1>(&headers, &mut parameters)?;
    parameters.finish()?;
    let after = cursor.map_or(0, |Cursor([number])| {
        i32::try_from(number).unwrap_or(i32::MAX)
    });
    let is_stream = events::are_wanted(&headers);
    // Before the ledger is looked at, so that what is recorded in between is heard of.
    let hints = match is_stream {
        true => Some((shared.limits.stream(asker)?, shared.feed.listen().await?)),
        false => None,
    };
    let mut transaction = shared.reader.snapshot().await?;
    let (_, job) = shared.job(&mut transaction, &id).await?;
    if let Some((permit, hints)) = hints {
        drop(transaction);
        let events = events::of_job(shared.reader.clone(), hints, job.id, after);
        return Ok(events::answer(&shared, permit, events));
    }
    let rows =
        reader::list_transitions(&mut transaction, job.id, after, limit.saturating_add(1)).await?;
    let (rows, last) = parameters::page(rows, limit);
    Ok(Json(OfJob {
        job: job.name.to_string(),
        next_cursor: last.map(|row: TransitionRow| Cursor([row.number.into()]).to_string()),
        transitions: rows.into_iter().map(TransitionShown::from).collect(),
    })
    .into_response())
}

/// The transitions of all jobs, in the order of the transactions that recorded them: a page, or with `Accept: text/event-stream` all
/// after the last event's id (or only those to come), and then each as it is recorded. Nothing is left out and nothing comes twice.
#[utoipa::path(get, path = "/v1/transitions", tag = "jobs",
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "Most transitions in the page; 200 if absent."),
        ("cursor" = Option<String>, Query, description = "The nextCursor of the page before, or the cursor of a transition.", pattern = "^02[0-7][0-9a-f]{15}[0-7][0-9a-f]{15}$"),
        ("Last-Event-ID" = Option<String>, Header, description = "Streams only: the id of the last event that was had.", pattern = "^02[0-7][0-9a-f]{15}[0-7][0-9a-f]{15}$"),
    ),
    responses(
        (status = 200, description = "The page, or the stream.", content((OfAll = "application/json"), (String = "text/event-stream"))),
        (status = "default", description = "Anything else.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(in crate::api) async fn of_all(
    State(shared): State<Shared>,
    Extension(asker): Extension<Asker>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut parameters = Parameters::read(query.as_deref())?;
    let limit = parameters.limit(USUAL_LIMIT, MOST)?;
    let cursor = events::resumed::<2>(&headers, &mut parameters)?;
    parameters.finish()?;
    let after = cursor.map(|Cursor([transaction, sequence])| StreamPlace {
        transaction,
        sequence,
    });
    if events::are_wanted(&headers) {
        return stream(&shared, asker, after).await;
    }
    let mut transaction = shared.reader.snapshot().await?;
    let deployment = shared.deployment(&mut transaction).await?;
    let rows = match deployment {
        Some(_) => {
            let after = after.unwrap_or(StreamPlace::START);
            reader::list_streamed(&mut transaction, deployment, after, limit.saturating_add(1))
                .await?
        }
        None => Vec::new(),
    };
    let (rows, last) = parameters::page(rows, limit);
    Ok(Json(OfAll {
        next_cursor: last.map(|row: StreamedTransition| events::place(row.place)),
        transitions: rows.iter().map(StreamedShown::from).collect(),
    })
    .into_response())
}

async fn stream(
    shared: &Shared,
    asker: Asker,
    after: Option<StreamPlace>,
) -> Result<Response, Problem> {
    let permit = shared.limits.stream(asker)?;
    let feed = shared.feed.listen().await?;
    let mut transaction = shared.reader.snapshot().await?;
    let deployment = shared.deployment(&mut transaction).await?;
    let deployment = deployment.ok_or_else(|| {
        Problem::unavailable("Nothing was ever followed, so there is nothing to tell yet.")
    })?;
    let after = match after {
        Some(after) => after,
        None => reader::stream_end(&mut transaction).await?,
    };
    drop(transaction);
    let events = events::of_all(shared.reader.clone(), feed, deployment, after);
    Ok(events::answer(shared, permit, events))
}

impl From<TransitionRow> for TransitionShown {
    fn from(row: TransitionRow) -> Self {
        Self::from(&row)
    }
}

impl From<&TransitionRow> for TransitionShown {
    fn from(row: &TransitionRow) -> Self {
        Self {
            number: row.number,
            phase: row.phase.clone(),
            outcome: row.outcome.clone(),
            reason: row.reason.clone(),
            attempt: row.attempt,
            at: exact_time(row.at),
            previous_hash: hash(row.previous_hash),
            hash: hash(row.hash),
            worker: row.worker.clone(),
        }
    }
}

impl From<&StreamedTransition> for StreamedShown {
    fn from(row: &StreamedTransition) -> Self {
        Self {
            job: row.name.to_string(),
            cursor: events::place(row.place),
            transition: TransitionShown::from(&row.transition),
        }
    }
}
