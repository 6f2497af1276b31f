use alloy::primitives::{Address, B256};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::code::Code;
use crate::ids::{AgreementId, Did};

/// What a job runs, frozen once: everything that happens later uses these bytes, so neither a change of the catalog nor a new
/// version of this program changes a job that exists. It holds source URLs, so it is never shown to the public.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JobSpec {
    /// Version of this form; 1.
    pub version: u32,
    /// The agreement that owes the job.
    pub agreement: AgreementId,
    /// The asset it computes on.
    pub did: Did,
    /// Who bought it.
    pub consumer: Address,
    /// What runs.
    pub algorithm: AlgorithmSpec,
    /// What it reads, in the order of their index; the publisher's files only.
    pub inputs: Vec<InputSpec>,
    /// What it may use.
    pub resources: Resources,
    /// Whether the algorithm may use the network. False unless the publisher said so.
    pub allow_network: bool,
    /// What may come out.
    pub release: ReleaseRule,
    /// The publisher's own program that what is `filtered` goes through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<FilterSpec>,
}

impl JobSpec {
    /// The bytes that are stored and hashed: compact JSON in the order of the fields.
    ///
    /// # Errors
    /// None in practice: every field has a JSON form. The error is serde's.
    pub fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self)
    }

    /// SHA-256 of the stored bytes.
    pub fn digest(bytes: &[u8]) -> B256 {
        B256::from_slice(&Sha256::digest(bytes))
    }
}

/// The algorithm and its container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AlgorithmSpec {
    /// The algorithm's own DID, when it was named by one (`TRANSFORMATION_DID`).
    pub did: Option<Did>,
    /// Image repository with its registry, without tag or digest.
    pub image: String,
    /// The image's tag, for people only; what runs is the digest.
    pub tag: Option<String>,
    /// `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// Command line for `/bin/sh -c`, in which `$ALGO` is the algorithm's path (OEP-12).
    pub entrypoint: String,
    /// The algorithm's code; absent when the image holds it. At most 512 KiB.
    pub code: Option<Code>,
    /// Whether the publisher vetted it: named by the publisher's own catalog, or among the asset's trusted algorithms.
    pub vetted: bool,
}

/// The publisher's filter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FilterSpec {
    /// Image, pinned by digest: `repository@sha256:…`.
    pub image: String,
    /// Command line for `/bin/sh -c`; absent: what the image itself starts.
    pub entrypoint: Option<String>,
}

/// One input file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InputSpec {
    /// Its number: the algorithm finds it at `/data/inputs/<did>/<index>` (OEP-12).
    pub index: u32,
    /// Where `configure` fetches it. Secret: it may carry a signature.
    pub url: String,
    /// `sha256:` and 64 hexadecimal digits; the fetch fails when the content differs.
    pub checksum: Option<String>,
    /// Media type, as the publisher declared it.
    pub content_type: Option<String>,
    /// Kubernetes Secret in the jobs' namespace with headers or object-store keys for the fetch.
    pub secret: Option<String>,
}

/// Ceilings of a job. Quantities are written as Kubernetes writes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Resources {
    /// Cores, e.g. `1` or `500m`.
    pub cpu: String,
    /// Bytes of memory, e.g. `1Gi`.
    pub memory: String,
    /// Bytes of the job's volume, e.g. `2Gi`.
    pub disk: String,
    /// Seconds that the algorithm may run, from its first instruction.
    pub max_execution_seconds: u32,
}

/// What may leave: the publisher's rule for this asset and this algorithm, already decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReleaseRule {
    /// For the files under `/data/outputs`.
    pub results: Release,
    /// For what the algorithm printed. Operators see it in any case.
    pub logs: Release,
    /// Whether an operator must release everything first.
    pub review: bool,
    /// Most bytes of results in all.
    pub result_bytes: u64,
    /// Most result files.
    pub result_files: u32,
    /// Most bytes of log.
    pub log_bytes: u64,
}

/// Whether something may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Release {
    /// As it is.
    Raw,
    /// Through the publisher's filter.
    Filtered,
    /// Not at all.
    None,
}
