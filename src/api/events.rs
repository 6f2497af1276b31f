//! Server-sent events (WHATWG HTML, section "Server-sent events"): transitions as they are recorded.
//!
//! A stream waits nearly all its life. What it needs to ask the database is boxed, so that it has that memory only while it asks: a
//! query's state is some 15 KB, which a thousand readers would have for nothing.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream::unfold;
use futures::{Stream, StreamExt};
use serde::Serialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::Shared;
use super::cursor::Cursor;
use super::limits::StreamPermit;
use super::parameters::Parameters;
use super::problem::Problem;
use super::routes::transitions::{StreamedShown, TransitionShown};
use crate::ids::{DeploymentId, JobId};
use crate::ledger::reader::{self, StreamPlace, StreamedTransition, TransitionRow};
use crate::ledger::{Error, Reader};
use crate::worker::Chain;

/// How often a stream says that it lives: proxies commonly give up after a minute of silence.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Transitions that are read ahead for one reader.
const PAGE: u32 = 100;
/// Wait before the database is asked again after it failed.
const PAUSE: Duration = Duration::from_secs(1);
/// How often a job's transitions are looked for without a hint.
const LOOK: Duration = Duration::from_secs(30);

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Whether events are asked for.
pub(super) fn are_wanted(headers: &HeaderMap) -> bool {
    headers.get_all(header::ACCEPT).iter().any(|value| {
        let text = value.to_str().unwrap_or_default();
        text.split([',', ';'])
            .any(|kind| kind.trim().eq_ignore_ascii_case("text/event-stream"))
    })
}

/// Where a reader goes on: behind the event that it had last, else at the parameter `cursor`.
pub(super) fn resumed<const N: usize>(
    headers: &HeaderMap,
    parameters: &mut Parameters,
) -> Result<Option<Cursor<N>>, Problem> {
    let given = parameters.cursor()?;
    let Some(last) = headers.get(LAST_EVENT_ID) else {
        return Ok(given);
    };
    let last = last.to_str().ok().and_then(|text| text.parse().ok());
    last.map(Some).ok_or_else(|| {
        Problem::invalid_parameter("Last-Event-ID", "the id of an event of this stream")
    })
}

/// The answer that carries events until the reader goes or the service ends.
pub(super) fn answer(
    shared: &Shared,
    permit: StreamPermit,
    events: impl Stream<Item = Event> + Send + 'static,
) -> Response {
    let events = events
        .take_until(shared.stop.clone().cancelled_owned())
        .map(move |event| {
            // held for as long as the stream lives
            let _permit = &permit;
            Ok::<_, Infallible>(event)
        });
    let alive = KeepAlive::new().interval(HEARTBEAT).text("alive");
    let mut response = Sse::new(events).keep_alive(alive).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // nginx would gather events otherwise
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// An event with JSON data; one that has no JSON form is told as a comment.
pub(super) fn event(name: &str, id: Option<String>, data: &impl Serialize) -> Event {
    let event = Event::default().event(name);
    let event = match id {
        Some(id) => event.id(id),
        None => event,
    };
    event
        .json_data(data)
        .unwrap_or_else(|_| Event::default().comment("not shown"))
}

/// A job's transitions after a number, then each as it is recorded. Every one is read from the ledger by its number, which has no
/// gaps; what the feed tells is only a hint, so a lost one costs time and nothing else.
pub(super) fn of_job(
    reader: Reader,
    hints: Receiver<Arc<StreamedTransition>>,
    job: JobId,
    after: i32,
) -> impl Stream<Item = Event> + Send {
    let state = OfJob {
        reader,
        hints,
        job,
        after,
        ahead: VecDeque::new(),
    };
    unfold(state, |mut state| async move {
        let row = state.next().await?;
        let id = Cursor([i64::from(row.number)]).to_string();
        Some((
            event("transition", Some(id), &TransitionShown::from(row)),
            state,
        ))
    })
}

struct OfJob {
    reader: Reader,
    hints: Receiver<Arc<StreamedTransition>>,
    job: JobId,
    after: i32,
    ahead: VecDeque<TransitionRow>,
}

impl OfJob {
    async fn next(&mut self) -> Option<TransitionRow> {
        loop {
            if let Some(row) = self.ahead.pop_front() {
                self.after = row.number;
                return Some(row);
            }
            match Box::pin(self.read()).await {
                Ok(rows) if rows.is_empty() => self.hint().await?,
                Ok(rows) => self.ahead.extend(rows),
                Err(error) => pause(&error).await,
            }
        }
    }

    async fn read(&self) -> Result<Vec<TransitionRow>, Error> {
        let mut connection = self.reader.acquire().await?;
        reader::list_transitions(&mut connection, self.job, self.after, PAGE).await
    }

    /// Waits until it is worth looking again; `None` when there will be no more hints.
    async fn hint(&mut self) -> Option<()> {
        let look = tokio::time::sleep(LOOK);
        tokio::pin!(look);
        loop {
            tokio::select! {
                () = &mut look => return Some(()),
                told = self.hints.recv() => match told {
                    Ok(told) if told.job != self.job => {}
                    Ok(_) | Err(RecvError::Lagged(_)) => return Some(()),
                    Err(RecvError::Closed) => return None,
                }
            }
        }
    }
}

/// Every transition of a deployment behind a place, then each as it is recorded. A reader who falls behind the ring while events
/// are told is told so, and dropped: it can go on behind its last event.
pub(super) fn of_all(
    reader: Reader,
    feed: Receiver<Arc<StreamedTransition>>,
    deployment: DeploymentId,
    after: StreamPlace,
) -> impl Stream<Item = Event> + Send {
    let state = OfAll {
        reader,
        feed,
        deployment,
        after,
        ahead: VecDeque::new(),
        reading: Reading::Ledger,
    };
    unfold(Some(state), |state| async move {
        let mut state = state?;
        match state.next().await? {
            Next::Transition(row) => {
                let id = place(row.place);
                Some((
                    event("transition", Some(id), &StreamedShown::from(&*row)),
                    Some(state),
                ))
            }
            Next::TooSlow => {
                let said = Problem::unavailable(
                    "You read more slowly than events come: go on with Last-Event-ID.",
                );
                Some((event("too_slow", None, &said), None))
            }
        }
    })
}

/// A place in the stream of all transitions, as people hold it.
pub(super) fn place(place: StreamPlace) -> String {
    Cursor([place.transaction, place.sequence]).to_string()
}

struct OfAll {
    reader: Reader,
    feed: Receiver<Arc<StreamedTransition>>,
    deployment: DeploymentId,
    after: StreamPlace,
    ahead: VecDeque<Arc<StreamedTransition>>,
    reading: Reading,
}

/// Where a reader of all transitions has them from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// From the ledger, up to its end.
    Ledger,
    /// From the feed; nothing was had from it since the ledger's end, and it may have gone on meanwhile.
    Turning,
    /// From the feed.
    Feed,
}

