use std::io::Write;
use std::path::Path;

use alloy::primitives::B256;
use anyhow::{Context, ensure};

use crate::app::cli::DeployOptions;
use crate::app::config::Environment;
use crate::app::packages;
use crate::keeper::{self, Account, Blueprint, Proxies};

/// Deploys the contracts and writes the deployment file.
pub(in crate::app) async fn run(
    options: &DeployOptions,
    environment: &Environment,
) -> anyhow::Result<()> {
    let owner = connect(&options.rpc, &options.key_file).await?;
    ensure!(
        options.proxy_admin != Some(owner.address()),
        "--proxy-admin is the deployer's own address: a proxy's admin cannot call what stands behind it, name another"
    );
    let (cache, version) = (environment.cache_directory(), options.keeper_version);
    let with_proxies = options.proxy_admin.is_some();
    let fetched = tokio::task::spawn_blocking(move || {
        let proxies = with_proxies.then(|| packages::proxy_artifacts(&cache));
        anyhow::Ok((
            packages::keeper_artifacts(version, &cache)?,
            proxies.transpose()?,
        ))
    });
    let (artifacts, proxies) = fetched.await??;
    let blueprint = Blueprint {
        version,
        artifacts,
        proxies: options
            .proxy_admin
            .zip(proxies)
            .map(|(admin, artifacts)| Proxies { admin, artifacts }),
    };
    let deployed = keeper::deploy(&owner, &blueprint).await?;
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

/// The account of the key in a file, on a node.
pub(super) async fn connect(rpc: &str, key_file: &Path) -> anyhow::Result<Account> {
    let file = key_file.display();
    let text =
        std::fs::read_to_string(key_file).with_context(|| format!("could not read {file}"))?;
    let key: Result<B256, _> = text.trim().parse();
    let key = key
        .ok()
        .with_context(|| format!("{file} does not hold a private key: 64 hexadecimal digits"))?;
    // The URL may hold a key of its own and is not repeated.
    let rpc = rpc.parse().ok().context("--rpc is not a URL")?;
    Ok(Account::connect(&rpc, &key).await?)
}
