//! What the operator asks of the API server for one workflow: everything goes through a proxy that counts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{self, StatusCode};
use axum::response::{IntoResponse, Response};
use kube::Client;
use serde_json::json;
use tokio::net::TcpListener;

use super::{Cluster, queue};
use crate::parts::Parts;

/// Workflows whose calls are counted, one after the other.
const WORKFLOWS: u32 = 5;

type Counts = Arc<Mutex<BTreeMap<String, u64>>>;

/// How often each kind of call was made for one workflow, from its start to its end; the watches that are opened once are left out.
pub(super) async fn measure(cluster: &Cluster, parts: &Parts) -> Result<Vec<(String, f64)>> {
    cluster.make_store().await?;
    let counts = Counts::default();
    let url = serve(cluster.client.clone(), counts.clone()).await?;
    let kubeconfig = parts.directory.join("counted.yaml");
    let text = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "counted",
        "clusters": [{"name": "counted", "cluster": {"server": url}}],
        "users": [{"name": "counted", "user": {}}],
        "contexts": [{"name": "counted", "context": {"cluster": "counted", "user": "counted"}}],
    });
    std::fs::write(&kubeconfig, text.to_string())?;
    let mut program = cluster
        .operator(parts, &kubeconfig.display().to_string())
        .await?;
    let (dispatcher, observer) = (
        cluster.engine("dispatcher").await?,
        cluster.engine("observer").await?,
    );
    // The first one has the operator open its watches.
    for number in 0..=WORKFLOWS {
        let plan = queue::plan(cluster, number, "true")?;
        cluster.start(&dispatcher, &plan).await?;
        cluster.succeeds(&observer, &plan).await?;
        program.check()?;
        if number == 0 {
            lock(&counts)?.clear();
        }
    }
    let counted = lock(&counts)?.clone();
    let share = |count: u64| anyhow::Ok(f64::from(u32::try_from(count)?) / f64::from(WORKFLOWS));
    counted
        .into_iter()
        .map(|(call, count)| Ok((call, share(count)?)))
        .collect()
}

pub(super) fn tell(calls: &[(String, f64)]) {
    let total: f64 = calls.iter().map(|(_, count)| count).sum();
    println!("cluster: {total:.1} calls of the operator for one workflow:");
    for (call, count) in calls {
        println!("  {count:>6.1} {call}");
    }
}

fn lock(counts: &Counts) -> Result<std::sync::MutexGuard<'_, BTreeMap<String, u64>>> {
    counts.lock().ok().context("the proxy panicked")
}

async fn serve(client: Client, counts: Counts) -> Result<String> {
    let router = Router::new().fallback(pass).with_state((client, counts));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(url)
}

async fn pass(State((client, counts)): State<(Client, Counts)>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let call = kind(&parts.method, &parts.uri);
    if let Ok(mut counts) = counts.lock() {
        *counts.entry(call).or_default() += 1;
    }
    let Ok(body) = axum::body::to_bytes(body, usize::MAX).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    // The client puts the server before the path, and its own credentials beside.
    let mut asked = http::Request::builder()
        .method(parts.method)
        .uri(parts.uri.path_and_query().map_or("/", |path| path.as_str()));
    for name in [http::header::ACCEPT, http::header::CONTENT_TYPE] {
        if let Some(value) = parts.headers.get(&name) {
            asked = asked.header(name, value);
        }
    }
    let Ok(asked) = asked.body(kube::client::Body::from(body.to_vec())) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    match client.send(asked).await {
        Ok(answer) => answer.map(Body::new),
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

/// The method and the resource of a call, without names.
fn kind(method: &http::Method, uri: &http::Uri) -> String {
    let mut parts = uri
        .path()
        .split('/')
        .skip_while(|part| *part != "namespaces");
    let resource = parts.nth(2).unwrap_or("of the cluster");
    let below = parts.nth(1).map(|below| format!("/{below}"));
    let is_watch = uri
        .query()
        .is_some_and(|query| query.contains("watch=true"));
    let method = if is_watch { "WATCH" } else { method.as_str() };
    format!("{method} {resource}{}", below.unwrap_or_default())
}
