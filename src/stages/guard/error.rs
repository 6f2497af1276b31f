use std::io;
use std::path::{Path, PathBuf};

use crate::jobs::Reason;

/// Why the guard did not run an algorithm, or could not say how it ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line is wrong.
    #[error(
        "{0}; usage: tidewatch-guard run --record DIR --watch DIR… --log-bytes N --seconds N --disk-bytes N [--memory-bytes N] [--read PATH… --write PATH…] [--allow-network] [--network-policy preferred|required --targets FILE] [--development] [--message FILE] -- COMMAND…"
    )]
    Usage(String),
    /// The pod is not closed as it has to be: run without it, the algorithm could undo the guard's own filter.
    #[error("the container {0}; nothing is run in it")]
    Walls(&'static str),
    /// The publisher requires the cluster to deny the network, and that could not be seen.
    #[error(
        "the cluster's denial of the network is required and cannot be seen from this pod: {0}; nothing is run in it"
    )]
    Unproven(String),
    /// The record's directory holds a log already.
    #[error("{} exists: an algorithm ran on this volume before, and none runs twice", .0.display())]
    AlreadyRan(PathBuf),
    /// A file of the record could not be written or read.
    #[error("cannot {verb} {}", .path.display())]
    Record {
        /// What was attempted.
        verb: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The termination message could not be written.
    #[error("cannot write the termination message {}", .path.display())]
    Message {
        /// Where to.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The system-call filter could not be made or applied.
    #[error("cannot apply the system-call filter")]
    Filter(#[from] seccompiler::Error),
    /// The system refused something the guard needs.
    #[error("cannot {verb}")]
    System {
        /// What was attempted.
        verb: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The algorithm's program could not be executed.
    #[error("cannot execute {program}")]
    Start {
        /// The program.
        program: String,
        /// Why not.
        source: io::Error,
    },
}

impl Error {
    pub(super) fn message(path: &Path, source: io::Error) -> Self {
        Self::Message {
            path: path.to_owned(),
            source,
        }
    }

    pub(super) fn record(verb: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Record {
            verb,
            path: path.to_owned(),
            source,
        }
    }

    /// Makes a converter for system errors of one attempt.
    pub(super) fn system<E: Into<io::Error>>(verb: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::System {
            verb,
            source: source.into(),
        }
    }

    /// What the termination message says of it: a pod without its walls is not the one that was asked for.
    pub(super) fn reason(&self) -> Option<Reason> {
        match self {
            Self::Walls(_) => Some(Reason::PodAltered),
            Self::Unproven(_) => Some(Reason::NetworkUnproven),
            Self::Usage(_)
            | Self::AlreadyRan(_)
            | Self::Record { .. }
            | Self::Message { .. }
            | Self::Filter(_)
            | Self::System { .. }
            | Self::Start { .. } => None,
        }
    }
}
