#![expect(
    unreachable_pub,
    reason = "the schema derive makes a hidden copy of the spec that nobody reaches"
)]
#![expect(
    clippy::duplicated_attributes,
    reason = "every column has a type and a path"
)]

use alloy::primitives::{Address, B256};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{CustomResource, CustomResourceExt, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::status::ComputeWorkflowStatus;
use crate::ids::{AgreementId, Did};
use crate::workflows::Release;

/// Keeps a workflow until its outcome and its log are in the ledger. It is already in the create request: a workflow without it
/// could be deleted before anybody saw it.
pub const COLLECTED: &str = "compute.tidewatch.dev/collected";

/// Version of the manifests that this program renders. A workflow pins the one it was made under, and an operator that does not
/// know it leaves the workflow to one that does.
pub const TEMPLATE_VERSION: u32 = 2;

/// What is asked of the cluster for one job. Inert while `attempt` is 0.
///
/// Everything under `job` is fixed when the workflow is made, so neither a change of configuration nor a new version of this
/// program renders a running job's objects anew. There is no secret and no source URL in it.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "compute.tidewatch.dev",
    version = "v1alpha1",
    kind = "ComputeWorkflow",
    plural = "computeworkflows",
    shortname = "cw",
    category = "tidewatch",
    namespaced,
    status = "ComputeWorkflowStatus",
    derive = "PartialEq",
    doc = "A compute job that a fulfilled condition on chain owes, as a workflow of Kubernetes Jobs.",
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.reason"),
    printcolumn(name = "Asset", type_ = "string", json_path = ".spec.job.did"),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("oldSelf.hasValue() || self.attempt == 0")
        .optional_old_self(true)
        .message("a workflow is made inert: attempt is 0")
)]
pub struct ComputeWorkflowSpec {
    /// The attempt that may run; 0 is inert. Raising it by one starts the next.
    #[x_kube(validation = Rule::new("self == oldSelf || self == oldSelf + 1").message("attempt may only grow by 1"))]
    pub attempt: u32,
    /// Ends what runs. It cannot be taken back.
    #[serde(default)]
    #[x_kube(validation = Rule::new("self || !oldSelf").message("stop cannot be taken back"))]
    pub stop: bool,
    /// Holds back stages that have not begun, and the release of the algorithm's pod.
    #[serde(default)]
    pub suspend: bool,
    /// The job. Immutable.
    #[x_kube(validation = Rule::new("self == oldSelf").message("job is immutable"))]
    pub job: JobFacts,
}

/// The facts of a job that its objects are rendered from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobFacts {
    /// The agreement that owes the job.
    #[schemars(with = "String")]
    pub agreement_id: AgreementId,
    /// The asset it computes on.
    #[schemars(with = "String")]
    pub did: Did,
    /// Who bought it.
    #[schemars(with = "String")]
    pub consumer: Address,
    /// SHA-256 of the frozen specification in the ledger.
    #[schemars(with = "String")]
    pub spec_sha256: B256,
    /// Version of the manifests.
    pub template_version: u32,
    /// Image of our own stages, pinned by digest.
    pub stage_image: String,
    /// When the kubelet pulls images: `IfNotPresent`, `Always` or `Never`.
    pub pull_policy: PullPolicy,
    /// What runs.
    pub algorithm: AlgorithmFacts,
    /// What it may use.
    pub resources: ResourceFacts,
    /// Unix user and group of all stages.
    #[schemars(range(min = 10000, max = 65535))]
    pub run_as: u32,
    /// What may come out.
    pub release: ReleaseFacts,
    /// Where results go.
    pub results: ResultsFacts,
    /// Whether the publisher lets the algorithm use the network.
    pub allow_network: bool,
    /// What the algorithm's isolation from the network must rest on.
    pub network_policy: NetworkPolicy,
    /// The volume.
    pub storage: StorageFacts,
    /// Seconds that the cluster has to start a stage.
    pub start_deadline_seconds: u32,
    /// RuntimeClass of the algorithm's pod.
    pub runtime_class: Option<String>,
    /// Whether pods get a user namespace of their own.
    pub user_namespaces: bool,
    /// Kueue's queue for the algorithm's Job.
    pub kueue_queue: Option<String>,
}

/// The algorithm and its container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlgorithmFacts {
    /// Image, pinned by digest: `repository@sha256:…`.
    pub image: String,
    /// Command line for `/bin/sh -c` (OEP-12).
    pub entrypoint: String,
    /// Its own DID, when it was named by one.
    #[schemars(with = "Option<String>")]
    pub did: Option<Did>,
}

/// What the algorithm may use, in Kubernetes' quantities.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceFacts {
    /// Cores.
    pub cpu: String,
    /// Memory.
    pub memory: String,
    /// Size of the volume, and most bytes that may be written.
    pub disk: String,
    /// Seconds that the algorithm may run.
    pub max_execution_seconds: u32,
}

