use std::path::{Path, PathBuf};

use alloy::hex;
use alloy::primitives::{Address, B256, Bytes, keccak256};
use alloy::sol_types::SolCall;
use serde::Deserialize;

use super::abi::{
    AgreementStoreManager, ComputeExecutionCondition, ConditionStoreManager, DIDRegistry,
    Dispenser, EscrowReward, LockRewardCondition, OceanToken, TemplateStoreManager,
};
use super::account::{Account, Call, Error as AccountError};
use super::deployment::{Contracts, Deployment, KeeperVersion};
use super::purchase;
use crate::fault::Fault;

/// Name of the compute template that a deployment approves; its id is the name's keccak256, as the contract derives it.
pub const TEMPLATE: &str = "EscrowComputeExecutionTemplate";

/// What a deployment made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployed {
    /// The contract set, ready to be followed.
    pub deployment: Deployment,
    /// The faucet of the token. It is no part of what is followed.
    pub dispenser: Address,
}

/// Deploys keeper contracts 0.13.2 without proxies and approves a compute template for direct agreements.
///
/// `owner` pays, owns the contracts and may mint tokens. `artifacts` is the directory of that name in the package
/// `@oceanprotocol/keeper-contracts` 0.13.2. The template contract is left out: 0.13.2 accepts only those approved before an
/// upgrade from 0.12.7, so on a fresh deployment it could not be used.
///
/// All transactions are sent ahead, since every address follows from the owner's nonce (Yellow Paper, section 7): on a slow chain
/// that takes a few blocks rather than one per transaction. Nothing else may send from this key meanwhile.
///
/// # Errors
/// [`Error::Artifact`] before anything is sent; [`Error::Transaction`] names the first step that failed, and what came before it
/// stays on the chain, unused.
pub async fn deploy(owner: &Account, artifacts: &Path) -> Result<Deployed, Error> {
    let nonce = owner.next_nonce().await?;
    let plan = Plan::new(owner.address(), nonce, artifacts)?;
    let mined = owner.send_all(plan.calls).await?;
    Ok(Deployed {
        deployment: Deployment {
            keeper_version: KeeperVersion::V0_13_2,
            chain_id: owner.chain_id(),
            start_block: mined.first().map_or(0, |first| first.block.number),
            contracts: plan.contracts,
            template_ids: vec![template_id()],
            implementations: Vec::new(),
        },
        dispenser: plan.dispenser,
    })
}

/// Id of the template that [`deploy`] approves.
pub fn template_id() -> B256 {
    keccak256(TEMPLATE)
}

/// The whole deployment, decided before the first transaction.
struct Plan {
    calls: Vec<Call>,
    contracts: Contracts,
    dispenser: Address,
}

impl Plan {
    fn new(owner: Address, nonce: u64, artifacts: &Path) -> Result<Self, Error> {
        let mut site = Site {
            owner,
            nonce,
            artifacts,
            calls: Vec::new(),
        };
        let epochs = site.create("EpochLibrary", None)?;
        let registry_library = site.create("DIDRegistryLibrary", None)?;
        let library = Some(("DIDRegistryLibrary", registry_library));
        let contracts = Contracts {
            did_registry: site.create("DIDRegistry", library)?,
            ocean_token: site.create("OceanToken", None)?,
            template_store_manager: site.create("TemplateStoreManager", None)?,
            condition_store_manager: site
                .create("ConditionStoreManager", Some(("EpochLibrary", epochs)))?,
            agreement_store_manager: site.create("AgreementStoreManager", None)?,
            lock_reward_condition: site.create("LockRewardCondition", None)?,
            escrow_reward: site.create("EscrowReward", None)?,
            compute_execution_condition: site.create("ComputeExecutionCondition", None)?,
            escrow_compute_execution_template: None,
        };
        let dispenser = site.create("Dispenser", None)?;
        let mut calls = site.calls;
        calls.extend(initialise(owner, &contracts, dispenser));
        calls.extend(approve_template(&contracts));
        Ok(Self {
            calls,
            contracts,
            dispenser,
        })
    }
}

/// Creation calls in order, each address following from owner and nonce.
struct Site<'a> {
    owner: Address,
    nonce: u64,
    artifacts: &'a Path,
    calls: Vec<Call>,
}

impl Site<'_> {
    fn create(&mut self, name: &str, library: Option<(&str, Address)>) -> Result<Address, Error> {
        let code = creation_code(self.artifacts, name, library)?;
        let address = self.owner.create(self.nonce);
        self.nonce += 1;
        self.calls
            .push(Call::create(code, format!("create {name}")));
        Ok(address)
    }
}

fn initialise(owner: Address, at: &Contracts, dispenser: Address) -> Vec<Call> {
    let mut calls = initialise_registries(owner, at, dispenser);
    calls.extend(initialise_stores(owner, at));
    calls.extend(initialise_conditions(owner, at));
    calls
}

fn initialising(name: &str, contract: Address, data: &impl SolCall) -> Call {
    Call::to(contract, data.abi_encode(), format!("initialise {name}"))
}

