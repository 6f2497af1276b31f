//! Logging: `tracing` to standard error, as text for people or JSON for machines.

use std::io::IsTerminal;

use anyhow::{Context, bail};
use tracing_subscriber::EnvFilter;

/// Starts logging. `format` is `text`, `json`, or absent: text on a terminal, JSON elsewhere. The filter is `RUST_LOG`, or `info`.
///
/// # Errors
/// An unknown format, a filter that does not parse, or a second call in one process.
pub(in crate::app) fn start(format: Option<&str>, filter: Option<&str>) -> anyhow::Result<()> {
    let terminal = std::io::stderr().is_terminal();
    let json = match format {
        Some("json") => true,
        Some("text") => false,
        Some(other) => bail!("TIDEWATCH_LOG_FORMAT is {other:?}, not text or json"),
        None => !terminal,
    };
    // its spans carry the endpoint's whole URL, which can hold a key
    let without_urls = "alloy_transport_http=off".parse()?;
    let filter = EnvFilter::try_new(filter.unwrap_or("info"))
        .context("RUST_LOG is not a filter")?
        .add_directive(without_urls);
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let started = if json {
        builder.json().flatten_event(true).try_init()
    } else {
        builder.with_ansi(terminal).with_target(false).try_init()
    };
    started
        .map_err(|error| anyhow::anyhow!(error))
        .context("logging was started already")
}
