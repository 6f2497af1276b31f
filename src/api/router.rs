use std::sync::Arc;

use axum::Router;
use axum::http::{Extensions, HeaderMap, HeaderName, Method, StatusCode, Version, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate};
use tower_http::cors::{Any, CorsLayer};

use super::limits::Limits;
use super::problem::Problem;
use super::{Shared, caching, limits, measure, pages, request_id, routes};

/// Every route of the API.
pub(super) fn router(shared: Shared) -> Router {
    let limits = Arc::clone(&shared.limits);
    surrounded(routes(), limits).with_state(shared)
}

fn routes() -> Router<Shared> {
    Router::new()
        .route("/v1/jobs", get(routes::jobs::list))
        .route("/v1/jobs/{id}", get(routes::job::show))
        .route(
            "/v1/jobs/{id}/transitions",
            get(routes::transitions::of_job),
        )
        .route("/v1/jobs/{id}/logs", get(routes::logs::read))
        .route("/v1/jobs/{id}/results", get(routes::results::list))
        .route("/v1/jobs/{id}/results/{*name}", get(routes::results::read))
        .route("/v1/sign-in/challenges", post(routes::sign_in::challenge))
        .route("/v1/sessions", post(routes::sign_in::begin))
        .route("/v1/transitions", get(routes::transitions::of_all))
        .route("/v1/agreements/{id}", get(routes::agreement::show))
        .route("/v1/assets/{did}", get(routes::asset::show))
        .route("/v1/keeper-events", get(routes::keeper_events::list))
        .route("/v1/preflight", post(routes::preflight::judge))
        .route("/v1/sync", get(routes::sync::show))
        .route("/openapi.json", get(routes::description::show))
        .route("/livez", get(routes::health::livez))
        .route("/readyz", get(routes::health::readyz))
        .merge(routes::legacy::router())
        .merge(pages::router())
}

/// Routes with what surrounds every one of them. A layer surrounds those above it.
fn surrounded<S: Clone + Send + Sync + 'static>(
    routes: Router<S>,
    limits: Arc<Limits>,
) -> Router<S> {
    // Job logs stay as they are: whoever follows one wants each byte at once, and ranges count the bytes as they are.
    // So do result files: their tag and their length are those of the bytes that were published.
    let compressed = DefaultPredicate::new()
        .and(NotForContentType::const_new("text/plain"))
        .and(is_no_file);
    routes
        .fallback(|| async { Problem::unknown_path() })
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(limits, limits::limit))
        .layer(from_fn(pages::for_people))
        .layer(from_fn(caching::tag))
        .layer(CompressionLayer::new().compress_when(compressed))
        .layer(shared_with_pages())
        .layer(from_fn(measure::measure))
        .layer(from_fn(request_id::name_request))
}

fn is_no_file(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    !headers.contains_key(header::CONTENT_DISPOSITION)
}

/// Pages of any origin may read: whatever is not public needs a token, which a browser does not send by itself.
fn shared_with_pages() -> CorsLayer {
    let told = [
        header::ETAG,
        header::RETRY_AFTER,
        header::CONTENT_RANGE,
        header::CONTENT_DISPOSITION,
        HeaderName::from_static("repr-digest"),
        HeaderName::from_static("x-request-id"),
        HeaderName::from_static("x-log-completeness"),
        HeaderName::from_static("x-log-attempt"),
    ];
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::HEAD, Method::POST])
        .allow_headers([
            header::ACCEPT,
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::IF_NONE_MATCH,
            header::IF_RANGE,
            header::RANGE,
            HeaderName::from_static("last-event-id"),
            HeaderName::from_static("x-request-id"),
        ])
        .expose_headers(told)
}

/// A fault of ours. The panic's own words are in the log, written by the process's panic hook.
fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    tracing::error!("a request ended in a panic");
    Problem::internal().into_response()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::body::{Body, to_bytes};
    use axum::http::{Request, StatusCode};
    use serde_json::Value;
    use tower::ServiceExt;

    use super::*;
    use crate::api::asker::{Asker, TrustedProxies};

    /// Routes that do what none of ours should.
    fn router(limits: &Arc<Limits>) -> Router {
        let routes = Router::new()
            .route(
                "/panics",
                get(|| async { assert!(Vec::<u8>::new().len() > 1, "a secret") }),
            )
            .route(
                "/sleeps",
                get(|| tokio::time::sleep(Duration::from_secs(3600))),
            );
        surrounded(routes, Arc::clone(limits))
    }

    fn limits() -> Arc<Limits> {
        Arc::new(Limits::new(None, TrustedProxies::default()))
    }

    async fn refusal(router: Router, path: &str) -> (StatusCode, Value) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        assert_eq!(
            response.headers()[header::CONTENT_TYPE],
            "application/problem+json"
        );
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        assert!(response.headers().contains_key("x-request-id"));
        let status = response.status();
        let body = to_bytes(response.into_body(), 1 << 16).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn a_panic_is_a_problem_that_keeps_its_words_to_itself() {
        let (status, body) = refusal(router(&limits()), "/panics").await;
        assert_eq!(status, 500);
        assert_eq!(body["code"], "internal");
        assert!(!body.to_string().contains("secret"), "{body}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_does_not_begin_in_time_is_not_waited_for() {
        let (status, body) = refusal(router(&limits()), "/sleeps").await;
        assert_eq!((status.as_u16(), &body["code"]), (503, &"timed_out".into()));
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_when_all_places_are_taken_is_told_to_come_back() {
        let limits = limits();
        let router = router(&limits);
        let waiting: Vec<_> = (0..300)
            .map(|_| tokio::spawn(refusal(router.clone(), "/sleeps")))
            .collect();
        let mut codes = Vec::new();
        for answer in waiting {
            let (status, body) = answer.await.unwrap();
            assert_eq!(status, 503);
            codes.push(body["code"].as_str().unwrap().to_owned());
        }
        let overloaded = codes.iter().filter(|code| *code == "overloaded").count();
        assert_eq!(overloaded, 300 - 256);
    }

    #[tokio::test]
    async fn streams_are_counted_for_all_together_too() {
        let limits = limits();
        let open: Vec<_> = (0..2000)
            .map(|_| limits.stream(Asker::HERE).unwrap())
            .collect();
        assert!(limits.stream(Asker::HERE).is_err());
        drop(open);
        assert!(limits.stream(Asker::HERE).is_ok());
    }
}
