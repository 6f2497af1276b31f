//! A publisher's file server, where pods reach it.

use tokio::net::TcpListener;

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
