//! One look at the chain's tip: everything that a step of following decides on, asked in one batch.

use super::block::Header;
use super::error::Error;
use super::provider::Provider;
use super::rpc::{Call, quantity};
use super::window::Ahead;
use crate::ids::BlockRef;

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
    /// The provider's block at the recorded height; `None` if its chain is shorter.
    pub at: Option<Header>,
    /// The tag `finalized`, if it was asked for.
    pub finalized: Option<Tag>,
    /// The tag `safe`, if it was asked for.
    pub safe: Option<Tag>,
    /// Blocks after the recorded one that were asked for and are there.
    pub ahead: Ahead,
}

/// What to look at.
#[derive(Clone, Copy, Debug)]
pub struct LookAt {
    /// Height of the recorded block.
    pub recorded: u64,
    /// Whether the tag `finalized` is wanted.
    pub finalized: bool,
    /// Whether the tag `safe` is wanted.
    pub safe: bool,
    /// How many blocks after the recorded one to bring along, since they are believed to be there.
    pub ahead: u64,
    /// Whether to bring the receipts of the first of them too.
    pub receipts: bool,
}

impl Provider {
    /// Looks at the tip, at what is recorded, and at what comes after it.
    ///
    /// # Errors
    /// [`Error`], transient.
    pub async fn look(&self, wanted: &LookAt) -> Result<Look, Error> {
        let mut calls = vec![
            Call::block("latest"),
            Call::block(&quantity(wanted.recorded)),
        ];
        let tags = [(wanted.finalized, "finalized"), (wanted.safe, "safe")];
        calls.extend(
            tags.iter()
                .filter(|(wanted, _)| *wanted)
                .map(|(_, name)| Call::block(name)),
        );
        let place = calls.len();
        calls.extend(Ahead::calls(wanted.recorded, wanted.ahead, wanted.receipts));
        let answers = self.ask(&calls).await?;
        let head = self.header(&answers, 0)?;
        let head = head.ok_or_else(|| self.missing(&"latest"))?;
        let height = self.header(&answers, 1)?;
        let seen = |wanted: bool, place: usize| {
            wanted
                .then(|| tag(self.header(&answers, place)))
                .transpose()
        };
        self.condition().head = Some(head.at);
        Ok(Look {
            at: self.at_height(wanted.recorded, height)?,
            head,
            finalized: seen(wanted.finalized, 2)?,
            safe: seen(wanted.safe, 2 + usize::from(wanted.finalized))?,
            ahead: Ahead::read(self, &answers, place, wanted.ahead),
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
            method: "eth_getBlockByNumber",
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
