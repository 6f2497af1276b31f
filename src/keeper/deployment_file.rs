//! The deployment file's shape and its checks.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use alloy::primitives::{Address, B256};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::deployment::{Contract, Contracts, Deployment, Error, KeeperVersion};

/// The file as it is written, before its checks. Values have no types here, so that a fault can name its field.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DeploymentFile {
    #[serde(default)]
    schema_version: Value,
    #[serde(default)]
    chain_id: Value,
    #[serde(default)]
    keeper_version: Value,
    #[serde(default)]
    start_block: Value,
    #[serde(default)]
    contracts: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    template_ids: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    implementations: Vec<String>,
}

/// The only version of the file so far; also what an absent one means.
const SCHEMA_VERSION: u64 = 1;

impl From<Deployment> for DeploymentFile {
    fn from(deployment: Deployment) -> Self {
        Self {
            schema_version: SCHEMA_VERSION.into(),
            chain_id: deployment.chain_id.into(),
            keeper_version: deployment.keeper_version.as_str().into(),
            start_block: deployment.start_block.into(),
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
        check.schema(&file.schema_version);
        let chain_id = check.number("chainId", &file.chain_id, 1);
        let keeper_version = check.keeper_version(&file.keeper_version);
        let start_block = check.number("startBlock", &file.start_block, 0);
        let contracts = check.contracts(&file.contracts);
        let template_ids = check.list(
            "templateIds",
            &file.template_ids,
            "0x and 64 hexadecimal digits",
        );
        let implementations = check.list("implementations", &file.implementations, AN_ADDRESS);
        // What a template contract makes reads back with template 0: that would accept every such contract's agreements.
        if template_ids.contains(&B256::ZERO) {
            check
                .faults
                .push("templateIds holds 0x0…0, which is no template's id".to_owned());
        }
        let template = Contract::EscrowComputeExecutionTemplate;
        if file.template_ids.is_empty() && !file.contracts.contains_key(template.as_str()) {
            check.faults.push(format!(
                "contracts.{template} and templateIds are both absent: one of them must say which agreements count"
            ));
        }
        match (keeper_version, chain_id, start_block, contracts) {
            (Some(keeper_version), Some(chain_id), Some(start_block), Some(contracts))
                if check.faults.is_empty() =>
            {
                Ok(Self {
                    keeper_version,
                    chain_id,
                    start_block,
                    contracts,
                    template_ids,
                    implementations,
                })
            }
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
    fn schema(&mut self, value: &Value) {
        if !value.is_null() && value.as_u64() != Some(SCHEMA_VERSION) {
            self.faults.push(format!(
                "schemaVersion is {value}, this program reads {SCHEMA_VERSION}"
            ));
        }
    }

    fn keeper_version(&mut self, value: &Value) -> Option<KeeperVersion> {
        let version = KeeperVersion::ALL
            .into_iter()
            .find(|known| value.as_str() == Some(known.as_str()));
        if version.is_none() {
            let known = KeeperVersion::ALL.map(KeeperVersion::as_str).join(" or ");
            self.wrong("keeperVersion", value, &known);
        }
        version
    }

    fn number(&mut self, field: &str, value: &Value, least: u64) -> Option<u64> {
        let number = value.as_u64().filter(|number| *number >= least);
        if number.is_none() {
            self.wrong(field, value, &format!("a whole number from {least}"));
        }
        number
    }

    fn wrong(&mut self, field: &str, value: &Value, right: &str) {
        self.faults.push(if value.is_null() {
            format!("{field} is missing, it must be {right}")
        } else {
            format!("{field} is {value}, it must be {right}")
        });
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
        file.schema_version = 2.into();
        file.contracts.remove("DIDRegistry");
        file.contracts
            .insert("EscrowReward".to_owned(), "0x12".to_owned());
        file.contracts
            .insert("Escrow".to_owned(), Address::repeat_byte(1).to_string());
        file.contracts
            .insert("OceanToken".to_owned(), Address::repeat_byte(1).to_string());
        file.contracts.remove("EscrowComputeExecutionTemplate");
        file.template_ids = vec![B256::ZERO.to_string()];
        file.implementations.push("nothing".to_owned());
        let told = Deployment::try_from(file).unwrap_err().to_string();
        for part in [
            "schemaVersion is 2, this program reads 1",
            "contracts.DIDRegistry is missing",
            "contracts.EscrowReward is \"0x12\", not an address",
            "contracts.Escrow is unknown",
            "contracts.OceanToken is 0x0101010101010101010101010101010101010101, which is no contract of its own",
            "templateIds holds 0x0…0",
            "implementations[0] is \"nothing\"",
        ] {
            assert!(told.contains(part), "{part:?} is not in {told}");
        }
    }

    #[test]
    fn a_template_contract_or_a_template_id_must_be_there() {
        let mut file = DeploymentFile::from(example());
        file.template_ids.clear();
        let by_contract = Deployment::try_from(file).unwrap();
        assert!(by_contract.template_ids.is_empty());
        let mut file = DeploymentFile::from(by_contract);
        file.contracts.remove("EscrowComputeExecutionTemplate");
        let told = Deployment::try_from(file).unwrap_err().to_string();
        assert!(told.contains("both absent"), "{told}");
    }

    #[test]
    fn shape_faults_name_the_field() {
        let yaml = example().to_yaml().unwrap();
        for (from, to, part) in [
            (
                "chainId: 8996",
                "chainId: many",
                "chainId is \"many\", it must be a whole number from 1",
            ),
            ("chainId: 8996\n", "", "chainId is missing"),
            (
                "0.13.2",
                "0.14.0",
                "keeperVersion is \"0.14.0\", it must be 0.12.7 or 0.13.2",
            ),
            ("startBlock", "startblock", "unknown field `startblock`"),
            (
                "startBlock: 1",
                "startBlock: -1",
                "startBlock is -1, it must be a whole number from 0",
            ),
            ("contracts:", "contracts: 3 #", "line"),
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
