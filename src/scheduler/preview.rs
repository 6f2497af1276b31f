//! Copying a log while it is written.

use std::time::Duration;

use bytes::{Buf, BytesMut};
use futures::StreamExt;
use tokio::time::{Instant, sleep_until};

use super::Error;
use crate::engine::Engine;
use crate::ids::JobName;
use crate::ledger::job_logs::{self, CHUNK, LogKey};
use crate::ledger::{self, Ledger};

/// How long bytes may wait for more before they are stored.
const PATIENCE: Duration = Duration::from_secs(1);

/// How a copy ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Copied {
    /// The engine has nothing to read now.
    Nothing,
    /// Everything that the engine gave is stored, up to that many bytes in all.
    Until(u64),
    /// The limit is reached, or the log is closed: there is nothing more to copy, ever.
    Full,
}

/// Copies the algorithm's log, as far as the engine has it, behind what is stored of it, up to `limit` bytes.
///
/// The engine's stream starts at the first byte every time, so whatever is stored already is skipped. A chunk is stored when
/// it is full or has waited for a second; never is more than one chunk and one piece of the stream in memory. May be dropped at any
/// await: a chunk is in the ledger as a whole or not at all.
///
/// # Errors
/// The engine's and the ledger's; what was read before the error is stored as far as that is possible.
pub(super) async fn copy<E: Engine>(
    ledger: &Ledger,
    engine: &E,
    name: &JobName,
    key: LogKey,
    limit: u64,
) -> Result<Copied, Error> {
    let attempted = Error::engine("read the log of", name);
    let Some(mut pieces) = engine.preview(name, key.attempt).await.map_err(attempted)? else {
        return Ok(Copied::Nothing);
    };
    let mut connection = ledger.acquire().await?;
    let Some(stored) = job_logs::open(&mut connection, key).await? else {
        return Ok(Copied::Full);
    };
    drop(connection);
    let mut tail = Tail {
        ledger,
        key,
        skip: stored,
        stored,
        limit,
        waiting: BytesMut::new(),
        store_at: Instant::now(),
    };
    loop {
        if tail.is_full() {
            tail.store_all().await?;
            return Ok(Copied::Full);
        }
        tokio::select! {
            piece = pieces.next() => match piece {
                Some(Ok(piece)) => tail.take(&piece).await?,
                Some(Err(error)) => {
                    tail.store_all().await?;
                    return Err(Error::engine("read the log of", name)(error));
                }
                None => {
                    tail.store_all().await?;
                    return Ok(Copied::Until(tail.stored));
                }
            },
            () = sleep_until(tail.store_at), if !tail.waiting.is_empty() => tail.store_all().await?,
        }
    }
}

/// The end of a log that is being copied.
struct Tail<'a> {
    ledger: &'a Ledger,
    key: LogKey,
    /// Bytes of the stream that are stored already and have not come by yet.
    skip: u64,
    stored: u64,
    limit: u64,
    waiting: BytesMut,
    store_at: Instant,
}

impl Tail<'_> {
    fn is_full(&self) -> bool {
        self.stored + self.waiting.len() as u64 >= self.limit
    }

    /// Takes the next piece of the stream and stores whatever fills chunks.
    async fn take(&mut self, piece: &[u8]) -> Result<(), Error> {
        let skipped = usize::try_from(self.skip).map_or(piece.len(), |skip| skip.min(piece.len()));
        self.skip -= skipped as u64;
        let mut piece = &piece[skipped..];
        while !piece.is_empty() && !self.is_full() {
            if self.waiting.is_empty() {
                self.store_at = Instant::now() + PATIENCE;
            }
            let left = self.limit - self.stored - self.waiting.len() as u64;
            let room = (CHUNK - self.waiting.len()).min(usize::try_from(left).unwrap_or(CHUNK));
            let taken = room.min(piece.len());
            self.waiting.extend_from_slice(&piece[..taken]);
            piece.advance(taken);
            if self.waiting.len() == CHUNK {
                self.store_all().await?;
            }
        }
        Ok(())
    }

    /// Stores what waits: at most one chunk.
    async fn store_all(&mut self) -> Result<(), Error> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let mut transaction = self.ledger.begin().await?;
        job_logs::append(&mut transaction, self.key, self.stored, &self.waiting).await?;
        ledger::commit(transaction).await?;
        self.stored += self.waiting.len() as u64;
        self.waiting.clear();
        Ok(())
    }
}