enum Next {
    Transition(Arc<StreamedTransition>),
    TooSlow,
}

impl OfAll {
    async fn next(&mut self) -> Option<Next> {
        loop {
            if let Some(row) = self.ahead.pop_front() {
                self.after = row.place;
                return Some(Next::Transition(row));
            }
            if self.reading == Reading::Ledger {
                match Box::pin(self.read()).await {
                    Ok(rows) if rows.is_empty() => self.reading = Reading::Turning,
                    Ok(rows) => self.ahead.extend(rows.into_iter().map(Arc::new)),
                    Err(error) => pause(&error).await,
                }
                continue;
            }
            match self.feed.recv().await {
                // What was read from the ledger already does not count: who lags in it has missed nothing yet.
                Ok(row) if row.place <= self.after => {}
                Ok(row) => {
                    self.reading = Reading::Feed;
                    if row.deployment == self.deployment {
                        self.ahead.push_back(row);
                    }
                }
                Err(RecvError::Lagged(_)) if self.reading == Reading::Turning => {
                    self.reading = Reading::Ledger;
                }
                Err(RecvError::Lagged(_)) => return Some(Next::TooSlow),
                Err(RecvError::Closed) => return None,
            }
        }
    }

    async fn read(&self) -> Result<Vec<StreamedTransition>, Error> {
        let mut connection = self.reader.acquire().await?;
        reader::list_streamed(&mut connection, Some(self.deployment), self.after, PAGE).await
    }
}

/// Not to see is not to end: the stream stays and looks again.
pub(super) async fn pause(error: &Error) {
    tracing::debug!(error = %Chain(error), "a stream waits for the database");
    tokio::time::sleep(PAUSE).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The size of what a function makes, without calling it.
    const fn size_of_made<T, M>(_: &impl Fn(T) -> M) -> usize {
        size_of::<M>()
    }

    #[test]
    fn a_stream_that_waits_has_no_memory_for_queries() {
        type Feed = Receiver<Arc<StreamedTransition>>;
        let of_all = |(reader, feed): (Reader, Feed)| {
            of_all(reader, feed, DeploymentId(1), StreamPlace::START)
        };
        let of_job = |(reader, hints): (Reader, Feed)| of_job(reader, hints, JobId(1), 0);
        for size in [size_of_made(&of_all), size_of_made(&of_job)] {
            assert!(size < 2_048, "{size} bytes for each reader");
        }
    }
}
