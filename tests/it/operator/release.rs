use futures::StreamExt;
use serde_json::Value;
use tidewatch::engine::{Engine, Stage, WorkflowPlan};
use tidewatch::ids::JobName;
use tidewatch::jobs::{Outcome, Reason};
use tidewatch::workflows::{FilterSpec, Release};

use super::{end, finished, plan, start};
use crate::support::cluster::Namespace;
use crate::support::required;

/// A job whose results and log go through a filter that runs this line of shell.
fn filtered(algorithm: &str, filter: &str) -> WorkflowPlan {
    let mut plan = plan(algorithm);
    plan.spec.release.results = Release::Filtered;
    plan.spec.release.logs = Release::Filtered;
    plan.spec.filter = Some(FilterSpec {
        image: required("TIDEWATCH_TEST_ALGORITHM_IMAGE"),
        entrypoint: Some(filter.to_owned()),
    });
    plan
}

#[tokio::test]
async fn a_filter_decides_what_leaves_and_when_it_fails_nothing_does() {
    let namespace = Namespace::create().await;
    let _operator = namespace.operator().await;
    let algorithm =
        "echo one > $OUTPUTS/fine; echo secret > $OUTPUTS/secret; echo epoch; echo secret";
    let works = filtered(
        algorithm,
        "grep -v secret $INPUT_LOG > $OUTPUT_LOG; cp $INPUTS/fine $OUTPUTS/; touch $INPUTS/x || echo read-only; echo secret >/dev/termination-log",
    );
    let fails = filtered(
        algorithm,
        "cp $INPUTS/* $OUTPUTS/; cp $INPUT_LOG $OUTPUT_LOG; exit 3",
    );
    start(&namespace, &works).await;
    start(&namespace, &fails).await;

    let seen = finished(&namespace, &works.job).await;
    assert_eq!(end(&seen), (Some(Outcome::Succeeded), None));
    let stages: Vec<_> = seen.stages.iter().map(|stage| stage.stage).collect();
    let all = [
        Stage::Configure,
        Stage::Algorithm,
        Stage::Filter,
        Stage::Publish,
    ];
    assert_eq!(stages, all);
    assert_eq!(
        record(&namespace, &works.job, Stage::Filter).await,
        "epoch\n"
    );
    let whole = record(&namespace, &works.job, Stage::Algorithm).await;
    assert_eq!(whole, "epoch\nsecret\n", "operators have the log itself");
    let manifest = manifest(&namespace, &works.job).await;
    assert_eq!(manifest["files"][0]["path"], "fine");
    assert_eq!(manifest["files"].as_array().unwrap().len(), 1);
    assert!(!manifest.to_string().contains("secret"), "{manifest}");
    let published = seen.published.expect("something published");
    let log = published.filtered_log.expect("a filtered log");
    assert_eq!(manifest["log"]["bytes"], log.bytes);

    let seen = finished(&namespace, &fails.job).await;
    let failed = (Some(Outcome::Failed), Some(Reason::FilterFailed));
    assert_eq!(end(&seen), failed);
    let published = seen.published.expect("a manifest");
    assert_eq!((published.files, published.filtered_log), (0, None));
    let manifest = self::manifest(&namespace, &fails.job).await;
    assert_eq!(manifest.get("log"), None);
    let whole = record(&namespace, &fails.job, Stage::Algorithm).await;
    assert_eq!(whole, "epoch\nsecret\n");
}

async fn record(namespace: &Namespace, job: &JobName, stage: Stage) -> String {
    let collector = namespace.engine_as("collector").await;
    let record = collector.record(job, 1, stage).await.unwrap();
    let pieces: Vec<_> = record.expect("a record").collect().await;
    let bytes = pieces.into_iter().flat_map(|piece| piece.unwrap());
    String::from_utf8(bytes.collect()).unwrap()
}

async fn manifest(namespace: &Namespace, job: &JobName) -> Value {
    let bytes = namespace.published(&format!("{job}/1/manifest.json")).await;
    serde_json::from_slice(&bytes).unwrap()
}