fn initialise_registries(owner: Address, at: &Contracts, dispenser: Address) -> Vec<Call> {
    vec![
        initialising(
            "DIDRegistry",
            at.did_registry,
            &DIDRegistry::initializeCall { _owner: owner },
        ),
        // The owner becomes a minter too, and the token refuses the same account twice: so the faucet is the initial minter.
        initialising(
            "OceanToken",
            at.ocean_token,
            &OceanToken::initializeCall {
                _owner: owner,
                _initialMinter: dispenser,
            },
        ),
        initialising(
            "Dispenser",
            dispenser,
            &Dispenser::initializeCall {
                _oceanTokenAddress: at.ocean_token,
                _owner: owner,
            },
        ),
    ]
}

fn initialise_stores(owner: Address, at: &Contracts) -> Vec<Call> {
    let conditions = at.condition_store_manager;
    let delegate = ConditionStoreManager::delegateCreateRoleCall {
        delegatee: at.agreement_store_manager,
    };
    vec![
        initialising(
            "TemplateStoreManager",
            at.template_store_manager,
            &TemplateStoreManager::initializeCall { _owner: owner },
        ),
        initialising(
            "ConditionStoreManager",
            conditions,
            &ConditionStoreManager::initializeCall { _owner: owner },
        ),
        Call::to(
            conditions,
            delegate.abi_encode(),
            "let AgreementStoreManager create conditions",
        ),
        initialising(
            "AgreementStoreManager",
            at.agreement_store_manager,
            &AgreementStoreManager::initializeCall {
                _owner: owner,
                _conditionStoreManagerAddress: conditions,
                _templateStoreManagerAddress: at.template_store_manager,
                _didRegistryAddress: at.did_registry,
            },
        ),
    ]
}

fn initialise_conditions(owner: Address, at: &Contracts) -> Vec<Call> {
    let conditions = at.condition_store_manager;
    vec![
        initialising(
            "LockRewardCondition",
            at.lock_reward_condition,
            &LockRewardCondition::initializeCall {
                _owner: owner,
                _conditionStoreManagerAddress: conditions,
                _tokenAddress: at.ocean_token,
            },
        ),
        initialising(
            "EscrowReward",
            at.escrow_reward,
            &EscrowReward::initializeCall {
                _owner: owner,
                _conditionStoreManagerAddress: conditions,
                _tokenAddress: at.ocean_token,
            },
        ),
        initialising(
            "ComputeExecutionCondition",
            at.compute_execution_condition,
            &ComputeExecutionCondition::initializeCall {
                _owner: owner,
                _conditionStoreManagerAddress: conditions,
                _agreementStoreManagerAddress: at.agreement_store_manager,
            },
        ),
    ]
}

fn approve_template(at: &Contracts) -> Vec<Call> {
    let store = at.template_store_manager;
    let actor = |name: &str| {
        let data = TemplateStoreManager::registerTemplateActorTypeCall {
            _actorType: name.to_owned(),
        };
        Call::to(
            store,
            data.abi_encode(),
            format!("register the actor type {name}"),
        )
    };
    let condition_types = vec![
        at.compute_execution_condition,
        at.lock_reward_condition,
        at.escrow_reward,
    ];
    vec![
        actor("consumer"),
        actor("provider"),
        purchase::propose_template(at, template_id(), condition_types, TEMPLATE),
        purchase::approve_template(at, template_id()),
    ]
}

#[derive(Deserialize)]
struct Artifact {
    bytecode: String,
}

/// Reads a contract's creation code and links its library: the compiler leaves `__Name` filled with `_` to 40 characters where
/// the library's address belongs (Solidity 0.4 and 0.5 documentation, "Library Linking").
fn creation_code(
    artifacts: &Path,
    name: &str,
    library: Option<(&str, Address)>,
) -> Result<Bytes, Error> {
    let path = artifacts.join(format!("{name}.development.json"));
    let fault = |detail: String| Error::Artifact {
        path: path.clone(),
        detail,
    };
    let text = std::fs::read_to_string(&path).map_err(|error| fault(error.to_string()))?;
    let artifact: Artifact =
        serde_json::from_str(&text).map_err(|error| fault(error.to_string()))?;
    let code = match library {
        Some((library, address)) => artifact.bytecode.replace(
            &format!("{:_<40}", format!("__{library}")),
            &hex::encode(address),
        ),
        None => artifact.bytecode,
    };
    hex::decode(&code)
        .map(Bytes::from)
        .map_err(|error| fault(format!("its bytecode is no hexadecimal number: {error}")))
}

/// Why the contracts were not deployed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A contract's code cannot be had.
    #[error("{} is not a usable contract artifact: {detail}", path.display())]
    Artifact {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// A transaction failed.
    #[error("the keeper contracts could not be deployed")]
    Transaction(
        /// Which, and why.
        #[from]
        AccountError,
    ),
}

impl Error {
    /// What it means for whoever asked.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Artifact { .. } => Fault::Fatal,
            Self::Transaction(error) => error.fault(),
        }
    }
}
