//! Identifiers that cross rooms, each a type of its own so that one cannot be passed for another.
//!
//! All 32-byte identifiers of the chain display as `0x` and lower-case hexadecimal, and read the same with any case.

use std::fmt;
use std::str::FromStr;

use alloy::primitives::{Address, B256, U256, keccak256};
use alloy::sol_types::SolValue;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Surrogate id of a followed deployment: one keeper contract set on one chain, told apart by the chain's genesis.
/// It leads every key of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeploymentId(pub i64);

impl fmt::Display for DeploymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Surrogate id of a job's row in the ledger. People never see it; they see [`JobName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(pub i64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! chain_id_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub B256);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }

        impl FromStr for $name {
            type Err = BadHash;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self).map_err(|_| BadHash(text.to_owned()))
            }
        }

        impl From<B256> for $name {
            fn from(value: B256) -> Self {
                Self(value)
            }
        }
    };
}

chain_id_type!(
    /// Id of a service agreement: its creator's free choice, unique in its `AgreementStoreManager`.
    AgreementId
);
chain_id_type!(
    /// Id of a condition in the `ConditionStoreManager`. The chain takes any 32 bytes; only recomputing it proves what it is of.
    ConditionId
);

/// A text that should have been 32 bytes of hexadecimal.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not 0x and 64 hexadecimal digits")]
pub struct BadHash(String);

/// Decentralised identifier of an asset as the keeper knows it: the 32 bytes behind `did:op:` (OEP-7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Did(pub B256);

impl Did {
    /// The 64 lower-case hexadecimal digits without a prefix: the form of directory names and of the variable `DIDS` (OEP-12).
    pub fn digits(self) -> String {
        alloy::hex::encode(self.0)
    }
}

impl fmt::Display for Did {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "did:op:{}", self.digits())
    }
}

impl FromStr for Did {
    type Err = BadDid;

    /// Reads `did:op:` and 64 hexadecimal digits, with or without `0x`, or those digits alone.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("did:op:").unwrap_or(text);
        digits
            .parse()
            .map(Self)
            .map_err(|_| BadDid(text.to_owned()))
    }
}

impl From<B256> for Did {
    fn from(value: B256) -> Self {
        Self(value)
    }
}

impl Serialize for Did {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Did {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A text that should have been a DID.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not did:op: and 64 hexadecimal digits")]
pub struct BadDid(String);

/// Name of a job, of its `ComputeWorkflow`, and its id in the API: `job-` and 32 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobName(String);

impl JobName {
    /// Derives the name from what owes the job: the first 16 bytes of
    /// `keccak256(abi.encode(uint256 chainId, address contract, bytes32 key))`.
    /// For the keeper's trigger the contract is `ComputeExecutionCondition` and the key the condition's id.
    pub fn derive(chain_id: u64, contract: Address, key: B256) -> Self {
        let digest = keccak256((U256::from(chain_id), contract, key).abi_encode());
        Self(format!("job-{}", alloy::hex::encode(&digest[..16])))
    }

    /// The name as text; it is a valid name of a Kubernetes object (RFC 1123 label, 36 characters).
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for JobName {
    type Err = BadJobName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("job-").unwrap_or_default();
        let lower_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if digits.len() == 32 && digits.bytes().all(lower_hex) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadJobName(text.to_owned()))
        }
    }
}

/// A text that should have been a job's name.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a job id: job- and 32 lower-case hexadecimal digits")]
pub struct BadJobName(String);

/// A block by number and hash: the number alone names no block while the chain can still reorganise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BlockRef {
    /// Height.
    pub number: u64,
    /// Hash of the header.
    pub hash: B256,
}

impl fmt::Display for BlockRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:#x})", self.number, self.hash)
    }
}

/// Proof of holding a lease: whoever acts on a leased row must name it, and a lost lease has another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LeaseToken(pub Uuid);

impl LeaseToken {
    /// A fresh random token.
    pub fn fresh() -> Self {
        Self(Uuid::new_v4())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_name_follows_from_chain_contract_and_key() {
        let name = JobName::derive(8996, Address::repeat_byte(0x11), B256::repeat_byte(0x22));
        let by_hand = keccak256(
            [
                U256::from(8996).to_be_bytes::<32>().as_slice(),
                &[0; 12],
                &[0x11; 20],
                &[0x22; 32],
            ]
            .concat(),
        );
        assert_eq!(
            name.as_str(),
            format!("job-{}", alloy::hex::encode(&by_hand[..16]))
        );
        assert_eq!(name.as_str().parse::<JobName>().unwrap(), name);
        assert!("job-XYZ".parse::<JobName>().is_err());
    }

    #[test]
    fn a_did_reads_with_and_without_its_prefix() {
        let did = Did(B256::repeat_byte(0xab));
        assert_eq!(did.to_string().parse::<Did>().unwrap(), did);
        assert_eq!(did.digits().parse::<Did>().unwrap(), did);
        assert!("did:op:12".parse::<Did>().is_err());
    }
}
