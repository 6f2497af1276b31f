use std::io;
use std::path::PathBuf;

use crate::fault::Fault;

/// What could not be done with an object store. None of it shows a credential.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is of no known kind, or of one that is for development only.
    #[error("{0} is no address of an object store")]
    Address(String),
    /// An option, or the certificate authorities, cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// An option that the object store does not know.
    #[error("{0} is no option of the object store")]
    Option(String),
    /// The directory of a `file:` address cannot be made.
    #[error("cannot make {}", .path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The object store's client cannot be made.
    #[error("cannot prepare the object store")]
    Client(#[source] object_store::Error),
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
}

impl Error {
    /// What the error means for whoever asked: a store that does not answer may answer later, a wrong address or option never works.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Address(_) | Self::Option(_) | Self::Client(_) => Fault::Fatal,
            Self::Read { .. } | Self::Directory { .. } | Self::Object { .. } => Fault::Transient,
        }
    }
}
