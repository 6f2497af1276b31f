use std::path::Path;

use alloy::primitives::{Address, Bytes};
use alloy::sol_types::SolValue;

use super::artifact::creation_code;
use super::{Blueprint, Error, Proxies};
use crate::keeper::account::Call;
use crate::keeper::deployment::{Contract, Contracts, KeeperVersion};

/// Creation calls in order, each address following from owner and nonce (Yellow Paper, section 7).
pub(super) struct Site<'a> {
    owner: Address,
    nonce: u64,
    artifacts: &'a Path,
    /// What to send, in order.
    pub(super) calls: Vec<Call>,
    /// What stands behind proxies.
    pub(super) implementations: Vec<Address>,
}

/// Where everything will be.
pub(super) struct Places {
    pub(super) contracts: Contracts,
    pub(super) dispenser: Address,
}

impl<'a> Site<'a> {
    pub(super) const fn new(owner: Address, nonce: u64, artifacts: &'a Path) -> Self {
        Self {
            owner,
            nonce,
            artifacts,
            calls: Vec::new(),
            implementations: Vec::new(),
        }
    }

    /// Creates every contract of the blueprint.
    pub(super) fn build(&mut self, blueprint: &Blueprint) -> Result<Places, Error> {
        let libraries = self.libraries()?;
        let proxies = blueprint.proxies.as_ref();
        let mut place = |contract: Contract| -> Result<Address, Error> {
            let library = libraries.of(contract);
            let at = self.create(contract.as_str(), library)?;
            self.behind_proxy(contract.as_str(), at, proxies)
        };
        let contracts = Contracts {
            did_registry: place(Contract::DIDRegistry)?,
            ocean_token: place(Contract::OceanToken)?,
            template_store_manager: place(Contract::TemplateStoreManager)?,
            condition_store_manager: place(Contract::ConditionStoreManager)?,
            agreement_store_manager: place(Contract::AgreementStoreManager)?,
            lock_reward_condition: place(Contract::LockRewardCondition)?,
            escrow_reward: place(Contract::EscrowReward)?,
            compute_execution_condition: place(Contract::ComputeExecutionCondition)?,
            escrow_compute_execution_template: match blueprint.version {
                KeeperVersion::V0_12_7 => Some(place(Contract::EscrowComputeExecutionTemplate)?),
                KeeperVersion::V0_13_2 => None,
            },
        };
        let dispenser = self.create("Dispenser", None)?;
        let dispenser = self.behind_proxy("Dispenser", dispenser, proxies)?;
        Ok(Places {
            contracts,
            dispenser,
        })
    }

    /// The libraries that some contracts are linked with.
    pub(super) fn libraries(&mut self) -> Result<Libraries, Error> {
        Ok(Libraries {
            epochs: self.create("EpochLibrary", None)?,
            registry: self.create("DIDRegistryLibrary", None)?,
        })
    }

    /// Creates a contract by its published name.
    pub(super) fn create(
        &mut self,
        name: &str,
        library: Option<(&str, Address)>,
    ) -> Result<Address, Error> {
        let path = self.artifacts.join(format!("{name}.development.json"));
        let code = creation_code(path, library)?;
        Ok(self.push(code, name))
    }

    /// Where people call a contract: at a new proxy, if there are to be any.
    fn behind_proxy(
        &mut self,
        name: &str,
        implementation: Address,
        proxies: Option<&Proxies>,
    ) -> Result<Address, Error> {
        let Some(proxies) = proxies else {
            return Ok(implementation);
        };
        let path = proxies.artifacts.join("AdminUpgradeabilityProxy.json");
        let mut code = creation_code(path, None)?.to_vec();
        // The last argument would be called at once; the owner initialises it as it does without a proxy.
        code.extend((implementation, proxies.admin, Bytes::new()).abi_encode_params());
        self.implementations.push(implementation);
        Ok(self.push(code.into(), &format!("a proxy of {name}")))
    }

    fn push(&mut self, code: Bytes, name: &str) -> Address {
        let address = self.owner.create(self.nonce);
        self.nonce += 1;
        self.calls
            .push(Call::create(code, format!("create {name}")));
        address
    }
}

/// Where the libraries are.
#[derive(Clone, Copy)]
pub(super) struct Libraries {
    epochs: Address,
    registry: Address,
}

impl Libraries {
    /// What a contract is linked with, by the library's name.
    pub(super) const fn of(self, contract: Contract) -> Option<(&'static str, Address)> {
        match contract {
            Contract::ConditionStoreManager => Some(("EpochLibrary", self.epochs)),
            Contract::DIDRegistry => Some(("DIDRegistryLibrary", self.registry)),
            Contract::AgreementStoreManager
            | Contract::ComputeExecutionCondition
            | Contract::EscrowComputeExecutionTemplate
            | Contract::EscrowReward
            | Contract::LockRewardCondition
            | Contract::OceanToken
            | Contract::TemplateStoreManager => None,
        }
    }
}
