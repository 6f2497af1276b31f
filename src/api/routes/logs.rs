use axum::Extension;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::sse::Event;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use futures::future::pending;
use futures::stream::unfold;
use futures::{Stream, StreamExt};
use serde::Serialize;

use crate::api::admittance::{Admitted, View};
use crate::api::byte_range::Part;
use crate::api::cursor::Cursor;
use crate::api::limits::Asker;
use crate::api::log_reading::{LogReading, Piece};
use crate::api::parameters::Parameters;
use crate::api::problem::Problem;
use crate::api::segment::Segment;
use crate::api::{Shared, events};
use crate::engine::Stage;
use crate::ledger::reader::{self, JobLog};

/// Says how far the bytes are what was printed: `preview` while the log grows, then `complete`, `truncated`, `gap` or `unverified`.
const COMPLETENESS: HeaderName = HeaderName::from_static("x-log-completeness");

/// Which attempt printed it.
const ATTEMPT: HeaderName = HeaderName::from_static("x-log-attempt");

/// Most lines that are looked for from the end.
const MOST_LINES: u32 = 100_000;

/// A piece of a log, as an event.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PieceShown {
    attempt: i32,
    /// Bytes of the log before it.
    offset: u64,
    /// What is no UTF-8 is replaced.
    text: String,
}

/// The end of a log, as an event.
#[derive(Serialize)]
struct EndShown {
    completeness: Option<String>,
    bytes: u64,
}

/// What is asked for.
struct Asked {
    /// Whose log; `None`: the one that the asker may have.
    stage: Option<Stage>,
    follow: bool,
    tail: Option<u32>,
    /// Attempt and bytes before the place where a stream goes on.
    resumed: Option<(i64, u64)>,
    is_events: bool,
}

/// What a stage printed, as bytes, while it runs and after: the same address for both. `follow=true` goes on until the stage's record
/// is whole; with `Accept: text/event-stream` it is told in events `log` and a last one `end`. For operators, and for the parties of
/// the job's agreement as far as the publisher's release rule lets it out; for them a stream ends with their sign-in.
#[utoipa::path(get, path = "/v1/jobs/{id}/logs", tag = "jobs",
    params(
        ("id" = String, Path, description = "The job.", pattern = "^job-[0-9a-f]{32}$"),
        ("stage" = Option<String>, Query, description = "Whose: configure, algorithm, filter or publish. Absent: the algorithm's; for a party whose release rule says filtered, the filter's.", pattern = "^(configure|algorithm|filter|publish)$"),
        ("follow" = Option<bool>, Query, description = "Whether to wait for what comes."),
        ("tailLines" = Option<u32>, Query, minimum = 0, maximum = 100000, description = "Only so many of the last lines."),
        ("Last-Event-ID" = Option<String>, Header, description = "Streams only: the id of the last event that was had.", pattern = "^02[0-7][0-9a-f]{15}[0-7][0-9a-f]{15}$"),
    ),
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The bytes, or the stream.", content((String = "text/plain; charset=utf-8"), (String = "text/event-stream"))),
        (status = 206, description = "The range of bytes that was asked for.", body = String, content_type = "text/plain; charset=utf-8"),
        (status = "default", description = "Anything else.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(in crate::api) async fn read(
    State(shared): State<Shared>,
    Extension(asker): Extension<Asker>,
    Segment(id): Segment,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    // First of all: somebody who may not read must not learn here whether the job exists.
    let known = shared.known(&headers).await?;
    let asked = asked(query.as_deref(), &headers)?;
    let Admitted {
        deployment,
        job,
        view,
    } = shared.admit(known, &id).await?;
    let (stage, until) = match view {
        View::Operator => (asked.stage.unwrap_or(Stage::Algorithm), None),
        View::Party(standing, account) => {
            let let_out = standing.log(asked.stage).map_err(Problem::not_released)?;
            let stage = let_out.ok_or_else(Problem::log_not_found)?;
            (stage, Some(account.until))
        }
        View::Public => return Err(Problem::not_a_party()),
    };
    let mut transaction = shared.reader.snapshot().await?;
    let log = reader::find_job_log(&mut transaction, job.id, stage).await?;
    let offset = match (&log, asked.tail, asked.resumed) {
        (Some(log), _, Some((attempt, offset))) if attempt == i64::from(log.attempt) => offset,
        (Some(log), Some(lines), None) => reader::tail_start(&mut transaction, log, lines).await?,
        _ => 0,
    };
    drop(transaction);
    let reading = LogReading {
        reader: shared.reader.clone(),
        job: (deployment, job.id, job.name),
        stage,
        log,
        offset,
        end: None,
        follow: asked.follow,
    };
    let over = over(until, shared.clock.now());
    if asked.is_events {
        let permit = shared.limits.stream(asker)?;
        let told = told(reading).take_until(Box::pin(over));
        return Ok(events::answer(&shared, permit, told));
    }
    if asked.follow {
        return followed(&shared, asker, reading, over);
    }
    whole(reading, &headers)
}

