use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::Subject;
use crate::cluster::workflow::JobFacts;
use crate::workflows::Quantity as Amount;

/// The volume that the stages of an attempt hand on to each other.
pub fn claim(subject: &Subject<'_>) -> PersistentVolumeClaim {
    let job = subject.job();
    let size = BTreeMap::from([("storage".to_owned(), size(job))]);
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

/// The job's own disk, and beside it what is not the algorithm's to use: the record of its log, which may be as long as its limit and
/// has an index, and where there is a filter the same again for what that leaves.
fn size(job: &JobFacts) -> Quantity {
    let Ok(disk) = job.resources.disk.parse::<Amount>() else {
        // The server says what is wrong with it.
        return Quantity(job.resources.disk.clone());
    };
    let (disk, log) = (disk.whole(), job.release.log_bytes);
    let own = disk.saturating_add(log.saturating_mul(2).max(MEBIBYTE));
    let filtered = job.filter.as_ref().map_or(0, |_| disk.saturating_add(log));
    if disk == 0 {
        return Quantity("0".to_owned());
    }
    let mebibytes = own.saturating_add(filtered).div_ceil(MEBIBYTE);
    Quantity(format!("{mebibytes}Mi"))
}

/// Bytes of one.
const MEBIBYTE: u64 = 1 << 20;
