use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tidewatch::cluster::ComputeWorkflow;
use tidewatch::cluster::manifests::{Leaving, Subject, algorithm, configure, publish};
use tidewatch::engine::Engine;
use tidewatch::jobs::{Outcome, Reason};
use tidewatch::workflows::Release;

use crate::operator::{end, finished, plan, running, start};
use crate::support::cluster::Namespace;

/// What is changed about a pod of ours, and a part of the sentence that refuses it.
type Deviation = (&'static str, fn(&mut Value), &'static str);

/// Of the algorithm's pod.
const OF_THE_ALGORITHM: [Deviation; 33] = [
    (
        "no job",
        |pod| remove(&mut pod["metadata"]["labels"], "compute.tidewatch.dev/job"),
        "must name a job",
    ),
    (
        "another stage's label",
        |pod| pod["metadata"]["labels"]["compute.tidewatch.dev/stage"] = json!("configure"),
        "labels:",
    ),
    (
        "another job's label",
        |pod| pod["metadata"]["labels"]["workflow"] = json!("other"),
        "labels:",
    ),
    (
        "no owner",
        |pod| remove(&mut pod["metadata"], "ownerReferences"),
        "ownerReferences:",
    ),
    (
        "an owner that is no Job",
        |pod| pod["metadata"]["ownerReferences"][0]["kind"] = json!("ReplicaSet"),
        "ownerReferences:",
    ),
    (
        "another job's owner",
        |pod| pod["metadata"]["ownerReferences"][0]["name"] = json!("other-1-algorithm"),
        "ownerReferences:",
    ),
    (
        "a sidecar",
        |pod| {
            push(
                &mut pod["spec"]["containers"],
                json!({"name": "sidecar", "image": "x"}),
            );
        },
        "spec.containers:",
    ),
    (
        "another name",
        |pod| pod["spec"]["containers"][0]["name"] = json!("other"),
        "spec.containers:",
    ),
    (
        "no guard",
        |pod| remove(&mut pod["spec"], "initContainers"),
        "spec.initContainers:",
    ),
    (
        "a native sidecar",
        |pod| pod["spec"]["initContainers"][0]["restartPolicy"] = json!("Always"),
        "spec.initContainers:",
    ),
    (
        "a tag",
        |pod| container(pod)["image"] = json!("docker.io/library/python:3"),
        "image:",
    ),
    (
        "started without the guard",
        |pod| container(pod)["command"] = json!(["/bin/sh", "-c", "true"]),
        "command:",
    ),
    (
        "a guard for development",
        |pod| push(&mut container(pod)["command"], json!("--development")),
        "command:",
    ),
    (
        "a hook",
        |pod| container(pod)["lifecycle"] = json!({"postStart": {"exec": {"command": ["true"]}}}),
        "hooks and probes",
    ),
    (
        "a probe",
        |pod| container(pod)["livenessProbe"] = json!({"exec": {"command": ["true"]}}),
        "hooks and probes",
    ),
    (
        "no gate",
        |pod| remove(&mut pod["spec"], "schedulingGates"),
        "spec.schedulingGates:",
    ),
    (
        "root",
        |pod| pod["spec"]["securityContext"]["runAsUser"] = json!(0),
        "spec.securityContext:",
    ),
    (
        "another group",
        |pod| pod["spec"]["securityContext"]["supplementalGroups"] = json!([0]),
        "spec.securityContext:",
    ),
    (
        "no seccomp profile",
        |pod| container(pod)["securityContext"]["seccompProfile"]["type"] = json!("Unconfined"),
        "must have no right",
    ),
    (
        "privileges to gain",
        |pod| container(pod)["securityContext"]["allowPrivilegeEscalation"] = json!(true),
        "must have no right",
    ),
    (
        "a capability",
        |pod| container(pod)["securityContext"]["capabilities"]["add"] = json!(["NET_RAW"]),
        "must have no right",
    ),
    (
        "a writable root",
        |pod| container(pod)["securityContext"]["readOnlyRootFilesystem"] = json!(false),
        "must have no right",
    ),
    (
        "the host's network",
        |pod| pod["spec"]["hostNetwork"] = json!(true),
        "nothing of the host",
    ),
    (
        "shared processes",
        |pod| pod["spec"]["shareProcessNamespace"] = json!(true),
        "nothing of the host",
    ),
    (
        "a token",
        |pod| pod["spec"]["automountServiceAccountToken"] = json!(true),
        "service account",
    ),
    (
        "the host's files",
        |pod| {
            push(
                &mut pod["spec"]["volumes"],
                json!({"name": "host", "hostPath": {"path": "/"}}),
            );
        },
        "spec.volumes:",
    ),
    (
        "another job's claim",
        |pod| {
            pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"] =
                json!("job-00000000000000000000000000000000-1");
        },
        "the claim must be the job's own",
    ),
    (
        "a Secret",
        |pod| {
            push(
                &mut pod["spec"]["volumes"],
                json!({"name": "s", "secret": {"secretName": "results"}}),
            );
        },
        "may see no Secret",
    ),
    (
        "a Secret's variable",
        |pod| {
            let from = json!({"secretKeyRef": {"name": "results", "key": "k"}});
            push(
                &mut container(pod)["env"],
                json!({"name": "S", "valueFrom": from}),
            );
        },
        "env:",
    ),
    (
        "writable inputs",
        |pod| remove(&mut container(pod)["volumeMounts"][0], "readOnly"),
        "may write to outputs",
    ),
    (
        "the whole volume",
        |pod| {
            push(
                &mut container(pod)["volumeMounts"],
                json!({"name": "data", "mountPath": "/all", "readOnly": true}),
            );
        },
        "its own parts",
    ),
    (
        "no limit",
        |pod| container(pod)["resources"] = json!({}),
        "resources:",
    ),
    (
        "the log as termination message",
        |pod| {
            container(pod)["terminationMessagePolicy"] = json!("FallbackToLogsOnError");
        },
        "termination message",
    ),
];

