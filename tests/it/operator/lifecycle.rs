use futures::StreamExt;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret};
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tidewatch::cluster::ComputeWorkflow;
use tidewatch::engine::{Completeness, Engine, Published, Stage};
use tidewatch::ids::JobName;
use tidewatch::jobs::{Footing, Outcome, Phase, Reason};

use super::{end, finished, gone, input, log, observed, plan, running, start};
use crate::support::cluster::Namespace;
use crate::support::inputs;

const DATA: &[u8] = b"one\ntwo\nthree\n";

#[tokio::test]
async fn a_workflow_runs_from_its_input_to_its_result_and_leaves_nothing_behind() {
    let namespace = Namespace::create().await;
    let _operator = namespace.operator().await;
    let mut plan = plan(
        "echo first; sleep 4; cat $INPUTS/*/0 >&2; cat $INPUTS/*/0 | wc -l > $OUTPUTS/lines; sh $ALGO; printf last",
    );
    let checksum = format!("sha256:{}", alloy::hex::encode(Sha256::digest(DATA)));
    plan.spec.inputs = vec![input(inputs::serve(DATA).await, checksum)];
    plan.spec.algorithm.code = Some("echo $TRANSFORMATION_DID$DIDS $$ > $OUTPUTS/dids".into());

    let dispatcher = namespace.engine_as("dispatcher").await;
    let inert = dispatcher.ensure(&plan).await.unwrap();
    assert_eq!((inert.attempt, inert.status), (0, None));
    assert_eq!(dispatcher.ensure(&plan).await.unwrap().uid, inert.uid);
    let other = tidewatch::engine::WorkflowUid("other".to_owned());
    assert!(!dispatcher.start(&plan, &other, 1).await.unwrap());
    assert!(dispatcher.start(&plan, &inert.uid, 1).await.unwrap());
    assert!(dispatcher.start(&plan, &inert.uid, 1).await.unwrap());

    running(&namespace, &plan.job).await;
    let secrets = namespace.api::<Secret>().list(&ListParams::default()).await;
    assert!(!secrets.unwrap().iter().any(|secret| {
        let name = secret.metadata.name.as_deref().unwrap_or_default();
        name.ends_with("-plan")
    }));
    let collector = namespace.engine_as("collector").await;
    let preview = collector.preview(&plan.job, 1).await.unwrap();
    let pieces: Vec<_> = preview.expect("a running log").collect().await;
    let live: Vec<u8> = pieces
        .into_iter()
        .flat_map(|piece| piece.unwrap().to_vec())
        .collect();

    let seen = finished(&namespace, &plan.job).await;
    assert_eq!(end(&seen), (Some(Outcome::Succeeded), None));
    let stages: Vec<_> = seen
        .stages
        .iter()
        .map(|stage| (stage.stage, stage.exit_code))
        .collect();
    let well = Some(0);
    let all = [
        (Stage::Configure, well),
        (Stage::Algorithm, well),
        (Stage::Publish, well),
    ];
    assert_eq!(stages, all);
    assert_eq!(
        log(&namespace, &plan.job).await,
        "first\none\ntwo\nthree\nlast"
    );
    assert_eq!(
        String::from_utf8(live).unwrap(),
        "first\none\ntwo\nthree\nlast"
    );

    let published = seen.published.expect("something published");
    assert_eq!(published.log.completeness, Completeness::Complete);
    assert_results(&namespace, &plan.job, &published).await;

    let events = kubernetes_events(&namespace, plan.job.as_str()).await;
    assert_eq!(
        events,
        ["Configuring", "Publishing", "Running", "Succeeded"]
    );

    collector.release(&plan.job, &inert.uid).await.unwrap();
    let reaper = namespace.engine_as("reaper").await;
    reaper.remove(&plan.job, &inert.uid).await.unwrap();
    gone(&namespace, &plan.job).await;
    namespace
        .until("the end of everything", || is_empty(&namespace))
        .await;
}

#[tokio::test]
async fn an_exit_code_ends_the_job_as_failed_with_its_log_and_without_results() {
    let namespace = Namespace::create().await;
    let _operator = namespace.operator().await;
    let plan = plan("echo half > $OUTPUTS/half; echo it went wrong; exit 7");
    start(&namespace, &plan).await;
    let seen = finished(&namespace, &plan.job).await;
    let failed = (Some(Outcome::Failed), Some(Reason::AlgorithmFailed));
    assert_eq!(end(&seen), failed);
    assert_eq!(seen.stages[1].exit_code, Some(7));
    assert_eq!(log(&namespace, &plan.job).await, "it went wrong\n");
    assert_eq!(seen.published.expect("a manifest").files, 0);
}

