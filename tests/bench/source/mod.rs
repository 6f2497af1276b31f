//! A node of one's own making, as fast as the machine lets it be: what is measured beside it should be the follower.
//!
//! Its chain follows from its size and kind alone (`chain.rs`): real header hashes, parent links, blooms and receipts roots, so
//! that every check of a follower holds; only transactions and state are made up. Answers are written as they are sent
//! (`answers.rs`, `body.rs`) over HTTP/1.1 with connections kept open (`http.rs`). It speaks JSON-RPC, batches included, refuses
//! ranges over [`WIDEST`] blocks, and can wait before every answer as a distant node would.

mod answers;
mod body;
mod chain;
mod events;
mod http;

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

pub(crate) use chain::Chain;
pub(crate) use events::{Kind, PER_BLOCK};

/// Most blocks of one `eth_getLogs`, both ends counted: what the stricter hosted services allow.
pub(crate) const WIDEST: u64 = 2_000;

/// The node, running until the process ends.
pub(crate) struct Source {
    pub(crate) chain: Arc<Chain>,
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// What the threads of the node share.
#[derive(Default)]
struct Shared {
    latency_micros: AtomicU64,
    counts: Mutex<Counts>,
}

/// What was asked of the node since the last reset.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// HTTP requests: a batch is one.
    pub(crate) requests: u64,
    /// Calls by method: a batch of three is three.
    pub(crate) calls: BTreeMap<String, u64>,
}

impl Counts {
    /// Calls of every method.
    pub(crate) fn total(&self) -> u64 {
        self.calls.values().sum()
    }
}

impl Source {
    /// Starts a node for that chain on a port of the system's choice.
    pub(crate) fn start(chain: Arc<Chain>) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let (its_chain, its_shared) = (Arc::clone(&chain), Arc::clone(&shared));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (chain, shared) = (Arc::clone(&its_chain), Arc::clone(&its_shared));
                // A connection that breaks is its client's affair.
                thread::spawn(move || http::serve(stream, &chain, &shared).ok());
            }
        });
        Ok(Self {
            chain,
            address,
            shared,
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How long it waits before every answer from now on.
    pub(crate) fn set_latency(&self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.shared.latency_micros.store(micros, Ordering::Relaxed);
    }

    /// What was asked since the last time this was called.
    pub(crate) fn take_counts(&self) -> Counts {
        std::mem::take(&mut *self.shared.counts())
    }
}

impl Shared {
    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn latency(&self) -> Duration {
        Duration::from_micros(self.latency_micros.load(Ordering::Relaxed))
    }
}
