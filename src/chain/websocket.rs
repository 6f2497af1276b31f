use std::time::Duration;

use alloy::rpc::client::{ClientBuilder, RpcClient};
use alloy::transports::TransportError;
use alloy::transports::ws::{WebSocketConfig, WsConnect};
use futures::future::join_all;
use serde_json::value::RawValue;
use tokio::sync::Mutex;
use tokio::time::timeout;
use url::Url;

use super::error::Error;
use super::http::LARGEST_ANSWER;
use super::rpc::{Answers, Call};

/// Longest wait for a connection, its handshake included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// JSON-RPC over a WebSocket. One connection, made when it is first needed and again after it failed.
#[derive(Debug)]
pub(super) struct WebSocket {
    url: Url,
    pub(super) timeout: Duration,
    client: Mutex<Option<RpcClient>>,
}

impl WebSocket {
    pub(super) fn new(url: Url, timeout: Duration) -> Self {
        Self {
            url,
            timeout,
            client: Mutex::default(),
        }
    }

    /// The connection. Reconnecting is ours: alloy's own would hide from whoever asks that the node behind may be another.
    pub(super) async fn client(&self, provider: &str) -> Result<RpcClient, Error> {
        let mut slot = self.client.lock().await;
        if let Some(client) = &*slot {
            return Ok(client.clone());
        }
        let config = WebSocketConfig::default()
            .max_message_size(Some(LARGEST_ANSWER))
            .max_frame_size(Some(LARGEST_ANSWER));
        let connect = WsConnect::new(self.url.as_str())
            .with_max_retries(0)
            .with_config(config);
        let connecting = ClientBuilder::default().pubsub(connect);
        let client = match timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(Ok(client)) => client,
            Ok(Err(error)) => return Err(Error::of(provider, "a connection", error)),
            Err(elapsed) => return Err(late(provider, "a connection", elapsed)),
        };
        *slot = Some(client.clone());
        Ok(client)
    }

    /// Forgets a connection that failed.
    pub(super) async fn forget(&self) {
        *self.client.lock().await = None;
    }

    /// Sends the calls side by side: a batch gains nothing on a connection that stays open.
    pub(super) async fn send(&self, provider: &str, calls: &[Call]) -> Result<Answers, Error> {
        let client = self.client(provider).await?;
        let method = calls.first().map_or("nothing", |call| call.method);
        let asking = calls.iter().map(|call| {
            let answer = client.request::<_, Box<RawValue>>(call.method, call.params.clone());
            async move {
                let answer: Result<_, TransportError> = answer.await;
                answer.map_err(|error| Error::of(provider, call.method, error))
            }
        });
        let heard = match timeout(self.timeout, join_all(asking)).await {
            Ok(heard) => heard,
            Err(elapsed) => {
                self.forget().await;
                return Err(late(provider, method, elapsed));
            }
        };
        let failed = |answer: &Result<_, Error>| matches!(answer, Err(error) if !matches!(error, Error::Refused { .. }));
        if let Some(place) = heard.iter().position(failed) {
            self.forget().await;
            return Err(heard
                .into_iter()
                .nth(place)
                .and_then(Result::err)
                .unwrap_or_else(|| Error::Malformed {
                    provider: provider.to_owned(),
                    method,
                    problem: "the answer is missing".to_owned(),
                }));
        }
        Ok(Answers::heard(provider, calls, heard))
    }
}

pub(super) fn late(
    provider: &str,
    method: &'static str,
    elapsed: tokio::time::error::Elapsed,
) -> Error {
    Error::Unreachable {
        provider: provider.to_owned(),
        method,
        timed_out: method != "a connection",
        source: Box::new(elapsed),
    }
}
