//! Job logs, piece by piece: one chunk in memory, and a database connection only while it is fetched.
//!
//! While a log grows it is a preview; when its stage has ended, the record takes its place, which is what was really printed. Whoever
//! follows sees the preview's bytes as they come, then whatever the record has beyond them, and is told at the end how far that is
//! the whole. A place in a log is its attempt and the number of bytes before it.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use futures::stream::try_unfold;

use crate::engine::Stage;
use crate::ids::{DeploymentId, JobId, JobName};
use crate::jobs::Phase;
use crate::ledger::reader::{self, JobLog};
use crate::ledger::{Error, Reader};
use crate::worker::Chain;

/// How often a log that is followed is looked at.
const LOOK: Duration = Duration::from_millis(700);

/// A log that is read from a place on.
#[derive(Debug)]
pub(super) struct LogReading {
    pub(super) reader: Reader,
    pub(super) job: (DeploymentId, JobId, JobName),
    pub(super) stage: Stage,
    /// The log as it was last seen; `None` before there is one.
    pub(super) log: Option<JobLog>,
    /// Where the next byte is looked for.
    pub(super) offset: u64,
    /// Where to end; `None`: where the log does.
    pub(super) end: Option<u64>,
    /// Whether to wait for what comes.
    pub(super) follow: bool,
}

/// A piece of a log.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    /// The attempt that printed it.
    pub(super) attempt: i32,
    /// Bytes before it.
    pub(super) start: u64,
    /// It.
    pub(super) bytes: Bytes,
}

impl LogReading {
    /// The next piece; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Piece>, Error> {
        loop {
            if self.end.is_some_and(|end| self.offset >= end) {
                return Ok(None);
            }
            // Boxed as in `events.rs`: whoever waits for a log needs no memory for queries.
            if let Some(piece) = Box::pin(self.stored()).await? {
                return Ok(Some(piece));
            }
            if !self.follow || Box::pin(self.has_ended()).await? {
                return Ok(None);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn stored(&mut self) -> Result<Option<Piece>, Error> {
        let Some(log) = &self.log else {
            return Ok(None);
        };
        let mut connection = self.reader.acquire().await?;
        let chunk = reader::chunk_from(&mut connection, log, self.offset).await?;
        drop(connection);
        let Some((start, mut bytes)) = chunk else {
            return Ok(None);
        };
        if let Some(end) = self.end {
            bytes.truncate(usize::try_from(end.saturating_sub(start)).unwrap_or(usize::MAX));
        }
        self.offset = start + bytes.len() as u64;
        let attempt = log.attempt;
        Ok((!bytes.is_empty()).then_some(Piece {
            attempt,
            start,
            bytes,
        }))
    }

    /// Looks whether anything may still come. A further attempt's log is read from its beginning.
    async fn has_ended(&mut self) -> Result<bool, Error> {
        let (deployment, id, name) = &self.job;
        let mut transaction = self.reader.snapshot().await?;
        let job = reader::find_job(&mut transaction, *deployment, name).await?;
        let now = reader::find_job_log(&mut transaction, *id, self.stage).await?;
        drop(transaction);
        let is_finished = job.is_none_or(|job| job.phase == Phase::Finished);
        let Some(now) = now else {
            return Ok(is_finished);
        };
        if self.log.as_ref().map(|log| log.attempt) != Some(now.attempt) {
            self.offset = 0;
        }
        let is_whole = now.completeness.is_some() && self.offset >= now.bytes;
        self.log = Some(now);
        Ok(is_whole)
    }

    /// Its bytes.
    pub(super) fn bytes(self) -> impl Stream<Item = Result<Bytes, Broken>> {
        try_unfold(self, |mut reading| async move {
            match reading.next().await {
                Ok(piece) => Ok(piece.map(|piece| (piece.bytes, reading))),
                Err(error) => {
                    tracing::warn!(job = %reading.job.2, error = %Chain(&error), "a job log broke off while it was read");
                    Err(Broken)
                }
            }
        })
    }
}

/// Ends a body in the middle, so that nobody takes it for whole.
#[derive(Debug)]
pub(super) struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the log broke off")
    }
}

impl std::error::Error for Broken {}
