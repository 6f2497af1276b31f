use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Container, PodSpec};

use super::pod::{
    data_volume, literal, mount, own_container, part_of_data, restricted, scratch_volume,
    secret_volume,
};
use super::{Subject, job};
use crate::engine::Stage;
use crate::stages::PublishPlan;
use crate::workflows::Release;

/// Seconds that storing may take.
const STORE_SECONDS: i64 = 3600;

/// What may leave of an attempt, now that it is known how its stages ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaving {
    /// Which result files.
    pub results: Release,
    /// Which log the parties may have.
    pub logs: Release,
}

/// The Job that stores results and logs. The only one that sees the results' credentials.
pub fn publish(subject: &Subject<'_>, leaving: Leaving, repetition: u32) -> Job {
    let facts = subject.job();
    // It always has a JSON form; were it empty, the stage would refuse it.
    let plan = serde_json::to_string(&publish_plan(subject, leaving)).unwrap_or_default();
    let arguments = ["publish", "--plan", &literal(&plan), "--data", "/data"];
    let mut mounts = vec![
        part_of_data("outputs", true),
        part_of_data("record", true),
        // No stage needs them any more, so this one deletes them.
        part_of_data("inputs", false),
        mount("tmp", "/tmp", false),
    ];
    if facts.filter.is_some() {
        mounts.push(part_of_data("filtered", true));
    }
    let mut volumes = vec![data_volume(subject), scratch_volume("tmp", "32Mi")];
    if let Some(secret) = &facts.results.secret_name {
        mounts.push(mount("results", "/secrets/results", true));
        volumes.push(secret_volume("results", secret.clone()));
    }
    let container = Container {
        volume_mounts: Some(mounts),
        ..own_container(facts, Stage::Publish.as_str(), &arguments)
    };
    let pod = PodSpec {
        active_deadline_seconds: Some(i64::from(facts.start_deadline_seconds) + STORE_SECONDS),
        containers: vec![container],
        ..restricted(facts, volumes)
    };
    job::job(subject, Stage::Publish, repetition, pod)
}

fn publish_plan(subject: &Subject<'_>, leaving: Leaving) -> PublishPlan {
    let facts = subject.job();
    PublishPlan {
        job: subject.job_name().clone(),
        attempt: facts.attempts_before + subject.attempt(),
        results_url: facts.results.url.clone(),
        results: leaving.results,
        logs: leaving.logs,
        result_bytes: facts.release.result_bytes,
        result_files: facts.release.result_files,
        log_bytes: facts.release.log_bytes,
    }
}
