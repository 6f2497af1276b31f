use alloy::primitives::B256;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::Error;
use crate::engine::LogSummary;
use crate::ids::JobName;
use crate::stages::PublishPlan;

/// Most skips that are listed one by one; the others are counted.
const LISTED_SKIPS: usize = 10_000;

/// What an attempt published. Its bytes follow from the plan and the volume alone, so every run makes the same ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// The job.
    pub job: JobName,
    /// The attempt.
    pub attempt: u32,
    /// What was stored, ordered by path.
    pub files: Vec<FileEntry>,
    /// What was found and not stored, ordered by path.
    pub skipped: Vec<SkippedEntry>,
    /// How many more were skipped than are listed.
    pub more_skipped: u64,
    /// The log that the parties may have; nothing is said of one that they may not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub log: Option<LogSummary>,
}

/// A stored result file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileEntry {
    /// Its path under `outputs`; its key is `<job>/<attempt>/outputs/<path>`.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of its bytes.
    pub sha256: B256,
    /// Media type, from its name alone.
    pub media_type: String,
}

/// Something under `outputs` that was not stored.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SkippedEntry {
    /// Its path under `outputs`; where its own name cannot be shown, the path of its directory.
    pub path: String,
    /// Its own name in hexadecimal, where it cannot be shown.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name_hex: Option<String>,
    /// Why.
    pub reason: Skip,
}

/// Why something was not stored. A directory that is skipped is listed once, whatever it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Skip {
    /// It is a symbolic link.
    Link,
    /// It is a device, a pipe or a socket.
    NotAFile,
    /// Its name is not UTF-8, or holds control characters.
    Name,
    /// Its path is too long to be a key.
    PathTooLong,
    /// Its directory is too deep.
    TooDeep,
    /// Its directory, or all of them together, hold too many entries; the rest of it was not looked at.
    TooManyEntries,
    /// As many files as may be published are.
    TooManyFiles,
    /// It does not fit into the bytes that may be published.
    TooManyBytes,
    /// It cannot be opened or read.
    Unreadable,
    /// It changed while it was read.
    Changed,
}

impl Manifest {
    /// A manifest of no files.
    pub(super) fn new(plan: &PublishPlan, log: Option<LogSummary>) -> Self {
        Self {
            job: plan.job.clone(),
            attempt: plan.attempt,
            files: Vec::new(),
            skipped: Vec::new(),
            more_skipped: 0,
            log,
        }
    }

    /// Puts the skips in order and bounds them.
    pub(super) fn skip(&mut self, mut skipped: Vec<SkippedEntry>) {
        skipped.sort();
        self.more_skipped = skipped.len().saturating_sub(LISTED_SKIPS) as u64;
        skipped.truncate(LISTED_SKIPS);
        self.skipped = skipped;
    }

    /// The bytes that are stored: compact JSON in the order of the fields.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        serde_json::to_vec(self).map_err(Error::Manifest)
    }

    /// SHA-256 of the stored bytes.
    pub fn digest(bytes: &[u8]) -> B256 {
        B256::from_slice(&Sha256::digest(bytes))
    }

    /// Reads a stored manifest and sees that it is of the plan's attempt.
    pub(super) fn read(key: &str, bytes: &[u8], plan: &PublishPlan) -> Result<Self, Error> {
        let foreign = |source| Error::Foreign {
            key: key.to_owned(),
            source,
        };
        let manifest: Self = serde_json::from_slice(bytes).map_err(|error| foreign(Some(error)))?;
        if manifest.job == plan.job && manifest.attempt == plan.attempt {
            Ok(manifest)
        } else {
            Err(foreign(None))
        }
    }

    /// Number of stored files.
    pub(super) fn file_count(&self) -> u32 {
        u32::try_from(self.files.len()).unwrap_or(u32::MAX)
    }

    /// Bytes of all stored files.
    pub(super) fn byte_count(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }
}

