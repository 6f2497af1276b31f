use alloy::primitives::B256;
use alloy::transports::TransportError;

use crate::fault::Fault;

/// Why a transaction was not sent, or had no effect.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The 32 bytes are no private key of secp256k1.
    #[error("the private key is not a number that secp256k1 has a key for")]
    Key,
    /// The node did not answer, or refused.
    #[error("could not {what}")]
    Node {
        /// What was attempted.
        what: String,
        /// The node's answer.
        #[source]
        source: TransportError,
    },
    /// The transaction could not be signed.
    #[error("could not {what}: signing failed: {detail}")]
    Unsigned {
        /// What was attempted.
        what: String,
        /// What the signer says.
        detail: String,
    },
    /// Mined without effect.
    #[error("could not {what}: transaction {transaction} was reverted: {reason}")]
    Reverted {
        /// What was attempted.
        what: String,
        /// The transaction.
        transaction: B256,
        /// The contract's reason as the node tells it.
        reason: String,
    },
    /// Not mined in time; it may still be.
    #[error("could not {what}: transaction {transaction} was not mined within two minutes")]
    NotMined {
        /// What was attempted.
        what: String,
        /// The transaction.
        transaction: B256,
    },
    /// The receipt lacks what a mined transaction has.
    #[error("the node's receipt of transaction {transaction} lacks its block or a log's index")]
    Incomplete {
        /// The transaction.
        transaction: B256,
    },
}

impl Error {
    /// A revert will not mend itself; all else may.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Node { .. } | Self::NotMined { .. } | Self::Incomplete { .. } => Fault::Transient,
            Self::Key | Self::Unsigned { .. } | Self::Reverted { .. } => Fault::Rejected,
        }
    }
}

pub(super) fn node(what: &str) -> impl FnOnce(TransportError) -> Error {
    let what = what.to_owned();
    move |source| Error::Node { what, source }
}
