use std::io::Write;

use alloy::primitives::B256;
use anyhow::Context;

use crate::app::cli::DeployOptions;
use crate::app::config::Environment;
use crate::app::packages;
use crate::keeper::{self, Account};

/// Deploys the contracts and writes the deployment file.
pub(in crate::app) async fn run(
    options: &DeployOptions,
    environment: &Environment,
) -> anyhow::Result<()> {
    let file = options.key_file.display();
    let text = std::fs::read_to_string(&options.key_file)
        .with_context(|| format!("could not read {file}"))?;
    let key: Result<B256, _> = text.trim().parse();
    let key = key
        .ok()
        .with_context(|| format!("{file} does not hold a private key: 64 hexadecimal digits"))?;
    let rpc = options
        .rpc
        .parse()
        .with_context(|| format!("{:?} is not a URL", options.rpc))?;
    let cache = environment.cache_directory();
    let artifacts =
        tokio::task::spawn_blocking(move || packages::keeper_artifacts(&cache)).await??;
    let owner = Account::connect(&rpc, &key).await?;
    let deployed = keeper::deploy(&owner, &artifacts).await?;
    let output = options.output.display();
    std::fs::write(&options.output, deployed.deployment.to_yaml()?)
        .with_context(|| format!("could not write {output}"))?;
    writeln!(
        std::io::stdout(),
        "wrote {output}; the token's faucet is {}",
        deployed.dispenser
    )?;
    Ok(())
}
