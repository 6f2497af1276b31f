use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Container, EnvVar, PodSpec};

use super::pod::{
    Size, container, data_volume, literal, mount, part_of_data, restricted, scratch_volume,
    variable,
};
use super::{Subject, job};
use crate::cluster::workflow::JobFacts;
use crate::engine::Stage;

/// Size of `/tmp`.
const TMP_SIZE: &str = "256Mi";
/// `/tmp` and the container log.
const EPHEMERAL_SIZE: &str = "384Mi";

/// The Job that runs the publisher's filter over what the algorithm left; `None` where the asset has none.
///
/// It sees the outputs and the record of the log, read-only, and no secret; what it leaves under `/data/filtered` is what may be
/// published. It has the algorithm's limits.
pub fn filter(subject: &Subject<'_>, repetition: u32) -> Option<Job> {
    let facts = subject.job();
    let wanted = facts.filter.as_ref()?;
    let size = Size {
        cpu: &facts.resources.cpu,
        memory: &facts.resources.memory,
        ephemeral_storage: EPHEMERAL_SIZE,
    };
    let command = wanted.entrypoint.as_ref().map(|entrypoint| {
        let words = ["/bin/sh", "-c", &literal(entrypoint)];
        words.map(str::to_owned).to_vec()
    });
    let container = Container {
        command,
        env: Some(environment()),
        volume_mounts: Some(vec![
            part_of_data("outputs", true),
            part_of_data("record", true),
            part_of_data("filtered", false),
            mount("tmp", "/tmp", false),
        ]),
        ..container(facts, Stage::Filter.as_str(), &wanted.image, size)
    };
    let pod = PodSpec {
        active_deadline_seconds: Some(seconds(facts)),
        containers: vec![container],
        ..restricted(
            facts,
            vec![data_volume(subject), scratch_volume("tmp", TMP_SIZE)],
        )
    };
    Some(job::job(subject, Stage::Filter, repetition, pod))
}

fn seconds(facts: &JobFacts) -> i64 {
    i64::from(facts.start_deadline_seconds) + i64::from(facts.resources.max_execution_seconds)
}

/// Where the filter finds what may leave, and where it leaves what does.
fn environment() -> Vec<EnvVar> {
    vec![
        variable("VOLUME", "/data"),
        variable("INPUTS", "/data/outputs"),
        variable("INPUT_LOG", "/data/record/log"),
        variable("OUTPUTS", "/data/filtered/outputs"),
        variable("OUTPUT_LOG", "/data/filtered/logs/log"),
        variable("HOME", "/tmp"),
    ]
}
