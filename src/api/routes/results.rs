use alloy::primitives::B256;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures::{StreamExt, future};
use sha2::{Digest, Sha256};

use crate::api::Shared;
use crate::api::admittance::{Admitted, View};
use crate::api::attachment::{attachment, repr_digest};
use crate::api::byte_range::Part;
use crate::api::limits::Asker;
use crate::api::manifest::{Manifest, ManifestShown};
use crate::api::parameters::Parameters;
use crate::api::ports::{CannotSee, Files, Pieces};
use crate::api::problem::Problem;
use crate::api::segment::{Segment, Segments};
use crate::jobs::Phase;
use crate::ledger::reader::{self, JobRow};

/// Neither this answer nor that it was given is anybody else's business.
const PRIVATE: HeaderValue = HeaderValue::from_static("private, no-store");

const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");

/// What a job made: each file with its size and hash, as publishing listed them, and where to get it. For operators, and for the
/// parties of the job's agreement as far as the publisher's release rule lets it out.
#[utoipa::path(get, path = "/v1/jobs/{id}/results", tag = "jobs",
    params(("id" = String, Path, description = "The job.", pattern = "^job-[0-9a-f]{32}$")),
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The manifest.", body = ManifestShown),
        (status = "default", description = "Anything else.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(in crate::api) async fn list(
    State(shared): State<Shared>,
    Segment(id): Segment,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (job, manifest, _) = released(&shared, &headers, &id, query.as_deref()).await?;
    let headers = [(header::CACHE_CONTROL, PRIVATE)];
    let shown = Json(ManifestShown::new(&job.name, manifest));
    Ok((headers, shown).into_response())
}

/// A result file, byte for byte, or a range of it.
#[utoipa::path(get, path = "/v1/jobs/{id}/results/{name}", tag = "jobs",
    params(
        ("id" = String, Path, description = "The job.", pattern = "^job-[0-9a-f]{32}$"),
        ("name" = String, Path, description = "The file's path in the manifest, each of its parts percent-encoded."),
    ),
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The bytes.", body = String, content_type = "application/octet-stream"),
        (status = 206, description = "The range of bytes that was asked for.", body = String, content_type = "application/octet-stream"),
        (status = "default", description = "Anything else.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(in crate::api) async fn read(
    State(shared): State<Shared>,
    Extension(asker): Extension<Asker>,
    Segments(id, name): Segments,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (job, manifest, files) = released(&shared, &headers, &id, query.as_deref()).await?;
    let file = manifest.files.iter().find(|file| file.path == name);
    let file = file.ok_or_else(Problem::file_not_found)?;
    let permit = shared.limits.stream(asker)?;
    let tag = HeaderValue::from_str(&format!("\"{}\"", alloy::hex::encode(file.sha256)));
    let tag = tag.map_err(|_| Problem::internal())?;
    let mut described = HeaderMap::new();
    described.extend([
        (header::CACHE_CONTROL, PRIVATE),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("sandbox; default-src 'none'"),
        ),
        (header::CONTENT_TYPE, media_type(&file.media_type)),
        (header::CONTENT_DISPOSITION, attachment(&file.path)),
        (REPR_DIGEST, repr_digest(file.sha256)),
        (header::ETAG, tag.clone()),
    ]);
    let mut asked = headers;
    // A range of another representation is none of this one (RFC 9110 section 13.1.5).
    if asked
        .get(header::IF_RANGE)
        .is_some_and(|known| *known != tag)
    {
        asked.remove(header::RANGE);
    }
    let part = match Part::asked(&asked, file.size, &mut described) {
        Ok(part) => part,
        Err(unsatisfiable) => return Ok(*unsatisfiable),
    };
    let opened = files
        .open((&job.name, manifest.attempt, &file.path), part.span.start)
        .await;
    let pieces = match opened {
        Ok(Some((size, pieces))) if size == file.size => first(pieces, part.length()),
        Ok(other) => {
            let found = other.map(|(size, _)| size);
            tracing::error!(job = %job.name, expected = file.size, ?found, "a result file of {} is not as its manifest says", job.name);
            return Err(away());
        }
        Err(CannotSee) => return Err(away()),
    };
    let pieces = pieces.map(move |piece| {
        // held for as long as the stream lives
        let _permit = &permit;
        piece
    });
    Ok((part.status, described, Body::from_stream(pieces)).into_response())
}

/// The manifest of a job's results, for somebody who may have them. What is refused is refused before the store is asked.
async fn released<'a>(
    shared: &'a Shared,
    headers: &HeaderMap,
    id: &str,
    query: Option<&str>,
) -> Result<(JobRow, Manifest, &'a dyn Files), Problem> {
    let known = shared.known(headers).await?;
    Parameters::read(query)?.finish()?;
    let Admitted { job, view, .. } = shared.admit(known, id).await?;
    let is_over = matches!(job.phase, Phase::Finished | Phase::AwaitingReview);
    let none = || {
        if is_over {
            Problem::results_not_found()
        } else {
            Problem::results_not_ready()
        }
    };
    match &view {
        View::Operator => {}
        // Before there is a rule there is nothing that it could be about.
        View::Party(standing, _) if standing.rule.is_none() => return Err(none()),
        View::Party(standing, _) => standing.results().map_err(Problem::not_released)?,
        View::Public => return Err(Problem::not_a_party()),
    }
    let results = reader::find_results(&mut *shared.reader.acquire().await?, job.id).await?;
    let results = results.filter(|_| is_over).ok_or_else(none)?;
    let files = shared.files.as_deref().ok_or_else(|| {
        Problem::not_configured(
            "This process was not told where results lie (TIDEWATCH_RESULTS_URL).",
        )
    })?;
    let bytes = files.manifest(&results.manifest_key).await;
    let bytes = bytes.map_err(|CannotSee| away())?.ok_or_else(away)?;
    let read = (B256::from_slice(&Sha256::digest(&bytes)) == results.manifest_sha256)
        .then(|| serde_json::from_slice::<Manifest>(&bytes).ok())
        .flatten();
    let manifest = read.ok_or_else(|| {
        tracing::error!(job = %job.name, key = results.manifest_key, "the manifest of {} is not the one that was recorded", job.name);
        Problem::internal()
    })?;
    Ok((job, manifest, files))
}

fn away() -> Problem {
    Problem::unavailable("The object store does not give this now.")
}

/// Publishing tells it by the file's name alone, so it is no more than a hint, and nothing is rendered by it.
fn media_type(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("application/octet-stream"))
}

/// The first `length` bytes.
fn first(pieces: Pieces, length: u64) -> Pieces {
    let cut = pieces.scan(length, |left, piece| {
        let piece = match piece {
            Ok(_) if *left == 0 => return future::ready(None),
            Ok(mut bytes) => {
                bytes.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= bytes.len() as u64;
                Ok(bytes)
            }
            Err(error) => Err(error),
        };
        future::ready(Some(piece))
    });
    cut.boxed()
}
