use std::fmt;
use std::str::FromStr;

use alloy::primitives::{Address, B256};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::deployment_file::DeploymentFile;
use crate::fault::Fault;

/// The keeper contract set that is followed: the content of the deployment file (YAML, so JSON too).
///
/// A value of this type has passed the file's checks: every contract but the template is there, no address stands for two
/// contracts, and agreements can be made by the template contract or under a template id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "DeploymentFile", into = "DeploymentFile")]
pub struct Deployment {
    /// Version of the contracts; on a chain that was upgraded, the newer one.
    pub keeper_version: KeeperVersion,
    /// EIP-155 id of the chain.
    pub chain_id: u64,
    /// First block that can hold an event of these contracts.
    pub start_block: u64,
    /// Where the contracts are; of proxied ones, the proxies.
    pub contracts: Contracts,
    /// Template ids under which direct agreements are accepted.
    pub template_ids: Vec<B256>,
    /// Known implementations behind the proxies; empty when nobody listed any.
    pub implementations: Vec<Address>,
}

impl Deployment {
    /// Reads a deployment file and checks all that can be checked without a node.
    ///
    /// # Errors
    /// Names every fault of the file at once, or the place where it is no YAML of the right shape.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let file: DeploymentFile =
            serde_saphyr::from_str(text).map_err(|error| Error::Unreadable {
                detail: error.without_snippet().to_string(),
            })?;
        Self::try_from(file)
    }

    /// Writes the file that [`Deployment::parse`] reads.
    ///
    /// # Errors
    /// Only if the YAML writer fails, which no deployment is known to cause.
    pub fn to_yaml(&self) -> Result<String, Error> {
        serde_saphyr::to_string(self).map_err(|error| Error::Unwritable {
            detail: error.to_string(),
        })
    }

    /// SHA-256 over one line `Name 0xaddress` per contract in the order of [`Contract::ALL`], lower case, absent ones left out.
    ///
    /// It says which contracts are meant, whatever their version: an upgrade behind the proxies leaves it as it is.
    pub fn contracts_hash(&self) -> B256 {
        let mut hasher = Sha256::new();
        for (contract, address) in self.contracts.iter() {
            hasher.update(format!("{contract} {address:#x}\n"));
        }
        B256::from_slice(&hasher.finalize())
    }

    /// Every address to follow, in the order of [`Contract::ALL`].
    ///
    /// The token is among them though no rule reads its transfers: its proxy's `Upgraded` must not be missed, because a payment
    /// is worth no more than the token that says it was made.
    pub fn addresses(&self) -> Vec<Address> {
        self.contracts.iter().map(|(_, address)| address).collect()
    }
}

/// Versions of the keeper contracts that can be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeeperVersion {
    /// Agreements are made by template contracts; the stores emit nothing of their own.
    V0_12_7,
    /// Agreements can be made directly under a template id.
    V0_13_2,
}

impl KeeperVersion {
    /// All of them, oldest first.
    pub const ALL: [Self; 2] = [Self::V0_12_7, Self::V0_13_2];

    /// The version as the package and the deployment file write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V0_12_7 => "0.12.7",
            Self::V0_13_2 => "0.13.2",
        }
    }
}

impl FromStr for KeeperVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|known| known.as_str() == text);
        known.ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(" or ");
            format!("{text:?} is no version that can be followed, it must be {known}")
        })
    }
}

impl fmt::Display for KeeperVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The contracts of a keeper deployment by their published names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the variants are the contracts' own names")]
pub enum Contract {
    AgreementStoreManager,
    ComputeExecutionCondition,
    ConditionStoreManager,
    DIDRegistry,
    EscrowComputeExecutionTemplate,
    EscrowReward,
    LockRewardCondition,
    OceanToken,
    TemplateStoreManager,
}

impl Contract {
    /// All of them, by name.
    pub const ALL: [Self; 9] = [
        Self::AgreementStoreManager,
        Self::ComputeExecutionCondition,
        Self::ConditionStoreManager,
        Self::DIDRegistry,
        Self::EscrowComputeExecutionTemplate,
        Self::EscrowReward,
        Self::LockRewardCondition,
        Self::OceanToken,
        Self::TemplateStoreManager,
    ];

    /// The published name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AgreementStoreManager => "AgreementStoreManager",
            Self::ComputeExecutionCondition => "ComputeExecutionCondition",
            Self::ConditionStoreManager => "ConditionStoreManager",
            Self::DIDRegistry => "DIDRegistry",
            Self::EscrowComputeExecutionTemplate => "EscrowComputeExecutionTemplate",
            Self::EscrowReward => "EscrowReward",
            Self::LockRewardCondition => "LockRewardCondition",
            Self::OceanToken => "OceanToken",
            Self::TemplateStoreManager => "TemplateStoreManager",
        }
    }
}

impl fmt::Display for Contract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Addresses of the contracts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the contracts' own names")]
pub struct Contracts {
    pub agreement_store_manager: Address,
    pub compute_execution_condition: Address,
    pub condition_store_manager: Address,
    pub did_registry: Address,
    /// Absent where agreements are only made directly.
    pub escrow_compute_execution_template: Option<Address>,
    pub escrow_reward: Address,
    pub lock_reward_condition: Address,
    pub ocean_token: Address,
    pub template_store_manager: Address,
}

impl Contracts {
    /// Where a contract is; `None` only for an absent template.
    pub const fn address(&self, contract: Contract) -> Option<Address> {
        Some(match contract {
            Contract::AgreementStoreManager => self.agreement_store_manager,
            Contract::ComputeExecutionCondition => self.compute_execution_condition,
            Contract::ConditionStoreManager => self.condition_store_manager,
            Contract::DIDRegistry => self.did_registry,
            Contract::EscrowComputeExecutionTemplate => {
                return self.escrow_compute_execution_template;
            }
            Contract::EscrowReward => self.escrow_reward,
            Contract::LockRewardCondition => self.lock_reward_condition,
            Contract::OceanToken => self.ocean_token,
            Contract::TemplateStoreManager => self.template_store_manager,
        })
    }

    /// Which contract an address is.
    pub fn at(&self, address: Address) -> Option<Contract> {
        self.iter()
            .find(|(_, its)| *its == address)
            .map(|(contract, _)| contract)
    }

    /// The contracts that are there, in the order of [`Contract::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Contract, Address)> + '_ {
        Contract::ALL
            .into_iter()
            .filter_map(|contract| Some((contract, self.address(contract)?)))
    }
}

/// Why a deployment file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No YAML, or not of the file's shape.
    #[error("the deployment file cannot be read: {detail}")]
    Unreadable {
        /// What the reader says, with line and column.
        detail: String,
    },
    /// The right shape with wrong content.
    #[error("the deployment file is wrong: {}", faults.join("; "))]
    Wrong {
        /// One sentence per fault, each naming its field.
        faults: Vec<String>,
    },
    /// The YAML writer failed.
    #[error("the deployment file cannot be written: {detail}")]
    Unwritable {
        /// What the writer says.
        detail: String,
    },
}

impl Error {
    /// Without a deployment there is nothing to follow.
    pub const fn fault(&self) -> Fault {
        Fault::Fatal
    }
}
