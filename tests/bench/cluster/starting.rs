//! From a workflow's start to the algorithm's first instruction, beside two bare Jobs that share a claim and are chained by hand.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::TryStreamExt;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::api::{ListParams, LogParams, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use serde_json::{Value, json};
use tidewatch::engine::{Engine, Stage};

use super::{Cluster, PATIENCE, queue};
use crate::parts::Parts;

/// How often each is done, by turns.
const TIMES: u32 = 10;
/// The machine's clock since it was started, in seconds: the same inside a container (proc(5)).
const CLOCK: &str = "/proc/uptime";

/// How long each took, sorted.
pub(super) struct Found {
    workflows: Vec<Duration>,
    bare: Vec<Duration>,
}

pub(super) fn tell(found: &Found) {
    let middle = |times: &[Duration]| {
        let time = times.get(times.len() / 2).copied().unwrap_or_default();
        time.as_secs_f64()
    };
    let (ours, bare) = (middle(&found.workflows), middle(&found.bare));
    println!(
        "cluster: from the start to the algorithm's first instruction p50 {ours:.2} s, {:.2} of two bare Jobs' {bare:.2} s",
        ours / bare
    );
}

/// Measures both by turns.
pub(super) async fn measure(cluster: &Cluster, parts: &Parts) -> Result<Found> {
    cluster.make_store().await?;
    let mut program = cluster.operator(parts, &cluster.kubeconfig).await?;
    let (mut workflows, mut bare) = (Vec::new(), Vec::new());
    for number in 0..=TIMES {
        let (one, other) = (
            workflow(cluster, number).await?,
            jobs(cluster, number).await?,
        );
        program.check()?;
        // Each once before, so that neither is the first to touch anything.
        if number > 0 {
            workflows.push(one);
            bare.push(other);
        }
    }
    workflows.sort();
    bare.sort();
    Ok(Found { workflows, bare })
}

async fn workflow(cluster: &Cluster, number: u32) -> Result<Duration> {
    let (dispatcher, collector) = (
        cluster.engine("dispatcher").await?,
        cluster.engine("collector").await?,
    );
    let plan = queue::plan(cluster, number, &format!("cat {CLOCK}"))?;
    let began = cluster.start(&dispatcher, &plan).await?;
    let observer = cluster.engine("observer").await?;
    cluster.succeeds(&observer, &plan).await?;
    let record = collector.record(&plan.job, 1, Stage::Algorithm).await?;
    let pieces: Vec<_> = record
        .context("no record of the log")?
        .try_collect()
        .await?;
    since(began, &String::from_utf8(pieces.concat())?)
}

async fn jobs(cluster: &Cluster, number: u32) -> Result<Duration> {
    let name = format!("bare-{number}");
    let claim = json!({"metadata": {"name": name}, "spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "32Mi"}},
    }});
    let began = now()?;
    let create = PostParams::default();
    let claims = cluster.bare::<PersistentVolumeClaim>();
    claims
        .create(&create, &serde_json::from_value(claim)?)
        .await?;
    let jobs = cluster.bare::<Job>();
    for (stage, script) in [
        ("first", "echo x > /data/x"),
        ("second", &format!("cat {CLOCK} /data/x")),
    ] {
        let job = job(cluster, &name, stage, script);
        jobs.create(&create, &serde_json::from_value(job)?).await?;
        let job = format!("{name}-{stage}");
        let completed = await_condition(jobs.clone(), &job, conditions::is_job_completed());
        tokio::time::timeout(PATIENCE, completed).await??;
    }
    let pods = cluster.bare::<Pod>();
    let of_job = ListParams::default().labels(&format!("job-name={name}-second"));
    let pod = pods.list(&of_job).await?.items.into_iter().next();
    let pod = pod.and_then(|pod| pod.metadata.name).context("no pod")?;
    since(began, &pods.logs(&pod, &LogParams::default()).await?)
}

/// As little as a careful cluster lets in.
fn job(cluster: &Cluster, name: &str, stage: &str, script: &str) -> Value {
    let confined = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": true});
    json!({"metadata": {"name": format!("{name}-{stage}")}, "spec": {"backoffLimit": 0, "template": {"spec": {
        "restartPolicy": "Never",
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "securityContext": {"runAsNonRoot": true, "runAsUser": 9_000, "fsGroup": 9_000, "seccompProfile": {"type": "RuntimeDefault"}},
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": name}}],
        "containers": [{
            "name": "bare", "image": cluster.algorithm_image, "command": ["sh", "-c", script], "securityContext": confined,
            "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "100m", "memory": "64Mi"}},
            "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        }],
    }}}})
}

/// The machine's clock.
pub(super) fn now() -> Result<Duration> {
    read(&fs::read_to_string(CLOCK)?)
}

fn read(clock: &str) -> Result<Duration> {
    let seconds = clock.split_whitespace().next().context("an empty clock")?;
    Ok(Duration::from_secs_f64(seconds.parse()?))
}

fn since(began: Duration, clock: &str) -> Result<Duration> {
    read(clock)?
        .checked_sub(began)
        .context("the clock went back")
}
