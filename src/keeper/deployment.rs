use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use alloy::primitives::{Address, B256};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeeperVersion {
    /// Agreements are made by template contracts; the stores emit nothing of their own.
    #[serde(rename = "0.12.7")]
    V0_12_7,
    /// Agreements can be made directly under a template id.
    #[serde(rename = "0.13.2")]
    V0_13_2,
}

impl KeeperVersion {
    /// The version as the package and the deployment file write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V0_12_7 => "0.12.7",
            Self::V0_13_2 => "0.13.2",
        }
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

/// The file as it is written, before its checks. Addresses are text here, so that a fault can name its field.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DeploymentFile {
    #[serde(default = "schema_version")]
    schema_version: u64,
    chain_id: u64,
    keeper_version: KeeperVersion,
    start_block: u64,
    contracts: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    template_ids: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    implementations: Vec<String>,
}

/// The only version of the file so far; also what an absent one means.
const fn schema_version() -> u64 {
    1
}

impl From<Deployment> for DeploymentFile {
    fn from(deployment: Deployment) -> Self {
        Self {
            schema_version: schema_version(),
            chain_id: deployment.chain_id,
            keeper_version: deployment.keeper_version,
            start_block: deployment.start_block,
            contracts: deployment
                .contracts
                .iter()
                .map(|(contract, address)| (contract.to_string(), address.to_string()))
                .collect(),
            template_ids: deployment
                .template_ids
                .iter()
                .map(B256::to_string)
                .collect(),
            implementations: deployment
                .implementations
                .iter()
                .map(Address::to_string)
                .collect(),
        }
    }
}

impl TryFrom<DeploymentFile> for Deployment {
    type Error = Error;

    fn try_from(file: DeploymentFile) -> Result<Self, Error> {
        let mut check = Check { faults: Vec::new() };
        check.versions(&file);
        let contracts = check.contracts(&file.contracts);
        let template_ids = check.list(
            "templateIds",
            &file.template_ids,
            "0x and 64 hexadecimal digits",
        );
        let implementations = check.list("implementations", &file.implementations, AN_ADDRESS);
        let template = Contract::EscrowComputeExecutionTemplate;
        if file.template_ids.is_empty() && !file.contracts.contains_key(template.as_str()) {
            check.faults.push(format!(
                "contracts.{template} and templateIds are both absent: one of them must say which agreements count"
            ));
        }
        match contracts {
            Some(contracts) if check.faults.is_empty() => Ok(Self {
                keeper_version: file.keeper_version,
                chain_id: file.chain_id,
                start_block: file.start_block,
                contracts,
                template_ids,
                implementations,
            }),
            _ => Err(Error::Wrong {
                faults: check.faults,
            }),
        }
    }
}

/// What an address looks like, for sentences.
const AN_ADDRESS: &str = "an address: 0x and 40 hexadecimal digits";

/// Collects the faults of a file, so that all are told at once.
struct Check {
    faults: Vec<String>,
}

impl Check {
    fn versions(&mut self, file: &DeploymentFile) {
        if file.schema_version != schema_version() {
            self.faults.push(format!(
                "schemaVersion is {}, this program reads {}",
                file.schema_version,
                schema_version()
            ));
        }
        if file.chain_id == 0 {
            self.faults
                .push("chainId is 0, it must be the chain's EIP-155 id".to_owned());
        }
    }

    fn contracts(&mut self, named: &BTreeMap<String, String>) -> Option<Contracts> {
        for name in named.keys() {
            if !Contract::ALL.iter().any(|known| known.as_str() == name) {
                let known = Contract::ALL.map(Contract::as_str).join(", ");
                self.faults
                    .push(format!("contracts.{name} is unknown, known are {known}"));
            }
        }
        let mut seen = BTreeSet::new();
        let mut found = BTreeMap::new();
        for contract in Contract::ALL {
            let Some(text) = named.get(contract.as_str()) else {
                if contract != Contract::EscrowComputeExecutionTemplate {
                    self.faults.push(format!("contracts.{contract} is missing"));
                }
                continue;
            };
            let field = format!("contracts.{contract}");
            if let Some(address) = self.parsed::<Address>(&field, text, AN_ADDRESS) {
                if address.is_zero() || !seen.insert(address) {
                    self.faults.push(format!(
                        "{field} is {address}, which is no contract of its own"
                    ));
                }
                found.insert(contract, address);
            }
        }
        let get = |contract| found.get(&contract).copied();
        Some(Contracts {
            agreement_store_manager: get(Contract::AgreementStoreManager)?,
            compute_execution_condition: get(Contract::ComputeExecutionCondition)?,
            condition_store_manager: get(Contract::ConditionStoreManager)?,
            did_registry: get(Contract::DIDRegistry)?,
            escrow_compute_execution_template: get(Contract::EscrowComputeExecutionTemplate),
            escrow_reward: get(Contract::EscrowReward)?,
            lock_reward_condition: get(Contract::LockRewardCondition)?,
            ocean_token: get(Contract::OceanToken)?,
            template_store_manager: get(Contract::TemplateStoreManager)?,
        })
    }

