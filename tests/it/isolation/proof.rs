use std::time::UNIX_EPOCH;

use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use tidewatch::cluster::{KubernetesEngine, NetworkPolicy, Settings};
use tidewatch::engine::{Engine, Isolation, Observation, Stage, WorkflowPlan};
use tidewatch::jobs::{Outcome, Reason};

use crate::operator::{end, finished, has_log, log, plan, start};
use crate::support::cluster::Namespace;

const WELL: (Option<Outcome>, Option<Reason>) = (Some(Outcome::Succeeded), None);

#[tokio::test]
async fn where_policies_are_ignored_an_algorithm_runs_unproven_or_where_proof_is_required_not_at_all()
 {
    let namespace = Namespace::create().await;
    namespace.apply_network_policies().await;
    let _operator = namespace.operator().await;
    let (preferred, required) = (plan("echo ran"), plan("echo ran"));
    start(&namespace, &preferred).await;
    start_required(&namespace, &required).await;

    let seen = finished(&namespace, &preferred.job).await;
    assert_eq!(end(&seen), WELL);
    assert_eq!(isolation(&seen), Some(Isolation::Unproven));
    assert_eq!(log(&namespace, &preferred.job).await, "ran\n");

    let seen = finished(&namespace, &required.job).await;
    let unproven = (Some(Outcome::Failed), Some(Reason::NetworkUnproven));
    assert_eq!(end(&seen), unproven);
    assert_eq!(isolation(&seen), Some(Isolation::Unproven));
    assert!(!has_log(&namespace, &required.job).await, "it never ran");
}

#[tokio::test]
async fn where_policies_are_enforced_the_denial_is_seen_and_the_stages_that_need_the_network_have_it()
 {
    let namespace = Namespace::create().await;
    namespace.apply_network_policies().await;
    namespace.enforce_policies(true);
    let _operator = namespace.operator().await;
    let (preferred, required, open) = (plan("echo ran"), plan("echo ran"), open_plan());
    start(&namespace, &preferred).await;
    start_required(&namespace, &required).await;
    start_required(&namespace, &open).await;
    for (plan, expected) in [
        (&preferred, Isolation::Proven),
        (&required, Isolation::Proven),
        (&open, Isolation::Open),
    ] {
        let seen = finished(&namespace, &plan.job).await;
        assert_eq!(end(&seen), WELL, "{expected:?}");
        assert_eq!(isolation(&seen), Some(expected));
        assert_eq!(log(&namespace, &plan.job).await, "ran\n");
    }
    namespace.enforce_policies(false);
}

#[tokio::test]
async fn a_denial_that_comes_late_is_waited_for() {
    let namespace = Namespace::create().await;
    namespace.apply_network_policies().await;
    let _operator = namespace.operator().await;
    let plan = plan("date +%s");
    start_required(&namespace, &plan).await;
    namespace
        .until("the guard's container", || guard_runs(&namespace, &plan))
        .await;
    // Three seconds late, as plugins are: this is the lateness itself, not a wait for something.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let enforced = UNIX_EPOCH.elapsed().unwrap();
    namespace.enforce_policies(true);
    let seen = finished(&namespace, &plan.job).await;
    assert_eq!(end(&seen), WELL);
    assert_eq!(isolation(&seen), Some(Isolation::Proven));
    let ran: u64 = log(&namespace, &plan.job).await.trim().parse().unwrap();
    assert!(
        ran >= enforced.as_secs(),
        "it ran at {ran}, and the network was denied at {enforced:?}"
    );
    namespace.enforce_policies(false);
}

/// A job whose publisher lets it use the network.
fn open_plan() -> WorkflowPlan {
    let mut plan = plan("echo ran");
    plan.spec.allow_network = true;
    plan
}

async fn start_required(namespace: &Namespace, plan: &WorkflowPlan) {
    let settings = Settings {
        network_policy: NetworkPolicy::Required,
        ..namespace.settings()
    };
    let engine = KubernetesEngine::new(namespace.client_as("dispatcher").await, settings).unwrap();
    let inert = engine.ensure(plan).await.unwrap();
    assert!(engine.start(plan, &inert.uid, 1).await.unwrap());
}

async fn guard_runs(namespace: &Namespace, plan: &WorkflowPlan) -> Option<()> {
    let selector = format!("workflow={},component=algorithm", plan.job);
    let pods = namespace.api::<Pod>();
    let pods = pods
        .list(&ListParams::default().labels(&selector))
        .await
        .unwrap();
    let status = pods.items.first()?.status.as_ref()?;
    let container = status.container_statuses.as_ref()?.first()?;
    container.state.as_ref()?.running.as_ref().map(drop)
}

/// What the algorithm's isolation rested on.
fn isolation(seen: &Observation) -> Option<Isolation> {
    let mut stages = seen.stages.iter();
    stages
        .find(|stage| stage.stage == Stage::Algorithm)?
        .isolation
}
