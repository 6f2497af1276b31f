//! The read-only HTTP API: shows what the ledger knows.
//!
//! It refuses to know the chain and the cluster, and it cannot write the ledger: its [`Reader`] logs in as a role that can only read
//! it, and write nothing but which sign-in challenges were spent. It goes on answering while node, cluster and workers are away, and says in `/v1/sync` how old its knowledge is.
//!
//! Layout: `routes/` has one file per route; `router.rs` lists them; `openapi.rs` describes them. `problem.rs` is the form of every
//! error, `job.rs` and `told.rs` those of jobs and events, `notation.rs` says how times, hashes and addresses are written.
//! `parameters.rs` and `cursor.rs` read query strings, `body.rs` bodies. `limits.rs` with `asker.rs`, `caching.rs`, `request_id.rs` and `measure.rs`
//! surround every route; `connections.rs` is what carries them. `feed.rs` and `events.rs` carry what happens to whoever listens, `log_reading.rs` job logs.
//! `shown.rs` remembers which deployment is shown.
//! `caller.rs` says who asks, by `operator_token.rs` and `sign_in/`; `parties.rs` who the parties of an agreement are, `release.rs`
//! what is let out to them, `admittance.rs` who is let in with both. `manifest.rs` is the form of results,
//! `attachment.rs` and `byte_range.rs` how their bytes are handed over. `ports.rs` is what little may be
//! asked of the world outside. `pages/` shows the same as a web page.
//!
//! Invariants:
//! - every answer that is not a success is `application/problem+json` with a stable `code`: unknown paths and methods, limits and
//!   panics included. Outside of `/v1` it is a page for those who prefer pages, with the same status;
//! - an unknown or malformed parameter is an error that names it: ignoring a filter would answer another question than was asked;
//! - lists go by keyset, newest first: rows that arrive between two pages neither repeat nor hide others;
//! - whatever an algorithm could choose (logs, exit codes) is for those who may have it, and an answer to somebody who may not
//!   does not depend on whether the job exists;
//! - nobody who reads slowly makes this process keep anything for him: log bytes and transitions are read piece by piece, without
//!   holding a database connection, and those who listen share one bounded ring;
//! - on a stranger's request nothing is fetched that the publisher did not name.

mod admittance;
mod asker;
mod attachment;
mod body;
mod byte_range;
mod caching;
mod caller;
mod connections;
mod cursor;
mod events;
mod feed;
mod job;
mod limits;
mod log_reading;
mod manifest;
mod measure;
mod notation;
mod openapi;
mod operator_token;
mod pages;
mod parameters;
mod parties;
mod ports;
mod problem;
mod release;
mod request_id;
mod router;
mod routes;
mod segment;
mod shown;
mod sign_in;
mod told;

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;

use ipnet::IpNet;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, SystemClock};
use crate::keeper::Deployment;
use crate::ledger::Reader;
use crate::ledger::reader::Followed;
use crate::workflows::Catalog;
use asker::TrustedProxies;
use feed::Feed;
use limits::Limits;
use operator_token::OperatorToken;
use shown::Shown;
use sign_in::SignIn;

pub use openapi::description;
pub use ports::{Calls, CannotSee, Files, Outside, Pieces};
pub use sign_in::{NoOrigin, Origin, SHORTEST_KEY};

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
    /// Where results lie; `None`: they cannot be had here.
    pub files: Option<Arc<dyn Files>>,
    /// Where people find this API, as sign-in messages name it; `None`: where it listens.
    pub origin: Option<Origin>,
    /// File with the secret that sign-ins rest on, at least [`SHORTEST_KEY`] bytes; read anew at every use. `None`: a random one, so
    /// that sign-ins end with this process and count in no other.
    pub session_key_file: Option<PathBuf>,
    /// Most requests a second from one address; `None`: any number.
    pub rate: Option<NonZeroU32>,
    /// Networks of proxies that are believed when they say whom they ask for; this machine always is.
    pub trusted_proxies: Vec<IpNet>,
}

/// What went wrong with the API as a whole.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The listener has no address.
    #[error("the API cannot find out where it listens")]
    Address(#[source] std::io::Error),
}

/// What the routes share.
#[derive(Clone, Debug)]
struct Shared {
    reader: Reader,
    keeper: Option<Arc<Deployment>>,
    catalog: Option<watch::Receiver<Arc<Catalog>>>,
    outside: Option<Arc<dyn Outside>>,
    calls: Option<Arc<dyn Calls>>,
    files: Option<Arc<dyn Files>>,
    sign_in: Arc<SignIn>,
    operator_token: Arc<OperatorToken>,
    limits: Arc<Limits>,
    feed: Arc<Feed>,
    shown: Arc<Shown>,
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
/// [`Error`] when the listener has no address.
pub async fn serve(
    listener: TcpListener,
    reader: Reader,
    settings: Settings,
    stop: CancellationToken,
) -> Result<(), Error> {
    let proxies = TrustedProxies::new(settings.trusted_proxies);
    let limits = Arc::new(Limits::new(settings.rate, proxies));
    let feed = Arc::new(Feed::new());
    let origin = match settings.origin {
        Some(origin) => origin,
        None => listener.local_addr().map_err(Error::Address)?.into(),
    };
    let shared = Shared {
        reader: reader.clone(),
        keeper: settings.keeper,
        catalog: settings.catalog,
        outside: settings.outside,
        calls: settings.calls,
        files: settings.files,
        sign_in: Arc::new(SignIn::at(origin, settings.session_key_file)),
        operator_token: Arc::new(OperatorToken::in_file(settings.operator_token_file)),
        limits: Arc::clone(&limits),
        feed: Arc::clone(&feed),
        shown: Arc::default(),
        warning: settings.warning,
        clock: Arc::new(SystemClock),
        stop: stop.clone(),
    };
    tokio::select! {
        () = connections::serve(listener, router::router(shared), stop.clone()) => {}
        () = beside(&limits, &feed, reader, stop) => {}
    }
    Ok(())
}

/// What goes on beside the answers, for ever.
async fn beside(limits: &Limits, feed: &Feed, reader: Reader, stop: CancellationToken) {
    tokio::join!(limits.forget(), feed.run(reader, stop));
}
