use std::io;
use std::path::PathBuf;

use super::fetch;
use crate::jobs::Reason;

/// Exit codes: the status codes that OEP-12's clients know for these failures.
pub(super) const DATA: u8 = 31;
const ALGORITHM: u8 = 32;
const DISK: u8 = 42;

/// What `configure` could not do. None of it shows a URL.
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
    /// The plan is not one. Its content is not shown, it is secret.
    #[error("the plan {} is wrong at line {line}, column {column}", .path.display())]
    Plan {
        /// The file.
        path: PathBuf,
        /// Where.
        line: usize,
        /// Where in the line.
        column: usize,
    },
    /// The HTTP client cannot be made.
    #[error("cannot prepare fetching")]
    Client(#[source] fetch::Error),
    /// A directory, or the asset's description, cannot be made.
    #[error("cannot {verb} {}", .path.display())]
    Layout {
        /// What was attempted.
        verb: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// An input cannot be had.
    #[error("input {index}")]
    Input {
        /// The input's number.
        index: u32,
        /// What is wrong with it.
        source: fetch::Error,
    },
    /// The algorithm's code does not fit beside the inputs.
    #[error("the algorithm's {size} bytes do not fit into the {left} bytes that the inputs left")]
    AlgorithmTooLarge {
        /// Bytes of code.
        size: u64,
        /// Bytes that are left.
        left: u64,
    },
    /// The algorithm's code cannot be written.
    #[error("cannot write the algorithm")]
    Algorithm(#[source] io::Error),
}

impl Error {
    /// What the job's row says of it.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Input {
                source: fetch::Error::TooLarge { .. },
                ..
            }
            | Self::AlgorithmTooLarge { .. } => Reason::DiskExceeded,
            Self::Input {
                source: fetch::Error::Write(source),
                ..
            }
            | Self::Layout { source, .. }
            | Self::Algorithm(source)
                if is_full(source) =>
            {
                Reason::DiskExceeded
            }
            Self::Algorithm(_) => Reason::AlgorithmProvisioningFailed,
            Self::ReadPlan { .. }
            | Self::Plan { .. }
            | Self::Client(_)
            | Self::Layout { .. }
            | Self::Input { .. } => Reason::DataProvisioningFailed,
        }
    }

    pub(super) fn exit_code(&self) -> u8 {
        match self.reason() {
            Reason::DiskExceeded => DISK,
            Reason::AlgorithmProvisioningFailed => ALGORITHM,
            _ => DATA,
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}
