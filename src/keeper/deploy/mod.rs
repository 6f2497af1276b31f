//! Puts the contracts on a chain: 0.12.7 or 0.13.2, bare or behind proxies, and upgrades the one to the other.
//!
//! Everything is decided before the first transaction (`site.rs` creates, `initialise.rs` and `template.rs` set up), since every
//! address follows from the owner's nonce. What was sent before a failure stays on the chain, unused.

mod artifact;
mod initialise;
mod site;
mod template;
mod upgrade;

use std::path::PathBuf;

use alloy::primitives::Address;

use super::account::{Account, Error as AccountError};
use super::deployment::{Contract, Deployment, KeeperVersion};
use crate::fault::Fault;
use initialise::initialise;
use site::Site;
pub use template::{TEMPLATE, approve_template_contract, template_id};
pub use upgrade::{switch, upgrade};

/// What a deployment made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployed {
    /// The contract set, ready to be followed.
    pub deployment: Deployment,
    /// The faucet of the token. It is no part of what is followed.
    pub dispenser: Address,
}

/// What to deploy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blueprint {
    /// Version of the contracts.
    pub version: KeeperVersion,
    /// The directory `artifacts` in the package `@oceanprotocol/keeper-contracts` of that version.
    pub artifacts: PathBuf,
    /// Whether they stand behind proxies, as on the public chains.
    pub proxies: Option<Proxies>,
}

/// How contracts stand behind proxies (`AdminUpgradeabilityProxy`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxies {
    /// Who may replace the contracts' code. It cannot call the contracts, so it is nobody who uses them.
    pub admin: Address,
    /// The directory `build/contracts` in the package `zos-lib` 2.4.3.
    pub artifacts: PathBuf,
}

impl Blueprint {
    /// Contracts at their own addresses.
    pub const fn bare(version: KeeperVersion, artifacts: PathBuf) -> Self {
        Self {
            version,
            artifacts,
            proxies: None,
        }
    }
}

/// The contracts whose code differs between 0.12.7 and 0.13.2.
const UPGRADED: [Contract; 4] = [
    Contract::AgreementStoreManager,
    Contract::ConditionStoreManager,
    Contract::DIDRegistry,
    Contract::TemplateStoreManager,
];

/// Deploys keeper contracts and lets agreements be made: 0.12.7 by its template contract, 0.13.2 directly under a template id.
///
/// `owner` pays, owns the contracts and may mint tokens. A new deployment of 0.13.2 has no template contract: that version accepts
/// only those approved before an upgrade from 0.12.7, so it could not be used.
///
/// All transactions are sent ahead, since every address follows from the owner's nonce (Yellow Paper, section 7): on a slow chain
/// that takes a few blocks rather than one per transaction. Nothing else may send from this key meanwhile.
///
/// # Errors
/// [`Error::Artifact`] before anything is sent; [`Error::Transaction`] names the first step that failed, and what came before it
/// stays on the chain, unused.
pub async fn deploy(owner: &Account, blueprint: &Blueprint) -> Result<Deployed, Error> {
    let nonce = owner.next_nonce().await?;
    let mut site = Site::new(owner.address(), nonce, &blueprint.artifacts);
    let places = site.build(blueprint)?;
    let contracts = places.contracts;
    let mut calls = site.calls;
    calls.extend(initialise(owner.address(), &contracts, places.dispenser));
    let template_ids = match contracts.escrow_compute_execution_template {
        Some(template) => {
            calls.extend(approve_template_contract(&contracts, template));
            Vec::new()
        }
        None => {
            calls.extend(template::approve_template_id(&contracts));
            vec![template_id()]
        }
    };
    let mined = owner.send_all(calls).await?;
    Ok(Deployed {
        deployment: Deployment {
            keeper_version: blueprint.version,
            chain_id: owner.chain_id(),
            start_block: mined.first().map_or(0, |first| first.block.number),
            contracts,
            template_ids,
            implementations: site.implementations,
        },
        dispenser: places.dispenser,
    })
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
    /// Only 0.12.7 can be upgraded.
    #[error("the contracts are of version {version}: only 0.12.7 can be upgraded, to 0.13.2")]
    NotUpgradable {
        /// Their version.
        version: KeeperVersion,
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
            Self::Artifact { .. } | Self::NotUpgradable { .. } => Fault::Fatal,
            Self::Transaction(error) => error.fault(),
        }
    }
}
