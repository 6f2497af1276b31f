//! Logs of 200 MB, however their algorithm came to its end, while nobody collects: what is stored is what was printed.
//!
//! The kubelet keeps 10 MiB of a container's output and forgets all of it with the pod; the record on the volume must not.

use std::io::Write;
use std::time::Duration;

use futures::StreamExt;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::eventually;
use crate::support::service::Service;
use crate::support::world::{World, workflow};

const LINES: u64 = 2_500_000;

/// With its end a line has 80 bytes.
const PRINTED: u64 = 80 * LINES;

/// The hash of what it prints.
fn digest_of_all() -> Vec<u8> {
    let (mut digest, mut piece) = (Sha256::new(), Vec::new());
    for from in (0..LINES).step_by(1000) {
        piece.clear();
        for line in from..from + 1000 {
            writeln!(piece, "{line:079}").unwrap();
        }
        digest.update(&piece);
    }
    digest.finalize().to_vec()
}

/// What is done to the algorithm's pod once it has printed everything.
#[derive(Clone, Copy)]
enum Blow {
    Nothing,
    Evict,
    Delete,
}

/// What the algorithm does after printing, what is done to its pod, and what that comes to.
const ENDS: [(&str, Blow, &str, Option<&str>); 4] = [
    ("exit 0", Blow::Nothing, "succeeded", None),
    (
        "sleep 1000",
        Blow::Nothing,
        "timed_out",
        Some("time_exceeded"),
    ),
    ("sleep 1000", Blow::Evict, "failed", Some("evicted")),
    ("sleep 1000", Blow::Delete, "lost", Some("pod_missing")),
];

/// Every role but the collector, and then that one.
const OTHERS: &str = "follower,judge,resolver,dispatcher,observer,reaper,operator,api";
const COLLECTOR: &str = "collector,api";

#[tokio::test(flavor = "multi_thread")]
async fn whatever_ends_an_algorithm_its_whole_log_is_stored_though_nobody_collected_meanwhile() {
    let world = World::start().await;
    allow_large_logs(&world);
    let start = async |role, name| {
        let (variables, directory) = (world.variables(), world.directory());
        Service::start_role(role, variables, directory, name).await
    };
    let others = start(OTHERS, "others").await;
    let mut agreements = Vec::new();
    for (then, ..) in ENDS {
        let document = printing_and(&world, then);
        agreements.push(world.buy(Some(&document)).await.agreement);
    }
    for (agreement, (_, blow, ..)) in agreements.iter().zip(ENDS) {
        strike(&world, &others, &agreement.to_string(), blow).await;
    }
    // Nothing that ended is lost before it is collected.
    for agreement in &agreements {
        ended_in_the_cluster(&world, &others, &agreement.to_string()).await;
    }
    let _collector = start(COLLECTOR, "collector").await;
    let expected = digest_of_all();
    for (agreement, (then, _, outcome, reason)) in agreements.iter().zip(ENDS) {
        let job = patiently("the job is finished", async || {
            let jobs = world.jobs(&others, agreement).await;
            jobs.into_iter().find(|job| job["phase"] == "finished")
        })
        .await;
        let told = (&job["outcome"], &job["reason"]["code"]);
        assert_eq!(told, (&json!(outcome), &json!(reason)), "{then}: {job:#}");
        let id = job["id"].as_str().unwrap();
        let (bytes, digest, completeness) = stored(&world, &others, id).await;
        assert_eq!(bytes, PRINTED, "{outcome}, {completeness}");
        assert_eq!(digest, expected, "{outcome}, {completeness}");
        // The guard of a pod that was taken away could not vouch for it.
        let wanted: &[&str] = match outcome {
            "succeeded" | "timed_out" => &["complete"],
            _ => &["complete", "unverified"],
        };
        assert!(wanted.contains(&completeness.as_str()), "{completeness}");
    }
}

