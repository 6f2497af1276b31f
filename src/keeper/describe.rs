use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use alloy::dyn_abi::{DynSolEvent, DynSolValue, Specifier};
use alloy::json_abi::Event;
use alloy::primitives::B256;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::abi::{
    AgreementStoreManager, ComputeExecutionCondition, ConditionStoreManager, DIDRegistry,
    EscrowComputeExecutionTemplate, EscrowReward, LockRewardCondition, OceanToken, Proxy,
    TemplateStoreManager,
};
use super::deployment::{Contract, Deployment};
use crate::chain::RawLog;

/// What a log says, for people: never read by a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Described {
    /// The contract's published name; `unknown` for an address outside the deployment.
    pub contract: &'static str,
    /// The event's name; `unknown` when the contract's ABI has none of that signature.
    pub name: String,
    /// The arguments by name without leading underscores: hashes and bytes as hexadecimal, addresses checksummed, numbers
    /// wider than 32 bits as decimal text, an indexed string as its hash, text with U+FFFD for NUL and for what is no UTF-8.
    /// A log that cannot be read has `topics` and `data` instead.
    pub arguments: Value,
}

/// Describes any log; every event of the ABIs has its arguments, not only those that rules read.
pub fn describe(deployment: &Deployment, log: &RawLog) -> Described {
    let contract = deployment.contracts.at(log.address);
    let event = contract.and_then(|contract| EVENTS.get(&(contract, *log.topics.first()?)));
    let arguments = event.and_then(|event| arguments(event, log));
    Described {
        contract: contract.map_or("unknown", Contract::as_str),
        name: event.map_or_else(|| "unknown".to_owned(), |event| event.name.clone()),
        arguments: arguments.unwrap_or_else(|| json!({"topics": log.topics, "data": log.data})),
    }
}

/// The events of every contract's ABI, and under every contract those of the proxy that may stand before it.
static EVENTS: LazyLock<HashMap<(Contract, B256), Known>> = LazyLock::new(|| {
    let mut events = HashMap::new();
    for contract in Contract::ALL {
        let of_both = Proxy::abi::events()
            .into_values()
            .chain(of(contract).into_values());
        for event in of_both.flatten() {
            events.insert((contract, event.selector()), Known::of(&event));
        }
    }
    events
});

/// An event with what its ABI says of it, read once: parsing the types again for every log takes longer than decoding it.
struct Known {
    name: String,
    /// `None` when a type of it is none that can be decoded; no ABI of ours has such an event.
    decoder: Option<DynSolEvent>,
    /// Its arguments in order: their names, and whether each is indexed.
    inputs: Vec<(String, bool)>,
}

impl Known {
    fn of(event: &Event) -> Self {
        let inputs = event.inputs.iter();
        Self {
            name: event.name.clone(),
            decoder: event.resolve().ok(),
            inputs: inputs
                .map(|input| (name(&input.name), input.indexed))
                .collect(),
        }
    }
}

fn of(contract: Contract) -> BTreeMap<String, Vec<Event>> {
    match contract {
        Contract::AgreementStoreManager => AgreementStoreManager::abi::events(),
        Contract::ComputeExecutionCondition => ComputeExecutionCondition::abi::events(),
        Contract::ConditionStoreManager => ConditionStoreManager::abi::events(),
        Contract::DIDRegistry => DIDRegistry::abi::events(),
        Contract::EscrowComputeExecutionTemplate => EscrowComputeExecutionTemplate::abi::events(),
        Contract::EscrowReward => EscrowReward::abi::events(),
        Contract::LockRewardCondition => LockRewardCondition::abi::events(),
        Contract::OceanToken => OceanToken::abi::events(),
        Contract::TemplateStoreManager => TemplateStoreManager::abi::events(),
    }
}

fn arguments(event: &Known, log: &RawLog) -> Option<Value> {
    let decoded = event
        .decoder
        .as_ref()?
        .decode_log_parts(log.topics.iter().copied(), &log.data)
        .ok()?;
    let (mut indexed, mut body) = (decoded.indexed.into_iter(), decoded.body.into_iter());
    let mut named = Map::new();
    for (name, is_indexed) in &event.inputs {
        let value = if *is_indexed {
            indexed.next()
        } else {
            body.next()
        };
        named.insert(name.clone(), readable(value?));
    }
    Some(Value::Object(named))
}

/// `_agreementId` and `Id` become `agreementId` and `id`.
fn name(written: &str) -> String {
    let bare = written.trim_start_matches('_');
    let mut letters = bare.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(letters).collect()
    })
}

fn readable(value: DynSolValue) -> Value {
    match value {
        DynSolValue::Bool(value) => value.into(),
        DynSolValue::Int(value, _) => value.to_string().into(),
        DynSolValue::Uint(value, bits) if bits <= 32 => {
            u32::try_from(value).map_or_else(|_| value.to_string().into(), Value::from)
        }
        DynSolValue::Uint(value, _) => value.to_string().into(),
        DynSolValue::FixedBytes(word, size) => {
            alloy::hex::encode_prefixed(word.get(..size).unwrap_or(&word[..])).into()
        }
        DynSolValue::Address(address) => address.to_string().into(),
        DynSolValue::Function(function) => function.to_string().into(),
        DynSolValue::Bytes(bytes) => alloy::hex::encode_prefixed(bytes).into(),
        // PostgreSQL's jsonb refuses U+0000, which the contracts accept.
        DynSolValue::String(text) => text.replace('\0', "\u{fffd}").into(),
        DynSolValue::Array(values)
        | DynSolValue::FixedArray(values)
        | DynSolValue::Tuple(values) => values.into_iter().map(readable).collect(),
    }
}
