//! The catalog's file as it is written: names and shapes only, no meaning.

use std::fmt;

use alloy::primitives::{Address, U256};
use serde::{Deserialize, Deserializer, Serialize, de};

use super::trusted::Trusted;
use crate::ids::Did;
use crate::workflows::Release;
use crate::workflows::quantity::Quantity;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct File {
    pub(super) schema_version: Option<u32>,
    #[serde(default)]
    pub(super) policy: Policy,
    #[serde(default)]
    pub(super) assets: Vec<Asset>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Policy {
    pub(super) payees: Option<Vec<Address>>,
    #[serde(default)]
    pub(super) images: Vec<String>,
    #[serde(default)]
    pub(super) resources: Resources,
    #[serde(default)]
    pub(super) document_origins: Vec<String>,
    #[serde(default)]
    pub(super) release: ReleaseWish,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Asset {
    pub(super) did: Did,
    pub(super) enabled: Option<bool>,
    pub(super) minimum_price: Amount,
    #[serde(default)]
    pub(super) files: Vec<InputFile>,
    #[serde(default)]
    pub(super) privacy: Privacy,
    #[serde(default)]
    pub(super) release: ReleaseWish,
    #[serde(default)]
    pub(super) resources: Resources,
    pub(super) workflow: Option<Workflow>,
    pub(super) filter: Option<Filter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct InputFile {
    pub(super) url: String,
    pub(super) checksum: Option<String>,
    pub(super) content_type: Option<String>,
    pub(super) secret: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Privacy {
    #[serde(default)]
    pub(super) allow_raw_algorithm: bool,
    #[serde(default)]
    pub(super) trusted_algorithms: Vec<Trusted>,
    #[serde(default)]
    pub(super) allow_network_access: bool,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Resources {
    pub(super) cpu: Option<Quantity>,
    pub(super) memory: Option<Quantity>,
    pub(super) disk: Option<Quantity>,
    pub(super) max_execution_seconds: Option<u32>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ReleaseWish {
    pub(super) results: Option<Release>,
    pub(super) logs: Option<Logs>,
    pub(super) review: Option<bool>,
    pub(super) result_bytes: Option<Quantity>,
    pub(super) result_files: Option<u32>,
    pub(super) log_bytes: Option<Quantity>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Logs {
    Vetted,
    Raw,
    Filtered,
    None,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Filter {
    pub(super) image: String,
    pub(super) entrypoint: Option<String>,
    pub(super) tag: Option<String>,
    pub(super) checksum: Option<String>,
}

/// The publisher's own workflow: the form of a document, but with unknown keys refused, since a slip of the pen would
/// otherwise go unseen.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Workflow {
    main: Main,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Main {
    #[serde(rename = "type")]
    kind: String,
    workflow: Stages,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Stages {
    stages: Vec<Stage>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Stage {
    index: Option<u32>,
    #[serde(default)]
    input: Vec<Input>,
    transformation: Transformation,
    #[serde(default)]
    requirements: Requirements,
    #[serde(default, skip_serializing)]
    #[expect(dead_code, reason = "OEP-12 has it; it says nothing here")]
    output: Option<de::IgnoredAny>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Input {
    index: Option<u32>,
    id: Did,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Transformation {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Did>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rawcode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<Container>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Container {
    image: String,
    tag: Option<String>,
    checksum: Option<String>,
    entrypoint: String,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Requirements {
    cpu: Option<Quantity>,
    memory: Option<Quantity>,
    disk: Option<Quantity>,
    max_execution_seconds: Option<u32>,
    maxtime: Option<u32>,
    #[serde(default)]
    allow_network_access: bool,
}

/// An amount of the token in its smallest unit, as decimal text (or a small number).
pub(super) struct Amount(pub(super) U256);

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AmountVisitor)
    }
}

struct AmountVisitor;

impl de::Visitor<'_> for AmountVisitor {
    type Value = Amount;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an amount in the token's smallest unit, in decimal digits")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Amount, E> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(E::custom("an amount is written in decimal digits"));
        }
        U256::from_str_radix(text, 10)
            .map(Amount)
            .map_err(|_| E::custom("the amount does not fit into 256 bits"))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Amount, E> {
        Ok(Amount(U256::from(number)))
    }
}