#[tokio::test]
async fn a_limit_ends_the_job_with_its_reason() {
    let namespace = Namespace::create().await;
    let _operator = namespace.operator().await;
    let mut late = plan("echo begun; sleep 600");
    late.spec.resources.max_execution_seconds = 2;
    // awk keeps what it is given: more than the 64 MiB it may have.
    let greedy = plan("awk 'BEGIN {text = \"0123456789abcdef\"; while (1) text = text text}'");
    start(&namespace, &late).await;
    start(&namespace, &greedy).await;
    let seen = finished(&namespace, &late.job).await;
    let timed_out = (Some(Outcome::TimedOut), Some(Reason::TimeExceeded));
    assert_eq!(end(&seen), timed_out);
    assert_eq!(log(&namespace, &late.job).await, "begun\n");
    let seen = finished(&namespace, &greedy.job).await;
    let memory = (Some(Outcome::Failed), Some(Reason::MemoryExceeded));
    assert_eq!(end(&seen), memory);
}

#[tokio::test]
async fn stop_ends_what_runs_and_keeps_its_log() {
    let namespace = Namespace::create().await;
    let _operator = namespace.operator().await;
    let plan = plan("echo begun; sleep 600");
    start(&namespace, &plan).await;
    running(&namespace, &plan.job).await;
    let stop = Patch::Merge(json!({"spec": {"stop": true}}));
    let workflows = namespace.api::<ComputeWorkflow>();
    let name = plan.job.as_str();
    workflows
        .patch(name, &PatchParams::default(), &stop)
        .await
        .unwrap();
    let seen = finished(&namespace, &plan.job).await;
    let stopped = (Some(Outcome::Stopped), Some(Reason::StoppedByOperator));
    assert_eq!(end(&seen), stopped);
    assert_eq!(log(&namespace, &plan.job).await, "begun\n");
}

#[tokio::test]
async fn publishing_waits_for_the_event_and_goes_on_when_it_is_back() {
    let namespace = Namespace::create().await;
    let _operator = namespace.operator().await;
    let plan = plan("echo well > $OUTPUTS/well; echo done");
    let dispatcher = namespace.engine_as("dispatcher").await;
    let uid = dispatcher.ensure(&plan).await.unwrap().uid;
    let job = &plan.job;
    let tell = async |footing| {
        dispatcher.set_footing(job, &uid, 1, footing).await.unwrap();
        dispatcher.observe(job).await.unwrap().unwrap().footing
    };
    assert_eq!(tell(Footing::Orphaned).await, Footing::Orphaned);
    assert!(dispatcher.start(&plan, &uid, 1).await.unwrap());
    observed(&namespace, job, "the end of the algorithm", |seen| {
        let algorithm = seen.stages.iter().find(|s| s.stage == Stage::Algorithm);
        algorithm.is_some_and(|stage| stage.finished_at.is_some())
    })
    .await;
    let labelled = ListParams::default().labels(&format!("workflow={job}"));
    let jobs = namespace.api::<Job>().list(&labelled).await.unwrap();
    assert_eq!(jobs.items.len(), 2, "configure and algorithm");
    assert_eq!(tell(Footing::Canonical).await, Footing::Canonical);
    let seen = finished(&namespace, job).await;
    assert_eq!(end(&seen), (Some(Outcome::Succeeded), None));
    assert_eq!(seen.published.expect("something published").files, 1);
    // It is over: nothing is taken back, and saying it is no error.
    assert_eq!(tell(Footing::Withdrawn).await, Footing::Withdrawn);
    assert_eq!(tell(Footing::Canonical).await, Footing::Withdrawn);
}

#[tokio::test]
async fn a_deleted_workflow_stops_and_stays_until_it_is_collected() {
    let namespace = Namespace::create().await;
    let _operator = namespace.operator().await;
    let plan = plan("echo begun; sleep 600");
    let uid = start(&namespace, &plan).await;
    running(&namespace, &plan.job).await;
    namespace.delete::<ComputeWorkflow>(plan.job.as_str()).await;
    observed(&namespace, &plan.job, "the deletion", |seen| seen.deleting).await;
    let seen = finished(&namespace, &plan.job).await;
    let stopped = (Some(Outcome::Stopped), Some(Reason::WorkflowDeleted));
    assert_eq!(end(&seen), stopped);
    assert_eq!(log(&namespace, &plan.job).await, "begun\n");
    let collector = namespace.engine_as("collector").await;
    collector.release(&plan.job, &uid).await.unwrap();
    gone(&namespace, &plan.job).await;
    assert!(collector.observe(&plan.job).await.unwrap().is_none());
    collector.release(&plan.job, &uid).await.unwrap();
}

