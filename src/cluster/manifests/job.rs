use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{PodSpec, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::Subject;
use super::pod::DISTANT_SECONDS;
use crate::engine::Stage;

/// Scheduling gate of the algorithm's pod (KEP-3521): it is scheduled only after the operator has looked at it and taken this
/// away. Kubernetes promises that a Job's pod runs at least once; the gate makes it at most once.
pub const RELEASE_GATE: &str = "compute.tidewatch.dev/release";

/// A Job that runs one pod of a stage and never replaces it.
///
/// Its own deadline is a distant backstop only: it counts waiting and deletes the pod. The limit that matters is the pod's.
pub(super) fn job(subject: &Subject<'_>, stage: Stage, repetition: u32, pod: PodSpec) -> Job {
    let deadline = pod.active_deadline_seconds.unwrap_or_default() + DISTANT_SECONDS;
    Job {
        metadata: subject.metadata(subject.names().job(stage, repetition), Some(stage)),
        spec: Some(JobSpec {
            active_deadline_seconds: Some(deadline),
            backoff_limit: Some(0),
            completion_mode: Some("NonIndexed".to_owned()),
            completions: Some(1),
            parallelism: Some(1),
            pod_replacement_policy: Some("Failed".to_owned()),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(subject.labels(Some(stage))),
                    ..ObjectMeta::default()
                }),
                spec: Some(pod),
            },
            ..JobSpec::default()
        }),
        status: None,
    }
}
