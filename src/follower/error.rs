use std::fmt;

use alloy::primitives::{Address, B256};

use super::following::{BadRule, IrreversibleAt};
use crate::chain;
use crate::fault::Fault;
use crate::ids::BlockRef;
use crate::keeper;
use crate::ledger;
use crate::worker::TickError;

/// Why following stands still or ends.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The provider.
    #[error("could not read the chain")]
    Chain(#[from] chain::Error),
    /// The ledger.
    #[error("could not use the ledger")]
    Ledger(#[from] ledger::Error),
    /// The provider is on another chain than the deployment file names.
    #[error(
        "provider {provider} is on chain {found}, but the deployment file names chain {configured}"
    )]
    WrongChain {
        /// The provider.
        provider: String,
        /// Chain id of the deployment file.
        configured: u64,
        /// Chain id of the provider.
        found: u64,
    },
    /// The chain has the id and the addresses of one that the ledger follows, but another beginning.
    #[error(
        "chain {chain_id} is not the one that this ledger follows under that id: its block 0 is {found:#x}, not {recorded:#x}; \
         it was restarted, or it is another chain: give it a database of its own"
    )]
    Restarted {
        /// Chain id.
        chain_id: u64,
        /// Hash of block 0 in the ledger.
        recorded: B256,
        /// Hash of the provider's block 0.
        found: B256,
    },
    /// The chain begins like the one that the ledger follows, but its start block is another one.
    #[error(
        "chain {chain_id} is not the one that this ledger follows under that id: its block {number} is {found:#x}, not \
         {recorded:#x}; it was restarted, or it is another chain: give it a database of its own"
    )]
    OtherStart {
        /// Chain id.
        chain_id: u64,
        /// The start block's height.
        number: u64,
        /// Its hash in the ledger.
        recorded: B256,
        /// The provider's hash.
        found: B256,
    },
    /// The deployment was begun with another start block.
    #[error(
        "the deployment file says startBlock {configured}, but this ledger follows the deployment from block {recorded} on"
    )]
    StartMoved {
        /// Of the deployment file.
        configured: u64,
        /// Of the ledger.
        recorded: u64,
    },
    /// A followed address without a contract.
    #[error("address {address} of the deployment file has no code on chain {chain_id}")]
    NoCode {
        /// The address.
        address: Address,
        /// Chain id.
        chain_id: u64,
    },
    /// The start block does not exist yet.
    #[error(
        "start block {start} of the deployment file is beyond the newest block {head} of chain {chain_id}"
    )]
    StartBeyondHead {
        /// The start block.
        start: u64,
        /// The newest block.
        head: u64,
        /// Chain id.
        chain_id: u64,
    },
    /// The rule for irreversible blocks differs from the one that was decided when the deployment was begun.
    #[error(
        "blocks were irreversible by the rule {recorded} when this deployment was begun, and that rule cannot become {configured}"
    )]
    RuleMoved {
        /// In force.
        recorded: IrreversibleAt,
        /// Asked for.
        configured: IrreversibleAt,
    },
    /// `finalized` was asked for on a chain that does not know it.
    #[error("chain {chain_id} has no finalized block, so what may never roll back must be a depth")]
    NoFinality {
        /// Chain id.
        chain_id: u64,
    },
    /// A rule in the ledger that this version cannot read.
    #[error("the ledger holds a rule that this version cannot read")]
    UnreadableRule(#[from] BadRule),
    /// A newer program follows more, or another one follows something else.
    #[error(
        "another program follows this deployment with a filter of version {recorded}, ours has version {ours}: run the newer one"
    )]
    OtherFilter {
        /// Version in the ledger.
        recorded: i32,
        /// Our version.
        ours: i32,
    },
    /// The block before the start was replaced although jobs exist.
    #[error(
        "the chain was replaced from before the start block {start} on, and there are jobs already"
    )]
    StartReplaced {
        /// The start block.
        start: u64,
    },
    /// The head is below a block that can never go away.
    #[error(
        "provider {provider} is at block {head}, below the irreversible block {irreversible}: it is behind or damaged"
    )]
    Behind {
        /// The provider.
        provider: String,
        /// Its newest block.
        head: u64,
        /// The irreversible block.
        irreversible: BlockRef,
    },
    /// Answers of one provider that do not fit each other, as while it changes its mind.
    #[error("provider {provider} contradicts itself about block {number}")]
    Torn {
        /// The provider.
        provider: String,
        /// The height in question.
        number: u64,
    },
    /// A second reading that leaves out or alters what the receipts prove to be there.
    #[error(
        "provider {provider} does not give the logs of blocks {from} to {to} as they are: it is pruned, still indexing, or damaged"
    )]
    Omits {
        /// The provider.
        provider: String,
        /// First block of the reading.
        from: u64,
        /// Its last.
        to: u64,
    },
    /// Readings of a block differ, and nobody proves one of them.
    #[error(
        "the logs of block {number} are read differently each time, and no provider proves them by receipts"
    )]
    Disputed {
        /// The height.
        number: u64,
    },
    /// A counter of the contracts says that events are missing, and no provider has them.
    #[error(
        "the contracts count {counted} {counter} at block {at}, the ledger {recorded}: something is missing in blocks {from} to {to}, and no provider gives it{}",
        Unknown(*unknown_at)
    )]
    Uncounted {
        /// The counter.
        counter: &'static str,
        /// What the contract answered.
        counted: u64,
        /// What is recorded, with what was there before the start.
        recorded: u64,
        /// Where it was asked.
        at: u64,
        /// First block in which something can be missing.
        from: u64,
        /// Last such block.
        to: u64,
        /// The block before the start, where nobody could say what the contract counted there.
        unknown_at: Option<u64>,
    },
    /// A contract's counter cannot be read.
    #[error("could not ask the contracts what they count")]
    Counter(#[from] keeper::facts::Error<chain::Error>),
    /// An operator asks for what a halt forbids.
    #[error("the deployment is halted: release it first, with `tidewatch follower release-halt`")]
    Halted,
    /// There is nobody to ask.
    #[error("there is no provider to ask")]
    NoProvider,
}

