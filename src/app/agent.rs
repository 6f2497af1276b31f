//! From the configuration to an agent.

use std::sync::Arc;

use alloy::signers::local::PrivateKeySigner;
use anyhow::{Context, ensure};
use tokio::sync::watch;

use super::config::{AgentConfig, ChainConfig, Secret};
use crate::agent::{Agent, Node, Settings, Works};
use crate::documents::Documents;
use crate::ids::DeploymentId;
use crate::keeper::{ContractCalls, Deployment};
use crate::ledger::{Ledger, deployments};
use crate::workflows::Catalog;

/// Makes the agent of a deployment that was opened.
///
/// # Errors
/// A sentence: the deployment is not in the ledger.
pub(super) async fn make<C: ContractCalls>(
    (config, chain, documents): (&AgentConfig, &ChainConfig, Documents),
    ledger: &Ledger,
    (id, keeper): (DeploymentId, &Deployment),
    calls: C,
    (keys, catalog): (
        watch::Receiver<PrivateKeySigner>,
        watch::Receiver<Arc<Catalog>>,
    ),
) -> anyhow::Result<Agent<C, PrivateKeySigner>> {
    let connection = &mut ledger.acquire().await?;
    let known =
        deployments::list_of_contracts(connection, keeper.chain_id, keeper.contracts_hash())
            .await?;
    let followed = known
        .iter()
        .find(|known| known.id == id)
        .context("the deployment is not in the ledger")?;
    let urls: Vec<&str> = chain.rpc_urls.iter().map(Secret::expose).collect();
    ensure!(!urls.is_empty(), "TIDEWATCH_RPC_URLS is required");
    let works = Works {
        deployment_id: id,
        deployment: keeper.clone(),
        genesis_hash: followed.identity.genesis_hash,
        calls,
        node: Node::new(urls)?,
        documents,
    };
    let settings = Settings::new(config.kinds.clone(), config.max_fee, config.daily_gas);
    tracing::info!(account = %keys.borrow().address(), acts = ?config.kinds, "the agent acts");
    Ok(Agent::new(ledger.clone(), works, keys, catalog, settings))
}
