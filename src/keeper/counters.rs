//! What the contracts count themselves: how many conditions, agreements and assets were ever made. Each makes an event too, so the
//! counters say whether any event is missing, without a second reading of the logs.

use std::fmt;

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::sol_types::{SolCall, SolEvent};

use super::abi::{
    AgreementStoreManager as Agreements, ConditionStoreManager as Conditions,
    DIDRegistry as Registry, EscrowComputeExecutionTemplate as Template, Proxy,
};
use super::deployment::{Deployment, KeeperVersion};
use super::facts::{Asked, ContractCalls, Error};

/// A counter of one of the contracts. All three only grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// `ConditionStoreManager.getConditionListSize`.
    Conditions,
    /// `AgreementStoreManager.getAgreementListSize`.
    Agreements,
    /// `DIDRegistry.getDIDRegistrySize`.
    Dids,
}

/// The events that a counter is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The contract that makes them.
    pub address: Address,
    /// Their first topic.
    pub signature: B256,
    /// Whether only the first event about each thing counts: registering an asset again makes an event and no asset.
    pub firsts_only: bool,
    /// Whether the counter may count what makes no followed event: agreements of 0.12.7, whose store has no events, made by
    /// templates that are not followed.
    pub at_least: bool,
}

impl Counter {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Conditions, Self::Agreements, Self::Dids];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Conditions => "conditions",
            Self::Agreements => "agreements",
            Self::Dids => "dids",
        }
    }

    /// The events that it counts; `None` when no followed event says anything of it.
    pub fn counted(self, deployment: &Deployment) -> Option<Counted> {
        let contracts = &deployment.contracts;
        let exact = |address, signature| Counted {
            address,
            signature,
            firsts_only: false,
            at_least: false,
        };
        match (self, deployment.keeper_version) {
            (Self::Conditions, _) => Some(exact(
                contracts.condition_store_manager,
                Conditions::ConditionCreated::SIGNATURE_HASH,
            )),
            (Self::Agreements, KeeperVersion::V0_13_2) => Some(exact(
                contracts.agreement_store_manager,
                Agreements::AgreementCreated::SIGNATURE_HASH,
            )),
            (Self::Agreements, KeeperVersion::V0_12_7) => {
                let template = contracts.escrow_compute_execution_template?;
                Some(Counted {
                    at_least: true,
                    ..exact(template, Template::AgreementCreated::SIGNATURE_HASH)
                })
            }
            (Self::Dids, _) => Some(Counted {
                firsts_only: true,
                ..exact(
                    contracts.did_registry,
                    Registry::DIDAttributeRegistered::SIGNATURE_HASH,
                )
            }),
        }
    }

    /// The upgrade after which the counted events began, if there was one: the store of agreements has events from 0.13 on only.
    pub fn began_with(self, deployment: &Deployment) -> Option<(Address, B256)> {
        let store = deployment.contracts.agreement_store_manager;
        (self == Self::Agreements).then_some((store, Proxy::Upgraded::SIGNATURE_HASH))
    }

    /// Its value after block `at`; `None` where the contract has no code yet.
    ///
    /// # Errors
    /// As every fact: the node does not answer, or has that block's state no more.
    pub async fn ask<C: ContractCalls>(
        self,
        calls: &C,
        deployment: &Deployment,
        at: u64,
    ) -> Result<Option<u64>, Error<C::Error>> {
        let contracts = &deployment.contracts;
        let (contract, data): (Address, Bytes) = match self {
            Self::Conditions => (
                contracts.condition_store_manager,
                Conditions::getConditionListSizeCall {}.abi_encode().into(),
            ),
            Self::Agreements => (
                contracts.agreement_store_manager,
                Agreements::getAgreementListSizeCall {}.abi_encode().into(),
            ),
            Self::Dids => (
                contracts.did_registry,
                Registry::getDIDRegistrySizeCall {}.abi_encode().into(),
            ),
        };
        let asked = Asked::new(format!("how many {self} there are"), Some(at));
        let answer = match calls.call(contract, data, Some(at)).await {
            Ok(answer) => answer,
            Err(source) => return Err(Error::Unavailable { asked, source }),
        };
        if answer.is_empty() {
            return Ok(None);
        }
        let number = U256::try_from_be_slice(&answer).and_then(|number| u64::try_from(number).ok());
        number.map(Some).ok_or_else(|| Error::Unexpected {
            asked,
            contract,
            detail: format!("{answer} is not a number of that size"),
        })
    }
}

impl fmt::Display for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
