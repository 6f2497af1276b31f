use alloy::primitives::B256;
use serde::{Deserialize, Serialize};

use url::Url;

use crate::engine::{Isolation, LogSummary, Published};
use crate::ids::{Did, JobName};
use crate::jobs::Reason;
use crate::workflows::{BadQuantity, Code, InputSpec, JobSpec, Quantity, Release};

/// Most bytes of a job log, whatever the publisher allows: it is kept in the ledger. What is over is cut off by the guard, which
/// says so.
pub const MOST_LOG_BYTES: u64 = 1 << 30;

/// What `configure` has to put in place. It travels in the per-job Secret, since source URLs are secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConfigurePlan {
    /// The asset whose files these are.
    pub did: Did,
    /// The files.
    pub inputs: Vec<InputFile>,
    /// The algorithm's code, if the image does not hold it.
    pub algorithm: Option<Code>,
    /// Most bytes that may be written in all.
    pub disk_bytes: u64,
    /// The gateway that `ipfs` addresses are had from: `https://host`.
    #[serde(default)]
    pub ipfs_gateway: Option<String>,
    /// Whether room is made for what a filter leaves.
    #[serde(default)]
    pub filtered: bool,
}

/// Why nobody could follow a specification.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A size of what it may use.
    #[error("the job's {0} size cannot be read")]
    Size(&'static str, #[source] BadQuantity),
    /// A checksum.
    #[error("the checksum of input {0} is not sha256: and 64 hexadecimal digits")]
    Checksum(u32),
    /// The plan has no JSON form.
    #[error("the plan cannot be written")]
    Json(#[from] serde_json::Error),
}

impl ConfigurePlan {
    /// What a specification asks `configure` for.
    ///
    /// # Errors
    /// [`PlanError`] for a specification that no fetch could follow; it never repeats a URL.
    pub fn of(spec: &JobSpec, ipfs_gateway: Option<&Url>) -> Result<Self, PlanError> {
        let disk: Quantity = spec
            .resources
            .disk
            .parse()
            .map_err(|bad| PlanError::Size("disk", bad))?;
        let inputs = spec
            .inputs
            .iter()
            .map(InputFile::of)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            ipfs_gateway: ipfs_gateway.map(Url::to_string),
            filtered: spec.filter.is_some(),
            did: spec.did,
            inputs,
            algorithm: spec.algorithm.code.clone(),
            disk_bytes: disk.whole(),
        })
    }
}

impl InputFile {
    fn of(spec: &InputSpec) -> Result<Self, PlanError> {
        let sha256 = match &spec.checksum {
            None => None,
            Some(text) => {
                let digest = text
                    .strip_prefix("sha256:")
                    .and_then(|hex| hex.parse().ok());
                Some(digest.ok_or(PlanError::Checksum(spec.index))?)
            }
        };
        Ok(Self {
            index: spec.index,
            url: spec.url.clone(),
            sha256,
            secret: spec.secret.clone(),
        })
    }
}

/// One input file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InputFile {
    /// Its number and file name.
    pub index: u32,
    /// Where it is: a web server, an object store (`s3`, `gs`, `az`), the IPFS gateway, or `file` for development.
    pub url: String,
    /// SHA-256 that its bytes must have.
    pub sha256: Option<B256>,
    /// Directory below the inputs' secrets with headers, or the object store's options, for the fetch.
    #[serde(default)]
    pub secret: Option<String>,
}

/// What `publish` has to store, and what it may let out. It holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PublishPlan {
    /// The job.
    pub job: JobName,
    /// The attempt; part of every key.
    pub attempt: u32,
    /// `s3://bucket/prefix`, `gs://…`, `az://…`, or `file:///path` for development.
    pub results_url: String,
    /// Which result files may leave: the algorithm's, the filter's, or none.
    pub results: Release,
    /// Which log the parties may have: the algorithm's, the filter's, or none.
    pub logs: Release,
    /// Most bytes of results.
    pub result_bytes: u64,
    /// Most result files.
    pub result_files: u32,
    /// Most bytes of a log that the filter left; the algorithm's own was bounded by the guard.
    pub log_bytes: u64,
}

/// How a stage ended: its termination message, at most 4096 bytes (the kubelet's limit).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "stage")]
pub enum Ending {
    /// `configure` ended.
    #[serde(rename_all = "camelCase")]
    Configure {
        /// Why it failed; absent when it did not.
        reason: Option<Reason>,
        /// For operators: what was wrong, without URLs or credentials.
        detail: Option<String>,
    },
    /// The guard ended, and the algorithm with it.
    #[serde(rename_all = "camelCase")]
    Algorithm {
        /// The algorithm's exit code; absent when a signal ended it or it never started.
        exit_code: Option<i32>,
        /// The signal that ended it.
        signal: Option<i32>,
        /// What the guard itself decided: time, disk, no shell. Absent when the algorithm ended by itself.
        reason: Option<Reason>,
        /// What the isolation from the network rested on; absent when it was not asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        isolation: Option<Isolation>,
        /// The job log as the guard saw it.
        log: LogSummary,
    },
    /// `publish` ended.
    #[serde(rename_all = "camelCase")]
    Publish {
        /// What it stored; absent when it failed.
        published: Option<Published>,
        /// Why it failed.
        reason: Option<Reason>,
        /// For operators: what was wrong, without credentials.
        detail: Option<String>,
    },
}
