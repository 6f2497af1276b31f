//! Workflows on a real cluster: the engine asks, the operator carries out, and both have only the rights of `deploy/`.

mod credentials;
mod custom_resource;
mod lifecycle;
mod refusals;
mod release;
mod safety;

use alloy::primitives::Address;
use futures::StreamExt;
use tidewatch::cluster::ComputeWorkflow;
use tidewatch::engine::{Engine, Observation, Stage, WorkflowPlan, WorkflowUid};
use tidewatch::ids::JobName;
use tidewatch::jobs::{Outcome, Phase, Reason};
use tidewatch::workflows::{InputSpec, JobSpec};

use crate::support::cluster::Namespace;
use crate::support::{job, random_hash, required};

/// A job that runs a command line, without inputs.
pub(crate) fn plan(entrypoint: &str) -> WorkflowPlan {
    let image = required("TIDEWATCH_TEST_ALGORITHM_IMAGE");
    let (image, digest) = image.split_once('@').expect("an image with a digest");
    let key = random_hash();
    let spec = job::spec(key, (image, digest), entrypoint);
    WorkflowPlan {
        job: JobName::derive(1, Address::ZERO, key),
        spec_digest: JobSpec::digest(&spec.to_bytes().unwrap()),
        spec,
        run_as: 23456,
        attempts_before: 0,
    }
}

pub(crate) fn input(url: String, checksum: String) -> InputSpec {
    InputSpec {
        index: 0,
        url,
        checksum: Some(checksum),
        content_type: None,
        secret: None,
    }
}

/// Makes the workflow and starts its first attempt.
pub(crate) async fn start(namespace: &Namespace, plan: &WorkflowPlan) -> WorkflowUid {
    let dispatcher = namespace.engine_as("dispatcher").await;
    let inert = dispatcher.ensure(plan).await.unwrap();
    assert!(dispatcher.start(plan, &inert.uid, 1).await.unwrap());
    inert.uid
}

/// Waits until the observer sees what `is` looks for.
pub(crate) async fn observed(
    namespace: &Namespace,
    job: &JobName,
    what: &str,
    is: impl Fn(&Observation) -> bool,
) -> Observation {
    let observer = namespace.engine_as("observer").await;
    let look = || async {
        let seen = observer.observe(job).await.unwrap();
        seen.filter(|seen| is(seen))
    };
    namespace.until(what, look).await
}

pub(crate) async fn finished(namespace: &Namespace, job: &JobName) -> Observation {
    let is_finished = |seen: &Observation| seen.status.is_some_and(|s| s.phase == Phase::Finished);
    observed(namespace, job, "the end of the job", is_finished).await
}

pub(crate) async fn running(namespace: &Namespace, job: &JobName) -> Observation {
    let is_running = |seen: &Observation| seen.status.is_some_and(|s| s.phase == Phase::Running);
    observed(namespace, job, "the algorithm's start", is_running).await
}

/// How it ended.
pub(crate) fn end(seen: &Observation) -> (Option<Outcome>, Option<Reason>) {
    let status = seen.status.expect("a status");
    (status.outcome, status.reason)
}

/// Whether there is a record of the job log.
pub(crate) async fn has_log(namespace: &Namespace, job: &JobName) -> bool {
    let collector = namespace.engine_as("collector").await;
    let record = collector.record(job, 1, Stage::Algorithm).await.unwrap();
    record.is_some()
}

/// The record of the job log, as text.
pub(crate) async fn log(namespace: &Namespace, job: &JobName) -> String {
    let collector = namespace.engine_as("collector").await;
    let record = collector.record(job, 1, Stage::Algorithm).await.unwrap();
    let pieces: Vec<_> = record.expect("a record").collect().await;
    let bytes = pieces.into_iter().flat_map(|piece| piece.unwrap());
    String::from_utf8(bytes.collect()).unwrap()
}

/// Waits until the workflow is gone from the cluster.
async fn gone(namespace: &Namespace, job: &JobName) {
    let workflows = namespace.api::<ComputeWorkflow>();
    let look = || async {
        let seen = workflows.get_opt(job.as_str()).await.unwrap();
        seen.is_none().then_some(())
    };
    namespace.until("the end of the workflow", look).await;
}
