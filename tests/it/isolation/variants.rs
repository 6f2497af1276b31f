use k8s_openapi::api::core::v1::Pod;
use kube::api::{LogParams, PostParams};
use serde_json::{Value, json};
use tidewatch::cluster::ComputeWorkflow;
use tidewatch::cluster::manifests::{Subject, algorithm};
use tidewatch::engine::WorkflowPlan;

use super::admission::pod_of;
use super::attacks::{Way, read};
use super::surroundings::Surroundings;
use crate::support::cluster::Namespace;

/// The algorithm's pod of a job, with something changed: what a mistake of ours would make of it. No switch of the programs does this.
pub(super) struct Variants<'a> {
    namespace: &'a Namespace,
    pod: Value,
    environment: &'a str,
}

impl<'a> Variants<'a> {
    pub(super) async fn of(
        namespace: &'a Namespace,
        plan: &WorkflowPlan,
        surroundings: &'a Surroundings,
    ) -> Self {
        let workflows = namespace.api::<ComputeWorkflow>();
        let workflow = workflows.get(plan.job.as_str()).await.unwrap();
        let mut pod = pod_of(&algorithm(&Subject::new(&workflow, 1).unwrap()));
        // Nobody's, so that nobody collects it; and not waiting.
        pod["metadata"]["ownerReferences"] = json!([]);
        pod["spec"]["schedulingGates"] = json!([]);
        // Many at once need not find a core each.
        pod["spec"]["containers"][0]["resources"]["requests"]["cpu"] = json!("20m");
        pod["spec"]["initContainers"][0]["resources"] = json!({});
        // The volume has a record already, and no algorithm runs twice on one: another place for the record.
        let mounts = pod["spec"]["containers"][0]["volumeMounts"].as_array_mut();
        for mount in mounts.unwrap() {
            if mount["subPath"] == "record" {
                *mount = json!({"name": "tmp", "mountPath": "/data/record", "subPath": "record"});
            }
        }
        Self {
            namespace,
            pod,
            environment: &surroundings.environment,
        }
    }

    /// Runs the attacks on some walls in a changed pod, and answers what they came to.
    pub(super) async fn run(&self, name: &str, walls: &str, change: fn(&mut Value)) -> Vec<Way> {
        self.exit_code(name, walls, change).await;
        let log = self.namespace.api::<Pod>();
        let log = log.logs(name, &LogParams::default()).await.unwrap();
        let ways: Vec<_> = log.lines().filter(|line| line.starts_with('{')).collect();
        let ways = read(&ways.join("\n"));
        assert!(!ways.is_empty(), "{name}: {log}");
        assert!(ways.iter().all(|way| walls.contains(&way.wall)));
        ways
    }

    /// The same; answers how it ended.
    pub(super) async fn exit_code(&self, name: &str, walls: &str, change: fn(&mut Value)) -> i32 {
        let mut pod = self.pod.clone();
        pod["metadata"]["name"] = json!(name);
        let words = pod["spec"]["containers"][0]["command"].as_array_mut();
        let environment = self.environment;
        let script = format!("{environment} WAYS={walls} python3 -IS $ALGO");
        *words.unwrap().last_mut().unwrap() = json!(script);
        change(&mut pod);
        let pod: Pod = serde_json::from_value(pod).unwrap();
        let pods = self.namespace.api::<Pod>();
        // That the namespace's labels are gone reaches the API server's admission some time later.
        let make = || async {
            let made = pods.create(&PostParams::default(), &pod).await;
            made.ok().or(pods.get_opt(name).await.unwrap())
        };
        self.namespace.until("the changed pod", make).await;
        let look = || async {
            let status = pods.get(name).await.unwrap().status?;
            let container = status.container_statuses?.first()?.state.clone()?;
            Some(container.terminated?.exit_code)
        };
        self.namespace.until(name, look).await
    }
}

fn container(pod: &mut Value) -> &mut Value {
    &mut pod["spec"]["containers"][0]
}

pub(super) fn without_guard(pod: &mut Value) {
    let words = container(pod)["command"].as_array_mut().unwrap();
    let shell = words.iter().position(|word| word == "/bin/sh").unwrap();
    words.drain(..shell);
    // Somebody has to be there who keeps a record.
    let script = words[2].as_str().unwrap();
    words[2] = json!(format!("touch /data/record/log; {script}"));
}

pub(super) fn with_writable_inputs(pod: &mut Value) {
    for mount in container(pod)["volumeMounts"].as_array_mut().unwrap() {
        if mount["subPath"] == "inputs" {
            mount["readOnly"] = json!(false);
        }
    }
}

pub(super) fn with_token(pod: &mut Value) {
    pod["spec"]["automountServiceAccountToken"] = json!(true);
}

pub(super) fn with_host_network(pod: &mut Value) {
    pod["spec"]["hostNetwork"] = json!(true);
}

pub(super) fn with_network(pod: &mut Value) {
    let words = container(pod)["command"].as_array_mut().unwrap();
    words.insert(2, json!("--allow-network"));
}

pub(super) fn as_root(pod: &mut Value) {
    without_guard(pod);
    // Our own program would not be run as root.
    pod["spec"]["initContainers"] = json!([]);
    pod["spec"]["securityContext"] = json!({"runAsUser": 0, "fsGroup": 0});
    container(pod)["securityContext"] = json!({
        "capabilities": {"add": ["SYS_ADMIN", "MKNOD"]}, "seccompProfile": {"type": "Unconfined"}
    });
}

pub(super) fn unconfined(pod: &mut Value) {
    container(pod)["securityContext"]["seccompProfile"]["type"] = json!("Unconfined");
}
