use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use serde::Deserialize;
use serde_json::{Value, json};
use tidewatch::engine::{Completeness, Isolation, Stage, WorkflowPlan};
use tidewatch::jobs::{Outcome, Reason};

use super::surroundings::Surroundings;
use super::variants::{
    Variants, as_root, unconfined, with_host_network, with_network, with_token,
    with_writable_inputs, without_guard,
};
use crate::operator::{end, finished, input, log, plan, start};
use crate::support::cluster::Namespace;
use crate::support::{inputs, required};

/// What one way out came to.
#[derive(Debug, Deserialize)]
pub(super) struct Way {
    pub(super) way: String,
    pub(super) wall: String,
    pub(super) through: bool,
    pub(super) by: String,
}

/// What gets through where the guard and its filter are missing. The others are stopped by the container as well.
const WITHOUT_THE_GUARD: [&str; 15] = [
    "fake_the_control",
    "fake_the_ending",
    "filter_taken_off",
    "read_the_record",
    "socket_inet6_tcp",
    "socket_inet6_udp",
    "socket_inet_tcp",
    "socket_inet_udp",
    "socket_netlink",
    "socket_of_a_child",
    "socket_of_a_program_in_memory",
    "socket_of_a_thread",
    "socket_with_high_bits_set",
    "speak_by_the_termination_message",
    "write_the_record",
];

/// What it may use where the guard does not limit it.
const WITHOUT_LIMITS: [&str; 3] = ["dump_core", "five_thousand_threads", "sparse_terabyte"];

/// What gets through for root with capabilities and without a seccomp profile.
const WITHOUT_THE_CONTAINER: [&str; 7] = [
    "become_another_user",
    "become_root",
    "join_another_group",
    "make_a_device",
    "mount_something",
    "new_network_namespace",
    "write_the_root",
];

#[tokio::test]
async fn nothing_that_an_algorithm_tries_gets_through_and_every_wall_is_what_stops_it() {
    let namespace = Namespace::create().await;
    namespace.apply_network_policies().await;
    namespace.enforce_policies(true);
    let surroundings = Surroundings::make().await;
    let _operator = namespace.operator().await;
    let mut plan = attack(&format!("PLANT=1 {}", surroundings.environment));
    let url = inputs::serve(b"private").await;
    plan.spec.inputs = vec![input(url, checksum(b"private"))];
    start(&namespace, &plan).await;

    let seen = finished(&namespace, &plan.job).await;
    let log = log(&namespace, &plan.job).await;
    let ways = read(&log);
    assert!(ways.len() >= 80, "{} ways", ways.len());
    assert!(ways.iter().all(|way| !way.by.is_empty()), "{log}");
    let threads = ways.iter().find(|way| way.way == "five_thousand_threads");
    assert!(threads.unwrap().by.contains("no more"), "{threads:?}");
    let through: Vec<_> = ways.iter().filter(|way| way.through).collect();
    assert!(through.is_empty(), "{through:#?}");
    assert_eq!(end(&seen), (Some(Outcome::Succeeded), None));
    let mut stages = seen.stages.iter();
    let algorithm = stages.find(|stage| stage.stage == Stage::Algorithm);
    assert_eq!(algorithm.unwrap().isolation, Some(Isolation::Proven));
    let published = seen.published.expect("results");
    assert_eq!(published.log.completeness, Completeness::Complete);
    assert_what_was_planted_stays(&namespace, &published.manifest_key).await;
    assert_the_message_is_the_guards(&namespace, &plan).await;

    namespace.label("compute.tidewatch.dev/jobs", None).await;
    namespace
        .label("pod-security.kubernetes.io/enforce", None)
        .await;
    let variants = Variants::of(&namespace, &plan, &surroundings).await;
    take_walls_down(&variants).await;
    let denied = variants.run("network-1", "network", with_network).await;
    assert_eq!(names(&denied, true), BTreeSet::new(), "policies alone deny");
    namespace.enforce_policies(false);
    let reached = variants.run("network-2", "network", with_network).await;
    assert_eq!(names(&reached, false), BTreeSet::new(), "{reached:#?}");
}

#[tokio::test]
async fn what_outlives_its_time_or_its_disk_is_ended_with_all_its_processes() {
    let namespace = Namespace::create().await;
    let _operator = namespace.operator().await;
    let daemons = "for n in 1 2 3; do (trap '' TERM HUP INT; (while :; do sleep 1000; done) & while :; do sleep 1000; done) & done; \
                   trap '' TERM; echo begun; while :; do sleep 1000; done";
    let mut late = plan(daemons);
    late.spec.resources.max_execution_seconds = 2;
    let greedy = plan(
        "mkdir $OUTPUTS/d; n=0; while :; do n=$((n+1)); head -c 100000 /dev/zero > $OUTPUTS/d/$n; done",
    );
    start(&namespace, &late).await;
    start(&namespace, &greedy).await;
    let seen = finished(&namespace, &late.job).await;
    let timed_out = (Some(Outcome::TimedOut), Some(Reason::TimeExceeded));
    assert_eq!(end(&seen), timed_out);
    assert_eq!(log(&namespace, &late.job).await, "begun\n");
    let seen = finished(&namespace, &greedy.job).await;
    let full = (Some(Outcome::Failed), Some(Reason::DiskExceeded));
    assert_eq!(end(&seen), full);
    assert_eq!(seen.published.expect("a manifest").files, 0);
}

