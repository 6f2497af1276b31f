use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::http::Method;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;
use tidewatch::cluster::ComputeWorkflow;
use tidewatch::cluster::gate::is_gated;
use tidewatch::engine::{Engine, Stage, StageObservation};
use tidewatch::jobs::{Outcome, Reason};

use super::{end, finished, log, plan, running, start};
use crate::support::cluster::Namespace;

#[tokio::test]
async fn two_operators_let_one_pod_go() {
    let namespace = Namespace::create().await;
    let _operators = (namespace.operator().await, namespace.operator().await);
    let plans = [plan("echo once"), plan("echo once"), plan("echo once")];
    for plan in &plans {
        let (one, other) = tokio::join!(start(&namespace, plan), start(&namespace, plan));
        assert_eq!(one, other);
    }
    for plan in &plans {
        let seen = finished(&namespace, &plan.job).await;
        assert_eq!(end(&seen), (Some(Outcome::Succeeded), None));
        assert_eq!(log(&namespace, &plan.job).await, "once\n");
        let pods = algorithm_pods(&namespace, plan.job.as_str()).await;
        assert_eq!(pods.len(), 1);
        assert_eq!(pods[0].uid(), seen.stages[1].runner);
        let containers = pods[0].status.as_ref().unwrap().container_statuses.as_ref();
        assert_eq!(containers.unwrap()[0].restart_count, 0);
    }
}

#[tokio::test]
async fn a_second_pod_of_the_same_job_stays_gated() {
    let namespace = Namespace::create().await;
    let _operator = namespace.operator().await;
    let plan = plan("sleep 8; echo once");
    start(&namespace, &plan).await;
    running(&namespace, &plan.job).await;
    let first = algorithm_pods(&namespace, plan.job.as_str())
        .await
        .remove(0);
    let second = namespace
        .api::<Pod>()
        .create(&PostParams::default(), &copy_of(&first))
        .await
        .unwrap();
    assert!(is_gated(&second));
    let seen = finished(&namespace, &plan.job).await;
    assert_eq!(seen.stages[1].runner, first.uid());
    let pods = algorithm_pods(&namespace, plan.job.as_str()).await;
    let others = pods.iter().filter(|pod| pod.uid() != first.uid());
    others.for_each(|pod| assert!(is_gated(pod) || pod.metadata.deletion_timestamp.is_some()));
    assert_eq!(log(&namespace, &plan.job).await, "once\n");
}

#[tokio::test]
async fn a_pod_that_somebody_deletes_is_lost_and_not_replaced() {
    let namespace = Namespace::create().await;
    let _operator = namespace.operator().await;
    let plan = plan("echo begun; sleep 600");
    start(&namespace, &plan).await;
    let seen = running(&namespace, &plan.job).await;
    let pod = algorithm_pods(&namespace, plan.job.as_str())
        .await
        .remove(0);
    namespace.delete::<Pod>(&pod.name_any()).await;
    let end_seen = finished(&namespace, &plan.job).await;
    let lost = (Some(Outcome::Lost), Some(Reason::PodMissing));
    assert_eq!(end(&end_seen), lost);
    let runner = |stages: &[tidewatch::engine::StageObservation]| {
        let mut stages = stages.iter();
        stages
            .find(|stage| stage.stage == Stage::Algorithm)
            .and_then(|stage| stage.runner.clone())
    };
    assert_eq!(runner(&end_seen.stages), runner(&seen.stages));
    assert!(log(&namespace, &plan.job).await.starts_with("begun\n"));
}

#[tokio::test]
async fn configuring_is_repeated_when_its_pod_is_deleted_and_suspension_holds_the_algorithm_back() {
    let namespace = Namespace::create().await;
    let _operator = namespace.operator().await;
    let mut plan = plan("cat $INPUTS/*/0");
    let (url, asked) = crate::support::inputs::serve_slowly(b"data\n").await;
    let checksum = "sha256:6667b2d1aab6a00caa5aee5af8ad9f1465e567abf1c209d15727d57b3e8f6e5f";
    plan.spec.inputs = vec![super::input(url, checksum.to_owned())];
    let workflows = namespace.api::<ComputeWorkflow>();
    let suspend = |suspend: bool| {
        let patch = Patch::Merge(json!({"spec": {"suspend": suspend}}));
        let (workflows, name) = (workflows.clone(), plan.job.to_string());
        async move {
            workflows
                .patch(&name, &PatchParams::default(), &patch)
                .await
                .unwrap()
        }
    };
    start(&namespace, &plan).await;
    asked.notified().await;
    suspend(true).await;
    let pod = pods(&namespace, plan.job.as_str(), "configure")
        .await
        .remove(0);
    let at_once = DeleteParams::default().grace_period(1);
    let deleted = namespace
        .api::<Pod>()
        .delete(&pod.name_any(), &at_once)
        .await;
    deleted.unwrap();
    let reason = || async {
        let workflow = workflows.get(plan.job.as_str()).await.unwrap();
        let stages = workflow.status?.stages;
        stages.first()?.finished_at.and(stages.first()?.reason)
    };
    let found = namespace.until("the loss of the pod", reason).await;
    assert_eq!(found, Reason::PodMissing);
    suspend(false).await;
    let seen = finished(&namespace, &plan.job).await;
    assert_eq!(end(&seen), (Some(Outcome::Succeeded), None));
    assert_eq!(log(&namespace, &plan.job).await, "data\n");
    let stages: Vec<_> = seen.stages.iter().map(|stage| stage.stage).collect();
    let all = [
        Stage::Configure,
        Stage::Configure,
        Stage::Algorithm,
        Stage::Publish,
    ];
    assert_eq!(stages, all);
    assert_eq!(algorithm_pods(&namespace, plan.job.as_str()).await.len(), 1);
}