    fn list<T: FromStr>(&mut self, field: &str, texts: &[String], what: &str) -> Vec<T> {
        texts
            .iter()
            .enumerate()
            .filter_map(|(index, text)| self.parsed(&format!("{field}[{index}]"), text, what))
            .collect()
    }

    fn parsed<T: FromStr>(&mut self, field: &str, text: &str, what: &str) -> Option<T> {
        let parsed = text.strip_prefix("0x").and_then(|_| text.parse().ok());
        if parsed.is_none() {
            self.faults.push(format!("{field} is {text:?}, not {what}"));
        }
        parsed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Deployment {
        Deployment {
            keeper_version: KeeperVersion::V0_13_2,
            chain_id: 8996,
            start_block: 1,
            contracts: Contracts {
                agreement_store_manager: Address::repeat_byte(1),
                compute_execution_condition: Address::repeat_byte(2),
                condition_store_manager: Address::repeat_byte(3),
                did_registry: Address::repeat_byte(4),
                escrow_compute_execution_template: Some(Address::repeat_byte(5)),
                escrow_reward: Address::repeat_byte(6),
                lock_reward_condition: Address::repeat_byte(7),
                ocean_token: Address::repeat_byte(8),
                template_store_manager: Address::repeat_byte(9),
            },
            template_ids: vec![B256::repeat_byte(0xaa)],
            implementations: Vec::new(),
        }
    }

    #[test]
    fn what_is_written_reads_back_as_yaml_and_as_json() {
        let deployment = example();
        let yaml = deployment.to_yaml().unwrap();
        assert_eq!(Deployment::parse(&yaml).unwrap(), deployment, "{yaml}");
        let json = serde_json::to_string(&deployment).unwrap();
        assert_eq!(Deployment::parse(&json).unwrap(), deployment);
        let unquoted = yaml.replace(['"', '\''], "");
        assert_eq!(Deployment::parse(&unquoted).unwrap(), deployment);
        let without = yaml.replace("schemaVersion: 1\n", "");
        assert_ne!(without, yaml);
        assert_eq!(Deployment::parse(&without).unwrap(), deployment);
    }

    #[test]
    fn every_fault_is_told_with_its_field() {
        let mut file = DeploymentFile::from(example());
        file.schema_version = 2;
        file.contracts.remove("DIDRegistry");
        file.contracts
            .insert("EscrowReward".to_owned(), "0x12".to_owned());
        file.contracts
            .insert("Escrow".to_owned(), Address::repeat_byte(1).to_string());
        file.contracts
            .insert("OceanToken".to_owned(), Address::repeat_byte(1).to_string());
        file.contracts.remove("EscrowComputeExecutionTemplate");
        file.template_ids.clear();
        file.implementations.push("nothing".to_owned());
        let told = Deployment::try_from(file).unwrap_err().to_string();
        for part in [
            "schemaVersion is 2, this program reads 1",
            "contracts.DIDRegistry is missing",
            "contracts.EscrowReward is \"0x12\", not an address",
            "contracts.Escrow is unknown",
            "contracts.OceanToken is 0x0101010101010101010101010101010101010101, which is no contract of its own",
            "both absent",
            "implementations[0] is \"nothing\"",
        ] {
            assert!(told.contains(part), "{part:?} is not in {told}");
        }
    }

    #[test]
    fn shape_faults_name_the_field() {
        let yaml = example().to_yaml().unwrap();
        for (from, to, part) in [
            ("chainId: 8996", "chainId: many", "line 2"),
            ("chainId: 8996\n", "", "chainId"),
            ("0.13.2", "0.14.0", "0.14.0"),
            ("startBlock", "startblock", "startblock"),
            ("startBlock: 1", "startBlock: -1", "line"),
        ] {
            let broken = yaml.replace(from, to);
            assert_ne!(broken, yaml, "{from:?} is not in {yaml}");
            let told = Deployment::parse(&broken).unwrap_err().to_string();
            assert!(told.contains(part), "{part:?} is not in {told}");
        }
    }

    #[test]
    fn the_hash_of_the_contracts_is_of_names_and_addresses_only() {
        let deployment = example();
        let mut upgraded = deployment.clone();
        upgraded.keeper_version = KeeperVersion::V0_12_7;
        upgraded.template_ids.clear();
        upgraded.start_block = 7;
        assert_eq!(upgraded.contracts_hash(), deployment.contracts_hash());
        upgraded.contracts.escrow_compute_execution_template = None;
        assert_ne!(upgraded.contracts_hash(), deployment.contracts_hash());
        assert_eq!(upgraded.addresses().len(), 8);
    }
}
