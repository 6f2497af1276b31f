//! Reads what events do not carry: the template and the windows of directly created agreements, and who owns an asset.
//!
//! An agreement's and a condition's fixed parts are set at creation, so any later block serves and no archive node is needed.
//! Nothing here decides: what cannot be read is an error, and the caller's verdict stays undecided.

use std::future::Future;

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::sol_types::SolCall;
use serde::{Deserialize, Serialize};

use super::abi::{AgreementStoreManager, ConditionStoreManager, DIDRegistry, TemplateStoreManager};
use super::deployment::Contracts;
use crate::fault::Fault;
use crate::ids::{AgreementId, BlockRef, ConditionId, Did};

/// The port through which facts are read: one `eth_call`, without a sender.
pub trait ContractCalls: Send + Sync {
    /// The adapter's error. An answer of no bytes is not an error.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Calls `to` with `data` on the state after block `at`; `None` is the newest block that the node knows.
    fn call(
        &self,
        to: Address,
        data: Bytes,
        at: Option<u64>,
    ) -> impl Future<Output = Result<Bytes, Self::Error>> + Send;

    /// The same on the state after exactly this block. An adapter that can should ask by the block's hash: a node on another fork
    /// must answer with an error then, not with the state of another block of that height.
    fn call_at(
        &self,
        to: Address,
        data: Bytes,
        block: BlockRef,
    ) -> impl Future<Output = Result<Bytes, Self::Error>> + Send {
        self.call(to, data, Some(block.number))
    }
}

/// On which state a fact is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// After the newest block that the node knows.
    Newest,
    /// After the block of that height.
    Number(u64),
    /// After this very block.
    Block(BlockRef),
}

impl From<Option<u64>> for At {
    fn from(number: Option<u64>) -> Self {
        number.map_or(Self::Newest, Self::Number)
    }
}

impl From<BlockRef> for At {
    fn from(block: BlockRef) -> Self {
        Self::Block(block)
    }
}

/// An agreement as `AgreementStoreManager.getAgreement` answers it. All of it is fixed at creation but the two last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgreementFact {
    /// The asset.
    pub did: Did,
    /// Who owned the asset when it was read.
    pub did_owner: Address,
    /// The template id it was made under. Zero when 0.13.2 reads an agreement that a template contract made; 0.12.7 answers
    /// that contract's address here, in the low 20 bytes.
    pub template_id: B256,
    /// Its conditions in the template's order.
    pub conditions: Vec<ConditionId>,
    /// Who made it: the template contract, or the account that made it directly.
    pub last_updated_by: Address,
    /// The block it was made in.
    pub block_number_updated: U256,
}

/// A condition as `ConditionStoreManager.getCondition` answers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConditionFact {
    /// The contract that may fulfil it.
    pub type_ref: Address,
    /// 1 unfulfilled, 2 fulfilled, 3 aborted, as of the block that was read.
    pub state: u8,
    /// Blocks after its creation before which it cannot be fulfilled. Its maker's free choice, so possibly huge.
    pub time_lock: U256,
    /// Blocks after its creation after which it can no longer be fulfilled; 0 never ends. Its maker's free choice.
    pub time_out: U256,
    /// The block it was made in.
    pub block_number: U256,
    /// Who changed it last.
    pub last_updated_by: Address,
    /// When, as a block number.
    pub block_number_updated: U256,
}

/// Reads facts of one contract set through one port.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a, C> {
    calls: &'a C,
    contracts: &'a Contracts,
}

impl<'a, C: ContractCalls> Facts<'a, C> {
    /// Reads from `contracts` through `calls`.
    pub const fn new(calls: &'a C, contracts: &'a Contracts) -> Self {
        Self { calls, contracts }
    }

