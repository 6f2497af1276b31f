use std::fmt;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::Stream;
use futures::stream::try_unfold;

use crate::api::Shared;
use crate::api::parameters::Parameters;
use crate::api::problem::Problem;
use crate::engine::Stage;
use crate::ledger::Reader;
use crate::ledger::reader::{self, JobLog};
use crate::worker::Chain;

/// Says how far the bytes are what was printed: `preview` while the log grows, then `complete`, `truncated`, `gap` or `unverified`.
const COMPLETENESS: HeaderName = HeaderName::from_static("x-log-completeness");

/// Which attempt printed it.
const ATTEMPT: HeaderName = HeaderName::from_static("x-log-attempt");

/// `GET /v1/jobs/{id}/logs?stage=algorithm`: what a stage printed, as bytes, while it runs and after. For operators.
pub(in crate::api) async fn read(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    // First of all: somebody who may not read must not learn here whether the job exists.
    shared.operator_token.require(&headers).await?;
    let stage = stage(query.as_deref())?;
    let mut transaction = shared.reader.snapshot().await?;
    let (_, job) = shared.job(&mut transaction, &id).await?;
    if reader::is_erased(&mut transaction, job.id).await? {
        return Err(Problem::erased());
    }
    let log = reader::find_job_log(&mut transaction, job.id, stage).await?;
    let log = log.ok_or_else(Problem::log_not_found)?;
    drop(transaction);

    let completeness = log.completeness.as_deref().unwrap_or("preview").to_owned();
    let mut response = (
        [
            (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
            (header::CACHE_CONTROL, "no-store".to_owned()),
            (header::CONTENT_SECURITY_POLICY, "sandbox".to_owned()),
            (COMPLETENESS, completeness),
            (ATTEMPT, log.attempt.to_string()),
        ],
        Body::empty(),
    )
        .into_response();
    // With its length known, a reader can tell a stream that broke off from one that ended.
    if log.completeness.is_some() {
        response
            .headers_mut()
            .insert(header::CONTENT_LENGTH, log.bytes.into());
    }
    *response.body_mut() = Body::from_stream(pieces(shared.reader.clone(), log));
    Ok(response)
}

fn stage(query: Option<&str>) -> Result<Stage, Problem> {
    let mut parameters = Parameters::read(query)?;
    let stage = parameters.text("stage");
    parameters.finish()?;
    match stage.as_deref() {
        None | Some("algorithm") => Ok(Stage::Algorithm),
        Some("configure") => Ok(Stage::Configure),
        Some("filter") => Ok(Stage::Filter),
        Some("publish") => Ok(Stage::Publish),
        Some(_) => Err(Problem::invalid_parameter(
            "stage",
            "configure, algorithm, filter or publish",
        )),
    }
}

/// The log piece by piece: one chunk in memory, and a database connection only while it is fetched.
///
/// A log that is whole ends after as many bytes as its row says, a preview with what there is.
fn pieces(reader: Reader, log: JobLog) -> impl Stream<Item = Result<Bytes, Broken>> {
    let whole = log.completeness.as_ref().map(|_| log.bytes);
    let start = Place {
        offset: 0,
        left: whole.unwrap_or(u64::MAX),
    };
    try_unfold((reader, log, start), |(reader, log, place)| async move {
        if place.left == 0 {
            return Ok(None);
        }
        match next_piece(&reader, &log, place.offset).await {
            Ok(Some((start, mut piece))) => {
                piece.truncate(usize::try_from(place.left).unwrap_or(usize::MAX));
                let length = piece.len() as u64;
                let next = Place {
                    offset: start + length,
                    left: place.left - length,
                };
                Ok(Some((piece, (reader, log, next))))
            }
            Ok(None) => Ok(None),
            Err(error) => {
                tracing::warn!(job = %log.job, error = %Chain(&error), "a job log broke off while it was read");
                Err(Broken)
            }
        }
    })
}

/// How far a log was read.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Where the next byte is looked for.
    offset: u64,
    /// Most bytes that are still to come.
    left: u64,
}

async fn next_piece(
    reader: &Reader,
    log: &JobLog,
    offset: u64,
) -> Result<Option<(u64, Bytes)>, crate::ledger::Error> {
    let mut connection = reader.acquire().await?;
    reader::chunk_from(&mut connection, log, offset).await
}

/// Ends a body in the middle, so that nobody takes it for whole.
#[derive(Debug)]
struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the log broke off")
    }
}

impl std::error::Error for Broken {}
