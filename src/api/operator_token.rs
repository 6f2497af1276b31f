use std::path::PathBuf;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::problem::Problem;

/// The bearer token of operators, in a file.
#[derive(Debug)]
pub(super) struct OperatorToken {
    file: Option<PathBuf>,
}

impl OperatorToken {
    /// The token in that file, if there is one. The file is read at every use, so a new token counts from the moment it is there
    /// (mounted Secrets are replaced by a symlink that is swapped).
    pub(super) fn in_file(file: Option<PathBuf>) -> Self {
        Self { file }
    }

    /// Whether this is the token.
    pub(super) async fn is(&self, shown: &[u8]) -> Result<bool, Problem> {
        let Some(file) = &self.file else {
            return Ok(false);
        };
        let content = tokio::fs::read(file).await.map_err(|error| {
            tracing::error!(%error, file = %file.display(), "the operator's token cannot be read");
            Problem::unavailable("The operator's token cannot be checked now.")
        })?;
        let expected = content.trim_ascii();
        Ok(!expected.is_empty() && is_same(shown, expected))
    }
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
    fn tokens_are_compared_as_a_whole() {
        assert!(is_same(b"abc", b"abc"));
        assert!(!is_same(b"abc", b"abcd"));
        assert!(!is_same(b"", b"abc"));
    }
}
