//! The manifest of a job's results: what publishing stored last and the ledger has the hash of, and how people are shown it.

use alloy::primitives::B256;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::attachment::encoded_path;
use super::notation::hash;
use crate::ids::JobName;

/// A stored manifest, as far as it is needed here.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    /// The attempt.
    pub(super) attempt: u32,
    /// What was stored, ordered by path.
    pub(super) files: Vec<StoredFile>,
    /// What was found and not stored.
    skipped: Vec<Skipped>,
    /// How many more were skipped than are listed.
    more_skipped: u64,
}

/// A stored file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StoredFile {
    /// Its path under the algorithm's outputs.
    pub(super) path: String,
    /// Bytes.
    pub(super) size: u64,
    /// SHA-256 of them.
    pub(super) sha256: B256,
    /// Media type, by its name.
    pub(super) media_type: String,
}

/// Something that was not stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Skipped {
    /// Its path; where its own name cannot be shown, that of its directory.
    path: String,
    /// Its own name in hexadecimal, where it cannot be shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name_hex: Option<String>,
    /// Why, as a code.
    reason: String,
}

/// A job's results.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ManifestShown {
    /// The job.
    job: String,
    /// The attempt that made them.
    attempt: u32,
    /// The files, ordered by path.
    files: Vec<FileShown>,
    /// What the algorithm left and was not published, with the reason.
    skipped: Vec<Skipped>,
    /// How many more were left out than are listed.
    more_skipped: u64,
}

/// A result file.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct FileShown {
    /// Its path under the algorithm's outputs. The algorithm chose it: text, never markup.
    path: String,
    /// Bytes.
    size: u64,
    /// SHA-256 of them.
    sha256: String,
    /// Media type, by its name.
    media_type: String,
    /// Where to get it, below this API's origin.
    url: String,
}

impl ManifestShown {
    /// A manifest as people are shown it.
    pub(super) fn new(job: &JobName, manifest: Manifest) -> Self {
        let shown = |file: StoredFile| FileShown {
            url: format!("/v1/jobs/{job}/results/{}", encoded_path(&file.path)),
            path: file.path,
            size: file.size,
            sha256: hash(file.sha256),
            media_type: file.media_type,
        };
        Self {
            job: job.to_string(),
            attempt: manifest.attempt,
            files: manifest.files.into_iter().map(shown).collect(),
            skipped: manifest.skipped,
            more_skipped: manifest.more_skipped,
        }
    }
}
