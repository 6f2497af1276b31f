use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Container, EnvVar, PodSchedulingGate, PodSpec};

use super::pod::{
    Size, container, data_volume, literal, mount, node_addresses, own_container, part_of_data,
    restricted, scratch_volume, variable,
};
use super::{RELEASE_GATE, Subject, job};
use crate::cluster::workflow::JobFacts;
use crate::engine::Stage;
use crate::ids::Did;
use crate::stages::guard::LONGEST_WAIT_SECONDS;
use crate::workflows::Quantity;

/// Size of `/tmp`.
const TMP_SIZE: &str = "256Mi";
/// Size of the volume that the guard is copied to.
const TOOL_SIZE: &str = "64Mi";
/// `/tmp`, the guard, and the container log, which the kubelet keeps below 10 MiB a file.
const EPHEMERAL_SIZE: &str = "384Mi";
/// Seconds between the end of the guard's own limit and the pod's: the guard ends the algorithm and says why; the pod's limit
/// is for a guard that cannot. The guard's limit begins with the algorithm, which may have to wait for the network's denial.
pub const GUARD_MARGIN_SECONDS: i64 = 30 + LONGEST_WAIT_SECONDS;
/// Where the guard is copied to.
const GUARD: &str = "/tool/guard";
/// Where the guard finds the addresses that it asks.
const TARGETS: &str = "/tool/targets.json";

/// Label of an algorithm's pod that the publisher lets use the network. A network policy selects by it.
const NETWORK_LABEL: &str = "compute.tidewatch.dev/network";

/// The gated Job that runs the consumer's code under the guard: no secret, no network, inputs read-only.
pub fn algorithm(subject: &Subject<'_>) -> Job {
    let facts = subject.job();
    let limit = i64::from(facts.resources.max_execution_seconds);
    let start = i64::from(facts.start_deadline_seconds);
    let volumes = vec![
        data_volume(subject),
        scratch_volume("tool", TOOL_SIZE),
        scratch_volume("tmp", TMP_SIZE),
    ];
    let pod = PodSpec {
        // Lowered when the program runs; until then it must leave room for pulling the image.
        active_deadline_seconds: Some(start + limit + GUARD_MARGIN_SECONDS),
        containers: vec![algorithm_container(facts)],
        init_containers: Some(vec![install_guard(facts)]),
        runtime_class_name: facts.runtime_class.clone(),
        scheduling_gates: Some(vec![PodSchedulingGate {
            name: RELEASE_GATE.to_owned(),
        }]),
        // Its first process is the guard, which kills the algorithm after three seconds and then completes the record.
        termination_grace_period_seconds: Some(15),
        ..restricted(facts, volumes)
    };
    let mut job = job::job(subject, Stage::Algorithm, 0, pod);
    if facts.allow_network
        && let Some(labels) = job
            .spec
            .as_mut()
            .and_then(|spec| spec.template.metadata.as_mut()?.labels.as_mut())
    {
        labels.insert(NETWORK_LABEL.to_owned(), "allowed".to_owned());
    }
    if let (Some(queue), Some(labels)) = (&facts.kueue_queue, &mut job.metadata.labels) {
        labels.insert("kueue.x-k8s.io/queue-name".to_owned(), queue.clone());
    }
    job
}

fn install_guard(facts: &JobFacts) -> Container {
    let arguments = ["install-guard", "--to", GUARD, "--targets", TARGETS];
    Container {
        env: Some(vec![node_addresses()]),
        volume_mounts: Some(vec![mount("tool", "/tool", false)]),
        ..own_container(facts, "install-guard", &arguments)
    }
}

fn algorithm_container(facts: &JobFacts) -> Container {
    let size = Size {
        cpu: &facts.resources.cpu,
        memory: &facts.resources.memory,
        ephemeral_storage: EPHEMERAL_SIZE,
    };
    Container {
        command: Some(guarded_command(facts)),
        env: Some(environment(facts)),
        volume_mounts: Some(vec![
            part_of_data("inputs", true),
            part_of_data("transformations", true),
            part_of_data("ddos", true),
            part_of_data("outputs", false),
            part_of_data("logs", false),
            part_of_data("record", false),
            mount("tool", "/tool", true),
            mount("tmp", "/tmp", false),
        ]),
        ..container(
            facts,
            Stage::Algorithm.as_str(),
            &facts.algorithm.image,
            size,
        )
    }
}

fn guarded_command(facts: &JobFacts) -> Vec<String> {
    // A quantity that cannot be read would have been refused with the claim; nothing may be written then.
    let disk = facts
        .resources
        .disk
        .parse::<Quantity>()
        .map_or(0, |disk| disk.whole())
        .to_string();
    let log = facts.release.log_bytes.to_string();
    let seconds = facts.resources.max_execution_seconds.to_string();
    let mut command = vec![GUARD, "run", "--record", "/data/record"];
    command.extend(["--watch", "/data/outputs", "--watch", "/data/logs"]);
    command.extend(["--log-bytes", &log, "--seconds", &seconds]);
    command.extend(["--disk-bytes", &disk]);
    if facts.allow_network {
        command.push("--allow-network");
    }
    command.extend(["--network-policy", facts.network_policy.as_str()]);
    command.extend(["--targets", TARGETS]);
    let entrypoint = literal(&facts.algorithm.entrypoint);
    command.extend(["--", "/bin/sh", "-c", &entrypoint]);
    command.into_iter().map(str::to_owned).collect()
}

/// The variables that OEP-12 promises, and a home that can be written to under a read-only root.
fn environment(facts: &JobFacts) -> Vec<EnvVar> {
    let transformation = facts.algorithm.did.map(Did::digits);
    vec![
        variable("VOLUME", "/data"),
        variable("INPUTS", "/data/inputs"),
        variable("OUTPUTS", "/data/outputs"),
        variable("LOGS", "/data/logs"),
        variable("DIDS", format!("[\"{}\"]", facts.did.digits())),
        variable("TRANSFORMATION_DID", transformation.unwrap_or_default()),
        variable("ALGO", "/data/transformations/algorithm"),
        variable("HOME", "/tmp"),
    ]
}
