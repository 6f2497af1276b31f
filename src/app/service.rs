//! Which workers a role means, what each is made of, and who wakes whom.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures::StreamExt;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::config::{ApiConfig, ChainConfig, EngineConfig, Role, Secret, ServiceConfig};
use super::lifecycle::Supervisor;
use crate::chain::Provider;
use crate::cluster::KubernetesEngine;
use crate::engine::Engine;
use crate::follower::{self, Follower, Following};
use crate::ids::DeploymentId;
use crate::keeper::Deployment;
use crate::ledger::{self, Ledger, listen};
use crate::scheduler::{Collector, Dispatcher, Judge, Observer, Reaper, Resolver};
use crate::worker::{Pace, Wake};
use crate::workflows::Catalog;

/// Looks by themselves, even if every hint is lost.
const SOON: Pace = Pace::every(Duration::from_millis(500));
/// For what is not urgent.
const LATER: Pace = Pace::every(Duration::from_secs(5));
/// How often a node is asked for its head.
const HEAD: Pace = Pace::every(Duration::from_millis(500));

/// Hints between the workers of one process. Workers of other processes are reached through the database's.
#[derive(Clone, Debug, Default)]
struct Wakes {
    judge: Wake,
    resolver: Wake,
    dispatcher: Wake,
    observer: Wake,
    collector: Wake,
}

impl Wakes {
    fn for_hint(&self, channel: &str) -> Vec<&Wake> {
        match channel {
            // the dispatcher too: a block that became deep enough lets jobs start
            listen::RECORDED => vec![&self.judge, &self.dispatcher],
            listen::TRANSITIONS => vec![&self.resolver, &self.dispatcher, &self.observer, &self.collector],
            _ => Vec::new(),
        }
    }
}

/// Makes everything that `config` asks for and starts it. Whatever is wrong now is an error; what goes away later is waited for.
///
/// # Errors
/// One sentence: what could not be reached or does not fit.
pub(super) async fn start(config: ServiceConfig) -> anyhow::Result<Supervisor> {
    let mut supervisor = Supervisor::default();
    let wakes = Wakes::default();
    if let Some(api) = &config.api {
        start_api(api, &mut supervisor).await?;
    }
    if let Some(engine) = &config.engine
        && config.roles.contains(&Role::Operator)
    {
        start_operator(engine, &mut supervisor).await?;
    }
    let Some(database_url) = &config.database_url else { return Ok(supervisor) };
    if !config.roles.iter().any(|role| role.writes_the_ledger()) {
        return Ok(supervisor);
    }
    let ledger = open_ledger(database_url).await?;
    let keeper = read_deployment(config.keeper.as_deref().context("TIDEWATCH_KEEPER is required")?)?;
    let deployment = match &config.chain {
        Some(chain) => start_chain_roles(&config, chain, &ledger, &keeper, &wakes, &mut supervisor).await?,
        None => find_deployment(&ledger, &keeper).await?,
    };
    if config.roles.contains(&Role::Resolver) {
        let resolver = Resolver::new(ledger.clone(), deployment, catalog(config.catalog.as_deref())?);
        supervisor.spawn_worker(resolver, SOON, wakes.resolver.clone());
    }
    if let Some(engine) = &config.engine {
        let engine = connect_engine(engine).await?;
        start_engine_roles(&config, &engine, &ledger, deployment, &wakes, &mut supervisor);
    }
    pass_hints_on(&ledger, wakes, &mut supervisor).await?;
    Ok(supervisor)
}

async fn open_ledger(url: &Secret) -> anyhow::Result<Ledger> {
    let ledger = Ledger::connect(url.expose(), 16).await?;
    ledger::schema::check(&ledger).await?;
    Ok(ledger)
}

fn read_deployment(path: &Path) -> anyhow::Result<Deployment> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("could not read the deployment file {}", path.display()))?;
    Deployment::parse(&text).with_context(|| format!("the deployment file {} cannot be used", path.display()))
}

/// Opens the chain, makes sure that it is the right one, and starts follower and judge.
async fn start_chain_roles(
    config: &ServiceConfig,
    chain: &ChainConfig,
    ledger: &Ledger,
    keeper: &Deployment,
    wakes: &Wakes,
    catalog: &watch::Receiver<Arc<Catalog>>,
    supervisor: &mut Supervisor,
) -> anyhow::Result<DeploymentId> {
    let url = chain.rpc_urls.first().context("TIDEWATCH_RPC_URLS is required")?;
    let provider = Provider::connect(url.expose())?;
    let following = Following {
        chain_id: keeper.chain_id,
        contracts_hash: keeper.contracts_hash(),
        contracts: serde_json::to_value(&keeper.contracts)?,
        addresses: keeper.addresses(),
        start_block: keeper.start_block,
        act_at: chain.act_at,
        irreversible_at: chain.irreversible_at,
        act_from_block: chain.act_from_block,
        filter_version: 1,
    };
    follower::check_contracts(&provider, &following).await?;
    let deployment = follower::open(ledger, &provider, &following).await?;
    if config.roles.contains(&Role::Follower) {
        let follower = Follower::new(ledger.clone(), provider.clone(), following);
        supervisor.spawn_worker(follower, HEAD, Wake::default());
    }
    if config.roles.contains(&Role::Judge) {
        let judge = Judge::new(ledger.clone(), deployment, keeper.clone(), provider, catalog.clone());
        supervisor.spawn_worker(judge, SOON, wakes.judge.clone());
    }
    Ok(deployment)
}
