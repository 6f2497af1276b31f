use axum::extract::RawQuery;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::api::openapi;
use crate::api::parameters::Parameters;
use crate::api::problem::Problem;

/// `GET /openapi.json`: what this API is, for machines.
pub(in crate::api) async fn show(RawQuery(query): RawQuery) -> Result<Response, Problem> {
    Parameters::read(query.as_deref())?.finish()?;
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "public, max-age=3600"),
    ];
    Ok((headers, openapi::text()).into_response())
}
