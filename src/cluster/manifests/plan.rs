use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use url::Url;

use super::Subject;
use crate::stages::{ConfigurePlan, PlanError};
use crate::workflows::JobSpec;

/// The immutable Secret that carries source URLs and the algorithm's code to `configure`. It is deleted when they are in place.
///
/// # Errors
/// [`PlanError`] for a specification that no fetch could follow; it never repeats a URL.
pub fn plan(
    subject: &Subject<'_>,
    spec: &JobSpec,
    ipfs_gateway: Option<&Url>,
) -> Result<Secret, PlanError> {
    let configure = ConfigurePlan::of(spec, ipfs_gateway)?;
    let bytes = serde_json::to_vec(&configure)?;
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
