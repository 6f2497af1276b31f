//! What a node answers that says what it knows, within the limits that it has.

use std::sync::Arc;

use alloy::primitives::{Address, B256, U256, keccak256};
use alloy::sol_types::SolEvent;
use serde_json::{Value, json};
use tidewatch::keeper::abi::{AgreementStoreManager, ConditionStoreManager, DIDRegistry};

use super::block::{Block, Placed, made_at};
use super::character::{Beyond, Character};
use super::stand::Stand;
use super::world::World;

/// An answer: a result, or an error of JSON-RPC.
pub(super) type Answer = Result<Value, Refusal>;

/// An error of JSON-RPC.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) code: i64,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(code: i64, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

/// What a node knows when it is asked.
pub(super) struct Honest<'a> {
    pub(super) world: &'a World,
    pub(super) character: &'a Character,
    /// The chain that it believes in.
    pub(super) stand: &'a Stand,
}

impl Honest<'_> {
    pub(super) fn answer(&self, method: &str, params: &Value) -> Answer {
        match method {
            "eth_chainId" => Ok(json!(format!("{:#x}", self.world.deployment.chain_id))),
            "eth_getBlockByNumber" => self.block_by_number(&params[0]),
            "eth_getBlockByHash" => {
                let block = self.by_hash(&params[0]);
                Ok(block.map_or(Value::Null, Block::shown))
            }
            "eth_getLogs" => self.logs(&params[0]),
            "eth_getBlockReceipts" if self.character.receipts => {
                let block = self.by_hash_or_height(&params[0]);
                Ok(block.map_or(Value::Null, |block| block.shown_receipts().into()))
            }
            "eth_getCode" => Ok(json!("0x00")),
            "eth_call" => self.call(params),
            _ => Err(Refusal::new(
                -32601,
                format!("the method {method} does not exist/is not available"),
            )),
        }
    }

    fn block_by_number(&self, at: &Value) -> Answer {
        let number = match at.as_str() {
            Some("latest") => self.stand.head().at.number,
            Some("finalized" | "safe") if !self.character.tags => {
                return Err(Refusal::new(
                    -32602,
                    "invalid argument 0: hex string without 0x prefix",
                ));
            }
            Some("finalized") => self.stand.finalized,
            Some("safe") => self.stand.safe,
            _ => number(at),
        };
        let block = self.stand.at(number);
        Ok(block.map_or(Value::Null, |block| block.shown()))
    }

    /// Blocks of other forks are not known to a node that left them.
    fn by_hash(&self, hash: &Value) -> Option<&Block> {
        let hash: B256 = serde_json::from_value(hash.clone()).ok()?;
        let number = self.world.block(hash)?.at.number;
        let block = self.stand.at(number)?;
        (block.at.hash == hash).then_some(block)
    }

    /// A block is named by 32 bytes or by a quantity, which has fewer digits.
    fn by_hash_or_height(&self, named: &Value) -> Option<&Block> {
        if named.as_str().is_some_and(|text| text.len() == 66) {
            return self.by_hash(named);
        }
        self.stand.at(number(named)).map(Arc::as_ref)
    }

    fn logs(&self, filter: &Value) -> Answer {
        let wanted: Vec<Address> = serde_json::from_value(filter["address"].clone())
            .or_else(|_| serde_json::from_value(filter["address"].clone()).map(|one| vec![one]))
            .unwrap();
        let show = |log: &Placed| {
            let mut shown = log.shown();
            if self.character.times {
                shown["blockTimestamp"] = json!(format!("{:#x}", made_at(log.number)));
            }
            shown
        };
        let shown = |logs: Vec<Placed>| {
            let wanted = logs.iter().filter(|log| wanted.contains(&log.address));
            wanted.map(show).collect::<Vec<_>>()
        };
        if !filter["blockHash"].is_null() {
            let block = self.by_hash(&filter["blockHash"]);
            let block = block.ok_or_else(|| Refusal::new(-32000, "unknown block"))?;
            return self.unless_many(shown(block.logs()));
        }
        let (from, to) = (number(&filter["fromBlock"]), number(&filter["toBlock"]));
        let head = self.stand.head().at.number;
        if from > head && self.character.beyond == Beyond::Refused {
            return Err(Refusal::new(
                -32000,
                "block range extends beyond current head block",
            ));
        }
        self.character.check_width(from, to)?;
        let blocks = (from..=to.min(head)).filter_map(|number| self.stand.at(number));
        let mut logs = Vec::new();
        for block in blocks {
            logs.extend(shown(block.logs()));
        }
        self.unless_many(logs)
    }

    fn unless_many(&self, logs: Vec<Value>) -> Answer {
        self.character.check_count(logs.len())?;
        Ok(logs.into())
    }

    /// The contracts' own counters: how many conditions, agreements and assets they hold.
    fn call(&self, params: &Value) -> Answer {
        let (call, at) = (&params[0], &params[1]);
        let data = call["data"].as_str().or_else(|| call["input"].as_str());
        let data = data.unwrap_or_default();
        let asked = |signature: &str| {
            let selector = &keccak256(signature.as_bytes())[..4];
            data.trim_start_matches("0x") == alloy::hex::encode(selector)
        };
        let contracts = &self.world.deployment.contracts;
        let counted = if asked("getConditionListSize()") {
            let created = ConditionStoreManager::ConditionCreated::SIGNATURE_HASH;
            (contracts.condition_store_manager, created)
        } else if asked("getAgreementListSize()") {
            let direct = AgreementStoreManager::AgreementCreated::SIGNATURE_HASH;
            (contracts.agreement_store_manager, direct)
        } else if asked("getDIDRegistrySize()") {
            let registered = DIDRegistry::DIDAttributeRegistered::SIGNATURE_HASH;
            (contracts.did_registry, registered)
        } else {
            return Err(Refusal::new(3, "execution reverted"));
        };
        let up_to = match at.as_str() {
            Some("latest") => self.stand.head().at.number,
            Some("finalized") => self.stand.finalized,
            Some(_) => number(at),
            None => match self.by_hash(&at["blockHash"]) {
                Some(block) => block.at.number,
                None => return Err(Refusal::new(-32000, "header not found")),
            },
        };
        if up_to < self.character.state_from {
            return Err(Refusal::new(-32000, "missing trie node"));
        }
        let blocks = (0..=up_to).filter_map(|number| self.stand.at(number));
        let logs = blocks.flat_map(|block| &block.followed);
        let (address, topic) = counted;
        let counts =
            logs.filter(|log| log.address == address && log.topics.first() == Some(&topic));
        Ok(json!(B256::from(U256::from(counts.count()))))
    }
}

/// A quantity of JSON-RPC.
pub(super) fn number(value: &Value) -> u64 {
    let digits = value.as_str().unwrap().trim_start_matches("0x");
    u64::from_str_radix(digits, 16).unwrap()
}
