use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderName, header};
use axum::response::IntoResponse;

use crate::api::Shared;
use crate::api::problem::Problem;

/// Never kept: the next probe asks about another moment.
const OK: ([(HeaderName, &str); 1], &str) = ([(header::CACHE_CONTROL, "no-store")], "ok\n");

/// Longest wait for the database's word; shorter than the timeouts that probes usually have.
const BOUND: Duration = Duration::from_secs(2);

/// The process answers. The database has no say: restarting us would not bring it back.
#[utoipa::path(get, path = "/livez", tag = "health",
    responses((status = 200, description = "It lives.", body = String, content_type = "text/plain; charset=utf-8")))]
pub(in crate::api) async fn livez() -> impl IntoResponse {
    OK
}

/// Requests can be answered: the schema is there, readable, and one that this version can work with. How far the
/// ledger lags is no matter here: readers are better served with old knowledge than with none.
#[utoipa::path(get, path = "/readyz", tag = "health",
    responses(
        (status = 200, description = "It can answer.", body = String, content_type = "text/plain; charset=utf-8"),
        (status = "default", description = "It cannot, and why.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(in crate::api) async fn readyz(
    State(shared): State<Shared>,
) -> Result<impl IntoResponse, Problem> {
    let version = tokio::time::timeout(BOUND, shared.reader.schema_version())
        .await
        .map_err(|_| Problem::unavailable("The database does not answer in time."))??;
    if version.is_compatible() {
        Ok(OK)
    } else {
        Err(Problem::unavailable(version.to_string()))
    }
}
