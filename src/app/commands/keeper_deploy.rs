use std::io::Write;

use alloy::primitives::B256;
use alloy::signers::local::PrivateKeySigner;
use anyhow::Context;

use crate::app::cli::DeployOptions;
use crate::app::config::Environment;
use crate::app::packages;
use crate::keeper::deploy;

/// Deploys the contracts and writes the deployment file.
pub(in crate::app) async fn run(
    options: &DeployOptions,
    environment: &Environment,
) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(&options.key_file)
        .with_context(|| format!("could not read {}", options.key_file.display()))?;
    let key: B256 = text.trim().parse().ok().with_context(|| {
        format!("{} does not hold a private key: 64 hexadecimal digits", options.key_file.display())
    })?;
    let signer = PrivateKeySigner::from_bytes(&key).context("the private key is not valid")?;
    let artifacts = packages::keeper_contracts(&environment.cache_directory())?;
    let url = options.rpc.parse().with_context(|| format!("{:?} is not a URL", options.rpc))?;
    let deployment = deploy::deploy(url, signer, &artifacts).await?;
    std::fs::write(&options.output, deployment.to_yaml()?)
        .with_context(|| format!("could not write {}", options.output.display()))?;
    writeln!(std::io::stdout(), "wrote {}", options.output.display())?;
    Ok(())
}
