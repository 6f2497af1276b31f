use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Container, PodSpec};

use super::pod::{
    data_volume, mount, node_addresses, own_container, restricted, secret_volume, whole_data,
};
use super::{Subject, job};
use crate::engine::Stage;

/// Seconds that fetching may take.
const FETCH_SECONDS: i64 = 3600;

/// The Job that fetches inputs and algorithm. The only one that sees source URLs.
pub fn configure(subject: &Subject<'_>) -> Job {
    let facts = subject.job();
    let arguments = [
        "configure",
        "--plan",
        "/plan/configure.json",
        "--data",
        "/data",
    ];
    let container = Container {
        env: Some(vec![node_addresses()]),
        volume_mounts: Some(vec![whole_data(), mount("plan", "/plan", true)]),
        ..own_container(facts, Stage::Configure.as_str(), &arguments)
    };
    let volumes = vec![
        data_volume(subject),
        secret_volume("plan", subject.names().plan()),
    ];
    let pod = PodSpec {
        active_deadline_seconds: Some(i64::from(facts.start_deadline_seconds) + FETCH_SECONDS),
        containers: vec![container],
        ..restricted(facts, volumes)
    };
    job::job(subject, Stage::Configure, pod)
}
