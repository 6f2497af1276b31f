//! Keeps `deploy/grafana-dashboard.json` true: whatever it asks for is something that this program serves.

use std::collections::BTreeSet;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::Value;

use super::{metrics, nodes};
use crate::ledger::gauges::Gauges;
use crate::meters::{self, Tick};

const DASHBOARD: &str = include_str!("../../../deploy/grafana-dashboard.json");

/// Every metric that is served once everything has happened.
fn served() -> String {
    let recorder = PrometheusBuilder::new()
        .set_buckets(&meters::SECONDS)
        .unwrap()
        .build_recorder();
    let handle = recorder.handle();
    ::metrics::with_local_recorder(&recorder, || {
        meters::describe();
        meters::expect_worker("judge");
        meters::ticked("judge", Tick::More, Duration::from_secs(1));
        meters::expect_jobs(["succeeded"], ["gap"]);
        meters::reorganised(1);
        meters::left_phase("queued", Duration::from_secs(1));
        meters::answered("/v1/jobs", 200, Duration::from_secs(1));
    });
    let mut text = handle.render();
    nodes::show(&mut text, &[]);
    let gauges = Gauges {
        isolation_proven: Some(true),
        ..Gauges::default()
    };
    metrics::show_gauges(&mut text, &gauges);
    metrics::show_readable(&mut text, true);
    text
}

fn names(text: &str) -> BTreeSet<String> {
    let is_part =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    let words = text.split(|letter| !is_part(letter));
    let ours = words.filter(|word| word.starts_with("tidewatch_"));
    ours.map(ToOwned::to_owned).collect()
}

#[test]
fn every_figure_of_the_dashboard_is_served() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array());
    let asked: BTreeSet<String> = targets
        .flatten()
        .flat_map(|target| names(target["expr"].as_str().unwrap()))
        .collect();
    assert!(asked.len() > 15, "{asked:?}");
    let served = names(&served());
    let missing: Vec<_> = asked.difference(&served).collect();
    assert!(missing.is_empty(), "not served: {missing:?}");
}
