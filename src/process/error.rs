use std::io;
use std::path::{Path, PathBuf};

use crate::engine::EngineError;
use crate::fault::Fault;
use crate::results;
use crate::stages::PlanError;
use crate::worker::TickError;

/// Why the engine could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused something.
    #[error("could not {verb} {}", .path.display())]
    File {
        /// What was attempted.
        verb: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// What was written down of a workflow cannot be read, or has no form.
    #[error("the state in {} cannot be used", .path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// Run by root, the algorithms get users of their own, and those could not reach their files.
    #[error(
        "{} is closed to others, so the users that jobs run as could not reach their directories: open it (chmod o+x), or set TIDEWATCH_PROCESS_DIR to another place", .0.display()
    )]
    Closed(PathBuf),
    /// The specification cannot be followed.
    #[error("the plan of {job} cannot be made")]
    Plan {
        /// The job.
        job: String,
        /// Why not.
        source: PlanError,
    },
    /// An attempt was asked for that does not follow the last one.
    #[error("attempt {asked} of {job} was asked for after attempt {last}")]
    AttemptOutOfOrder {
        /// The job.
        job: String,
        /// The attempt asked for.
        asked: u32,
        /// The last attempt.
        last: u32,
    },
    /// The store that the records of logs lie in fails.
    #[error(transparent)]
    Results(#[from] results::Error),
    /// The record of a log was asked for where nobody said how to come by it.
    #[error(
        "this process was not told how to read the results store, where the records of logs lie"
    )]
    NoRecords,
    /// The work was cut off, by a panic or by the end of the process.
    #[error("the work was cut off")]
    CutOff(#[source] tokio::task::JoinError),
}

impl Error {
    /// Makes a converter for errors of one attempt on one file.
    pub(super) fn file<E: Into<io::Error>>(
        verb: &'static str,
        path: &Path,
    ) -> impl FnOnce(E) -> Self {
        move |source| Self::File {
            verb,
            path: path.to_owned(),
            source: source.into(),
        }
    }

    /// The same for what is in the file.
    pub(super) fn state(path: &Path) -> impl FnOnce(serde_json::Error) -> Self {
        move |source| Self::State {
            path: path.to_owned(),
            source,
        }
    }

    /// What the error means for the worker that meets it.
    pub fn fault(&self) -> Fault {
        match self {
            Self::File { .. } | Self::CutOff(_) => Fault::Transient,
            Self::State { .. } | Self::Plan { .. } | Self::AttemptOutOfOrder { .. } => {
                Fault::Rejected
            }
            Self::Closed(_) | Self::NoRecords => Fault::Fatal,
            Self::Results(error) => error.fault(),
        }
    }
}

impl EngineError for Error {
    fn fault(&self) -> Fault {
        self.fault()
    }
}

impl TickError for Error {
    fn fault(&self) -> Fault {
        self.fault()
    }
}
