use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use super::problem::Problem;
use crate::ledger::reader::{self, StreamPlace, StreamedTransition};
use crate::ledger::{Error, Reader, listen};
use crate::worker::Chain;

/// Transitions that are kept for those who listen: who is further behind is told so. All share them.
const RING: usize = 1024;
/// Most transitions that are read at once.
const PAGE: u32 = 500;
/// How often it is looked without a hint: what bounds the delay when one is lost, or when a transaction that still ran held back
/// what a hint was about.
const LOOK: Duration = Duration::from_millis(500);
/// Longest wait for the first look at the database.
const PATIENCE: Duration = Duration::from_secs(5);

/// Reads every transition once and tells all who listen, in the order of the stream.
#[derive(Debug)]
pub(super) struct Feed {
    sender: broadcast::Sender<Arc<StreamedTransition>>,
    has_begun: watch::Sender<bool>,
}

impl Feed {
    pub(super) fn new() -> Self {
        Self {
            sender: broadcast::Sender::new(RING),
            has_begun: watch::Sender::new(false),
        }
    }

    /// What is recorded from now on. Whoever listens first and then reads the ledger misses nothing: what stands there before the
    /// feed's place is read, what stands behind it is told.
    pub(super) async fn listen(
        &self,
    ) -> Result<broadcast::Receiver<Arc<StreamedTransition>>, Problem> {
        let receiver = self.sender.subscribe();
        let mut begun = self.has_begun.subscribe();
        let begun = tokio::time::timeout(PATIENCE, begun.wait_for(|begun| *begun)).await;
        match begun {
            Ok(Ok(_)) => Ok(receiver),
            _ => Err(Problem::unavailable("The database does not answer now.")),
        }
    }

    /// Goes on until `stop`, whatever the database does. It keeps its place when nobody listens, so that there is none to find anew.
    pub(super) async fn run(&self, reader: Reader, stop: CancellationToken) {
        let mut told_failure = false;
        let mut place = None;
        let mut hints: Option<BoxStream<'static, String>> = None;
        loop {
            match self.tell(&reader, &mut place).await {
                Ok(true) => continue,
                Ok(false) => told_failure = false,
                Err(error) if told_failure => {
                    tracing::debug!(error = %Chain(&error), "transitions still cannot be read");
                }
                Err(error) => {
                    told_failure = true;
                    tracing::warn!(error = %Chain(&error), "transitions cannot be read; those who listen wait");
                }
            }
            if hints.is_none() {
                hints = reader.listen().await.ok().map(StreamExt::boxed);
            }
            tokio::select! {
                () = stop.cancelled() => std::future::pending().await,
                () = hinted(&mut hints) => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Tells what is new; true when there may be more.
    async fn tell(&self, reader: &Reader, place: &mut Option<StreamPlace>) -> Result<bool, Error> {
        let mut connection = reader.acquire().await?;
        let after = match *place {
            Some(after) => after,
            None => reader::stream_end(&mut connection).await?,
        };
        *place = Some(after);
        let rows = reader::list_streamed(&mut connection, None, after, PAGE).await?;
        let is_full = rows.len() >= PAGE as usize;
        for row in rows {
            *place = Some(row.place);
            // Nobody listens: that is no failure.
            drop(self.sender.send(Arc::new(row)));
        }
        self.has_begun.send_replace(true);
        Ok(is_full)
    }
}

/// Waits for a hint; for ever when there is nobody to give any.
async fn hinted(hints: &mut Option<BoxStream<'static, String>>) {
    let Some(hints) = hints else {
        return std::future::pending().await;
    };
    while let Some(channel) = hints.next().await {
        if channel == listen::TRANSITIONS {
            return;
        }
    }
    std::future::pending::<()>().await;
}
