use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;
use uuid::Uuid;

/// Carries a request's name, in and out.
const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Gives every request a name, which our log lines and the answer carry. One that came with the request is kept if it is short
/// and plain, so that it can be followed through proxies and cannot garble a log.
pub(super) async fn name_request(request: Request, next: Next) -> Response {
    let given = request
        .headers()
        .get(HEADER)
        .and_then(|value| value.to_str().ok())
        .filter(|text| is_plain(text))
        .map(ToOwned::to_owned);
    let id = given.unwrap_or_else(|| Uuid::new_v4().to_string());
    let span = tracing::info_span!("request", %id, method = %request.method(), path = request.uri().path());
    let mut response = next.run(request).instrument(span.clone()).await;
    span.in_scope(|| tracing::debug!(status = response.status().as_u16(), "answered"));
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HEADER, value);
    }
    response
}

fn is_plain(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=64).contains(&text.len()) && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_short_plain_names_are_kept() {
        assert!(is_plain("5f1a-Z_9.x"));
        for other in ["", "a b", "a\"b", &"a".repeat(65)] {
            assert!(!is_plain(other), "{other}");
        }
    }
}