#[tokio::test]
async fn an_inert_workflow_makes_nothing() {
    let namespace = Namespace::create().await;
    let _operator = namespace.operator().await;
    let (inert, started) = (plan("true"), plan("true"));
    let dispatcher = namespace.engine_as("dispatcher").await;
    dispatcher.ensure(&inert).await.unwrap();
    start(&namespace, &started).await;
    // The operator carried the later one out from end to end, so it has seen the inert one.
    let seen = finished(&namespace, &started.job).await;
    assert_eq!(end(&seen), (Some(Outcome::Succeeded), None));
    let labelled = ListParams::default().labels(&format!("workflow={}", inert.job));
    let jobs = namespace.api::<Job>().list(&labelled).await.unwrap();
    assert!(jobs.items.is_empty());
    let seen = dispatcher.observe(&inert.job).await.unwrap().unwrap();
    assert_eq!(seen.status.map(|status| status.phase), None::<Phase>);
}

/// What an engine has just made is started without being read again; whoever changed or started it meanwhile is found out all the same.
#[tokio::test]
async fn a_workflow_that_changed_since_it_was_made_is_started_as_it_is() {
    let namespace = Namespace::create().await;
    let (one, other) = (
        namespace.engine_as("dispatcher").await,
        namespace.engine_as("dispatcher").await,
    );
    let workflows = namespace.api::<ComputeWorkflow>();
    let suspended = Patch::Merge(json!({"spec": {"suspend": true}}));
    for is_started_elsewhere in [false, true] {
        let plan = plan("true");
        let made = one.ensure(&plan).await.unwrap();
        workflows
            .patch(plan.job.as_str(), &PatchParams::default(), &suspended)
            .await
            .unwrap();
        if is_started_elsewhere {
            assert_eq!(other.ensure(&plan).await.unwrap().uid, made.uid);
            assert!(other.start(&plan, &made.uid, 1).await.unwrap());
        }
        assert!(one.start(&plan, &made.uid, 1).await.unwrap());
        let seen = workflows.get(plan.job.as_str()).await.unwrap();
        assert!(seen.spec.suspend);
        assert_eq!(seen.spec.attempt, 1);
    }

    let plan = plan("true");
    let made = one.ensure(&plan).await.unwrap();
    let reaper = namespace.engine_as("reaper").await;
    reaper.release(&plan.job, &made.uid).await.unwrap();
    reaper.remove(&plan.job, &made.uid).await.unwrap();
    gone(&namespace, &plan.job).await;
    assert!(!one.start(&plan, &made.uid, 1).await.unwrap(), "it is gone");
}

/// The manifest is the one whose hash came back, and the results are what the algorithm wrote.
async fn assert_results(namespace: &Namespace, job: &JobName, published: &Published) {
    let manifest = namespace.published(&published.manifest_key).await;
    assert_eq!(Sha256::digest(&manifest)[..], published.manifest_sha256[..]);
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let files = manifest["files"].as_array().unwrap();
    let paths: Vec<_> = files.iter().map(|file| file["path"].as_str()).collect();
    assert_eq!(paths, [Some("dids"), Some("lines")]);
    let lines = namespace.published(&format!("{job}/1/outputs/lines")).await;
    assert_eq!(lines, b"3\n");
    let dids = namespace.published(&format!("{job}/1/outputs/dids")).await;
    let asset = "d1".repeat(32);
    let dids = String::from_utf8(dids).unwrap();
    assert!(dids.starts_with(&format!("[\"{asset}\"] ")), "{dids}");
    let process = dids.trim_end().rsplit(' ').next().unwrap();
    assert!(process.parse::<u32>().is_ok(), "{dids}");
}

async fn is_empty(namespace: &Namespace) -> Option<()> {
    let all = ListParams::default();
    let jobs = namespace.api::<Job>().list(&all).await.unwrap().items.len();
    let pods = namespace.api::<Pod>().list(&all).await.unwrap().items.len();
    let claims = namespace.api::<PersistentVolumeClaim>().list(&all).await;
    let claims = claims.unwrap().items.len();
    (jobs + pods + claims == 0).then_some(())
}

/// Reasons of the events that were written about a workflow, sorted.
async fn kubernetes_events(namespace: &Namespace, name: &str) -> Vec<String> {
    let events = namespace.api::<k8s_openapi::api::events::v1::Event>();
    let all = events.list(&ListParams::default()).await.unwrap();
    let ours = all.items.into_iter().filter(|event| {
        let about = event.regarding.as_ref();
        about.and_then(|about| about.name.as_deref()) == Some(name)
    });
    let mut reasons: Vec<_> = ours.filter_map(|event| event.reason).collect();
    reasons.sort();
    reasons
}
