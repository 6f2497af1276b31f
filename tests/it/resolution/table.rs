//! The table. Every asset costs 10 and gets what it costs; images are `python` only.

use alloy::primitives::B256;
use serde_json::{Value, json};
use tidewatch::ids::Did;

use crate::judging::bench::default_workflow;

/// An algorithm whose DDO stands in the registry and whose file is served.
pub(super) const MEAN: Did = Did(B256::repeat_byte(0xa1));
/// The same with a file that is too large.
pub(super) const LARGE: Did = Did(B256::repeat_byte(0xa2));
/// One that nobody has registered.
pub(super) const NOWHERE: Did = Did(B256::repeat_byte(0xa3));

/// What a consumer says about a purchase, and what becomes of its job.
pub(super) struct Row {
    /// In words.
    pub(super) name: &'static str,
    /// What the catalog says of the asset beside DID and price.
    pub(super) asset: fn() -> String,
    /// What is said on chain, and by whom.
    pub(super) said: Said,
    /// Phase, outcome and reason of the job.
    pub(super) status: &'static str,
}

/// What is said on chain about an agreement, and by whom.
pub(super) enum Said {
    /// Nothing.
    Nothing,
    /// The consumer registers a document under the agreement's id: raw code in a pinned image, with its stage changed like this.
    Document(fn(&mut Value)),
    /// The consumer registers this value.
    Value(&'static [u8]),
    /// A stranger takes the agreement's id before the agreement is made.
    Taken,
    /// The same, and the consumer registers a document that names the agreement under another DID.
    TakenAndSaidElsewhere,
    /// A stranger takes the agreement's id after the agreement is made.
    TakenLate,
}

/// Raw code is allowed.
fn open() -> String {
    "privacy: {allowRawAlgorithm: true}".to_owned()
}

fn trusting(did: Did) -> String {
    format!("privacy: {{trustedAlgorithms: ['{did}']}}")
}

fn asks_for(stage: &mut Value, did: Did) {
    stage["transformation"] = json!({"id": did});
}

fn container(stage: &mut Value) -> &mut Value {
    &mut stage["transformation"]["container"]
}

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "nothing is said, and the catalog names a workflow",
        asset: default_workflow,
        said: Said::Nothing,
        status: "queued",
    },
    Row {
        name: "nothing is said, and the catalog names none",
        asset: String::new,
        said: Said::Nothing,
        status: "finished refused no_algorithm",
    },
    Row {
        name: "the asset is disabled",
        asset: || format!("enabled: false, {}", default_workflow()),
        said: Said::Nothing,
        status: "finished refused asset_disabled",
    },
    Row {
        name: "the consumer brings code, which is allowed",
        asset: open,
        said: Said::Document(|_| ()),
        status: "queued",
    },
    Row {
        name: "the consumer brings code, which is not allowed",
        asset: default_workflow,
        said: Said::Document(|_| ()),
        status: "finished refused raw_algorithm_not_allowed",
    },
    Row {
        name: "the consumer brings code where named algorithms are trusted only",
        asset: || format!("privacy: {{allowRawAlgorithm: true, trustedAlgorithms: ['{MEAN}']}}"),
        said: Said::Document(|_| ()),
        status: "finished refused algorithm_not_trusted",
    },
    Row {
        name: "the consumer names the algorithm that is trusted",
        asset: || trusting(MEAN),
        said: Said::Document(|stage| asks_for(stage, MEAN)),
        status: "queued",
    },
    Row {
        name: "the consumer names an algorithm that is not trusted",
        asset: || trusting(LARGE),
        said: Said::Document(|stage| asks_for(stage, MEAN)),
        status: "finished refused algorithm_not_trusted",
    },
    Row {
        name: "the algorithm's file is too large",
        asset: || trusting(LARGE),
        said: Said::Document(|stage| asks_for(stage, LARGE)),
        status: "finished refused algorithm_too_large",
    },
    Row {
        name: "the algorithm's DDO is nowhere to be had",
        asset: || trusting(NOWHERE),
        said: Said::Document(|stage| asks_for(stage, NOWHERE)),
        status: "finished refused document_unavailable",
    },
    Row {
        name: "the image is one that the publisher does not allow",
        asset: open,
        said: Said::Document(|stage| container(stage)["image"] = json!("evil/python")),
        status: "finished refused image_not_allowed",
    },
    Row {
        name: "the image has neither tag nor digest",
        asset: open,
        said: Said::Document(|stage| {
            container(stage)["tag"] = json!("");
            container(stage)["checksum"] = json!("");
        }),
        status: "finished refused digest_missing",
    },
    Row {
        name: "as much is asked for as there is",
        asset: || format!("resources: {{cpu: '2'}}, {}", open()),
        said: Said::Document(|stage| stage["requirements"] = json!({"cpu": "2000m"})),
        status: "queued",
    },
    Row {
        name: "more is asked for than there is",
        asset: || format!("resources: {{cpu: '2'}}, {}", open()),
        said: Said::Document(|stage| stage["requirements"] = json!({"cpu": "2001m"})),
        status: "finished refused resources_exceeded",
    },
    Row {
        name: "the network is asked for, and given",
        asset: || "privacy: {allowRawAlgorithm: true, allowNetworkAccess: true}".to_owned(),
        said: Said::Document(|stage| stage["requirements"] = json!({"allowNetworkAccess": true})),
        status: "queued",
    },
    Row {
        name: "the network is asked for, and not given",
        asset: open,
        said: Said::Document(|stage| stage["requirements"] = json!({"allowNetworkAccess": true})),
        status: "finished refused network_not_allowed",
    },
    Row {
        name: "another asset is asked for as input",
        asset: open,
        said: Said::Document(|stage| stage["input"] = json!([{"id": MEAN}])),
        status: "finished refused foreign_input",
    },
    Row {
        name: "the value is nonsense",
        asset: default_workflow,
        said: Said::Value(b"a\0b\xff"),
        status: "finished refused document_invalid",
    },
    Row {
        name: "a stranger took the agreement's id first",
        asset: default_workflow,
        said: Said::Taken,
        status: "finished refused workflow_did_taken",
    },
    Row {
        name: "a stranger took the agreement's id first, and the consumer spoke elsewhere",
        asset: open,
        said: Said::TakenAndSaidElsewhere,
        status: "queued",
    },
    Row {
        name: "a stranger took the agreement's id when it was made already",
        asset: default_workflow,
        said: Said::TakenLate,
        status: "queued",
    },
];