/// A namespace without Pod Security: what is refused there, our policy refuses.
async fn namespace_without_pod_security() -> Namespace {
    let namespace = Namespace::create().await;
    namespace
        .label("pod-security.kubernetes.io/enforce", None)
        .await;
    namespace
}

#[tokio::test]
async fn our_pods_are_let_in_and_whatever_deviates_is_refused() {
    let namespace = namespace_without_pod_security().await;
    let plan = plan("true");
    let engine = namespace.engine_as("dispatcher").await;
    engine.ensure(&plan).await.unwrap();
    let workflows = namespace.api::<ComputeWorkflow>();
    let workflow = workflows.get(plan.job.as_str()).await.unwrap();
    let subject = Subject::new(&workflow, 1).unwrap();
    let leaving = Leaving {
        results: Release::Raw,
        logs: Release::Raw,
    };
    let stages = [
        configure(&subject, 0),
        algorithm(&subject),
        publish(&subject, leaving, 0),
    ];
    let pods = namespace.api::<Pod>();
    let ours = pod_of(&stages[1]);
    // The policy reaches the API server's admission some time after it was made.
    let stranger = with(&ours, |pod| remove(&mut pod["metadata"], "ownerReferences"));
    let asleep = || async {
        refusal(
            &pods,
            &with(&stranger, |pod| remove(&mut pod["spec"], "schedulingGates")),
            true,
        )
        .await
    };
    namespace.until("the policy", asleep).await;

    for job in &stages {
        let refused = refusal(&pods, &pod_of(job), true).await;
        assert_eq!(refused, None, "{}", job.name_any());
    }
    let unowned = refusal(&pods, &stranger, true).await;
    assert_eq!(
        unowned, None,
        "the operator asks by a dry run without an owner"
    );
    for (what, change, sentence) in OF_THE_ALGORITHM {
        let refused = refusal(&pods, &with(&ours, change), false).await;
        let refused = refused.unwrap_or_else(|| panic!("{what} was let in"));
        assert!(refused.contains("tidewatch-pods"), "{what}: {refused}");
        assert!(refused.contains(sentence), "{what}: {refused}");
    }
    for job in [&stages[0], &stages[2]] {
        let guarded = with(&pod_of(job), |pod| {
            push(
                &mut pod["spec"]["containers"],
                json!({"name": "sidecar", "image": "x"}),
            );
        });
        let refused = refusal(&pods, &guarded, false).await.unwrap();
        assert!(refused.contains("spec.containers:"), "{refused}");
    }
}

