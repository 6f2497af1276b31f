use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tidewatch::cluster::ComputeWorkflow;
use tidewatch::cluster::manifests::{
    Leaving, Subject, algorithm, claim, configure, filter, publish,
};
use tidewatch::engine::Engine;
use tidewatch::workflows::{FilterSpec, Release};

use super::plan;
use crate::support::cluster::Namespace;
use crate::support::required;

#[tokio::test]
async fn what_is_fixed_cannot_be_changed() {
    let namespace = Namespace::create().await;
    let plan = plan("true");
    let engine = namespace.engine_as("dispatcher").await;
    engine.ensure(&plan).await.unwrap();
    let workflows = namespace.api::<ComputeWorkflow>();
    let patch = |change: Value| {
        let workflows = workflows.clone();
        let name = plan.job.to_string();
        async move {
            let patch = Patch::Merge(json!({"spec": change}));
            let patched = workflows
                .patch(&name, &PatchParams::default(), &patch)
                .await;
            patched.map(drop).map_err(|error| error.to_string())
        }
    };
    let refused = [
        (json!({"job": {"runAs": 34567}}), "job is immutable"),
        (
            json!({"job": {"runtimeClass": "other"}}),
            "job is immutable",
        ),
        (json!({"attempt": 2}), "attempt may only grow by 1"),
    ];
    for (change, sentence) in refused {
        let error = patch(change.clone()).await.unwrap_err();
        assert!(error.contains(sentence), "{change}: {error}");
    }
    patch(json!({"attempt": 1})).await.unwrap();
    let error = patch(json!({"attempt": 0})).await.unwrap_err();
    assert!(error.contains("attempt may only grow by 1"), "{error}");
    patch(json!({"suspend": true})).await.unwrap();
    patch(json!({"suspend": false})).await.unwrap();
    patch(json!({"stop": true})).await.unwrap();
    let error = patch(json!({"stop": false})).await.unwrap_err();
    assert!(error.contains("stop cannot be taken back"), "{error}");

    patch(json!({"holdPublishing": true})).await.unwrap();
    patch(json!({"holdPublishing": false})).await.unwrap();
    patch(json!({"withdrawn": 1})).await.unwrap();
    let error = patch(json!({"withdrawn": 0})).await.unwrap_err();
    assert!(error.contains("withdrawn cannot be taken back"), "{error}");

    let mut started = workflows.get(plan.job.as_str()).await.unwrap();
    started.metadata = kube::api::ObjectMeta {
        name: Some("started".to_owned()),
        ..Default::default()
    };
    let made = workflows.create(&PostParams::default(), &started).await;
    let error = made.unwrap_err().to_string();
    assert!(error.contains("a workflow is made inert"), "{error}");
}

#[tokio::test]
async fn the_server_takes_every_manifest_as_restricted_and_changes_nothing_that_matters() {
    let namespace = Namespace::create().await;
    let mut plan = plan("true");
    plan.spec.filter = Some(FilterSpec {
        image: required("TIDEWATCH_TEST_ALGORITHM_IMAGE"),
        entrypoint: None,
    });
    let engine = namespace.engine_as("dispatcher").await;
    engine.ensure(&plan).await.unwrap();
    let workflows = namespace.api::<ComputeWorkflow>();
    let workflow = workflows.get(plan.job.as_str()).await.unwrap();
    let subject = Subject::new(&workflow, 1).unwrap();
    let leaving = Leaving {
        results: Release::Filtered,
        logs: Release::Filtered,
    };
    let dry_run = PostParams {
        dry_run: true,
        field_manager: None,
    };
    let claims = namespace.api();
    claims.create(&dry_run, &claim(&subject)).await.unwrap();
    for job in [
        configure(&subject, 0),
        algorithm(&subject),
        filter(&subject, 0).unwrap(),
        publish(&subject, leaving, 0),
    ] {
        let jobs = namespace.api::<k8s_openapi::api::batch::v1::Job>();
        let admitted = jobs.create(&dry_run, &job).await.unwrap();
        let template = admitted.spec.unwrap().template;
        let mut metadata = template.metadata.unwrap();
        metadata.name = job.metadata.name.clone();
        let pod = Pod {
            metadata,
            spec: template.spec,
            status: None,
        };
        let pod = namespace.api::<Pod>().create(&dry_run, &pod).await.unwrap();
        let difference = tidewatch::cluster::gate::compare(&job, &pod);
        let is_algorithm = job.metadata.name.unwrap().ends_with("algorithm");
        assert_eq!(difference.is_ok(), is_algorithm, "{difference:?}");
    }
}