/// The publisher keeps logs of that size, and the disk has room for them.
fn allow_large_logs(world: &World) {
    let file = world.directory().join("catalog.yaml");
    let mut catalog: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    catalog["policy"]["resources"] =
        json!({"cpu": "500m", "memory": "128Mi", "disk": "1Gi", "maxExecutionSeconds": 600});
    catalog["assets"][0]["release"] = json!({"logs": "raw", "logBytes": "256Mi"});
    std::fs::write(&file, catalog.to_string()).unwrap();
}

/// A document whose algorithm prints the lines, says so in a file, and does something else.
fn printing_and(world: &World, then: &str) -> Value {
    let shell = format!(
        "awk 'BEGIN {{for (i = 0; i < {LINES}; i++) printf \"%079d\\n\", i}}'; : > $OUTPUTS/done; {then}"
    );
    let mut document = workflow(world.did, &shell);
    document["main"]["workflow"]["stages"][0]["requirements"] =
        json!({"cpu": "500m", "memory": "64Mi", "maxExecutionSeconds": 120});
    document
}

/// Waits until the algorithm has printed everything, and takes its pod away.
async fn strike(world: &World, service: &Service, agreement: &str, blow: Blow) {
    if matches!(blow, Blow::Nothing) {
        return;
    }
    let job = patiently("the job runs", async || {
        world.chain.node.mine(1).await;
        let jobs = world.jobs(service, agreement).await;
        jobs.into_iter().find(|job| job["phase"] == "running")
    })
    .await;
    let id = job["id"].as_str().unwrap();
    let labels = format!("workflow={id},component=algorithm");
    let pod = patiently("everything is printed", async || {
        let pods = ["get", "pods", "-l", &labels, "-o", "name"];
        let pod = world.kubectl(&pods).await.trim().to_owned();
        let look = ["exec", &pod, "--", "ls", "/data/outputs"];
        let seen = !pod.is_empty() && world.kubectl(&look).await.contains("done");
        seen.then_some(pod)
    })
    .await;
    match blow {
        Blow::Nothing => {}
        Blow::Delete => {
            world.kubectl(&["delete", &pod, "--wait=false"]).await;
        }
        Blow::Evict => {
            let (name, namespace) = (pod.trim_start_matches("pod/"), &world.namespace.name);
            let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction",
                                  "metadata": {"name": name, "namespace": namespace}});
            let file = world.directory().join("eviction.json");
            std::fs::write(&file, eviction.to_string()).unwrap();
            let path = format!("/api/v1/namespaces/{namespace}/pods/{name}/eviction");
            let file = file.to_str().unwrap();
            world.kubectl(&["create", "--raw", &path, "-f", file]).await;
        }
    }
}

/// Waits until the cluster has nothing left to do for the job, which still waits for its collector.
async fn ended_in_the_cluster(world: &World, service: &Service, agreement: &str) {
    patiently("the workflow has ended", async || {
        world.chain.node.mine(1).await;
        let jobs = world.jobs(service, agreement).await;
        let id = jobs.first()?["id"].as_str()?.to_owned();
        let query = ["get", "cw", &id, "-o", "jsonpath={.status.phase}"];
        (world.kubectl(&query).await == "finished").then_some(())
    })
    .await;
}

/// How many bytes the API gives of a job's log, their hash, and what it says of them.
async fn stored(world: &World, service: &Service, id: &str) -> (u64, Vec<u8>, String) {
    let answer = world.get(service, &format!("/v1/jobs/{id}/logs")).await;
    let completeness = answer.headers()["x-log-completeness"]
        .to_str()
        .unwrap()
        .to_owned();
    let (mut bytes, mut digest) = (0, Sha256::new());
    let mut pieces = answer.bytes_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.unwrap();
        bytes += u64::try_from(piece.len()).unwrap();
        digest.update(&piece);
    }
    (bytes, digest.finalize().to_vec(), completeness)
}

/// Longer than usual: four times 200 MB go through pods, an object store and a database.
async fn patiently<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let look = &look;
    eventually(what, Duration::from_secs(600), || look()).await
}
