//! One look at the chain's tip: everything that a step of following decides on, asked in one batch.

use serde_json::json;

use super::block::Header;
use super::error::Error;
use super::provider::{Provider, quantity};
use crate::ids::BlockRef;

const METHOD: &str = "eth_getBlockByNumber";

/// What a provider says about a tag such as `finalized`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    /// The block it names now.
    Block(BlockRef),
    /// The provider knows the tag but names no block: a chain that has just begun, or a node that is still synchronising.
    Waiting,
    /// The provider does not know the tag: a chain without that kind of finality.
    Tagless,
}

impl Tag {
    /// The block, if one is named.
    pub fn block(self) -> Option<BlockRef> {
        match self {
            Self::Block(block) => Some(block),
            Self::Waiting | Self::Tagless => None,
        }
    }
}

/// A look at the tip. The answers of a batch may still be moments apart: whoever acts on them compares hashes.
#[derive(Clone, Debug)]
pub struct Look {
    /// The newest block.
    pub head: Header,
    /// The provider's block at the height that was asked for; `None` if its chain is shorter.
    pub at: Option<Header>,
    /// The tag `finalized`, if it was asked for.
    pub finalized: Option<Tag>,
    /// The tag `safe`, if it was asked for.
    pub safe: Option<Tag>,
}

impl Provider {
    /// Looks at the tip and at the height `at`, and at the tags that are wanted.
    ///
    /// # Errors
    /// [`Error`], transient.
    pub async fn look(&self, at: u64, finalized: bool, safe: bool) -> Result<Look, Error> {
        let mut batch = self.client.new_batch();
        let head = self.heard(METHOD, batch.add_call(METHOD, &json!(["latest", false])))?;
        let height = batch.add_call(METHOD, &json!([quantity(at), false]));
        let height = self.heard(METHOD, height)?;
        let mut tags = Vec::with_capacity(2);
        for (wanted, tag) in [(finalized, "finalized"), (safe, "safe")] {
            tags.push(if wanted {
                let waiter = batch.add_call(METHOD, &json!([tag, false]));
                Some(self.heard(METHOD, waiter)?)
            } else {
                None
            });
        }
        self.heard(METHOD, batch.send().await)?;

        let head = self
            .header(METHOD, head.await)?
            .ok_or_else(|| self.missing(&"latest"))?;
        let height = self.header(METHOD, height.await)?;
        let mut seen = Vec::with_capacity(2);
        for waiter in tags {
            seen.push(match waiter {
                Some(waiter) => Some(tag(self.header(METHOD, waiter.await))?),
                None => None,
            });
        }
        let safe = seen.pop().flatten();
        Ok(Look {
            at: self.at_height(at, height)?,
            head,
            finalized: seen.pop().flatten(),
            safe,
        })
    }
}

/// Reads a tag's answer. -39001 is "unknown block" (Engine API), which some clients use here as others use -32000; the codes of
/// JSON-RPC 2.0 for a bad request, method, parameter or parse come from clients that are older than the tag.
pub(super) fn tag(answer: Result<Option<Header>, Error>) -> Result<Tag, Error> {
    match answer {
        Ok(Some(header)) => Ok(Tag::Block(header.at)),
        Ok(None) => Ok(Tag::Waiting),
        Err(Error::Refused {
            code: -32000 | -39001,
            ..
        }) => Ok(Tag::Waiting),
        Err(Error::Refused {
            code: -32600 | -32601 | -32602 | -32700,
            ..
        }) => Ok(Tag::Tagless),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: i64) -> Result<Option<Header>, Error> {
        Err(Error::Refused {
            provider: "node".to_owned(),
            method: METHOD,
            code,
            message: "no".to_owned(),
            data: None,
        })
    }

    #[test]
    fn waiting_is_told_from_tagless() {
        assert_eq!(tag(Ok(None)).unwrap(), Tag::Waiting);
        assert_eq!(tag(refused(-39001)).unwrap(), Tag::Waiting);
        assert_eq!(tag(refused(-32000)).unwrap(), Tag::Waiting);
        assert_eq!(tag(refused(-32602)).unwrap(), Tag::Tagless);
        assert!(tag(refused(-32005)).is_err());
    }
}
