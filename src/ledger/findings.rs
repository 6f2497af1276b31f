//! How a want and what was found of it are stored: the form that `job_documents` and `agent_documents` share.

use alloy::primitives::B256;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use super::{Error, documents};
use crate::workflows::{Finding, Want};

/// A finding as its columns have it.
#[derive(Debug)]
pub(super) struct Columns {
    pub(super) word: &'static str,
    /// The bytes, which are kept by now.
    pub(super) document: Option<B256>,
    pub(super) detail: Option<String>,
}

/// A want as it is stored, and its key.
pub(super) fn written(want: &Want) -> Result<(String, B256), Error> {
    let text = serde_json::to_string(want).map_err(Error::unreadable("job_documents"))?;
    let sha256 = B256::from_slice(&Sha256::digest(&text));
    Ok((text, sha256))
}

/// Keeps a finding's bytes, and answers its columns.
pub(super) async fn keep(
    connection: &mut PgConnection,
    finding: &Finding,
) -> Result<Columns, Error> {
    let (word, document, detail) = match finding {
        Finding::Bytes(body) => {
            let kept = documents::record(connection, body, "fetched").await?;
            ("bytes", Some(kept), None)
        }
        Finding::Image(facts) => {
            let facts = serde_json::to_string(facts).map_err(Error::unreadable("job_documents"))?;
            ("image", None, Some(facts))
        }
        Finding::Unknown => ("unknown", None, None),
        Finding::Wrong(sentence) => ("wrong", None, Some(sentence.replace('\0', "\u{fffd}"))),
        Finding::TooLarge => ("too_large", None, None),
        Finding::Unavailable => ("unavailable", None, None),
    };
    Ok(Columns {
        word,
        document,
        detail,
    })
}

/// Reads a finding from its columns.
pub(super) fn read(
    word: &str,
    detail: Option<String>,
    body: Option<Vec<u8>>,
) -> Result<Finding, Error> {
    let unreadable =
        || Error::unreadable("job_documents")(format!("a finding {word:?} of this form"));
    match (word, detail, body) {
        ("bytes", _, Some(body)) => Ok(Finding::Bytes(body)),
        ("image", Some(detail), _) => serde_json::from_str(&detail)
            .map(Finding::Image)
            .map_err(Error::unreadable("job_documents")),
        ("unknown", ..) => Ok(Finding::Unknown),
        ("wrong", Some(sentence), _) => Ok(Finding::Wrong(sentence)),
        ("too_large", ..) => Ok(Finding::TooLarge),
        ("unavailable", ..) => Ok(Finding::Unavailable),
        _ => Err(unreadable()),
    }
}
