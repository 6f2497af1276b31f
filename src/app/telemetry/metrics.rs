//! Metrics in Prometheus' text format, on a port of their own: what they say is for operators, and the API's port is public.
//!
//! Counters and histograms are this process's own. What the ledger knows is read at each scrape, by the login that the process
//! has anyway; without a database that part is missing and `tidewatch_ledger_readable` is 0, since what cannot be seen must not
//! look like zero.

use std::fmt::{Display, Write};
use std::net::SocketAddr;

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::nodes;
use crate::chain::Providers;
use crate::engine::Completeness;
use crate::ids::DeploymentId;
use crate::jobs::{Outcome, Phase};
use crate::ledger::gauges::{self, Gauges};
use crate::ledger::{Ledger, Reader, parked, reader};
use crate::meters;
use crate::worker::Chain;

/// Version 0.0.4 of the text exposition format.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What this process has counted so far.
#[derive(Clone, Debug)]
pub(in crate::app) struct Metrics {
    handle: PrometheusHandle,
}

/// What a scrape needs.
#[derive(Clone, Debug)]
struct Shown {
    handle: PrometheusHandle,
    source: Option<Source>,
    /// The nodes that this process asks, if it asks any.
    providers: Option<Providers>,
}

/// Where what the ledger knows is read from.
#[derive(Clone, Debug)]
pub(in crate::app) enum Source {
    /// The workers' login.
    Workers(Ledger, DeploymentId),
    /// The API's login.
    Reader(Reader),
}

impl Metrics {
    /// Begins to record. Once in a process.
    ///
    /// # Errors
    /// A second call.
    pub(in crate::app) fn start() -> anyhow::Result<Self> {
        let handle = recorder().context("metrics could not be set up")?;
        meters::describe();
        meters::expect_jobs(
            Outcome::ALL.map(Outcome::as_str),
            Completeness::ALL.map(Completeness::as_str),
        );
        Ok(Self { handle })
    }

    /// Listens on `listen` and answers the task that serves `GET /metrics` there until `stop` is cancelled.
    ///
    /// # Errors
    /// An address that cannot be listened on.
    pub(in crate::app) async fn serve(
        self,
        listen: SocketAddr,
        (source, providers): (Option<Source>, Option<Providers>),
        stop: CancellationToken,
    ) -> anyhow::Result<impl Future<Output = anyhow::Result<()>> + use<>> {
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("TIDEWATCH_METRICS_LISTEN: could not listen on {listen}"))?;
        tracing::info!(address = %listener.local_addr()?, "metrics can be read");
        let shown = Shown {
            handle: self.handle,
            source,
            providers,
        };
        let router = Router::new().route("/metrics", get(show)).with_state(shown);
        Ok(async move {
            axum::serve(listener, router)
                .with_graceful_shutdown(stop.cancelled_owned())
                .await
                .context("metrics can no longer be read")
        })
    }
}

impl Shown {
    async fn read(&self) -> Result<Option<Gauges>, crate::ledger::Error> {
        match &self.source {
            None => Ok(None),
            Some(Source::Workers(ledger, deployment)) => {
                gauges::read(&mut *ledger.acquire().await?, *deployment).await
            }
            Some(Source::Reader(reader)) => {
                let mut transaction = reader.snapshot().await?;
                match reader::find_deployment(&mut transaction, None).await? {
                    Some(deployment) => gauges::read(&mut transaction, deployment).await,
                    None => Ok(None),
                }
            }
        }
    }
}

fn recorder() -> Result<PrometheusHandle, BuildError> {
    let phases = Matcher::Full(meters::PHASE_SECONDS.to_owned());
    PrometheusBuilder::new()
        .set_buckets(&meters::SECONDS)?
        .set_buckets_for_metric(phases, &meters::PHASE_SECONDS_BOUNDS)?
        .install_recorder()
}

async fn show(State(metrics): State<Shown>) -> impl IntoResponse {
    metrics.handle.run_upkeep();
    let mut text = metrics.handle.render();
    if let Some(providers) = &metrics.providers {
        nodes::show(&mut text, &providers.status());
    }
    let read = metrics.read().await;
    if metrics.source.is_some() {
        show_readable(&mut text, read.is_ok());
    }
    match read {
        Ok(Some(gauges)) => show_gauges(&mut text, &gauges),
        Ok(None) => {}
        Err(error) => {
            tracing::warn!(error = %Chain(&error), "the ledger could not be read for metrics");
        }
    }
    ([(header::CONTENT_TYPE, TEXT)], text)
}

pub(super) fn show_readable(text: &mut String, is_readable: bool) {
    gauge(
        text,
        "tidewatch_ledger_readable",
        "Whether the ledger could be read for these figures.",
        &[(String::new(), u8::from(is_readable))],
    );
}

