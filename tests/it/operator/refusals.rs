use std::time::Duration;

use k8s_openapi::api::core::v1::{LimitRange, Pod, ResourceQuota};
use kube::api::{ListParams, PostParams};
use serde_json::json;
use tidewatch::cluster::{KubernetesEngine, Settings};
use tidewatch::engine::Engine;
use tidewatch::jobs::{Outcome, Phase, Reason};

use super::{end, finished, observed, plan, start};
use crate::support::cluster::Namespace;

#[tokio::test]
async fn an_image_that_cannot_be_pulled_ends_the_job_at_the_start_deadline() {
    let namespace = Namespace::create().await;
    let _operator = namespace.operator().await;
    let mut plan = plan("true");
    plan.spec.algorithm.image = "127.0.0.1:1/nothing".to_owned();
    let settings = Settings {
        start_deadline: Duration::from_secs(25),
        ..namespace.settings()
    };
    let engine = KubernetesEngine::new(namespace.client_as("dispatcher").await, settings).unwrap();
    let inert = engine.ensure(&plan).await.unwrap();
    assert!(engine.start(&plan, &inert.uid, 1).await.unwrap());
    let seen = finished(&namespace, &plan.job).await;
    let unavailable = (Some(Outcome::Failed), Some(Reason::ImageUnavailable));
    assert_eq!(end(&seen), unavailable);
    assert_eq!(seen.stages.len(), 2);
}

#[tokio::test]
async fn an_input_that_cannot_be_fetched_ends_the_job() {
    let namespace = Namespace::create().await;
    let _operator = namespace.operator().await;
    let mut plan = plan("true");
    let url = crate::support::inputs::serve(b"other bytes").await;
    let checksum = format!("sha256:{}", "0".repeat(64));
    plan.spec.inputs = vec![super::input(url, checksum)];
    start(&namespace, &plan).await;
    let seen = finished(&namespace, &plan.job).await;
    let failed = (Some(Outcome::Failed), Some(Reason::DataProvisioningFailed));
    assert_eq!(end(&seen), failed);
    assert_eq!(seen.stages.len(), 1);
}

#[tokio::test]
async fn a_quota_makes_a_job_wait_and_a_limit_refuses_it() {
    let namespace = Namespace::create().await;
    let _operator = namespace.operator().await;
    let quota: ResourceQuota = serde_json::from_value(json!({
        "metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}
    }))
    .unwrap();
    let quotas = namespace.api::<ResourceQuota>();
    quotas.create(&PostParams::default(), &quota).await.unwrap();
    let waiting = plan("true");
    start(&namespace, &waiting).await;
    observed(&namespace, &waiting.job, "its beginning", |seen| {
        !seen.stages.is_empty()
    })
    .await;
    let failing_job = namespace.api::<k8s_openapi::api::core::v1::Event>();
    let refusal = || async {
        let selector = ListParams::default().fields("reason=FailedCreate");
        let events = failing_job.list(&selector).await.unwrap();
        (!events.items.is_empty()).then_some(())
    };
    namespace.until("the quota's refusal", refusal).await;
    let seen = observed(&namespace, &waiting.job, "waiting", |_| true).await;
    assert_eq!(seen.status.map(|s| s.phase), Some(Phase::Configuring));
    let all = namespace.api::<Pod>().list(&ListParams::default()).await;
    assert!(all.unwrap().items.is_empty());
    namespace.delete::<ResourceQuota>("none").await;
    let seen = finished(&namespace, &waiting.job).await;
    assert_eq!(end(&seen), (Some(Outcome::Succeeded), None));

    let limit: LimitRange = serde_json::from_value(json!({
        "metadata": {"name": "small"},
        "spec": {"limits": [{"type": "Container", "max": {"memory": "16Mi"}}]}
    }))
    .unwrap();
    let limits = namespace.api::<LimitRange>();
    limits.create(&PostParams::default(), &limit).await.unwrap();
    let refused = plan("true");
    start(&namespace, &refused).await;
    let seen = finished(&namespace, &refused.job).await;
    let by_cluster = (Some(Outcome::Failed), Some(Reason::ClusterRefused));
    assert_eq!(end(&seen), by_cluster);
}

#[tokio::test]
async fn what_the_cluster_cannot_start_ends_at_the_start_deadline() {
    let namespace = Namespace::create().await;
    let _operator = namespace.operator().await;
    let hasty = Settings {
        start_deadline: Duration::from_secs(12),
        ..namespace.settings()
    };
    let unbound = Settings {
        storage_class: Some("no-such-class".to_owned()),
        ..hasty.clone()
    };
    let mut unschedulable = plan("true");
    unschedulable.spec.resources.cpu = "1000".to_owned();
    let table = [(unschedulable, hasty), (plan("true"), unbound)];
    for (plan, settings) in &table {
        let client = namespace.client_as("dispatcher").await;
        let engine = KubernetesEngine::new(client, settings.clone()).unwrap();
        let inert = engine.ensure(plan).await.unwrap();
        assert!(engine.start(plan, &inert.uid, 1).await.unwrap());
    }
    for (plan, _) in table {
        let seen = finished(&namespace, &plan.job).await;
        let too_late = (Some(Outcome::TimedOut), Some(Reason::StartTimeExceeded));
        assert_eq!(end(&seen), too_late);
    }
}

#[tokio::test]
async fn a_disk_size_that_is_none_ends_the_job() {
    let namespace = Namespace::create().await;
    let _operator = namespace.operator().await;
    let mut plan = plan("true");
    plan.spec.resources.disk = "0".to_owned();
    start(&namespace, &plan).await;
    let seen = finished(&namespace, &plan.job).await;
    let refused = (Some(Outcome::Failed), Some(Reason::ClusterRefused));
    assert_eq!(end(&seen), refused);
}
