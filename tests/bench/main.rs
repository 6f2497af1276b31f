//! The benchmarks: how fast the released program records and judges, what it needs for that, and how far the parts' own limits
//! are. `README.md` beside this file says what is measured and how to read it; `run` starts everything.
//!
//! A program of its own (`cargo bench`), so that neither `cargo test` nor a reader of the tests waits for it: speed is never
//! asserted in a test, where a busy machine would make it lie.
#![expect(clippy::print_stdout, reason = "a benchmark tells what it measured")]

mod api;
mod bare;
mod cluster;
mod head;
mod history;
mod parts;
mod source;
mod stages;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;

use history::Measure;
use parts::Parts;
use source::{Chain, Kind, PER_BLOCK, Source};

/// Measures the released program beside a synthetic node and a real Postgres.
#[derive(Clone, Debug, Parser)]
struct Options {
    /// Blocks of the chain, ten events each
    #[arg(long, default_value_t = 100_000)]
    blocks: u64,

    /// Times that each rate is measured; the median is told
    #[arg(long, default_value_t = 3)]
    runs: usize,

    /// Milliseconds that the distant node waits before every answer
    #[arg(long, default_value_t = 30)]
    latency: u64,

    /// Only these, comma separated: bare, recorded, distant, judged, head, idle, api, stages, cluster
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "bare,recorded,distant,judged"
    )]
    only: Vec<String>,

    /// Given by cargo to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    fn wants(&self, what: &str) -> bool {
        self.only.iter().any(|wanted| wanted == what)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let parts = Parts::find().await?;
    for kind in [Kind::Fulfilled, Kind::Purchases] {
        let wanted = match kind {
            Kind::Fulfilled => ["bare", "recorded", "distant", "judged"].as_slice(),
            Kind::Purchases => &["judged"],
        };
        if !wanted.iter().any(|what| options.wants(what)) {
            continue;
        }
        let chain = Arc::new(Chain::new(kind, options.blocks));
        let source = Source::start(chain)?;
        println!(
            "\n{kind:?}: {} blocks, {} events",
            options.blocks,
            options.blocks * PER_BLOCK
        );
        measure(&options, &parts, &source, kind).await?;
    }
    if options.wants("head") {
        tell_delays(&head::delays(&parts).await?);
    }
    if options.wants("idle") {
        let source = Source::start(Arc::new(Chain::new(Kind::Purchases, 100)))?;
        let (asked, hourly) = head::idle(&parts, &source).await?;
        println!(
            "\nidle: {} calls in {} requests per hour",
            asked.total() * hourly,
            asked.requests * hourly
        );
    }
    if options.wants("api") {
        tell_api(&api::measure(&parts).await?);
    }
    if options.wants("stages") {
        println!();
        for found in stages::measure().await? {
            let (took, curl) = (found.took.as_secs_f64(), found.curl.as_secs_f64());
            println!(
                "stages: {:<9} a gigabyte in {took:.2} s, {:.2} of curl's {curl:.2} s; reading and hashing alone {:.2} s; at most {:.1} MB resident",
                found.stage,
                took / curl,
                found.hashing.as_secs_f64(),
                kib_as_megabytes(found.resident)
            );
        }
    }
    if options.wants("cluster") {
        cluster::measure(&parts).await?;
    }
    Ok(())
}

fn tell_api(found: &api::Found) {
    println!();
    for (path, bare, api) in &found.rates {
        println!(
            "api: {path:<14} {api:>6.0} requests/s, {:.2} of a bare handler's {bare:.0}",
            api / bare
        );
    }
    let megabytes: Vec<_> = found
        .resident
        .iter()
        .map(|kib| format!("{:.1}", kib_as_megabytes(*kib)))
        .collect();
    println!(
        "api: MB resident after the requests, then with 1,000 readers after each 500 transitions: {}; at most {:.1}",
        megabytes.join(", "),
        kib_as_megabytes(found.peak)
    );
}

