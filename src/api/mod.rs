//! The read-only HTTP API: shows what the ledger knows.
//!
//! It refuses to know the chain and the cluster, and it cannot write: its [`Reader`] logs in as a role that can only read. It goes
//! on answering while node, cluster and workers are away, and says in `/v1/sync` how old its knowledge is.
//!
//! Layout: `routes/` has one file per route; `router.rs` lists them; `openapi.rs` describes them. `problem.rs` is the form of every
//! error, `job.rs` and `told.rs` those of jobs and events, `notation.rs` says how times, hashes and addresses are written.
//! `parameters.rs` and `cursor.rs` read query strings, `body.rs` bodies. `limits.rs`, `caching.rs`, `request_id.rs` and `measure.rs`
//! surround every route. `feed.rs` and `events.rs` carry what happens to whoever listens, `log_reading.rs` job logs.
//! `operator_token.rs` decides who is an operator; `ports.rs` is what little may be asked of the world outside.
//!
//! Invariants:
//! - every answer that is not a success is `application/problem+json` with a stable `code`: unknown paths and methods, limits and
//!   panics included;
//! - an unknown or malformed parameter is an error that names it: ignoring a filter would answer another question than was asked;
//! - lists go by keyset, newest first: rows that arrive between two pages neither repeat nor hide others;
//! - whatever an algorithm could choose (logs, exit codes) is for those who may have it, and an answer to somebody who may not
//!   does not depend on whether the job exists;
//! - nobody who reads slowly makes this process keep anything for him: log bytes and transitions are read piece by piece, without
//!   holding a database connection, and those who listen share one bounded ring;
//! - on a stranger's request nothing is fetched that the publisher did not name.

mod body;
mod caching;
mod cursor;
mod events;
mod feed;
mod job;
mod limits;
mod log_reading;
mod measure;
mod notation;
mod openapi;
mod operator_token;
mod parameters;
mod ports;
mod problem;
mod request_id;
mod router;
mod routes;
mod segment;
mod told;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, SystemClock};
use crate::keeper::Deployment;
use crate::ledger::Reader;
use crate::ledger::reader::Followed;
use crate::workflows::Catalog;
use feed::Feed;
use limits::Limits;
use operator_token::OperatorToken;

pub use openapi::description;
pub use ports::{Calls, CannotSee, Outside};

/// What the operator decides about the API.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// File with the bearer token for operators' reads; read anew at every use. Without one nobody is an operator.
    pub operator_token_file: Option<PathBuf>,
    /// What everybody has to know of how this installation runs jobs.
    pub warning: Option<&'static str>,
    /// The contracts whose newest deployment is shown; `None`: the newest of all, and nothing that needs to know contracts.
    pub keeper: Option<Arc<Deployment>>,
    /// The publisher's catalog as it is now; `None`: nothing about assets can be said.
    pub catalog: Option<watch::Receiver<Arc<Catalog>>>,
    /// What may be looked up outside.
    pub outside: Option<Arc<dyn Outside>>,
    /// What may be asked of a node.
    pub calls: Option<Arc<dyn Calls>>,
    /// Most requests a second from one address; `None`: any number.
    pub rate: Option<NonZeroU32>,
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
    keeper: Option<Arc<Deployment>>,
    catalog: Option<watch::Receiver<Arc<Catalog>>>,
    outside: Option<Arc<dyn Outside>>,
    calls: Option<Arc<dyn Calls>>,
    operator_token: Arc<OperatorToken>,
    limits: Arc<Limits>,
    feed: Arc<Feed>,
    warning: Option<&'static str>,
    clock: Arc<dyn Clock>,
    /// Cancelled when streams are to end.
    stop: CancellationToken,
}

impl Shared {
    fn followed(&self) -> Option<Followed> {
        self.keeper.as_ref().map(|keeper| Followed {
            chain_id: keeper.chain_id,
            contracts_hash: keeper.contracts_hash(),
        })
    }
}

/// Serves the API on `listener` until `stop` is cancelled; streams end then, and requests that are under way are finished first.
/// Whoever cannot wait that long drops the future.
///
/// # Errors
/// [`Error`] when no connection can be accepted any more.
pub async fn serve(
    listener: TcpListener,
    reader: Reader,
    settings: Settings,
    stop: CancellationToken,
) -> Result<(), Error> {
    let (limits, feed) = (Arc::new(Limits::new(settings.rate)), Arc::new(Feed::new()));
    let shared = Shared {
        reader: reader.clone(),
        keeper: settings.keeper,
        catalog: settings.catalog,
        outside: settings.outside,
        calls: settings.calls,
        operator_token: Arc::new(OperatorToken::in_file(settings.operator_token_file)),
        limits: Arc::clone(&limits),
        feed: Arc::clone(&feed),
        warning: settings.warning,
        clock: Arc::new(SystemClock),
        stop: stop.clone(),
    };
    let service = router::router(shared).into_make_service_with_connect_info::<SocketAddr>();
    let serving =
        axum::serve(listener, service).with_graceful_shutdown(stop.clone().cancelled_owned());
    tokio::select! {
        served = serving.into_future() => served.map_err(Error::Accept),
        () = beside(&limits, &feed, reader, stop) => Ok(()),
    }
}

/// What goes on beside the answers, for ever.
async fn beside(limits: &Limits, feed: &Feed, reader: Reader, stop: CancellationToken) {
    tokio::join!(limits.forget(), feed.run(reader, stop));
}