pub(super) fn show_gauges(text: &mut String, gauges: &Gauges) {
    let labelled = |label: &str, rows: &[(String, i64)]| -> Vec<(String, i64)> {
        rows.iter()
            .map(|(value, count)| (format!("{{{label}=\"{value}\"}}"), *count))
            .collect()
    };
    let plain = |value: i64| [(String::new(), value)];
    let heights: Vec<_> = gauges
        .heights
        .iter()
        .map(|(name, height)| ((*name).to_owned(), *height))
        .collect();
    gauge(
        text,
        "tidewatch_block_number",
        "Heights of horizons and cursors.",
        &labelled("of", &heights),
    );
    gauge(
        text,
        "tidewatch_halted",
        "1 while the follower is halted until an operator releases it.",
        &plain(gauges.halted.into()),
    );
    gauge(
        text,
        "tidewatch_follower_age_seconds",
        "Seconds since the follower last moved a cursor or a horizon.",
        &plain(gauges.follower_age_seconds),
    );
    gauge(
        text,
        "tidewatch_open_jobs",
        "Jobs that something is still to be done for, by phase.",
        &labelled(
            "phase",
            &each(Phase::ALL.map(Phase::as_str), &gauges.open_jobs),
        ),
    );
    gauge(
        text,
        "tidewatch_queue_age_seconds",
        "Age of the job that has been queued longest.",
        &plain(gauges.queue_age_seconds),
    );
    gauge(
        text,
        "tidewatch_parked_items",
        "Items that could not be handled and wait for an operator, by kind.",
        &labelled("kind", &each(parked::KINDS, &gauges.parked)),
    );
    gauge(
        text,
        "tidewatch_stray_workflows",
        "Workflows in the engine that no job has on record, found twice and not removed.",
        &plain(gauges.strays),
    );
    show_findings(text, gauges);
}

/// A row for every name, 0 where nothing was counted: what is absent would be drawn as unknown.
fn each(
    names: impl IntoIterator<Item = &'static str>,
    counted: &[(String, i64)],
) -> Vec<(String, i64)> {
    let count = |name: &str| counted.iter().find(|(known, _)| known == name);
    let rows = names.into_iter();
    rows.map(|name| (name.to_owned(), count(name).map_or(0, |(_, count)| *count)))
        .collect()
}

/// What was found wrong ever, and what the agent and the cluster showed last.
fn show_findings(text: &mut String, gauges: &Gauges) {
    let plain = |value: i64| [(String::new(), value)];
    counter(
        text,
        "tidewatch_repairs_total",
        "Blocks that were recorded wrongly, and mended.",
        &plain(gauges.repairs),
    );
    counter(
        text,
        "tidewatch_disagreements_total",
        "Times that a provider named another block than the recorded one.",
        &plain(gauges.disagreements),
    );
    let balances = gauges.balances.iter();
    let balances: Vec<_> = balances
        .map(|(account, ether)| (format!("{{account=\"{account}\"}}"), ether))
        .collect();
    gauge(
        text,
        "tidewatch_agent_balance_ether",
        "What the agent's account had when it last looked.",
        &balances,
    );
    if let Some(proven) = gauges.isolation_proven {
        gauge(
            text,
            "tidewatch_isolation_proven",
            "1 if the newest algorithm's pod that asked saw the cluster deny it the network, 0 if the guard alone denied it.",
            &plain(proven.into()),
        );
    }
}

/// Adds one gauge: its help, its type, and a line for each set of labels.
pub(super) fn gauge(text: &mut String, name: &str, help: &str, rows: &[(String, impl Display)]) {
    series(text, (name, "gauge"), help, rows);
}

/// Adds something that only grows.
pub(super) fn counter(text: &mut String, name: &str, help: &str, rows: &[(String, impl Display)]) {
    series(text, (name, "counter"), help, rows);
}

fn series(
    text: &mut String,
    (name, kind): (&str, &str),
    help: &str,
    rows: &[(String, impl Display)],
) {
    // writing to a string cannot fail
    _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    for (labels, value) in rows {
        _ = writeln!(text, "{name}{labels} {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_is_written_as_prometheus_reads_it() {
        let mut text = String::new();
        let gauges = Gauges {
            heights: vec![("head", 7)],
            open_jobs: vec![("running".to_owned(), 2)],
            isolation_proven: Some(true),
            ..Gauges::default()
        };
        show_gauges(&mut text, &gauges);
        assert!(
            text.contains("\ntidewatch_block_number{of=\"head\"} 7\n"),
            "{text}"
        );
        assert!(
            text.contains("\ntidewatch_open_jobs{phase=\"running\"} 2\n"),
            "{text}"
        );
        assert!(
            text.contains("\ntidewatch_open_jobs{phase=\"queued\"} 0\n"),
            "{text}"
        );
        assert!(
            text.contains("\ntidewatch_parked_items{kind=\"act\"} 0\n"),
            "{text}"
        );
        assert!(text.contains("\ntidewatch_halted 0\n"), "{text}");
        let isolation = "\ntidewatch_isolation_proven 1\n";
        assert!(text.contains(isolation), "{text}");
    }
}
