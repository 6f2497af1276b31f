//! Connections: accepted, spoken HTTP/1.1 with, and ended.
//!
//! axum's own loop lacks two things. It sets no time for a request's head, so a client that sends a byte a minute keeps its
//! connection for ever. And it looks first whether HTTP/2 is meant, which has the buffer of every connection grow to twice its size
//! and stay so: with a thousand readers of events, 8 MB.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// How long the head of a request may take, the wait for its first byte included: what nginx keeps idle connections for
/// (`keepalive_timeout`), so that a proxy before this does not find one closed that it was about to use.
const HEAD: Duration = Duration::from_secs(75);
/// Pause when the process can have no more connections, until some have ended.
const PAUSE: Duration = Duration::from_secs(1);

/// Answers whoever connects, until `stop`; what is under way then is finished first.
pub(super) async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let ending = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD);
    loop {
        let (stream, peer) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener) => accepted,
        };
        let router = router.clone();
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            router.clone().oneshot(request)
        });
        let connection = ending.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::trace!(%peer, %error, "a connection broke off");
            }
        });
    }
    drop(listener);
    ending.shutdown().await;
}

/// The next connection. One that is gone before it was accepted is nobody's fault.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Events are small and come one after the other: Nagle's algorithm (RFC 896) would hold each back until the last
                // was confirmed.
                stream.set_nodelay(true).ok();
                return (stream, peer);
            }
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::ConnectionRefused
                        | ErrorKind::ConnectionAborted
                        | ErrorKind::ConnectionReset
                ) => {}
            Err(error) => {
                tracing::error!(%error, "no connection can be accepted now");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::{Instant, timeout};

    use super::*;

    async fn served(stop: &CancellationToken) -> (SocketAddr, tokio::task::JoinHandle<()>) {
        let asked = |ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.to_string() };
        let router = Router::new().route("/", get(asked));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (address, tokio::spawn(serve(listener, router, stop.clone())))
    }

    #[tokio::test]
    async fn a_handler_knows_who_asks_and_a_connection_serves_until_the_end() {
        let stop = CancellationToken::new();
        let (address, serving) = served(&stop).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let us = stream.local_addr().unwrap().to_string();
        let mut answer = vec![0; 4096];
        for _ in 0..2 {
            stream
                .write_all(b"GET / HTTP/1.1\r\nhost: us\r\n\r\n")
                .await
                .unwrap();
            let read = stream.read(&mut answer).await.unwrap();
            let text = String::from_utf8_lossy(&answer[..read]);
            assert!(text.starts_with("HTTP/1.1 200"), "{text}");
            assert!(text.ends_with(&us), "{text}");
        }
        stop.cancel();
        serving.await.unwrap();
        assert_eq!(stream.read(&mut answer).await.unwrap(), 0, "it is closed");
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_does_not_come_to_the_end_of_a_head_is_let_go() {
        let stop = CancellationToken::new();
        let (address, serving) = served(&stop).await;
        for sent in [&b""[..], b"GET / HTTP/1.1\r\nhost: "] {
            let began = Instant::now();
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(sent).await.unwrap();
            let mut answer = Vec::new();
            let closed = timeout(2 * HEAD, stream.read_to_end(&mut answer)).await;
            closed.expect("it is let go").unwrap();
            assert!(began.elapsed() >= HEAD, "{:?}", began.elapsed());
        }
        stop.cancel();
        serving.await.unwrap();
    }
}
