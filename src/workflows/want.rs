use std::collections::BTreeMap;

use alloy::primitives::B256;
use serde::{Deserialize, Serialize};

use super::code::LARGEST_CODE;
use super::document::LARGEST_DOCUMENT;
use crate::admission::Recorded;
use crate::ids::Did;
use crate::jobs::Reason;

/// Something that a decision needs and does not have: what [`resolve`](super::resolve()) asks its caller for.
///
/// It says all that is needed to get it, so that whoever gets it has to understand nothing else, and two askers of the same
/// thing ask for equal values.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "what")]
pub enum Want {
    /// The registry's canonical events about a DID, from the ledger.
    #[serde(rename_all = "camelCase")]
    Registrations {
        /// The DID.
        did: Did,
    },
    /// Bytes from somewhere else.
    #[serde(rename_all = "camelCase")]
    Bytes {
        /// What they are.
        of: Subject,
        /// Where they may be had, best first. Strangers' words: they may hold anything, secrets included.
        addresses: Vec<String>,
        /// What they must hash to.
        expected: Option<Checksum>,
        /// Whether the addresses are at an origin that the publisher named, which may lie in the publisher's own network.
        trusted: bool,
    },
    /// What a registry says of an image.
    #[serde(rename_all = "camelCase")]
    Image {
        /// Registry and repository.
        name: String,
        /// The tag, if one was named.
        tag: Option<String>,
        /// The digest, if one was named: then it is what runs, whatever the tag says.
        digest: Option<String>,
    },
}

impl Want {
    /// The words for sentences: "the …".
    pub const fn words(&self) -> &'static str {
        match self {
            Self::Registrations { .. } => "registry's entry",
            Self::Bytes { of, .. } => of.words(),
            Self::Image { .. } => "image's digest",
        }
    }
}

/// What wanted bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Subject {
    /// The consumer's workflow document.
    Workflow,
    /// The asset's DDO.
    Asset,
    /// The algorithm's DDO.
    Algorithm,
    /// The algorithm's file.
    Code,
}

impl Subject {
    /// Most bytes that are read of it.
    pub const fn limit(self) -> usize {
        match self {
            Self::Workflow | Self::Asset | Self::Algorithm => LARGEST_DOCUMENT,
            Self::Code => LARGEST_CODE,
        }
    }

    /// The words for sentences: "the …".
    pub const fn words(self) -> &'static str {
        match self {
            Self::Workflow => "workflow document",
            Self::Asset => "asset's DDO",
            Self::Algorithm => "algorithm's DDO",
            Self::Code => "algorithm's file",
        }
    }

    /// The reason for refusing it when it is larger than [`Self::limit`].
    pub const fn too_large(self) -> Reason {
        match self {
            Self::Code => Reason::AlgorithmTooLarge,
            Self::Workflow | Self::Asset | Self::Algorithm => Reason::DocumentInvalid,
        }
    }
}

/// What bytes must hash to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Checksum {
    /// Keccak-256, the registry's (OEP-7).
    Keccak256(B256),
    /// SHA-256.
    Sha256(B256),
}

/// What was found of a [`Want`], for good: asking again would be of no use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The bytes. They had the expected checksum, if there was one.
    Bytes(Vec<u8>),
    /// What the registry says.
    Image(ImageFacts),
    /// Nobody could tell, and it is not needed: a pinned image whose registry does not answer runs as it is pinned.
    Unknown,
    /// What is there is not what was asked for, or may not be fetched. A sentence of ours: what was expected and what came.
    Wrong(String),
    /// There is more of it than is read.
    TooLarge,
    /// It could not be had in time.
    Unavailable,
}

/// What a registry says of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageFacts {
    /// Digest of the platform's own manifest, never of an index: `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// Places that the image declares as volumes, as its configuration says them.
    pub volumes: Vec<String>,
}

/// All that was found so far.
#[derive(Clone, Debug, Default)]
pub struct Found {
    registrations: BTreeMap<Did, Vec<Recorded>>,
    findings: BTreeMap<Want, Finding>,
}

impl Found {
    /// Notes the registry's events about a DID, in any order; an empty list says that there are none.
    pub fn put_registrations(&mut self, did: Did, events: Vec<Recorded>) {
        self.registrations.insert(did, events);
    }

    /// Notes what was found.
    pub fn put(&mut self, want: Want, finding: Finding) {
        self.findings.insert(want, finding);
    }

    /// What was found of it; `None`: nobody looked yet.
    pub fn get(&self, want: &Want) -> Option<&Finding> {
        self.findings.get(want)
    }

    /// Everything that was looked for outside of the ledger, with what was found.
    pub fn findings(&self) -> impl Iterator<Item = (&Want, &Finding)> {
        self.findings.iter()
    }

    pub(super) fn registrations(&self, did: Did) -> Option<&[Recorded]> {
        self.registrations.get(&did).map(Vec::as_slice)
    }
}
