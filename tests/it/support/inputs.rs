//! A publisher's file server, where pods reach it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::required;

/// Serves `bytes` under any path of an address that pods reach, until the test ends; answers the URL.
pub(crate) async fn serve(bytes: &'static [u8]) -> String {
    let host = required("TIDEWATCH_TEST_HOST");
    let listener = TcpListener::bind((host.as_str(), 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = axum::Router::new().fallback(move || async move { bytes });
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/data?signature=secret")
}

/// The same, but the first who asks never gets an answer; tells when somebody has asked.
pub(crate) async fn serve_slowly(bytes: &'static [u8]) -> (String, Arc<Notify>) {
    let host = required("TIDEWATCH_TEST_HOST");
    let listener = TcpListener::bind((host.as_str(), 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(Notify::new());
    let (telling, first) = (Arc::clone(&asked), Arc::new(AtomicBool::new(true)));
    let router = axum::Router::new().fallback(move || {
        telling.notify_one();
        let is_first = first.swap(false, Ordering::Relaxed);
        async move {
            if is_first {
                std::future::pending::<()>().await;
            }
            bytes
        }
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    (format!("http://{address}/data"), asked)
}
