use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::release::Withheld;
use crate::fault::Fault;
use crate::ledger;
use crate::worker::Chain;

/// An answer that is not a success: `application/problem+json` (RFC 9457) with a stable code.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(example = json!({"type": "about:blank", "title": "Bad Request", "status": 400, "code": "invalid_parameter",
    "detail": "The parameter \"limit\" must be a number from 1 to 200.", "parameter": "limit"}))]
pub(super) struct Problem {
    /// Always `about:blank`: the code says what it is.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// Stable: people script against it.
    code: &'static str,
    /// What was wrong, where, and what would be right.
    detail: Box<str>,
    /// The parameter that is to blame.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<Box<str>>,
    #[serde(skip)]
    challenge: Option<&'static str>,
    /// Seconds after which asking again may help.
    #[serde(skip)]
    retry_after: Option<u64>,
}

const DONE_ON_CHAIN: &str = "done_on_chain";

/// Usual wait before something that is away is asked for again, in seconds.
const SOON: u64 = 5;

impl Problem {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            code,
            detail: detail.into().into_boxed_str(),
            parameter: None,
            challenge: None,
            retry_after: None,
        }
    }

    /// The HTTP status, and it in words.
    pub(super) fn status(&self) -> (u16, &'static str) {
        (self.status, self.title)
    }

    /// The stable code.
    pub(super) fn code(&self) -> &'static str {
        self.code
    }

    /// What was wrong, where, and what would be right.
    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    /// A parameter that no route of this path has.
    pub(super) fn unknown_parameter(name: &str) -> Self {
        Self {
            parameter: Some(name.into()),
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
            parameter: Some(name.into()),
            ..Self::new(
                StatusCode::BAD_REQUEST,
                "invalid_parameter",
                format!("The parameter {name:?} must be {wanted}."),
            )
        }
    }

    /// The media type that a request brings is none that is read here.
    pub(super) fn unsupported_media_type() -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "The body must be application/json.",
        )
    }

    /// A body that cannot be read. `wrong` says what and where.
    pub(super) fn invalid_body(wrong: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_body", wrong)
    }

    /// A body that is larger than anything that is asked for here.
    pub(super) fn body_too_large() -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            "The body is larger than 64 KiB.",
        )
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

    /// A sign-in that is over.
    pub(super) fn expired_token() -> Self {
        Self {
            challenge: Some(r#"Bearer realm="tidewatch", error="invalid_token""#),
            ..Self::new(
                StatusCode::UNAUTHORIZED,
                "invalid_token",
                "The sign-in is over; sign in again.",
            )
        }
    }

    /// Somebody who is known and has no part in what was asked for. The same whether that exists or not.
    pub(super) fn not_a_party() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "not_a_party",
            "This account is no party of such a job's agreement.",
        )
    }

    /// Something that the parties may not have, or not yet.
    pub(super) fn not_released(withheld: Withheld) -> Self {
        Self::new(StatusCode::FORBIDDEN, "not_released", withheld.sentence())
    }

    /// A sign-in that is refused, with a code for each cause.
    pub(super) fn sign_in_refused(code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            challenge: Some(r#"Bearer realm="tidewatch""#),
            ..Self::new(StatusCode::UNAUTHORIZED, code, detail)
        }
    }

    /// There will be results, or may be; there are none yet.
    pub(super) fn results_not_ready() -> Self {
        Self {
            retry_after: Some(SOON),
            ..Self::new(
                StatusCode::CONFLICT,
                "results_not_ready",
                "The job is not over; its results are published at its end.",
            )
        }
    }

    /// The job is over and published nothing.
    pub(super) fn results_not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "results_not_found",
            "The job is over and published no results.",
        )
    }

    /// No such file among the results.
    pub(super) fn file_not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "file_not_found",
            "The manifest of this job's results names no such file.",
        )
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

    /// No such agreement, up to the judged block.
    pub(super) fn agreement_not_found(judged: u64) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "agreement_not_found",
            format!("No followed contract tells of this agreement up to block {judged}."),
        )
    }

    /// The publisher does not list this asset.
    pub(super) fn asset_not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "asset_not_found",
            "This publisher's catalog does not list this asset.",
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
            "This path does not have this method; the header Allow lists those it has.",
        )
    }

    /// What older services did by a request is done on chain now.
    pub(super) fn done_on_chain(detail: &'static str) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, DONE_ON_CHAIN, detail)
    }

    /// A range of bytes that are not there.
    pub(super) fn range_not_satisfiable(bytes: u64) -> Self {
        Self::new(
            StatusCode::RANGE_NOT_SATISFIABLE,
            "range_not_satisfiable",
            format!("There are {bytes} bytes."),
        )
    }

    /// It cannot be answered now; asking again may help.
    pub(super) fn unavailable(detail: impl Into<String>) -> Self {
        Self {
            retry_after: Some(SOON),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
        }
    }

    /// This process was not given what the answer needs.
    pub(super) fn not_configured(what: &'static str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "not_configured", what)
    }

    /// More is asked for at once than is answered at once.
    pub(super) fn overloaded() -> Self {
        Self {
            retry_after: Some(SOON),
            ..Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "overloaded",
                "More is asked for at once than is answered at once.",
            )
        }
    }

    /// The answer took too long.
    pub(super) fn timed_out() -> Self {
        Self {
            retry_after: Some(SOON),
            ..Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "timed_out",
                "The answer took too long; a narrower question may help.",
            )
        }
    }

    /// One address asks for too much; `seconds` say when the next request is answered.
    pub(super) fn too_many_requests(detail: &'static str, seconds: u64) -> Self {
        Self {
            retry_after: Some(seconds),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", detail)
        }
    }

    /// The fault is ours.
    pub(super) fn internal() -> Self {
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
        // For whoever shows it in another form.
        response.extensions_mut().insert(self.clone());
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
        // Everything that is done on chain is a path that is read here; else the router knows the methods.
        if self.code == DONE_ON_CHAIN {
            headers.insert(header::ALLOW, HeaderValue::from_static("GET,HEAD"));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