/// A media type by the name's extension; only such that need no guess (IANA's media types registry).
pub(super) fn media_type(path: &str) -> &'static str {
    let name = path.rsplit('/').next().unwrap_or(path);
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    match extension.map(str::to_ascii_lowercase).as_deref() {
        Some("csv") => "text/csv",
        Some("gz") => "application/gzip",
        Some("html" | "htm") => "text/html",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("json") => "application/json",
        Some("md") => "text/markdown",
        Some("parquet") => "application/vnd.apache.parquet",
        Some("pdf") => "application/pdf",
        Some("png") => "image/png",
        Some("svg") => "image/svg+xml",
        Some("txt" | "log") => "text/plain",
        Some("xml") => "application/xml",
        Some("zip") => "application/zip",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Completeness;
    use crate::workflows::Release;

    fn plan() -> PublishPlan {
        PublishPlan {
            job: "job-000102030405060708090a0b0c0d0e0f".parse().unwrap(),
            attempt: 1,
            results_url: "s3://results".to_owned(),
            results: Release::Raw,
            logs: Release::Raw,
            result_bytes: 100,
            result_files: 10,
            log_bytes: 10,
        }
    }

    fn manifest() -> Manifest {
        let log = LogSummary {
            bytes: 3,
            sha256: B256::repeat_byte(0xaa),
            completeness: Completeness::Complete,
        };
        let mut manifest = Manifest::new(&plan(), Some(log));
        manifest.files.push(FileEntry {
            path: "a/b.csv".to_owned(),
            size: 7,
            sha256: B256::repeat_byte(0xbb),
            media_type: media_type("a/b.csv").to_owned(),
        });
        let skipped = |path: &str, name_hex: Option<&str>, reason| SkippedEntry {
            path: path.to_owned(),
            name_hex: name_hex.map(str::to_owned),
            reason,
        };
        manifest.skip(vec![
            skipped("z", None, Skip::Link),
            skipped("a", Some("ff"), Skip::Name),
        ]);
        manifest
    }

    #[test]
    fn the_bytes_are_fixed() {
        let bytes = manifest().to_bytes().unwrap();
        let expected = format!(
            "{{\"job\":\"job-000102030405060708090a0b0c0d0e0f\",\"attempt\":1,\
             \"files\":[{{\"path\":\"a/b.csv\",\"size\":7,\"sha256\":\"0x{}\",\"mediaType\":\"text/csv\"}}],\
             \"skipped\":[{{\"path\":\"a\",\"nameHex\":\"ff\",\"reason\":\"name\"}},{{\"path\":\"z\",\"reason\":\"link\"}}],\
             \"moreSkipped\":0,\"log\":{{\"bytes\":3,\"sha256\":\"0x{}\",\"completeness\":\"complete\"}}}}",
            "bb".repeat(32),
            "aa".repeat(32)
        );
        assert_eq!(String::from_utf8(bytes.clone()).unwrap(), expected);
        assert_eq!(Manifest::read("k", &bytes, &plan()).unwrap(), manifest());
    }

    #[test]
    fn another_attempt_s_manifest_is_foreign() {
        let bytes = manifest().to_bytes().unwrap();
        let other = PublishPlan {
            attempt: 2,
            ..plan()
        };
        assert!(matches!(
            Manifest::read("k", &bytes, &other),
            Err(Error::Foreign { source: None, .. })
        ));
        assert!(Manifest::read("k", b"{}", &plan()).is_err());
    }

    #[test]
    fn skips_beyond_the_limit_are_counted() {
        let mut manifest = manifest();
        let many = (0..LISTED_SKIPS + 5).map(|number| SkippedEntry {
            path: number.to_string(),
            name_hex: None,
            reason: Skip::Link,
        });
        manifest.skip(many.collect());
        assert_eq!(manifest.skipped.len(), LISTED_SKIPS);
        assert_eq!(manifest.more_skipped, 5);
    }

    #[test]
    fn media_types_follow_the_name() {
        assert_eq!(media_type("a.b/c"), "application/octet-stream");
        assert_eq!(media_type("model.JSON"), "application/json");
        assert_eq!(media_type("x.tar.gz"), "application/gzip");
    }
}
