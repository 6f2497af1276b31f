use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::fault::Fault;
use crate::ledger;
use crate::worker::Chain;

/// An answer that is not a success: `application/problem+json` (RFC 9457) with a stable code.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    /// Stable: people script against it.
    code: &'static str,
    detail: String,
    /// The parameter that is to blame.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<String>,
    #[serde(skip)]
    challenge: Option<&'static str>,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            code,
            detail: detail.into(),
            parameter: None,
            challenge: None,
        }
    }

    /// A parameter that no route of this path has.
    pub(super) fn unknown_parameter(name: &str) -> Self {
        Self {
            parameter: Some(name.to_owned()),
            ..Self::new(
                StatusCode::BAD_REQUEST,
                "unknown_parameter",
                format!("There is no parameter {name:?} here."),
            )
        }
    }

    /// A parameter whose value cannot be read. `wanted` says what it should have been.
    pub(super) fn invalid_parameter(name: &str, wanted: &str) -> Self {
        Self {
            parameter: Some(name.to_owned()),
            ..Self::new(
                StatusCode::BAD_REQUEST,
                "invalid_parameter",
                format!("The parameter {name:?} must be {wanted}."),
            )
        }
    }

    /// None of the filters of which one is needed.
    pub(super) fn missing_filter(names: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "missing_filter",
            format!("At least one of {names} is needed."),
        )
    }

    /// Nobody has said who is asking. The same whether what was asked for exists or not.
    pub(super) fn unauthenticated() -> Self {
        Self {
            challenge: Some(r#"Bearer realm="tidewatch""#),
            ..Self::new(
                StatusCode::UNAUTHORIZED,
                "unauthenticated",
                "A bearer token is needed.",
            )
        }
    }

    /// A token that is not valid (RFC 6750 section 3.1).
    pub(super) fn invalid_token() -> Self {
        Self {
            challenge: Some(r#"Bearer realm="tidewatch", error="invalid_token""#),
            ..Self::new(
                StatusCode::UNAUTHORIZED,
                "invalid_token",
                "The bearer token is not valid.",
            )
        }
    }

    /// No such path.
    pub(super) fn unknown_path() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "unknown_path",
            "There is nothing at this path.",
        )
    }

    /// No such job.
    pub(super) fn job_not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "job_not_found",
            "There is no job with this id.",
        )
    }

    /// The job has no log of that stage.
    pub(super) fn log_not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "log_not_found",
            "The job has no log of this stage yet.",
        )
    }

    /// The bytes are gone; their hashes are not.
    pub(super) fn erased() -> Self {
        Self::new(
            StatusCode::GONE,
            "erased",
            "An operator erased the logs and results of this job.",
        )
    }

    /// The path exists, the method does not.
    pub(super) fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "This API only reads: GET and HEAD.",
        )
    }

    /// What older services did by a request is done on chain now.
    pub(super) fn done_on_chain(detail: &'static str) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "done_on_chain", detail)
    }

    /// It cannot be answered now; asking again may help.
    pub(super) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
    }

    /// The fault is ours.
    fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "This request could not be answered; the service's log says why.",
        )
    }
}

impl From<ledger::Error> for Problem {
    fn from(error: ledger::Error) -> Self {
        match error.fault() {
            Fault::Transient => {
                tracing::warn!(error = %Chain(&error), "a request could not be answered");
                Self::unavailable("The database does not answer now.")
            }
            Fault::Rejected | Fault::Fatal => {
                tracing::error!(error = %Chain(&error), "a request failed");
                Self::internal()
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(&self)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(challenge) = self.challenge {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static(challenge),
            );
        }
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers
                .entry(header::ALLOW)
                .or_insert(HeaderValue::from_static("GET,HEAD"));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}
