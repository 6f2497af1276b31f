use axum::Router;
use axum::middleware::from_fn;
use axum::routing::get;

use super::problem::Problem;
use super::{Shared, measure, request_id, routes};

/// Every route of the API.
pub(super) fn router(shared: Shared) -> Router {
    Router::new()
        .route("/v1/jobs", get(routes::jobs::list))
        .route("/v1/jobs/{id}", get(routes::job::show))
        .route("/v1/jobs/{id}/transitions", get(routes::transitions::list))
        .route("/v1/jobs/{id}/logs", get(routes::logs::read))
        .route("/v1/sync", get(routes::sync::show))
        .route("/livez", get(routes::health::livez))
        .route("/readyz", get(routes::health::readyz))
        .merge(routes::legacy::router())
        .fallback(|| async { Problem::unknown_path() })
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .layer(from_fn(measure::measure))
        .layer(from_fn(request_id::name_request))
        .with_state(shared)
}
