use std::io;
use std::path::PathBuf;

use crate::ids::BadJobName;
use crate::results;

/// What `publish` could not do. None of it shows a credential.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The plan's file cannot be read.
    #[error("cannot read the plan {}", .path.display())]
    ReadPlan {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The plan is not one.
    #[error("the plan is wrong")]
    Plan(#[source] serde_json::Error),
    /// The plan names no job.
    #[error("the plan is wrong")]
    Job(#[source] BadJobName),
    /// The object store fails, or cannot be prepared.
    #[error(transparent)]
    Results(#[from] results::Error),
    /// A file of the volume cannot be stored.
    #[error("cannot store {key}")]
    Upload {
        /// Under which key.
        key: String,
        /// Why not.
        source: io::Error,
    },
    /// The volume cannot be read as it must be.
    #[error("cannot {verb} {}", .path.display())]
    Volume {
        /// What was attempted.
        verb: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The manifest cannot be written as JSON.
    #[error("cannot make the manifest")]
    Manifest(#[source] serde_json::Error),
    /// Something that is not this attempt's manifest lies where it should be.
    #[error("{key} exists and is not the manifest of this attempt")]
    Foreign {
        /// Its key.
        key: String,
        /// Why it cannot be read as one, if that is the reason.
        source: Option<serde_json::Error>,
    },
    /// The store said that there is a manifest, and then that there is none.
    #[error("{0} exists and cannot be found")]
    Vanished(String),
    /// The job log changed between two readings, although nothing runs any more.
    #[error("the job log changed while it was stored")]
    LogChanged,
}

impl Error {
    pub(super) fn volume<E: Into<io::Error>>(
        verb: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(E) -> Self {
        move |source| Self::Volume {
            verb,
            path: path.into(),
            source: source.into(),
        }
    }
}
