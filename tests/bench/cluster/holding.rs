//! What the operator needs to hold a window of live workflows: memory and watches.

use std::time::Duration;

use anyhow::{Context, Result};
use axum::http;
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;

use super::{Cluster, queue, until};
use crate::kib_as_megabytes;
use crate::parts::Parts;

/// Windows that are held, one after the other.
const WINDOWS: [u32; 3] = [20, 100, 500];

/// What comes of the last pods is seen within this, and is part of what is held.
const CALM: Duration = Duration::from_secs(5);

/// What a window needs.
pub(super) struct Held {
    workflows: u32,
    /// Resident KiB once all are held, and the most so far.
    resident: u64,
    peak: u64,
    /// Watches in the cluster beyond those that there were without the operator.
    watches: i64,
}

impl Held {
    pub(super) fn tell(&self) {
        println!(
            "cluster: {} live workflows held in {:.1} MB resident, {:.1} at most, with {} watches",
            self.workflows,
            kib_as_megabytes(self.resident),
            kib_as_megabytes(self.peak),
            self.watches
        );
    }
}

/// Nothing is scheduled meanwhile, so that every workflow stays alive in its first stage.
pub(super) async fn measure(cluster: &Cluster, parts: &Parts) -> Result<Vec<Held>> {
    cordon(cluster, true).await?;
    let held = hold(cluster, parts).await;
    cordon(cluster, false).await?;
    held
}

async fn hold(cluster: &Cluster, parts: &Parts) -> Result<Vec<Held>> {
    let before = watches(cluster).await?;
    let mut program = cluster.operator(parts, &cluster.kubeconfig).await?;
    let engine = cluster.engine("dispatcher").await?;
    let mut held = Vec::new();
    let mut first = 0;
    for window in WINDOWS {
        futures::stream::iter(first..window)
            .map(|number| {
                let engine = engine.clone();
                async move {
                    let plan = queue::plan(cluster, number, "true")?;
                    cluster.start(&engine, &plan).await
                }
            })
            .buffer_unordered(8)
            .try_collect::<Vec<_>>()
            .await?;
        first = window;
        let whole = usize::try_from(window)?;
        until("every workflow has its first pod", async || {
            let jobs = cluster.api::<Job>().list(&ListParams::default()).await?;
            let pods = cluster.api::<Pod>().list(&ListParams::default()).await?;
            Ok(jobs.items.len() == whole && pods.items.len() == whole)
        })
        .await?;
        tokio::time::sleep(CALM).await;
        program.check()?;
        held.push(Held {
            workflows: window,
            resident: program.memory()?,
            peak: program.peak_memory()?,
            watches: watches(cluster).await? - before,
        });
    }
    Ok(held)
}

async fn cordon(cluster: &Cluster, on: bool) -> Result<()> {
    let nodes: Api<Node> = Api::all(cluster.client.clone());
    for node in nodes.list(&ListParams::default()).await? {
        let name = node.metadata.name.context("a node without a name")?;
        let patch = Patch::Merge(json!({"spec": {"unschedulable": on}}));
        nodes.patch(&name, &PatchParams::default(), &patch).await?;
    }
    Ok(())
}

/// All watches of the API server (`apiserver_longrunning_requests`, Kubernetes' metrics).
async fn watches(cluster: &Cluster) -> Result<i64> {
    let request = http::Request::get("/metrics").body(Vec::new())?;
    let text = cluster.client.request_text(request).await?;
    let lines = text.lines().filter(|line| {
        line.starts_with("apiserver_longrunning_requests{") && line.contains("verb=\"WATCH\"")
    });
    let counts = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<i64>().ok());
    Ok(counts.sum())
}
