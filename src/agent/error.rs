use alloy::primitives::B256;

use crate::fault::Fault;
use crate::ids::AgreementId;
use crate::ledger;
use crate::worker::TickError;

/// What went wrong between ledger, node and key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The ledger failed; its own words say at what.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    /// The URL of a node cannot be used.
    #[error("the URL of a node is not usable: {problem}")]
    Url {
        /// What is wrong; does not repeat the URL, which may hold a key.
        problem: &'static str,
    },
    /// No node answered, or one answered what cannot be.
    #[error("node {node} could not be asked for {method}: {detail}")]
    Node {
        /// Host and port.
        node: String,
        /// The method.
        method: &'static str,
        /// The node's words, or the transport's; without the URL.
        detail: String,
    },
    /// A fact about an agreement cannot be read now.
    #[error("could not read what decides agreement {agreement}")]
    Fact {
        /// The agreement.
        agreement: AgreementId,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The key did not sign.
    #[error("the agent's key did not sign the transaction for agreement {agreement}: {detail}")]
    Unsigned {
        /// The agreement.
        agreement: AgreementId,
        /// What the signer says.
        detail: String,
    },
    /// The bytes that are recorded for a transaction are not of that hash: somebody changed the ledger by hand.
    #[error("the recorded bytes of transaction {hash} have another hash")]
    Altered {
        /// The recorded hash.
        hash: B256,
    },
    /// A step took longer than its lease lasts.
    #[error("the step for agreement {agreement} took too long")]
    OutOfTime {
        /// The agreement.
        agreement: AgreementId,
    },
}

impl Error {
    /// What the error means for the worker that meets it.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Ledger(error) => error.fault(),
            Self::Url { .. } => Fault::Fatal,
            Self::Altered { .. } => Fault::Rejected,
            Self::Node { .. }
            | Self::Fact { .. }
            | Self::Unsigned { .. }
            | Self::OutOfTime { .. } => Fault::Transient,
        }
    }

    /// Whether somebody else has the act now.
    pub(super) fn is_conflict(&self) -> bool {
        matches!(self, Self::Ledger(ledger::Error::Conflict { .. }))
    }
}

impl TickError for Error {
    fn fault(&self) -> Fault {
        self.fault()
    }
}
