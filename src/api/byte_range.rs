//! One range of bytes of a representation (RFC 9110 section 14).

use std::ops::Range;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::problem::Problem;

/// The part of so many bytes that is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// The bytes.
    pub(super) span: Range<u64>,
    /// 206 for a part that was asked for, 200 for the whole.
    pub(super) status: StatusCode,
}

impl Part {
    /// The part that a request asks for, with its headers put beside the others; the answer that it gets instead when it asks for
    /// bytes that there are not. A form that is not known is ignored, as section 14.2 wants it.
    pub(super) fn asked(
        headers: &HeaderMap,
        bytes: u64,
        described: &mut HeaderMap,
    ) -> Result<Self, Box<Response>> {
        let asked = headers.get(header::RANGE);
        let asked = asked.and_then(|value| range(value.to_str().ok()?, bytes));
        let part = match asked {
            None => Self {
                span: 0..bytes,
                status: StatusCode::OK,
            },
            Some(Err(())) => return Err(Box::new(unsatisfiable(bytes))),
            Some(Ok(span)) => Self {
                span,
                status: StatusCode::PARTIAL_CONTENT,
            },
        };
        described.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        described.insert(header::CONTENT_LENGTH, part.length().into());
        if part.status == StatusCode::PARTIAL_CONTENT {
            let shown = format!("bytes {}-{}/{bytes}", part.span.start, part.span.end - 1);
            described
                .extend(HeaderValue::from_str(&shown).map(|value| (header::CONTENT_RANGE, value)));
        }
        Ok(part)
    }

    /// How many bytes it has.
    pub(super) const fn length(&self) -> u64 {
        self.span.end - self.span.start
    }
}

fn unsatisfiable(bytes: u64) -> Response {
    let mut response = Problem::range_not_satisfiable(bytes).into_response();
    let length = HeaderValue::from_str(&format!("bytes */{bytes}"));
    response
        .headers_mut()
        .extend(length.map(|value| (header::CONTENT_RANGE, value)));
    response
}

/// The one range that a `Range` names (section 14.1.2), within so many bytes; `None` for other forms.
fn range(text: &str, bytes: u64) -> Option<Result<Range<u64>, ()>> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| text.parse::<u64>().ok();
    let span = match (first.trim(), last.trim()) {
        ("", last) => bytes.saturating_sub(number(last)?)..bytes,
        (first, "") => number(first)?..bytes,
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return None;
            }
            first..last.saturating_add(1).min(bytes)
        }
    };
    Some(if span.start < span.end {
        Ok(span)
    } else {
        Err(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_and_what_is_no_range_is_ignored() {
        assert_eq!(range("bytes=0-4", 10), Some(Ok(0..5)));
        assert_eq!(range("bytes=7-", 10), Some(Ok(7..10)));
        assert_eq!(range("bytes=-3", 10), Some(Ok(7..10)));
        assert_eq!(range("bytes=5-99", 10), Some(Ok(5..10)));
        assert_eq!(range("bytes=10-", 10), Some(Err(())));
        for other in ["bytes=0-1,3-4", "lines=1-2", "bytes=4-2", "bytes=a-b"] {
            assert_eq!(range(other, 10), None, "{other}");
        }
    }
}