/// What to do about a count that began with nothing, since nobody could say what was there.
struct Unknown(Option<u64>);

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => Ok(()),
            Some(block) => write!(
                f,
                "; no provider has the state of block {block}, before the start, so what was made up to there seems to be missing as well: name a provider that keeps old state, or take the difference for granted with `tidewatch follower accept-counters`"
            ),
        }
    }
}

impl Error {
    /// What the error means: what only passes is waited for, another chain or configuration ends the process.
    pub fn fault(&self) -> Fault {
        match self {
            // A refusal of the chain parks nothing here: what is asked does not depend on one item.
            Self::Chain(error) => match error.fault() {
                Fault::Fatal => Fault::Fatal,
                Fault::Transient | Fault::Rejected => Fault::Transient,
            },
            Self::Ledger(error) => error.fault(),
            Self::Behind { .. }
            | Self::Torn { .. }
            | Self::Omits { .. }
            | Self::Disputed { .. }
            | Self::Uncounted { .. }
            | Self::Counter(_)
            | Self::Halted
            | Self::NoProvider => Fault::Transient,
            Self::WrongChain { .. }
            | Self::Restarted { .. }
            | Self::OtherStart { .. }
            | Self::StartMoved { .. }
            | Self::NoCode { .. }
            | Self::StartBeyondHead { .. }
            | Self::RuleMoved { .. }
            | Self::NoFinality { .. }
            | Self::UnreadableRule(_)
            | Self::OtherFilter { .. }
            | Self::StartReplaced { .. } => Fault::Fatal,
        }
    }
}

impl TickError for Error {
    fn fault(&self) -> Fault {
        self.fault()
    }
}
