//! What this process knows of the nodes that it asks, as metrics.

use std::collections::BTreeMap;

use super::metrics::{counter, gauge};
use crate::chain::ProviderStatus;

/// Adds them. Two endpoints of one host have one name, and are shown as one.
pub(super) fn show(text: &mut String, known: &[ProviderStatus]) {
    let mut by_name: BTreeMap<&str, Vec<&ProviderStatus>> = BTreeMap::new();
    for provider in known {
        by_name.entry(&provider.name).or_default().push(provider);
    }
    let label = |name: &str| format!("{{provider=\"{name}\"}}");
    let (mut calls, mut sick, mut refusals) = (Vec::new(), Vec::new(), Vec::new());
    let (mut latencies, mut heads) = (Vec::new(), Vec::new());
    for (name, endpoints) in by_name {
        let all = || endpoints.iter();
        calls.push((label(name), all().map(|it| it.calls).sum::<u64>()));
        sick.push((label(name), u8::from(all().all(|it| it.sick))));
        if let Some(latency) = all().filter_map(|it| it.latency).min() {
            latencies.push((label(name), latency.as_secs_f64()));
        }
        if let Some(head) = all().filter_map(|it| it.head).map(|it| it.number).max() {
            heads.push((label(name), head));
        }
        let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
        for (kind, count) in all().flat_map(|it| &it.refusals) {
            *kinds.entry(kind).or_default() += count;
        }
        let kinds = kinds.into_iter();
        refusals.extend(kinds.map(|(kind, count)| {
            let labels = format!("{{provider=\"{name}\",kind=\"{kind}\"}}");
            (labels, count)
        }));
    }
    counter(
        text,
        "tidewatch_provider_calls_total",
        "Requests to each node.",
        &calls,
    );
    counter(
        text,
        "tidewatch_provider_refusals_total",
        "What each node refused, by kind.",
        &refusals,
    );
    gauge(
        text,
        "tidewatch_provider_sick",
        "1 while a node is passed over as long as there is another.",
        &sick,
    );
    gauge(
        text,
        "tidewatch_provider_latency_seconds",
        "Mean time from question to answer.",
        &latencies,
    );
    gauge(
        text,
        "tidewatch_provider_block_number",
        "The newest block that each node named.",
        &heads,
    );
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn endpoint(calls: u64, refusals: &[(&'static str, u64)], sick: bool) -> ProviderStatus {
        ProviderStatus {
            name: "node.example".to_owned(),
            sick,
            latency: (!sick).then_some(Duration::from_millis(250)),
            head: None,
            range: 1,
            calls,
            refusals: refusals.to_vec(),
        }
    }

    #[test]
    fn endpoints_of_one_host_are_one_series() {
        let mut text = String::new();
        let known = [
            endpoint(3, &[("rate_limited", 1)], false),
            endpoint(4, &[("rate_limited", 2)], true),
        ];
        show(&mut text, &known);
        for line in [
            "tidewatch_provider_calls_total{provider=\"node.example\"} 7",
            "tidewatch_provider_refusals_total{provider=\"node.example\",kind=\"rate_limited\"} 3",
            "tidewatch_provider_sick{provider=\"node.example\"} 0",
            "tidewatch_provider_latency_seconds{provider=\"node.example\"} 0.25",
        ] {
            assert_eq!(text.lines().filter(|it| *it == line).count(), 1, "{text}");
        }
    }
}
