//! Announcements of new blocks over WebSockets. They are for speed alone: whoever is woken looks for himself.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use alloy::primitives::{Address, B256, Bloom, U64};
use backon::{BackoffBuilder, ExponentialBuilder};
use futures::future::join_all;
use serde::Deserialize;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::error::Error;
use super::provider::Provider;
use super::providers::Providers;
use super::seal::excludes;
use super::websocket::WebSocket;

/// First wait before a subscription is made again; doubles up to [`LONGEST_RETRY`], with jitter.
const FIRST_RETRY: Duration = Duration::from_millis(500);
/// Longest wait before a subscription is made again.
const LONGEST_RETRY: Duration = Duration::from_secs(30);
/// Silence after which a subscription is checked against what looks have shown: a subscription can die while its connection lives.
const SILENCE: Duration = Duration::from_secs(15);

/// A block that was announced. It may be one of another fork, or gone again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced {
    /// Height.
    pub number: u64,
    bloom: Option<Bloom>,
}

impl Announced {
    /// Whether the block's bloom filter excludes logs of all these addresses. A hint: such filters are not always true.
    pub fn excludes(&self, addresses: &[Address]) -> bool {
        self.bloom.is_some_and(|bloom| excludes(&bloom, addresses))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireAnnounced {
    number: U64,
    logs_bloom: Option<Bloom>,
}

impl Providers {
    /// Listens to new blocks on every provider that has a WebSocket, and calls `heard` for each announcement, until `stop`. A
    /// subscription that ends, or is silent while the chain goes on, is made again, with growing waits.
    pub async fn announce(&self, heard: impl Fn(), stop: CancellationToken) {
        let listening = self.list().iter().filter_map(|provider| {
            let socket = provider.websocket()?;
            Some(self.listen_again(provider, socket, &heard))
        });
        let listening = async {
            join_all(listening).await;
            // without a WebSocket there is nothing to listen to, which must not look like a worker's end
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = listening => {}
        }
    }

    async fn listen_again(&self, provider: &Provider, socket: &WebSocket, heard: &impl Fn()) {
        let retries = || {
            ExponentialBuilder::new()
                .with_min_delay(FIRST_RETRY)
                .with_max_delay(LONGEST_RETRY)
                .without_max_times()
                .with_jitter()
                .build()
        };
        let mut waits = retries();
        loop {
            let (announcements, ended) = self.listen(provider, socket, heard).await;
            if announcements > 0 {
                waits = retries();
            }
            let wait = waits.next().unwrap_or(LONGEST_RETRY);
            let name = provider.name();
            tracing::info!(
                provider = name,
                announcements,
                retry_ms = wait.as_millis(),
                "announcements of provider {name} ended ({ended}): blocks are looked for by themselves meanwhile"
            );
            sleep(wait).await;
        }
    }

    /// Listens until the subscription ends; answers how many blocks were announced, and why it ended.
    async fn listen(
        &self,
        provider: &Provider,
        socket: &WebSocket,
        heard: &impl Fn(),
    ) -> (u64, String) {
        let mut subscription = match socket.subscribe(provider.name()).await {
            Ok(subscription) => subscription,
            Err(error) => return (0, crate::worker::Chain(&error).to_string()),
        };
        let _listening = Listening::begin(&self.0.listening);
        let (mut announcements, mut newest) = (0, 0);
        loop {
            match timeout(SILENCE, subscription.recv()).await {
                Ok(Ok(raw)) => {
                    // One that cannot be read wakes all the same.
                    let announced: Option<WireAnnounced> = serde_json::from_str(raw.get()).ok();
                    announcements += 1;
                    if let Some(block) = announced {
                        newest = block.number.to();
                        self.0.announced.send_replace(Some(Announced {
                            number: newest,
                            bloom: block.logs_bloom,
                        }));
                    }
                    heard();
                }
                Ok(Err(error)) => {
                    socket.forget().await;
                    return (announcements, error.to_string());
                }
                Err(_) => {
                    let head = self.best_head();
                    if head > newest {
                        socket.forget().await;
                        return (
                            announcements,
                            format!("silent at block {newest}, the chain is at {head}"),
                        );
                    }
                }
            }
        }
    }
}

/// Counts a subscription as long as it is believed to live.
struct Listening<'a>(&'a AtomicUsize);

impl<'a> Listening<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl WebSocket {
    async fn subscribe(&self, provider: &str) -> Result<alloy::pubsub::RawSubscription, Error> {
        const METHOD: &str = "eth_subscribe";
        let client = self.client(provider).await?;
        let subscribing = async {
            let id: B256 = client.request(METHOD, ["newHeads"]).await?;
            let frontend = client
                .pubsub_frontend()
                .ok_or_else(alloy::transports::TransportErrorKind::pubsub_unavailable)?;
            frontend.get_subscription(id).await
        };
        match timeout(self.timeout, subscribing).await {
            Ok(Ok(subscription)) => Ok(subscription),
            Ok(Err(error)) => {
                self.forget().await;
                Err(Error::of(provider, METHOD, error))
            }
            Err(elapsed) => {
                self.forget().await;
                Err(super::websocket::late(provider, METHOD, elapsed))
            }
        }
    }
}
