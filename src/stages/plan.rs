use alloy::primitives::B256;
use serde::{Deserialize, Serialize};

use crate::engine::{Isolation, LogSummary, Published};
use crate::ids::{Did, JobName};
use crate::jobs::Reason;
use crate::workflows::{Code, Release};

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
