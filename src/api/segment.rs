use std::str::FromStr;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

use super::problem::Problem;

/// The part of a path that names something. What is no text is refused as a problem document, too.
#[derive(Debug)]
pub(super) struct Segment(pub(super) String);

impl Segment {
    /// Reads it as the 32 bytes that the path's parameter `name` is.
    pub(super) fn hash<T: FromStr>(&self, name: &'static str) -> Result<T, Problem> {
        let wrong = |_| Problem::invalid_parameter(name, "0x and 64 hexadecimal digits");
        self.0.parse().map_err(wrong)
    }
}

/// Two such parts; the second may be several, joined by slashes.
#[derive(Debug)]
pub(super) struct Segments(pub(super) String, pub(super) String);

fn no_text() -> Problem {
    Problem::invalid_parameter("path", "text in UTF-8, percent-encoded")
}

impl<S: Send + Sync> FromRequestParts<S> for Segments {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::<(String, String)>::from_request_parts(parts, state).await {
            Ok(Path((first, rest))) => Ok(Self(first, rest)),
            Err(_) => Err(no_text()),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(text)) => Ok(Self(text)),
            Err(_) => Err(no_text()),
        }
    }
}
