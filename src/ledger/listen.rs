//! Hints from Postgres that rows have changed (`LISTEN`). A lost one costs latency, never work: every worker also looks by itself.

use futures::Stream;
use futures::stream::unfold;
use sqlx::postgres::PgListener;

use super::{Attempt, Error, Ledger};

/// Sent by the follower's commit: logs were recorded, or a rollback took place.
pub const RECORDED: &str = "tidewatch_recorded";
/// Sent with every transition of a job.
pub const TRANSITIONS: &str = "tidewatch_transitions";

/// Listens on the channels above, over a connection of its own that reconnects. Yields the channel of each hint.
///
/// # Errors
/// [`Error`], transient, when the database cannot be reached at first. Later losses are waited out and yield nothing.
pub async fn listen(ledger: &Ledger) -> Result<impl Stream<Item = String> + Send + use<>, Error> {
    let mut listener = PgListener::connect_with(&ledger.pool)
        .await
        .attempt("listen for changes")?;
    listener
        .listen_all([RECORDED, TRANSITIONS])
        .await
        .attempt("listen for changes")?;
    Ok(unfold(listener, |mut listener| async move {
        loop {
            match listener.try_recv().await {
                Ok(Some(hint)) => return Some((hint.channel().to_owned(), listener)),
                // the connection was lost: it is made anew by the next call, and workers look by themselves meanwhile
                Ok(None) => {}
                Err(_) => tokio::time::sleep(std::time::Duration::from_secs(1)).await,
            }
        }
    }))
}
