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

use super::problem::Problem;
use super::{Shared, caching, limits, measure, request_id, routes};

/// Every route of the API. A layer surrounds those above it.
pub(super) fn router(shared: Shared) -> Router {
    let limits = Arc::clone(&shared.limits);
    // Job logs stay as they are: whoever follows one wants each byte at once, and ranges count the bytes as they are.
    // So do result files: their tag and their length are those of the bytes that were published.
    let compressed = DefaultPredicate::new()
        .and(NotForContentType::const_new("text/plain"))
        .and(is_no_file);
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
        .fallback(|| async { Problem::unknown_path() })
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(limits, limits::limit))
        .layer(from_fn(caching::tag))
        .layer(CompressionLayer::new().compress_when(compressed))
        .layer(shared_with_pages())
        .layer(from_fn(measure::measure))
        .layer(from_fn(request_id::name_request))
        .with_state(shared)
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
