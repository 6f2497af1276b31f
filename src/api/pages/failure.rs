//! Whatever is no success, as a page: for those whose client prefers pages, at every address that is not the API's.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use maud::html;

use super::frame::Page;
use super::words::plain;
use crate::api::problem::Problem;

/// Where machines ask: they are always answered with problem documents.
const FOR_MACHINES: [&str; 3] = ["/v1/", "/api/", "/openapi.json"];

/// What a page has besides its own headers when it stands for a problem.
const KEPT: [HeaderName; 4] = [
    header::WWW_AUTHENTICATE,
    header::ALLOW,
    header::RETRY_AFTER,
    header::CACHE_CONTROL,
];

/// Shows a problem as a page to whoever prefers that: limits, panics and unknown paths, too.
pub(in crate::api) async fn for_people(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_for_machines = FOR_MACHINES
        .iter()
        .any(|machines| path.starts_with(machines));
    let wants_page = !is_for_machines && prefers_pages(request.headers());
    let mut response = next.run(request).await;
    if !wants_page {
        return response;
    }
    let Some(problem) = response.extensions_mut().remove::<Problem>() else {
        return response;
    };
    let mut page = shown(&problem).into_response();
    for name in KEPT {
        if let Some(value) = response.headers_mut().remove(&name) {
            page.headers_mut().insert(name, value);
        }
    }
    page
}

fn shown(problem: &Problem) -> Page {
    let (status, title) = problem.status();
    let body = html! {
        h1 { (title) }
        p.lead { (plain(problem.detail())) }
        p.note { "Code " code { (problem.code()) } ", status " (status) "." }
        p { a href="/" { "All jobs" } }
    };
    Page {
        status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        ..Page::bare(title, "", body)
    }
}

/// Whether pages are named, and nothing that machines read is liked better (RFC 9110 section 12.5.1).
fn prefers_pages(headers: &HeaderMap) -> bool {
    let (mut page, mut other) = (0.0_f32, 0.0_f32);
    let values = headers.get_all(header::ACCEPT).iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    for kind in texts.flat_map(|text| text.split(',')) {
        let mut parts = kind.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let liked = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok());
        let liked: f32 = liked.unwrap_or(1.0);
        match name.as_str() {
            "text/html" | "application/xhtml+xml" => page = page.max(liked),
            "application/json" | "application/problem+json" | "text/event-stream" => {
                other = other.max(liked);
            }
            _ => {}
        }
    }
    page > 0.0 && page >= other
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefers(accept: &'static str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        prefers_pages(&headers)
    }

    #[test]
    fn browsers_get_pages_and_machines_problems() {
        assert!(prefers(
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
        ));
        assert!(prefers("application/json;q=0.5, text/html"));
        for machine in [
            "*/*",
            "application/json",
            "application/json, text/html;q=0.9",
            "text/html;q=0",
        ] {
            assert!(!prefers(machine), "{machine}");
        }
        assert!(!prefers_pages(&HeaderMap::new()));
    }
}
