use std::io::Write;

use crate::api;

/// Prints the description of the HTTP API as JSON.
pub(in crate::app) fn run() -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, &api::description())?;
    writeln!(out)?;
    Ok(())
}