fn asked(query: Option<&str>, headers: &HeaderMap) -> Result<Asked, Problem> {
    let mut parameters = Parameters::read(query)?;
    let stage = parameters.text("stage");
    let follow = parameters.switch("follow")?;
    let wanted = "a number from 0 to 100000";
    let tail: Option<u32> = parameters.value("tailLines", wanted)?;
    if tail.is_some_and(|lines| lines > MOST_LINES) {
        return Err(Problem::invalid_parameter("tailLines", wanted));
    }
    let resumed = events::resumed::<2>(headers, &mut parameters)?;
    parameters.finish()?;
    let stage = match stage.as_deref() {
        None => None,
        Some("algorithm") => Some(Stage::Algorithm),
        Some("configure") => Some(Stage::Configure),
        Some("filter") => Some(Stage::Filter),
        Some("publish") => Some(Stage::Publish),
        Some(_) => {
            return Err(Problem::invalid_parameter(
                "stage",
                "configure, algorithm, filter or publish",
            ));
        }
    };
    Ok(Asked {
        stage,
        follow,
        tail,
        resumed: resumed.map(|Cursor([attempt, offset])| (attempt, offset.unsigned_abs())),
        is_events: events::are_wanted(headers),
    })
}

fn described(log: Option<&JobLog>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let fixed = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "sandbox"),
    ];
    headers.extend(fixed.map(|(name, value)| (name, HeaderValue::from_static(value))));
    if let Some(log) = log {
        let completeness = log.completeness.as_deref().unwrap_or("preview");
        headers.extend(HeaderValue::from_str(completeness).map(|value| (COMPLETENESS, value)));
        headers.insert(ATTEMPT, log.attempt.into());
    }
    headers
}

/// What is stored, or a range of it.
fn whole(mut reading: LogReading, headers: &HeaderMap) -> Result<Response, Problem> {
    let log = reading.log.as_ref().ok_or_else(Problem::log_not_found)?;
    let mut described = described(Some(log));
    // With its length known, a reader can tell a stream that broke off from one that ended.
    let bytes = log.completeness.as_ref().map(|_| log.bytes);
    let mut status = StatusCode::OK;
    match bytes {
        Some(bytes) if reading.offset == 0 => match Part::asked(headers, bytes, &mut described) {
            Ok(part) => {
                status = part.status;
                (reading.offset, reading.end) = (part.span.start, Some(part.span.end));
            }
            Err(unsatisfiable) => return Ok(*unsatisfiable),
        },
        Some(bytes) => {
            reading.offset = reading.offset.min(bytes);
            described.insert(header::CONTENT_LENGTH, (bytes - reading.offset).into());
            reading.end = Some(bytes);
        }
        None => {}
    }
    Ok((status, described, Body::from_stream(reading.bytes())).into_response())
}

/// Ends with a sign-in: whoever goes on listening has to sign in again, and is asked then whether the log is still for him.
async fn over(until: Option<DateTime<Utc>>, now: DateTime<Utc>) {
    match until {
        Some(until) => tokio::time::sleep((until - now).to_std().unwrap_or_default()).await,
        None => pending().await,
    }
}

fn followed(
    shared: &Shared,
    asker: Asker,
    reading: LogReading,
    over: impl Future<Output = ()> + Send + 'static,
) -> Result<Response, Problem> {
    let permit = shared.limits.stream(asker)?;
    let headers = described(reading.log.as_ref());
    let stop = shared.stop.clone().cancelled_owned();
    let bytes = reading.bytes().take_until(stop).take_until(Box::pin(over));
    let bytes = bytes.map(move |piece| {
        // held for as long as the stream lives
        let _permit = &permit;
        piece
    });
    Ok((headers, Body::from_stream(bytes)).into_response())
}

/// The log as events. A character that a piece cuts in two is told whole with the next.
fn told(reading: LogReading) -> impl Stream<Item = Event> + Send {
    unfold(Some((reading, Vec::new())), |state| async move {
        let (mut reading, mut held) = state?;
        loop {
            match reading.next().await {
                Ok(Some(piece)) => {
                    let shown = shown(&piece, &mut held);
                    return Some((shown, Some((reading, held))));
                }
                Ok(None) => return Some((ended(&reading), None)),
                Err(error) => events::pause(&error).await,
            }
        }
    })
}

fn shown(piece: &Piece, held: &mut Vec<u8>) -> Event {
    if piece.start == 0 {
        held.clear();
    }
    let offset = piece.start - held.len() as u64;
    held.extend_from_slice(&piece.bytes);
    let whole = match std::str::from_utf8(held) {
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        Ok(_) | Err(_) => held.len(),
    };
    let rest = held.split_off(whole);
    let text = String::from_utf8_lossy(held).into_owned();
    let after = i64::try_from(offset + whole as u64).unwrap_or(i64::MAX);
    *held = rest;
    let id = Cursor([i64::from(piece.attempt), after]).to_string();
    let data = PieceShown {
        attempt: piece.attempt,
        offset,
        text,
    };
    events::event("log", Some(id), &data)
}

fn ended(reading: &LogReading) -> Event {
    let log = reading.log.as_ref();
    let data = EndShown {
        completeness: log.and_then(|log| log.completeness.clone()),
        bytes: log.map_or(0, |log| log.bytes),
    };
    events::event("end", None, &data)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, timeout};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stream_of_a_party_ends_with_the_sign_in() {
        let now = "2026-01-31T12:00:00Z".parse().unwrap();
        let began = Instant::now();
        over(Some(now + chrono::TimeDelta::minutes(15)), now).await;
        assert_eq!(began.elapsed(), Duration::from_secs(900));
        over(Some(now - chrono::TimeDelta::minutes(1)), now).await;
        assert_eq!(began.elapsed(), Duration::from_secs(900));
        let operators = over(None, now);
        assert!(
            timeout(Duration::from_secs(1_000_000), operators)
                .await
                .is_err()
        );
    }
}
