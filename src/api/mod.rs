//! The read-only HTTP API: shows what the ledger knows.
//!
//! It refuses to know the chain and the cluster, and it cannot write: its [`Reader`] logs in as a role that can only read. It goes
//! on answering while node, cluster and workers are away, and says in `/v1/sync` how old its knowledge is.
//!
//! Layout: `routes/` has one file per route; `router.rs` lists them; `job.rs` is the JSON form of a job; `problem.rs` the form of
//! every error; `parameters.rs` reads query strings; `operator_token.rs` decides who is an operator; `request_id.rs` names
//! requests; `measure.rs` times them; `notation.rs` says how times, hashes and addresses are written.
//!
//! Invariants:
//! - every answer that is not a success is `application/problem+json` with a stable `code`, unknown paths and methods included;
//! - an unknown or malformed parameter is an error that names it: ignoring a filter would answer another question than was asked;
//! - lists go by keyset, newest first: rows that arrive between two pages neither repeat nor hide others;
//! - whatever an algorithm could choose (logs, exit codes) is for those who may have it, and an answer to somebody who may not
//!   does not depend on whether the job exists;
//! - log bytes are streamed piece by piece without holding a database connection for a slow reader.

mod job;
mod measure;
mod notation;
mod operator_token;
mod parameters;
mod problem;
mod request_id;
mod router;
mod routes;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::ledger::Reader;
use crate::ledger::reader::Followed;
use operator_token::OperatorToken;

/// What the operator decides about the API.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// File with the bearer token for operators' reads; read anew at every use. Without one nobody is an operator.
    pub operator_token_file: Option<PathBuf>,
    /// The contract set whose newest deployment is shown; `None`: the newest of all.
    pub followed: Option<Followed>,
}

/// What went wrong with the API as a whole.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The listener failed.
    #[error("the API can no longer accept connections")]
    Accept(#[source] std::io::Error),
}

/// What the routes share.
#[derive(Clone, Debug)]
struct Shared {
    reader: Reader,
    followed: Option<Followed>,
    operator_token: Arc<OperatorToken>,
}

/// Serves the API on `listener` until `stop` is cancelled; requests that are under way are then finished first. Whoever cannot
/// wait that long drops the future.
///
/// # Errors
/// [`Error`] when no connection can be accepted any more.
pub async fn serve(
    listener: TcpListener,
    reader: Reader,
    settings: Settings,
    stop: CancellationToken,
) -> Result<(), Error> {
    let shared = Shared {
        reader,
        followed: settings.followed,
        operator_token: Arc::new(OperatorToken::in_file(settings.operator_token_file)),
    };
    axum::serve(listener, router::router(shared))
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
        .map_err(Error::Accept)
}
