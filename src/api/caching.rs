use axum::body::{Body, HttpBody as _, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::problem::Problem;

/// Largest body that is given an entity tag: beyond every page and document of this API. What is streamed has none.
const LARGEST: u64 = 4 << 20;

/// Says how long answers may be kept, and answers "not modified" to whoever has the same already.
///
/// Nothing is true for longer than a moment, so everything may be kept but must be asked for again; answers to somebody who showed
/// a token are for nobody else. A route that knows better says so itself. Tags are weak, since the same answer may travel compressed.
pub(super) async fn tag(request: Request, next: Next) -> Response {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let is_personal = request.headers().contains_key(header::AUTHORIZATION);
    let known = request.headers().get(header::IF_NONE_MATCH).cloned();
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let usual = if is_personal {
        "private, no-cache"
    } else {
        "public, no-cache"
    };
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static(if is_read {
            usual
        } else {
            "no-store"
        }));
    headers.append(
        header::VARY,
        HeaderValue::from_static("accept, authorization"),
    );
    let may_be_kept = !names_no_store(&headers[header::CACHE_CONTROL]);
    let is_small = response
        .body()
        .size_hint()
        .exact()
        .is_some_and(|bytes| bytes <= LARGEST);
    if is_read && may_be_kept && is_small && response.status() == StatusCode::OK {
        tagged(response, known.as_ref()).await
    } else {
        response
    }
}

fn names_no_store(value: &HeaderValue) -> bool {
    let value = value.to_str().unwrap_or("no-store");
    value.split(',').any(|word| word.trim() == "no-store")
}

async fn tagged(response: Response, known: Option<&HeaderValue>) -> Response {
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, usize::MAX).await else {
        return Problem::internal().into_response();
    };
    let digest = alloy::hex::encode(&Sha256::digest(&bytes)[..16]);
    let tag = format!("W/\"{digest}\"");
    if known.is_some_and(|known| names(known, &digest)) {
        let mut headers = HeaderMap::new();
        for name in [
            header::CACHE_CONTROL,
            header::VARY,
            header::CONTENT_SECURITY_POLICY,
        ] {
            headers.extend(parts.headers.remove(&name).map(|value| (name, value)));
        }
        headers.extend(HeaderValue::from_str(&tag).map(|tag| (header::ETAG, tag)));
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    parts
        .headers
        .extend(HeaderValue::from_str(&tag).map(|tag| (header::ETAG, tag)));
    Response::from_parts(parts, Body::from(bytes))
}

/// Whether an `If-None-Match` names the tag, by weak comparison (RFC 9110 section 13.1.2).
fn names(known: &HeaderValue, digest: &str) -> bool {
    let Ok(known) = known.to_str() else {
        return false;
    };
    known
        .split(',')
        .map(str::trim)
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"') == digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_compared_weakly_and_in_lists() {
        let named = |text: &'static str| names(&HeaderValue::from_static(text), "ab");
        for known in ["\"ab\"", "W/\"ab\"", "\"cd\", W/\"ab\"", "*"] {
            assert!(named(known), "{known}");
        }
        assert!(!named("\"abc\""));
    }
}
