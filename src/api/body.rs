use axum::body::{Bytes, to_bytes};
use axum::extract::Request;
use axum::http::header;
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// Largest body that is read: a workflow document for the registry has at most 2048 bytes.
const LARGEST: usize = 64 * 1024;

/// Reads a JSON body.
pub(super) async fn read<T: DeserializeOwned>(request: Request) -> Result<T, Problem> {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(Problem::unsupported_media_type());
    }
    let bytes: Bytes = to_bytes(request.into_body(), LARGEST)
        .await
        .map_err(|_| Problem::body_too_large())?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Problem::invalid_body(format!("The body cannot be read: {error}.")))
}
