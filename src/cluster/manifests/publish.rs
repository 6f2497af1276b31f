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

/// The Job that stores results and prints the job log. The only one that sees the results' credentials.
///
/// `complete` says whether the algorithm ended well: the results of one that did not are no results, and stay in.
pub fn publish(subject: &Subject<'_>, complete: bool) -> Job {
    let facts = subject.job();
    // It always has a JSON form; were it empty, the stage would refuse it.
    let plan = serde_json::to_string(&publish_plan(subject, complete)).unwrap_or_default();
    let arguments = ["publish", "--plan", &literal(&plan), "--data", "/data"];
    let mut mounts = vec![
        part_of_data("outputs", true),
        part_of_data("record", true),
        mount("tmp", "/tmp", false),
    ];
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
    job::job(subject, Stage::Publish, pod)
}

fn publish_plan(subject: &Subject<'_>, complete: bool) -> PublishPlan {
    let facts = subject.job();
    PublishPlan {
        job: subject.job_name().clone(),
        attempt: subject.attempt(),
        results_url: facts.results.url.clone(),
        results: if complete {
            facts.release.results
        } else {
            Release::None
        },
        result_bytes: facts.release.result_bytes,
        result_files: facts.release.result_files,
    }
}
