//! From the configuration to an agent.

use std::sync::Arc;

use alloy::primitives::{Address, U256};
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
    let works = Works {
        deployment_id: id,
        deployment: keeper.clone(),
        genesis_hash: followed.identity.genesis_hash,
        calls,
        node: node(chain)?,
        documents,
    };
    let settings = Settings::new(config.kinds.clone(), config.max_fee, config.daily_gas);
    tracing::info!(account = %keys.borrow().address(), acts = ?config.kinds, "the agent acts");
    Ok(Agent::new(ledger.clone(), works, keys, catalog, settings))
}

fn node(chain: &ChainConfig) -> anyhow::Result<Node> {
    let urls: Vec<&str> = chain.rpc_urls.iter().map(Secret::expose).collect();
    ensure!(!urls.is_empty(), "TIDEWATCH_RPC_URLS is required");
    Ok(Node::new(urls)?)
}

/// The agent's account and what it has, in wei.
///
/// # Errors
/// A sentence: the key is none, or no node answers.
pub(super) async fn balance(
    config: &AgentConfig,
    chain: &ChainConfig,
) -> anyhow::Result<(Address, U256)> {
    let account = super::agent_key::Source::new(config)?
        .receiver()
        .borrow()
        .address();
    let balance = node(chain)?.balance(account).await?;
    Ok((account, balance))
}
