use std::path::Path;

use alloy::primitives::Address;
use alloy::sol_types::SolCall;

use super::site::Site;
use super::template::{approve_template_id, template_id};
use super::{Error, UPGRADED};
use crate::keeper::abi::Proxy;
use crate::keeper::account::{Account, Call};
use crate::keeper::deployment::{Contract, Deployment, KeeperVersion};

/// Upgrades a proxied deployment of 0.12.7 to 0.13.2 and approves a compute template for direct agreements. Running agreements
/// and the approved template contract stay; both kinds of agreement are accepted from then on.
///
/// `owner` owns the contracts and pays for their new code, `admin` is the proxies' admin. `artifacts` is the directory of that
/// name in the package `@oceanprotocol/keeper-contracts` 0.13.2. The new code is created before the first proxy is switched.
///
/// # Errors
/// As [`deploy`](super::deploy()), and [`Error::NotUpgradable`] before anything is sent.
pub async fn upgrade(
    owner: &Account,
    admin: &Account,
    deployment: &Deployment,
    artifacts: &Path,
) -> Result<Deployment, Error> {
    if deployment.keeper_version != KeeperVersion::V0_12_7 {
        return Err(Error::NotUpgradable {
            version: deployment.keeper_version,
        });
    }
    let mut site = Site::new(owner.address(), owner.next_nonce().await?, artifacts);
    let libraries = site.libraries()?;
    let mut switches = Vec::new();
    let mut implementations = deployment.implementations.clone();
    for (contract, proxy) in deployment.contracts.iter() {
        if UPGRADED.contains(&contract) {
            let implementation = site.create(contract.as_str(), libraries.of(contract))?;
            implementations.push(implementation);
            switches.push(switch(contract, proxy, implementation));
        }
    }
    owner.send_all(site.calls).await?;
    admin.send_all(switches).await?;
    owner
        .send_all(approve_template_id(&deployment.contracts))
        .await?;
    Ok(Deployment {
        keeper_version: KeeperVersion::V0_13_2,
        template_ids: vec![template_id()],
        implementations,
        ..deployment.clone()
    })
}

/// Makes a proxy run other code; only its admin may.
pub fn switch(contract: Contract, proxy: Address, implementation: Address) -> Call {
    let data = Proxy::upgradeToCall {
        newImplementation: implementation,
    };
    Call::to(
        proxy,
        data.abi_encode(),
        format!("upgrade {contract} to {implementation}"),
    )
}