    /// An agreement; `None` when there is none of that id at the block.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn agreement(
        &self,
        id: AgreementId,
        at: impl Into<At>,
    ) -> Result<Option<AgreementFact>, Error<C::Error>> {
        let call = AgreementStoreManager::getAgreementCall { _id: id.0 };
        let asked = Asked::new(format!("agreement {id}"), at);
        let its = self
            .ask(self.contracts.agreement_store_manager, call, asked)
            .await?;
        if its.blockNumberUpdated.is_zero() {
            return Ok(None);
        }
        Ok(Some(AgreementFact {
            did: its.did.into(),
            did_owner: its.didOwner,
            template_id: its.templateId,
            conditions: its.conditionIds.into_iter().map(ConditionId).collect(),
            last_updated_by: its.lastUpdatedBy,
            block_number_updated: its.blockNumberUpdated,
        }))
    }

    /// A condition; `None` when there is none of that id at the block.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn condition(
        &self,
        id: ConditionId,
        at: impl Into<At>,
    ) -> Result<Option<ConditionFact>, Error<C::Error>> {
        let call = ConditionStoreManager::getConditionCall { _id: id.0 };
        let asked = Asked::new(format!("condition {id}"), at);
        let its = self
            .ask(self.contracts.condition_store_manager, call, asked)
            .await?;
        if its.state == 0 {
            return Ok(None);
        }
        Ok(Some(ConditionFact {
            type_ref: its.typeRef,
            state: its.state,
            time_lock: its.timeLock,
            time_out: its.timeOut,
            block_number: its.blockNumber,
            last_updated_by: its.lastUpdatedBy,
            block_number_updated: its.blockNumberUpdated,
        }))
    }

    /// Who owns an asset at the block; `None` when nobody has registered it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn did_owner(
        &self,
        did: Did,
        at: impl Into<At>,
    ) -> Result<Option<Address>, Error<C::Error>> {
        let call = DIDRegistry::getDIDOwnerCall { _did: did.0 };
        let asked = Asked::new(format!("the owner of {did}"), at);
        let owner = self.ask(self.contracts.did_registry, call, asked).await?;
        Ok((!owner.is_zero()).then_some(owner))
    }

    /// Whether an account is a provider of an asset at the block. Providers cannot be told from events: registering an asset
    /// again replaces their list silently. Its owner need not be one.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn is_did_provider(
        &self,
        did: Did,
        account: Address,
        at: impl Into<At>,
    ) -> Result<bool, Error<C::Error>> {
        let call = DIDRegistry::isDIDProviderCall {
            _did: did.0,
            _provider: account,
        };
        let asked = Asked::new(format!("whether {account} is a provider of {did}"), at);
        self.ask(self.contracts.did_registry, call, asked).await
    }

    /// Whether a template id is approved at the block. 0.13.2 only.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn is_template_approved(
        &self,
        template: B256,
        at: impl Into<At>,
    ) -> Result<bool, Error<C::Error>> {
        let call = TemplateStoreManager::isTemplateIdApprovedCall { _id: template };
        let asked = Asked::new(format!("whether template {template} is approved"), at);
        self.ask(self.contracts.template_store_manager, call, asked)
            .await
    }

    async fn ask<F: SolCall>(
        &self,
        contract: Address,
        function: F,
        asked: Asked,
    ) -> Result<F::Return, Error<C::Error>> {
        let data = function.abi_encode().into();
        let answer = match asked.at {
            At::Newest => self.calls.call(contract, data, None).await,
            At::Number(number) => self.calls.call(contract, data, Some(number)).await,
            At::Block(block) => self.calls.call_at(contract, data, block).await,
        };
        let bytes = match answer {
            Ok(bytes) => bytes,
            Err(source) => return Err(Error::Unavailable { asked, source }),
        };
        F::abi_decode_returns(&bytes).map_err(|error| Error::Unexpected {
            asked,
            contract,
            detail: error.to_string(),
        })
    }
}

/// What was asked, for sentences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    what: String,
    at: At,
}

impl Asked {
    pub(super) fn new(what: String, at: impl Into<At>) -> Self {
        Self {
            what,
            at: at.into(),
        }
    }
}

impl std::fmt::Display for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.at {
            At::Number(block) => write!(f, "{} at block {block}", self.what),
            At::Block(block) => write!(f, "{} at block {block}", self.what),
            At::Newest => write!(f, "{} at the newest block", self.what),
        }
    }
}

/// Why a fact could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error<E: std::error::Error + 'static> {
    /// The node did not answer, refused, or no longer has that block's state.
    #[error("could not read {asked}")]
    Unavailable {
        /// What was asked.
        asked: Asked,
        /// The port's error.
        #[source]
        source: E,
    },
    /// The answer is not what the contract's ABI says; no bytes at all mean that there was no code at that block.
    #[error("could not read {asked}: the answer of {contract} is not of its form: {detail}")]
    Unexpected {
        /// What was asked.
        asked: Asked,
        /// Who was asked.
        contract: Address,
        /// What does not fit.
        detail: String,
    },
}

impl<E: std::error::Error + 'static> Error<E> {
    /// Not to see a fact is never a verdict: a node that lacks a state now may have it later, or another one has.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Unavailable { .. } | Self::Unexpected { .. } => Fault::Transient,
        }
    }
}