/// A job whose algorithm attacks.
fn attack(environment: &str) -> WorkflowPlan {
    let image = required("TIDEWATCH_TEST_PYTHON_IMAGE");
    let (image, digest) = image.split_once('@').expect("an image with a digest");
    let mut plan = plan(&format!("{environment} python3 -IS $ALGO"));
    plan.spec.algorithm.image = image.to_owned();
    plan.spec.algorithm.digest = digest.to_owned();
    plan.spec.algorithm.code = Some(include_str!("attacks.py").into());
    plan.spec.resources.memory = "512Mi".to_owned();
    plan.spec.resources.cpu = "500m".to_owned();
    plan.spec.resources.max_execution_seconds = 180;
    // Processes are counted by user: those of other tests must not suffer.
    plan.run_as = 34567;
    plan
}

fn checksum(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    format!("sha256:{}", alloy::hex::encode(Sha256::digest(bytes)))
}

pub(super) fn read(log: &str) -> Vec<Way> {
    log.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{log}")))
        .collect()
}

/// Names of the ways that got through, or did not.
fn names(ways: &[Way], through: bool) -> BTreeSet<&str> {
    let ways = ways.iter().filter(|way| way.through == through);
    ways.map(|way| way.way.as_str()).collect()
}

/// Of all that was planted for publish only regular files with names left, and no more of them than allowed.
async fn assert_what_was_planted_stays(namespace: &Namespace, key: &str) {
    let manifest: Value = serde_json::from_slice(&namespace.published(key).await).unwrap();
    let files = manifest["files"].as_array().unwrap();
    assert_eq!(files.len(), 10, "as many as the publisher allows");
    let path = |file: &Value| file["path"].as_str().unwrap().to_owned();
    assert_eq!(path(&files[0]), "a-result");
    assert!(
        files[1..]
            .iter()
            .all(|file| path(file).starts_with("deep/"))
    );
    let skipped = manifest["skipped"].as_array().unwrap();
    for (path, reason) in [
        ("link", "link"),
        ("directory", "link"),
        ("up", "link"),
        ("pipe", "not_a_file"),
        ("socket", "not_a_file"),
    ] {
        let listed = json!({"path": path, "reason": reason});
        assert!(skipped.contains(&listed), "{path}: {skipped:?}");
    }
    let reasons: BTreeSet<_> = skipped.iter().map(|it| it["reason"].as_str()).collect();
    for reason in ["name", "too_deep", "too_many_files"] {
        assert!(reasons.contains(&Some(reason)), "{reason}: {reasons:?}");
    }
}

/// What the kubelet read as the container's last words is the guard's, whatever the algorithm wrote there.
async fn assert_the_message_is_the_guards(namespace: &Namespace, plan: &WorkflowPlan) {
    let selector = format!("workflow={},component=algorithm", plan.job);
    let pods = namespace.api::<Pod>();
    let pods = pods.list(&ListParams::default().labels(&selector)).await;
    let status = pods.unwrap().items[0].status.clone().unwrap();
    let state = status.container_statuses.unwrap()[0].state.clone();
    let ended = state.unwrap().terminated.unwrap();
    let message: Value = serde_json::from_str(&ended.message.unwrap()).unwrap();
    assert_eq!(message["stage"], "algorithm");
    assert_eq!(message["exitCode"], ended.exit_code);
    assert_eq!(message["isolation"], "proven");
}

/// Each wall in turn is missing, and what it alone stops gets through. So the attacks can succeed, and the walls are what keeps
/// them from it.
async fn take_walls_down(variants: &Variants<'_>) {
    let (unguarded, inputs, token, host, root, unconfined) = tokio::join!(
        variants.run("unguarded", "filter,record", without_guard),
        variants.run("inputs", "inputs", with_writable_inputs),
        variants.run("token", "token", with_token),
        variants.run("host", "namespaces", with_host_network),
        variants.run("root", "container", as_root),
        variants.exit_code("unconfined", "filter", unconfined),
    );
    // Alone: processes are counted by user, and all of these pods have the same one.
    let unlimited = variants.run("unlimited", "limits", without_guard).await;
    let expect = |ways: &[Way], expected: &[&str]| {
        let through = names(ways, true);
        for name in expected {
            assert!(through.contains(name), "{name}: {ways:#?}");
        }
    };
    expect(&unguarded, &WITHOUT_THE_GUARD);
    expect(&unlimited, &WITHOUT_LIMITS);
    // The inputs themselves are gone: publish has deleted them.
    expect(&inputs, &["add_an_input"]);
    expect(&token, &["service_account_token"]);
    expect(&host, &["abstract_socket_of_the_node"]);
    expect(&root, &WITHOUT_THE_CONTAINER);
    assert_eq!(
        unconfined, 125,
        "the guard runs nothing without the container's walls"
    );
}
