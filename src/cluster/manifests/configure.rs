use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Container, PodSpec};

use super::pod::{
    data_volume, mount, node_addresses, own_container, restricted, secret_volume, whole_data,
};
use super::{Subject, job};
use crate::engine::Stage;

/// Seconds that fetching may take.
const FETCH_SECONDS: i64 = 3600;

/// The Job that fetches inputs and algorithm. The only one that sees source URLs, and the publisher's Secrets that go with them: they
/// are mounted by reference, each under its name.
pub fn configure(subject: &Subject<'_>, repetition: u32) -> Job {
    let facts = subject.job();
    let arguments = [
        "configure",
        "--plan",
        "/plan/configure.json",
        "--data",
        "/data",
    ];
    let mut mounts = vec![whole_data(), mount("plan", "/plan", true)];
    let mut volumes = vec![
        data_volume(subject),
        secret_volume("plan", subject.names().plan()),
    ];
    for (index, secret) in facts.input_secrets.iter().enumerate() {
        let volume = format!("inputs-{index}");
        mounts.push(mount(&volume, &format!("/secrets/inputs/{secret}"), true));
        volumes.push(secret_volume(&volume, secret.clone()));
    }
    let container = Container {
        env: Some(vec![node_addresses()]),
        volume_mounts: Some(mounts),
        ..own_container(facts, Stage::Configure.as_str(), &arguments)
    };
    let pod = PodSpec {
        active_deadline_seconds: Some(i64::from(facts.start_deadline_seconds) + FETCH_SECONDS),
        containers: vec![container],
        ..restricted(facts, volumes)
    };
    job::job(subject, Stage::Configure, repetition, pod)
}
