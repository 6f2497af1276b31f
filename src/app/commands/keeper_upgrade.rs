use std::io::Write;

use anyhow::Context;

use super::keeper_deploy::connect;
use crate::app::cli::UpgradeOptions;
use crate::app::config::Environment;
use crate::app::packages;
use crate::keeper::{self, Deployment, KeeperVersion};

/// Upgrades the contracts and writes the new deployment file. Running agreements stay as they are.
pub(in crate::app) async fn run(
    options: &UpgradeOptions,
    environment: &Environment,
) -> anyhow::Result<()> {
    let file = options.keeper.display();
    let text = std::fs::read_to_string(&options.keeper)
        .with_context(|| format!("could not read the deployment file {file}"))?;
    let deployment = Deployment::parse(&text)
        .with_context(|| format!("the deployment file {file} cannot be used"))?;
    let cache = environment.cache_directory();
    let fetched = tokio::task::spawn_blocking(move || {
        packages::keeper_artifacts(KeeperVersion::V0_13_2, &cache)
    });
    let artifacts = fetched.await??;
    let owner = connect(&options.rpc, &options.key_file).await?;
    let admin = connect(&options.rpc, &options.admin_key_file).await?;
    let upgraded = keeper::upgrade(&owner, &admin, &deployment, &artifacts).await?;
    let output = options.output.display();
    std::fs::write(&options.output, upgraded.to_yaml()?)
        .with_context(|| format!("could not write {output}"))?;
    writeln!(
        std::io::stdout(),
        "wrote {output}; the contracts are of version {} now",
        upgraded.keeper_version
    )?;
    Ok(())
}
