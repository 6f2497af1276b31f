use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use url::Url;

use super::Subject;
use crate::stages::{ConfigurePlan, InputFile};
use crate::workflows::{BadQuantity, InputSpec, JobSpec, Quantity};

/// Why a job's plan cannot be handed over.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The size of its disk.
    #[error("the job's disk size cannot be read")]
    Disk(#[source] BadQuantity),
    /// A checksum.
    #[error("the checksum of input {0} is not sha256: and 64 hexadecimal digits")]
    Checksum(u32),
    /// The plan has no JSON form.
    #[error("the plan cannot be written")]
    Json(#[source] serde_json::Error),
}

/// The immutable Secret that carries source URLs and the algorithm's code to `configure`. It is deleted when they are in place.
///
/// # Errors
/// [`PlanError`] for a specification that no fetch could follow; it never repeats a URL.
pub fn plan(
    subject: &Subject<'_>,
    spec: &JobSpec,
    ipfs_gateway: Option<&Url>,
) -> Result<Secret, PlanError> {
    let disk: Quantity = spec.resources.disk.parse().map_err(PlanError::Disk)?;
    let inputs = spec.inputs.iter().map(input).collect::<Result<_, _>>()?;
    let configure = ConfigurePlan {
        ipfs_gateway: ipfs_gateway.map(Url::to_string),
        filtered: spec.filter.is_some(),
        did: spec.did,
        inputs,
        algorithm: spec.algorithm.code.clone(),
        disk_bytes: disk.whole(),
    };
    let bytes = serde_json::to_vec(&configure).map_err(PlanError::Json)?;
    Ok(Secret {
        metadata: subject.metadata(subject.names().plan(), None),
        immutable: Some(true),
        type_: Some("Opaque".to_owned()),
        data: Some(BTreeMap::from([(
            "configure.json".to_owned(),
            ByteString(bytes),
        )])),
        string_data: None,
    })
}

fn input(spec: &InputSpec) -> Result<InputFile, PlanError> {
    let sha256 = match &spec.checksum {
        None => None,
        Some(text) => {
            let digest = text
                .strip_prefix("sha256:")
                .and_then(|hex| hex.parse().ok());
            Some(digest.ok_or(PlanError::Checksum(spec.index))?)
        }
    };
    Ok(InputFile {
        index: spec.index,
        url: spec.url.clone(),
        sha256,
        secret: spec.secret.clone(),
    })
}