/// What may come out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseFacts {
    /// For result files: `raw`, `filtered` or `none`.
    #[schemars(with = "String")]
    pub results: Release,
    /// Most bytes of results.
    pub result_bytes: u64,
    /// Most result files.
    pub result_files: u32,
    /// Most bytes of log.
    pub log_bytes: u64,
}

/// Where results go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResultsFacts {
    /// `s3://bucket/prefix`. It holds no credentials.
    pub url: String,
    /// The Secret, in the same namespace, with the credentials for it. Only the publish stage mounts it.
    pub secret_name: Option<String>,
}

/// The volume of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StorageFacts {
    /// StorageClass; the cluster's default when absent.
    pub class: Option<String>,
    /// Access mode of the claim.
    pub access_mode: AccessMode,
}

/// When the kubelet pulls an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PullPolicy {
    /// When the node does not have it.
    #[default]
    IfNotPresent,
    /// Before every start.
    Always,
    /// Never: the node must have it.
    Never,
}

impl PullPolicy {
    /// Kubernetes' word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IfNotPresent => "IfNotPresent",
            Self::Always => "Always",
            Self::Never => "Never",
        }
    }
}

/// Who may mount a claim.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AccessMode {
    /// The pods of one node.
    #[default]
    ReadWriteOnce,
    /// One pod at a time, where the driver supports it.
    ReadWriteOncePod,
    /// The pods of any node.
    ReadWriteMany,
}

impl AccessMode {
    /// Kubernetes' word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadWriteOnce => "ReadWriteOnce",
            Self::ReadWriteOncePod => "ReadWriteOncePod",
            Self::ReadWriteMany => "ReadWriteMany",
        }
    }
}

/// What the algorithm's isolation from the network must rest on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NetworkPolicy {
    /// The algorithm runs only where its own pod has just seen the network denied by the cluster.
    Required,
    /// The guard's filter alone suffices.
    #[default]
    Preferred,
}

impl NetworkPolicy {
    /// The word of the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Preferred => "preferred",
        }
    }
}

/// A word that is none of the known ones.
#[derive(Debug, thiserror::Error)]
#[error("{word:?} is none of {known}")]
pub struct UnknownSetting {
    word: String,
    known: String,
}

/// Reads the words that Kubernetes, and so configuration, uses.
macro_rules! read_from_words {
    ($type:ident: $($variant:ident),+) => {
        impl std::str::FromStr for $type {
            type Err = UnknownSetting;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                let known = [$(Self::$variant),+];
                let mut values = known.into_iter();
                values.find(|value| value.as_str() == word).ok_or_else(|| UnknownSetting {
                    word: word.to_owned(),
                    known: known.map(Self::as_str).join(", "),
                })
            }
        }
    };
}

read_from_words!(PullPolicy: IfNotPresent, Always, Never);
read_from_words!(AccessMode: ReadWriteOnce, ReadWriteOncePod, ReadWriteMany);
read_from_words!(NetworkPolicy: Required, Preferred);

/// The definition of the custom resource, as `deploy/crd.yaml` holds it.
pub fn definition() -> CustomResourceDefinition {
    let mut definition = ComputeWorkflow::crd();
    for version in &mut definition.spec.versions {
        let schema = version.schema.take().map(as_kubernetes_takes_it);
        version.schema = schema;
    }
    definition
}

/// The definition as YAML, with a note of where it comes from.
///
/// # Errors
/// None in practice: every part of a definition has a YAML form. The error is the serializer's.
pub fn definition_yaml() -> Result<String, serde_saphyr::ser::Error> {
    let yaml = serde_saphyr::to_string(&definition())?;
    Ok(format!("# Made by `tidewatch crd`; do not edit.\n{yaml}"))
}

/// Takes `uint32` and `uint64` out of a schema, since Kubernetes knows no unsigned formats and warns about them on every apply (the
/// minimum of 0 beside them says the same), and defaults of null, which say nothing.
fn as_kubernetes_takes_it<S: Serialize + serde::de::DeserializeOwned>(schema: S) -> S {
    let Ok(mut value) = serde_json::to_value(&schema) else {
        return schema;
    };
    strip(&mut value);
    serde_json::from_value(value).unwrap_or(schema)
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let unknown = |format: &Value| matches!(format.as_str(), Some("uint32" | "uint64"));
            if fields.get("format").is_some_and(unknown) {
                fields.remove("format");
            }
            if fields.get("default").is_some_and(Value::is_null) {
                fields.remove("default");
            }
            fields.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::golden;

    #[test]
    fn words_of_the_configuration_are_read() {
        assert_eq!("Always".parse::<PullPolicy>().unwrap(), PullPolicy::Always);
        let error = "ReadWrite".parse::<AccessMode>().unwrap_err().to_string();
        let sentence = "\"ReadWrite\" is none of ReadWriteOnce, ReadWriteOncePod, ReadWriteMany";
        assert_eq!(error, sentence);
    }

    #[test]
    fn the_definition_in_deploy_is_the_one_of_this_program() {
        golden::compare("deploy/crd.yaml", &definition_yaml().unwrap());
    }
}