#[tokio::test]
async fn a_running_pod_cannot_be_turned_into_another() {
    let namespace = Namespace::create().await;
    let _operator = namespace.operator().await;
    let plan = plan("while [ ! -e $OUTPUTS/end ]; do sleep 0.2; done");
    start(&namespace, &plan).await;
    running(&namespace, &plan.job).await;
    let pods = namespace.api::<Pod>();
    let selector = format!("workflow={},component=algorithm", plan.job);
    let listed = pods.list(&ListParams::default().labels(&selector)).await;
    let name = listed.unwrap().items[0].name_any();
    let other = format!("tidewatch.test/other@sha256:{}", "0".repeat(64));
    let changes = [
        json!({"metadata": {"labels": {"compute.tidewatch.dev/stage": "configure"}}}),
        json!({"metadata": {"labels": {"component": "publish"}}}),
        json!({"metadata": {"labels": {"compute.tidewatch.dev/network": "allowed"}}}),
        json!({"spec": {"containers": [{"name": "algorithm", "image": other}]}}),
    ];
    for change in changes {
        let patch = Patch::Strategic(&change);
        let changed = pods.patch(&name, &PatchParams::default(), &patch).await;
        let refused = changed.expect_err(&change.to_string()).to_string();
        assert!(refused.contains("tidewatch-pods"), "{change}: {refused}");
    }
    let restricted = json!({
        "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": true,
        "seccompProfile": {"type": "RuntimeDefault"}
    });
    let debugger = json!({"spec": {"ephemeralContainers": [
        {"name": "debugger", "image": other, "targetContainerName": "algorithm", "securityContext": restricted}
    ]}});
    let added = pods
        .patch_subresource(
            "ephemeralcontainers",
            &name,
            &PatchParams::default(),
            &Patch::Strategic(&debugger),
        )
        .await;
    let refused = added.unwrap_err().to_string();
    assert!(refused.contains("spec.ephemeralContainers:"), "{refused}");

    // What ends it is no deviation.
    let workflows = namespace.api::<ComputeWorkflow>();
    let stop = Patch::Merge(json!({"spec": {"stop": true}}));
    workflows
        .patch(plan.job.as_str(), &PatchParams::default(), &stop)
        .await
        .unwrap();
    let seen = finished(&namespace, &plan.job).await;
    let stopped = (Some(Outcome::Stopped), Some(Reason::StoppedByOperator));
    assert_eq!(end(&seen), stopped);
}

/// The pod that the Job's controller would make, as JSON.
pub(super) fn pod_of(job: &Job) -> Value {
    let template = job.spec.as_ref().unwrap().template.clone();
    let mut pod = json!({"metadata": template.metadata, "spec": template.spec});
    pod["metadata"]["name"] = json!(format!("{}-pod", job.name_any()));
    pod["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "batch/v1", "kind": "Job", "name": job.name_any(), "controller": true,
        "uid": "00000000-0000-0000-0000-000000000000"
    }]);
    pod
}

fn with(pod: &Value, change: impl Fn(&mut Value)) -> Value {
    let mut pod = pod.clone();
    change(&mut pod);
    pod
}

fn container(pod: &mut Value) -> &mut Value {
    &mut pod["spec"]["containers"][0]
}

fn push(list: &mut Value, item: Value) {
    list.as_array_mut().unwrap().push(item);
}

fn remove(object: &mut Value, key: &str) {
    object.as_object_mut().unwrap().remove(key).expect(key);
}

/// What the API server says against a pod; `None` when it takes it.
async fn refusal(pods: &Api<Pod>, pod: &Value, dry_run: bool) -> Option<String> {
    let pod: Pod = serde_json::from_value(pod.clone()).unwrap();
    let parameters = PostParams {
        dry_run,
        field_manager: None,
    };
    let made = pods.create(&parameters, &pod).await;
    made.err().map(|error| error.to_string())
}
