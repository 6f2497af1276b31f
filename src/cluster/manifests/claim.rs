use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::Subject;

/// The volume that the stages of an attempt hand on to each other.
pub fn claim(subject: &Subject<'_>) -> PersistentVolumeClaim {
    let job = subject.job();
    let size = BTreeMap::from([("storage".to_owned(), Quantity(job.resources.disk.clone()))]);
    PersistentVolumeClaim {
        metadata: subject.metadata(subject.names().claim(), None),
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec![job.storage.access_mode.as_str().to_owned()]),
            storage_class_name: job.storage.class.clone(),
            volume_mode: Some("Filesystem".to_owned()),
            resources: Some(VolumeResourceRequirements {
                requests: Some(size),
                limits: None,
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        status: None,
    }
}
