//! The dashboard shows a real service's figures: Prometheus reads them, and every panel has something to draw.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::place::Place;
use crate::support::{eventually, logged_address};

const DASHBOARD: &str = include_str!("../../../deploy/grafana-dashboard.json");
/// What Grafana puts in the place of `$__rate_interval`: at least four scrapes.
const RATE_INTERVAL: &str = "10m";
const PATIENCE: Duration = Duration::from_secs(120);

/// A Prometheus that reads one service every second, ended when dropped.
struct Prometheus {
    child: Child,
    url: String,
    _directory: tempfile::TempDir,
}

impl Prometheus {
    async fn reading(metrics: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("prometheus.yaml");
        let text = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nscrape_configs: [{{job_name: tidewatch, static_configs: [{{targets: ['{metrics}']}}]}}]\n"
        );
        std::fs::write(&config, text).unwrap();
        let mut child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                directory.path().display()
            ))
            .arg("--web.listen-address=127.0.0.1:0")
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("prometheus is installed: tests/equipment/packages prometheus");
        let log = child.stderr.take().unwrap();
        let address = logged_address(log, "msg=\"Listening on\" address=").await;
        let url = format!("http://{address}");
        eventually("Prometheus answers", PATIENCE, async || {
            let answer = reqwest::get(format!("{url}/-/ready")).await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
        Self {
            child,
            url,
            _directory: directory,
        }
    }

    /// The series that an expression gives now; its own words when it is none.
    async fn ask(&self, expression: &str) -> Result<Vec<Value>, String> {
        let mut url: url::Url = format!("{}/api/v1/query", self.url).parse().unwrap();
        url.query_pairs_mut().append_pair("query", expression);
        let answer: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
        match answer["data"]["result"].as_array() {
            Some(series) => Ok(series.clone()),
            None => Err(answer["error"].to_string()),
        }
    }

    /// Waits until every one of these draws something.
    async fn draws(&self, panels: &[(String, String)]) {
        let began = Instant::now();
        loop {
            let mut empty = Vec::new();
            for (title, expression) in panels {
                let series = self.ask(expression).await;
                let series =
                    series.unwrap_or_else(|problem| panic!("{title}: {expression}: {problem}"));
                if series.is_empty() {
                    empty.push((title, expression));
                }
            }
            if empty.is_empty() {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "nothing to draw: {empty:#?}");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Title and expression of everything that the dashboard draws.
fn drawn() -> Vec<(String, String)> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let of_panel = |panel: &Value| {
        let title = panel["title"].as_str().unwrap().to_owned();
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        targets.into_iter().map(move |target| {
            let expression = target["expr"].as_str().unwrap();
            let expression = expression.replace("$__rate_interval", RATE_INTERVAL);
            (title.clone(), expression)
        })
    };
    panels.iter().flat_map(of_panel).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_panel_draws_a_real_service_and_the_figures_follow_the_conventions() {
    let place = Place::start().await;
    let key = alloy::signers::local::PrivateKeySigner::random();
    std::fs::write(place.path("key"), alloy::hex::encode(key.to_bytes())).unwrap();
    // With an agent, so that there is a balance.
    let service = place
        .service_with(
            "service",
            &[
                ("TIDEWATCH_AGENT", "approve,release"),
                (
                    "TIDEWATCH_AGENT_KEY_FILE",
                    place.path("key").to_str().unwrap(),
                ),
            ],
        )
        .await;
    let metrics = service.told("metrics can be read").unwrap();
    let prometheus = Prometheus::reading(&metrics).await;

    let purchase = place.buy("echo printed").await;
    let job = place.finished(&service, &purchase).await;
    assert_eq!(job["outcome"], "succeeded", "{job:#}");
    place.chain.node.reorganise(2).await;
    place.get(&service, "/v1/no-such-path").await;

    let (of_refusals, others): (Vec<_>, Vec<_>) = drawn()
        .into_iter()
        .partition(|(_, expression)| expression.contains("refusals"));
    prometheus.draws(&others).await;
    let labels = async |expression: &str, label: &str| {
        let series = prometheus.ask(expression).await.unwrap();
        let named = series
            .iter()
            .map(|one| one["metric"][label].as_str().unwrap().to_owned());
        named.collect::<BTreeSet<_>>()
    };
    let ended = labels("tidewatch_jobs_finished_total > 0", "outcome").await;
    assert_eq!(ended, BTreeSet::from(["succeeded".to_owned()]));
    let heights = labels("tidewatch_block_number", "of").await;
    for height in ["head", "recorded", "judged", "verified"] {
        assert!(heights.contains(height), "{heights:?}");
    }

    let text = reqwest::get(format!("http://{metrics}/metrics")).await;
    let text = text.unwrap().text().await.unwrap();
    assert_eq!(complaints(&text), "");

    // The node goes away.
    drop(place.chain);
    prometheus.draws(&of_refusals).await;
}

/// What Prometheus' own tool has against names, units, types and helps.
fn complaints(text: &str) -> String {
    let mut tool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = tool.stdin.take().unwrap();
    std::io::Write::write_all(&mut input, text.as_bytes()).unwrap();
    drop(input);
    let output = tool.wait_with_output().unwrap();
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}
