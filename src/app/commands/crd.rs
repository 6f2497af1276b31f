use std::io::Write;

use crate::cluster;

/// Prints the custom resource definition as YAML.
pub(in crate::app) fn run() -> anyhow::Result<()> {
    let yaml = cluster::definition_yaml()?;
    std::io::stdout().write_all(yaml.as_bytes())?;
    Ok(())
}
