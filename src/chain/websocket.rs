use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use alloy::pubsub::{ConnectionHandle, PubSubConnect};
use alloy::rpc::client::{ClientBuilder, RpcClient};
use alloy::transports::ws::{WebSocketConfig, WsBackend, WsConnect};
use alloy::transports::{TransportError, TransportErrorKind, TransportResult};
use futures::future::join_all;
use rustix::net::sockopt::set_tcp_quickack;
use serde_json::value::RawValue;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_tungstenite::MaybeTlsStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use url::Url;

use super::error::Error;
use super::http::LARGEST_ANSWER;
use super::rpc::{Answers, Call};

/// Longest wait for a connection, its handshake included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a connection is silent before it is asked whether it lives; alloy's default.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// JSON-RPC over a WebSocket. One connection, made when it is first needed and again after it failed.
#[derive(Debug)]
pub(super) struct WebSocket {
    url: Url,
    pub(super) timeout: Duration,
    open: Mutex<Option<Open>>,
}

/// A connection.
#[derive(Clone, Debug)]
struct Open {
    client: RpcClient,
    wire: Wire,
}

/// The socket below a connection.
#[derive(Clone, Debug, Default)]
struct Wire(Arc<OnceLock<OwnedFd>>);

impl Wire {
    fn set(&self, socket: &impl AsFd) {
        if let Ok(socket) = socket.as_fd().try_clone_to_owned() {
            self.0.set(socket).ok();
        }
    }

    /// Confirms at once what has come. Whoever has not switched Nagle's algorithm off (RFC 896) sends nothing more until then, and
    /// Linux confirms only after 40 ms where there is nothing to send: so long the next answer, or the next block, would be late. The
    /// option lasts for a moment (tcp(7)), so it is set for each answer.
    fn acknowledge(&self) {
        if let Some(socket) = self.0.get() {
            // Where it cannot be set, things are slower.
            set_tcp_quickack(socket, true).ok();
        }
    }
}

/// How a connection is made: as alloy does it, with Nagle's algorithm off, and the socket at hand.
#[derive(Clone, Debug)]
struct Connect {
    to: WsConnect,
    wire: Wire,
}

impl PubSubConnect for Connect {
    fn is_local(&self) -> bool {
        self.to.is_local()
    }

    async fn connect(&self) -> TransportResult<ConnectionHandle> {
        let config = self.to.config().copied();
        let request = self.to.clone().into_client_request();
        let request = request.map_err(TransportErrorKind::custom)?;
        let connecting = tokio_tungstenite::connect_async_with_config(request, config, true);
        let (socket, _) = connecting.await.map_err(TransportErrorKind::custom)?;
        match socket.get_ref() {
            MaybeTlsStream::Plain(tcp) => self.wire.set(tcp),
            MaybeTlsStream::Rustls(tls) => self.wire.set(tls.get_ref().0),
            _ => {}
        }
        let (handle, interface) = ConnectionHandle::new();
        WsBackend::from_socket(socket, interface, KEEP_ALIVE).spawn();
        // Reconnecting is ours: alloy's own would hide from whoever asks that the node behind may be another.
        Ok(handle.with_max_retries(0))
    }
}

impl WebSocket {
    pub(super) fn new(url: Url, timeout: Duration) -> Self {
        Self {
            url,
            timeout,
            open: Mutex::default(),
        }
    }

    /// The connection.
    pub(super) async fn client(&self, provider: &str) -> Result<RpcClient, Error> {
        Ok(self.open(provider).await?.client)
    }

    async fn open(&self, provider: &str) -> Result<Open, Error> {
        let mut slot = self.open.lock().await;
        if let Some(open) = &*slot {
            return Ok(open.clone());
        }
        let config = WebSocketConfig::default()
            .max_message_size(Some(LARGEST_ANSWER))
            .max_frame_size(Some(LARGEST_ANSWER));
        let wire = Wire::default();
        let connect = Connect {
            to: WsConnect::new(self.url.as_str()).with_config(config),
            wire: wire.clone(),
        };
        let connecting = ClientBuilder::default().pubsub(connect);
        let client = match timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(Ok(client)) => client,
            Ok(Err(error)) => return Err(Error::of(provider, "a connection", error)),
            Err(elapsed) => return Err(late(provider, "a connection", elapsed)),
        };
        let open = Open { client, wire };
        *slot = Some(open.clone());
        Ok(open)
    }

    /// Forgets a connection that failed.
    pub(super) async fn forget(&self) {
        *self.open.lock().await = None;
    }

    /// Sends the calls side by side: a batch gains nothing on a connection that stays open.
    pub(super) async fn send(&self, provider: &str, calls: &[Call]) -> Result<Answers, Error> {
        let Open { client, wire } = &self.open(provider).await?;
        let method = calls.first().map_or("nothing", |call| call.method);
        let asking = calls.iter().map(|call| {
            let answer = client.request::<_, Box<RawValue>>(call.method, call.params.clone());
            async move {
                let answer: Result<_, TransportError> = answer.await;
                wire.acknowledge();
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
