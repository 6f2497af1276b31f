use std::io;

use reqwest::StatusCode;

use crate::fault::Fault;
use crate::ids::Did;
use crate::workflows::{Finding, Subject};

/// Why something could not be fetched. No variant shows a URL or a name from one: errors of the client are stripped of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is of a kind that is not followed.
    #[error("its address is not fetched: {0}")]
    Address(&'static str),
    /// It is an `ipfs://` address, and there is no gateway.
    #[error("its address is ipfs://, and no gateway is configured (TIDEWATCH_IPFS_GATEWAY)")]
    NoGateway,
    /// The name belongs to an address that is not connected to.
    #[error("its address is not fetched: the name stands for {0}")]
    Forbidden(&'static str),
    /// Too many redirects.
    #[error("it redirects more than {0} times")]
    Redirects(usize),
    /// It came packed though that was not asked for; a few bytes can unpack to gigabytes.
    #[error("it came compressed, which was not asked for")]
    Compressed,
    /// There is more of it than is read.
    #[error("it is larger than {limit} bytes")]
    TooLarge {
        /// Most bytes that are read.
        limit: usize,
    },
    /// The bytes are not the expected ones.
    #[error("its {algorithm} is {came}, expected is {expected}")]
    Checksum {
        /// Keccak-256 or SHA-256.
        algorithm: &'static str,
        /// Expected, 0x and hexadecimal digits.
        expected: String,
        /// Of what came.
        came: String,
    },
    /// The server answered something other than the document.
    #[error("the server answered {0}")]
    Status(StatusCode),
    /// The server could not be reached, or stopped in the middle.
    #[error("the transfer broke after {read} bytes")]
    Broken {
        /// Bytes that had arrived.
        read: usize,
        /// What the client says.
        source: reqwest::Error,
    },
    /// It took too long in all.
    #[error("it did not arrive within {0} seconds")]
    Slow(u64),
    /// The registry could not be asked.
    #[error("the registry of the image {image} could not be asked: {problem}")]
    Registry {
        /// The image's name.
        image: String,
        /// Why not, in our words.
        problem: String,
    },
    /// The file with certificate authorities cannot be read.
    #[error("cannot read the certificate authorities (TIDEWATCH_CA_FILE)")]
    Authorities(#[source] io::Error),
    /// The client refuses its settings.
    #[error("cannot make the HTTP client for documents")]
    Client(#[source] reqwest::Error),
    /// A decision went on wanting more.
    #[error("nothing was decided after {0} things were found")]
    Endless(usize),
    /// It is in the ledger and nowhere else.
    #[error("the registrations of {did} are in the ledger, not at an address")]
    NotADocument {
        /// The DID.
        did: Did,
    },
}

impl Error {
    /// What the error means: rejected is for good.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Address(_)
            | Self::NoGateway
            | Self::Forbidden(_)
            | Self::Redirects(_)
            | Self::Compressed
            | Self::TooLarge { .. }
            | Self::Checksum { .. }
            | Self::Endless(_)
            | Self::NotADocument { .. } => Fault::Rejected,
            Self::Status(_) | Self::Broken { .. } | Self::Slow(_) | Self::Registry { .. } => {
                Fault::Transient
            }
            Self::Authorities(_) | Self::Client(_) => Fault::Fatal,
        }
    }

    /// What it says about the thing itself, for good; `None`: nothing, it may be had another time.
    pub(super) fn finding(&self, of: Subject) -> Option<Finding> {
        match (self.fault(), self) {
            (Fault::Rejected, Self::TooLarge { .. }) => Some(Finding::TooLarge),
            (Fault::Rejected, _) => Some(Finding::Wrong(format!(
                "The {} cannot be taken: {self}.",
                of.words()
            ))),
            (Fault::Transient | Fault::Fatal, _) => None,
        }
    }
}
