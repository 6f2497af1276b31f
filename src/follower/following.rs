use std::fmt;
use std::str::FromStr;

use alloy::primitives::{Address, B256};
use sha2::{Digest, Sha256};

/// What is followed, and by which rules. The composition makes it from the configuration.
#[derive(Clone, Debug)]
pub struct Following {
    /// EIP-155 chain id that the deployment file names.
    pub chain_id: u64,
    /// SHA-256 over the canonical contract set.
    pub contracts_hash: B256,
    /// The contract set, for people: a JSON object of names and addresses.
    pub contracts_json: serde_json::Value,
    /// The followed contracts.
    pub addresses: Vec<Address>,
    /// First block that can hold a log of theirs.
    pub start_block: u64,
    /// When work may start.
    pub act_at: ActAt,
    /// What may never roll back; `None` lets the chain decide: `finalized` where it has that, else [`DEFAULT_DEPTH`].
    pub irreversible_at: Option<IrreversibleAt>,
    /// Conditions owed before it start nothing; `None`: the irreversible block when the deployment was first followed.
    pub act_from_block: Option<u64>,
    /// Grows when a newer program follows more addresses of the same contract set.
    pub filter_version: i32,
}

/// Depth below the head that counts as irreversible on a chain without the tag `finalized`: two epochs of Ethereum, which is
/// what finality takes there.
pub const DEFAULT_DEPTH: u64 = 64;

impl Following {
    /// SHA-256 over the sorted addresses: two followers with the same one want the same logs.
    pub fn filter_fingerprint(&self) -> B256 {
        let mut addresses = self.addresses.clone();
        addresses.sort_unstable();
        addresses.dedup();
        let mut digest = Sha256::new();
        for address in addresses {
            digest.update(address);
        }
        B256::from_slice(&digest.finalize())
    }

    /// The block that recording begins at. Block 0 has no transactions (Yellow Paper, appendix I), so nothing is lost by
    /// beginning at 1, and there is always a block before.
    pub(super) fn first_block(&self) -> u64 {
        self.start_block.max(1)
    }
}

/// The operator's rule for starting work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ActAt {
    /// On blocks that the chain calls final; on a chain without finality, on irreversible ones.
    #[default]
    Finalized,
    /// On blocks that the chain calls safe; on a chain without that, on irreversible ones.
    Safe,
    /// On any block. What is started on a block that is orphaned later keeps running.
    Latest,
    /// On blocks with so many on top of them.
    Depth(u64),
}

/// The rule for what may never roll back. Never the newest block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IrreversibleAt {
    /// Blocks that the chain calls final.
    Finalized,
    /// Blocks with so many on top of them; at least 1.
    Depth(u64),
}

impl fmt::Display for ActAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finalized => f.write_str("finalized"),
            Self::Safe => f.write_str("safe"),
            Self::Latest => f.write_str("latest"),
            Self::Depth(blocks) => blocks.fmt(f),
        }
    }
}

impl fmt::Display for IrreversibleAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finalized => f.write_str("finalized"),
            Self::Depth(blocks) => blocks.fmt(f),
        }
    }
}

/// A text that is no rule.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{text:?} is not {expected}")]
pub struct BadRule {
    text: String,
    expected: &'static str,
}

impl FromStr for ActAt {
    type Err = BadRule;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "finalized" => Ok(Self::Finalized),
            "safe" => Ok(Self::Safe),
            "latest" => Ok(Self::Latest),
            _ => text.parse().map(Self::Depth).map_err(|_| BadRule {
                text: text.to_owned(),
                expected: "finalized, safe, latest, or a depth in blocks",
            }),
        }
    }
}

impl FromStr for IrreversibleAt {
    type Err = BadRule;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match (text, text.parse()) {
            ("finalized", _) => Ok(Self::Finalized),
            (_, Ok(blocks)) if blocks > 0 => Ok(Self::Depth(blocks)),
            _ => Err(BadRule {
                text: text.to_owned(),
                expected: "finalized, or a depth of at least one block",
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_read_as_they_are_written() {
        for rule in [
            ActAt::Finalized,
            ActAt::Safe,
            ActAt::Latest,
            ActAt::Depth(0),
            ActAt::Depth(12),
        ] {
            assert_eq!(rule.to_string().parse(), Ok(rule));
        }
        for rule in [IrreversibleAt::Finalized, IrreversibleAt::Depth(64)] {
            assert_eq!(rule.to_string().parse(), Ok(rule));
        }
        assert!("latest".parse::<IrreversibleAt>().is_err());
        assert!("0".parse::<IrreversibleAt>().is_err());
        assert!("soon".parse::<ActAt>().is_err());
    }
}