fn tell_delays(delays: &[Duration]) {
    let percentile = |part: usize| {
        let place = (delays.len() * part / 100).min(delays.len().saturating_sub(1));
        delays.get(place).copied().unwrap_or_default().as_secs_f64() * 1e3
    };
    println!(
        "\nhead: {} blocks over WebSocket, from the announcement to the commit: p50 {:.1} ms, p99 {:.1} ms",
        delays.len(),
        percentile(50),
        percentile(99)
    );
}

async fn measure(options: &Options, parts: &Parts, source: &Source, kind: Kind) -> Result<()> {
    let mut bare_copies = Vec::new();
    let mut bare_reads = Vec::new();
    let mut recorded = Vec::new();
    let mut distant = Vec::new();
    let mut judged = Vec::new();
    for _ in 0..options.runs {
        if kind == Kind::Fulfilled && options.wants("bare") {
            bare_copies.push(bare::copy(parts, &source.chain).await?);
            bare_reads.push(bare::read(source)?);
        }
        if options.wants("recorded") || options.wants("judged") {
            let (database, measure) = history::record(parts, source, "bench_history").await?;
            recorded.push(measure);
            if options.wants("judged") {
                judged.push(history::judge(parts, source, &database).await?);
            }
        }
        if kind == Kind::Fulfilled && options.wants("distant") {
            source.set_latency(Duration::from_millis(options.latency));
            let (_, measure) = history::record(parts, source, "bench_distant").await?;
            source.set_latency(Duration::ZERO);
            distant.push(measure);
        }
    }
    tell_rate("bare COPY into the same table", &bare_copies);
    tell_rate("bare reading of the node", &bare_reads);
    tell("recorded", &recorded, source);
    tell(
        &format!("recorded at {} ms", options.latency),
        &distant,
        source,
    );
    tell("judged", &judged, source);
    let ratio = |over: &[f64], under: &[Measure]| {
        if let (Some(over), Some(under)) = (median(over), middle(under)) {
            println!("  {:<34} {:>9.2}", "", under.rate() / over);
        }
    };
    println!(
        "  recorded as a share of bare COPY, of bare reading; at {} ms as a share of recorded:",
        options.latency
    );
    ratio(&bare_copies, &recorded);
    ratio(&bare_reads, &recorded);
    let near: Vec<f64> = recorded.iter().map(Measure::rate).collect();
    ratio(&near, &distant);
    Ok(())
}

fn tell_rate(what: &str, rates: &[f64]) {
    if let Some(rate) = median(rates) {
        println!("  {what:<34} {rate:>9.0} rows/s");
    }
}

fn tell(what: &str, measures: &[Measure], source: &Source) {
    let Some(measure) = middle(measures) else {
        return;
    };
    let [program, postgres, node] = measure.costs();
    let thousands = source.chain.head().div_ceil(1_000).max(1);
    println!(
        "  {what:<34} {:>9.0} rows/s; processor time per row: {program:.1} µs program, {postgres:.1} µs Postgres, {node:.1} µs node",
        measure.rate()
    );
    println!(
        "  {:<34} {:>9.1} MB resident at most; per 1,000 blocks {:.1} calls in {:.1} requests",
        "",
        kib_as_megabytes(measure.memory),
        share(measure.asked.total(), thousands),
        share(measure.asked.requests, thousands),
    );
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn kib_as_megabytes(kib: u64) -> f64 {
    kib as f64 * 1024.0 / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn share(of: u64, by: u64) -> f64 {
    of as f64 / by as f64
}

/// The median; of an even number the upper one.
fn median(rates: &[f64]) -> Option<f64> {
    let mut sorted = rates.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

/// The run whose rate is the median.
fn middle(measures: &[Measure]) -> Option<&Measure> {
    let mut sorted: Vec<&Measure> = measures.iter().collect();
    sorted.sort_by(|one, other| one.rate().total_cmp(&other.rate()));
    sorted.get(sorted.len() / 2).copied()
}