#[tokio::test]
async fn an_operator_that_comes_later_goes_on_where_the_first_one_stopped() {
    let namespace = Namespace::create().await;
    let first = namespace.operator().await;
    let plan = plan("sleep 3; echo once");
    start(&namespace, &plan).await;
    running(&namespace, &plan.job).await;
    drop(first);
    let _second = namespace.operator().await;
    let seen = finished(&namespace, &plan.job).await;
    assert_eq!(end(&seen), (Some(Outcome::Succeeded), None));
    let engine = namespace.engine_as("observer").await;
    assert_eq!(engine.observe(&plan.job).await.unwrap(), Some(seen));
}

/// A watch that is dead looks like one that has nothing to tell. It costs time, and no verdict rests on it.
#[tokio::test]
async fn a_dead_watch_makes_a_job_slower_and_nothing_else() {
    let runs = async |kind| {
        let namespace = Namespace::create().await;
        let _operator = namespace
            .operator_through(move |request| {
                let uri = request.uri().to_string();
                let is_dead = uri.contains(&format!("/{kind}?")) && uri.contains("watch=true");
                async move {
                    if is_dead {
                        std::future::pending::<()>().await;
                    }
                }
            })
            .await;
        let plan = plan("echo done");
        start(&namespace, &plan).await;
        let seen = finished(&namespace, &plan.job).await;
        assert_eq!(end(&seen), (Some(Outcome::Succeeded), None), "{kind}");
        assert_eq!(algorithm_pods(&namespace, plan.job.as_str()).await.len(), 1);
    };
    futures::join!(runs("pods"), runs("jobs"), runs("persistentvolumeclaims"));
}

/// Where the admission policy is not installed, somebody opens the network to the algorithm's pod between the last look at it and its
/// release.
#[tokio::test]
async fn a_pod_that_is_altered_at_the_last_moment_is_not_let_go() {
    let namespace = Namespace::create().await;
    namespace.without_the_admission_policy().await;
    let pods = namespace.api::<Pod>();
    let altered = Arc::new(AtomicBool::new(false));
    let once = Arc::clone(&altered);
    let _operator = namespace
        .operator_through(move |request| {
            let path = request.uri().path();
            let name = path.rsplit('/').next().unwrap_or_default().to_owned();
            let is_release = request.method() == Method::PATCH && path.contains("/pods/");
            let is_first = is_release && !once.swap(true, Ordering::SeqCst);
            let pods = pods.clone();
            async move {
                if is_first {
                    open_the_network(&pods, &name).await;
                }
            }
        })
        .await;
    let plan = plan("echo done");
    start(&namespace, &plan).await;
    let seen = finished(&namespace, &plan.job).await;
    assert!(altered.load(Ordering::SeqCst));
    assert_eq!(
        end(&seen),
        (Some(Outcome::Failed), Some(Reason::PodAltered))
    );
    let algorithm = |stage: &&StageObservation| stage.stage == Stage::Algorithm;
    let stage = seen.stages.iter().find(algorithm).unwrap();
    assert_eq!(stage.started_at, None, "it never ran");
}

/// Has the network policies let a pod out, as whoever may change pods can.
async fn open_the_network(pods: &Api<Pod>, name: &str) {
    let label = json!({"metadata": {"labels": {"compute.tidewatch.dev/network": "allowed"}}});
    pods.patch(name, &PatchParams::default(), &Patch::Merge(label))
        .await
        .unwrap();
}

async fn algorithm_pods(namespace: &Namespace, job: &str) -> Vec<Pod> {
    pods(namespace, job, "algorithm").await
}

async fn pods(namespace: &Namespace, job: &str, stage: &str) -> Vec<Pod> {
    let selector = format!("compute.tidewatch.dev/job={job},component={stage}");
    let labelled = ListParams::default().labels(&selector);
    namespace.api::<Pod>().list(&labelled).await.unwrap().items
}

/// Another pod of the same Job, as a controller that lost its memory would make it.
fn copy_of(pod: &Pod) -> Pod {
    let mut copy = pod.clone();
    copy.metadata = kube::api::ObjectMeta {
        name: Some(format!("{}-again", pod.name_any())),
        labels: pod.metadata.labels.clone(),
        owner_references: pod.metadata.owner_references.clone(),
        ..Default::default()
    };
    let spec = copy.spec.as_mut().unwrap();
    spec.node_name = None;
    spec.scheduling_gates = Some(vec![k8s_openapi::api::core::v1::PodSchedulingGate {
        name: "compute.tidewatch.dev/release".to_owned(),
    }]);
    copy.status = None;
    copy
}
