use std::path::PathBuf;

use axum::http::{HeaderMap, header};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::problem::Problem;

/// The bearer token of operators, in a file.
#[derive(Debug)]
pub(super) struct OperatorToken {
    file: Option<PathBuf>,
}

/// Who is asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// Somebody who showed no token.
    Anybody,
    /// Somebody who showed the operator's token.
    Operator,
}

impl OperatorToken {
    /// The token in that file, if there is one. The file is read at every use, so a new token counts from the moment it is there
    /// (mounted Secrets are replaced by a symlink that is swapped).
    pub(super) fn in_file(file: Option<PathBuf>) -> Self {
        Self { file }
    }

    /// Who is asking. A token that is shown and wrong is refused even where none is needed: its owner should learn of it.
    pub(super) async fn identify(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        let Some(value) = headers.get(header::AUTHORIZATION) else {
            return Ok(Caller::Anybody);
        };
        let shown = bearer(value.as_bytes()).ok_or_else(Problem::invalid_token)?;
        let Some(file) = &self.file else {
            return Err(Problem::invalid_token());
        };
        let content = tokio::fs::read(file).await.map_err(|error| {
            tracing::error!(%error, file = %file.display(), "the operator's token cannot be read");
            Problem::unavailable("The operator's token cannot be checked now.")
        })?;
        let expected = content.trim_ascii();
        if !expected.is_empty() && is_same(shown, expected) {
            Ok(Caller::Operator)
        } else {
            Err(Problem::invalid_token())
        }
    }

    /// Lets only operators pass.
    pub(super) async fn require(&self, headers: &HeaderMap) -> Result<(), Problem> {
        match self.identify(headers).await? {
            Caller::Operator => Ok(()),
            Caller::Anybody => Err(Problem::unauthenticated()),
        }
    }
}

/// The token of an `Authorization` header (RFC 6750 section 2.1); the scheme's name has any case (RFC 9110 section 11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    let token = token.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"Bearer ") && !token.is_empty()).then_some(token)
}

/// Compares without telling by time where the difference is; digests, so that lengths are not told either.
fn is_same(shown: &[u8], expected: &[u8]) -> bool {
    Sha256::digest(shown)
        .ct_eq(&Sha256::digest(expected))
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bearer_tokens_are_read() {
        assert_eq!(bearer(b"Bearer abc"), Some(b"abc".as_slice()));
        assert_eq!(bearer(b"bearer  abc "), Some(b"abc".as_slice()));
        for other in [b"Basic abc=".as_slice(), b"Bearer", b"Bearer ", b"", b"abc"] {
            assert_eq!(bearer(other), None);
        }
        assert!(is_same(b"abc", b"abc"));
        assert!(!is_same(b"abc", b"abcd"));
    }
}
