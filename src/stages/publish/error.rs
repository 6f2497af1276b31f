use std::io;
use std::path::PathBuf;

use crate::ids::BadJobName;

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
    /// The results' address is of no known kind, or of one that is for development only.
    #[error("results cannot go to {0}")]
    Destination(String),
    /// An option of the object store cannot be read.
    #[error("cannot read {}", .path.display())]
    Credentials {
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// An option that the object store does not know.
    #[error("{0} is no option of the object store")]
    Option(String),
    /// The object store's client cannot be made.
    #[error("cannot prepare the object store")]
    Store(#[source] object_store::Error),
    /// An object cannot be read or written.
    #[error("cannot {verb} {key}")]
    Object {
        /// What was attempted.
        verb: &'static str,
        /// Which object.
        key: String,
        /// Why not.
        source: object_store::Error,
    },
    /// A result file cannot be read or stored.
    #[error("cannot store a result file as {key}")]
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
    /// The job log cannot be printed.
    #[error("cannot print the job log")]
    Print(#[source] io::Error),
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
