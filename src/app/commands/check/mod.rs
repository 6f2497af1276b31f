//! `check`: asks every part, and says in a line each that it is well, or what is wrong and how to mend it.
//!
//! Here the configuration, the databases, the chain and the agent; `cluster.rs`: the cluster; `api.rs`: what the
//! API reads. What the account that asks may not look
//! at is called unseen, which is neither.

mod api;
mod cluster;

use std::collections::BTreeSet;

use alloy::primitives::U256;
use alloy::primitives::utils::format_ether;
use anyhow::{Context, bail};

use super::opening::say;
use super::{owners, past_purchases};
use crate::app::config::{
    AgentConfig, ChainConfig, Environment, Secret, ServiceConfig, ServiceOptions,
};
use crate::app::{agent, catalog, service};
use crate::chain::Provider;
use crate::cluster::NetworkPolicy;
use crate::engine::Isolation;
use crate::follower;
use crate::keeper::{Deployment, Facts};
use crate::ledger::isolation::{self, LastIsolation};
use crate::ledger::{Ledger, deployments, roles};

/// Gas of the dearest thing that the agent does: a release takes about 150,000 (measured on the contracts), with some to spare.
const DEAREST_ACT: u64 = 200_000;

/// Asks every part that the chosen roles use, and says in one line each that it is well, or what is wrong and how to mend it.
pub(in crate::app) async fn run(
    options: &ServiceOptions,
    environment: &Environment,
) -> anyhow::Result<()> {
    let config = ServiceConfig::read(options, environment)?;
    let mut report = Report::default();
    report.add("configuration", Ok("it can be read".to_owned()))?;
    report.add("catalog", check_catalog(&config))?;
    let keeper = match &config.keeper {
        Some(path) => {
            let keeper = service::read_deployment(Some(path));
            report.add(
                "deployment file",
                keeper.as_ref().map(described).map_err(told),
            )?;
            keeper.ok()
        }
        None => None,
    };
    let ledger = check_databases(&config, &mut report).await?;
    if let Some(chain) = &config.chain {
        let keeper = keeper.as_ref();
        check_chain((&config, chain), keeper, ledger.as_ref(), &mut report).await?;
    }
    if let (Some(keeper), Some(ledger), Some(_), Some(_)) =
        (&keeper, &ledger, &config.catalog, &config.chain)
    {
        let compared = past_purchases::compare(&config, keeper, ledger).await;
        report.add("past purchases", compared)?;
    }
    if let Some(engine) = &config.engine {
        cluster::check(&config, engine, &mut report).await?;
    }
    if let (Some(agent), Some(chain)) = (&config.agent, &config.chain) {
        report.add("agent's balance", check_balance(agent, chain).await)?;
    }
    if let (Some(keeper), Some(ledger), Some(engine)) = (&keeper, &ledger, &config.engine) {
        let seen = check_isolation(keeper, ledger, engine.network_policy).await;
        report.add("isolation", seen)?;
    }
    report.finish()
}

/// What the newest algorithm's pod saw of the cluster's denial of the network.
async fn check_isolation(
    keeper: &Deployment,
    ledger: &Ledger,
    policy: NetworkPolicy,
) -> anyhow::Result<String> {
    let connection = &mut ledger.acquire().await?;
    let known =
        deployments::list_of_contracts(connection, keeper.chain_id, keeper.contracts_hash())
            .await?;
    let mut last: Option<LastIsolation> = None;
    for deployment in known {
        let found = isolation::find_last(connection, deployment.id).await?;
        last = last.into_iter().chain(found).max_by_key(|one| one.at);
    }
    match (last.map(|last| last.isolation), policy) {
        (None, _) => Ok("no algorithm has run yet that could tell whether the cluster denies it the network".to_owned()),
        (Some(Isolation::Proven | Isolation::Open), _) => {
            Ok("the newest algorithm's pod saw the cluster deny it the network".to_owned())
        }
        (Some(Isolation::Unproven), NetworkPolicy::Preferred) => Ok(
            "unproven: the cluster was not seen to deny the newest algorithm's pod the network, only the guard did".to_owned(),
        ),
        (Some(Isolation::Unproven), NetworkPolicy::Required) => bail!(
            "the cluster was not seen to deny the newest algorithm's pod the network, and TIDEWATCH_NETWORK_POLICY requires it: apply deploy/network-policies.yaml, and use a network plugin that enforces it"
        ),
    }
}

/// What was found, printed line by line.
#[derive(Default)]
struct Report {
    wrong: usize,
}

impl Report {
    fn add(&mut self, part: &str, found: anyhow::Result<String>) -> anyhow::Result<()> {
        match found {
            Ok(well) => say(format!("ok     {part}: {well}")),
            Err(error) => {
                self.wrong += 1;
                say(format!("wrong  {part}: {error:#}"))
            }
        }
    }

    /// Something that this account cannot look at: neither well nor wrong.
    fn add_unseen(&self, part: &str, why: &str) -> anyhow::Result<()> {
        say(format!("unseen {part}: {why}"))
    }

    fn finish(self) -> anyhow::Result<()> {
        match self.wrong {
            0 => Ok(()),
            1 => bail!("one part is not as it must be"),
            wrong => bail!("{wrong} parts are not as they must be"),
        }
    }
}

fn told(error: &anyhow::Error) -> anyhow::Error {
    anyhow::anyhow!("{error:#}")
}

fn described(keeper: &Deployment) -> String {
    format!(
        "{} contracts of version {} on chain {} from block {} on",
        keeper.addresses().len(),
        keeper.keeper_version,
        keeper.chain_id,
        keeper.start_block
    )
}

fn check_catalog(config: &ServiceConfig) -> anyhow::Result<String> {
    catalog::open(config.catalog.as_deref())?;
    Ok(config.catalog.as_ref().map_or_else(
        || "none: every asset is somebody else's".to_owned(),
        |path| format!("{} can be used", path.display()),
    ))
}

async fn check_databases(
    config: &ServiceConfig,
    report: &mut Report,
) -> anyhow::Result<Option<Ledger>> {
    let mut opened = None;
    if let Some(url) = &config.database_url {
        let ledger = service::open_ledger(url).await;
        let well = ledger
            .as_ref()
            .map(|_| "it answers, with this version's schema".to_owned());
        report.add("database", well.map_err(told))?;
        if let Ok(ledger) = ledger {
            report.add("logins", check_logins(&ledger).await)?;
            opened = Some(ledger);
        }
    }
    if let Some(api) = &config.api {
        api::check(api, report).await?;
    }
    Ok(opened)
}

async fn check_logins(ledger: &Ledger) -> anyhow::Result<String> {
    let lacking = roles::list_lacking(&mut *ledger.acquire().await?).await?;
    if lacking.is_empty() {
        return Ok("writer, reader and auditor have their rights".to_owned());
    }
    bail!(
        "{} lacks rights: run `tidewatch migrate`",
        lacking.join(", ")
    )
}

async fn check_chain(
    (config, chain): (&ServiceConfig, &ChainConfig),
    keeper: Option<&Deployment>,
    ledger: Option<&Ledger>,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut answering = Vec::new();
    for url in &chain.rpc_urls {
        let (name, found) = check_provider(url, chain, keeper, ledger).await;
        if found.is_ok() {
            answering.extend(Provider::new(url.expose()));
        }
        report.add(&format!("provider {name}"), found)?;
    }
    let operators: BTreeSet<&str> = answering.iter().map(Provider::operator).collect();
    let quorum = chain.quorum;
    let reached = match operators.len() {
        well if well >= quorum => Ok(format!(
            "nodes of {well} operators are well, {quorum} must agree"
        )),
        well => Err(anyhow::anyhow!(
            "{quorum} operators must agree and nodes of {well} are well: nothing is started until there are more"
        )),
    };
    report.add("quorum", reached)?;
    if let (Some(provider), Some(keeper)) = (answering.first(), keeper) {
        report.add("templates", check_templates(provider, keeper).await)?;
        let catalog = catalog::open(config.catalog.as_deref());
        if let Ok(catalog) = catalog {
            let catalog = catalog.receiver().borrow().clone();
            let owned = owners::check(&catalog, provider, keeper).await;
            report.add("owners", owned)?;
        }
    }
    Ok(())
}

async fn check_provider(
    url: &Secret,
    chain: &ChainConfig,
    keeper: Option<&Deployment>,
    ledger: Option<&Ledger>,
) -> (String, anyhow::Result<String>) {
    let provider = match Provider::new(url.expose()) {
        Ok(provider) => provider,
        Err(error) => return ("without a usable URL".to_owned(), Err(error.into())),
    };
    let name = provider.name().to_owned();
    let found = async {
        let head = provider.head().await?.at.number;
        if let Some(keeper) = keeper {
            let following = service::following(chain, keeper);
            follower::check_contracts(&provider.clone().into(), &following).await?;
            if let Some(ledger) = ledger {
                check_identity(&provider, keeper, ledger).await?;
            }
        }
        Ok(format!(
            "it is on the right chain, at block {head}, and has the contracts"
        ))
    };
    let found = found.await;
    (name, found)
}

/// Whether the chain is the one that the ledger follows under its id, if it follows any.
async fn check_identity(
    provider: &Provider,
    keeper: &Deployment,
    ledger: &Ledger,
) -> anyhow::Result<()> {
    let connection = &mut ledger.acquire().await?;
    let known =
        deployments::list_of_contracts(connection, keeper.chain_id, keeper.contracts_hash())
            .await?;
    let genesis = provider.genesis_hash().await?;
    let is_known = known.is_empty()
        || known
            .iter()
            .any(|deployment| deployment.identity.genesis_hash == genesis);
    if is_known {
        return Ok(());
    }
    bail!(
        "its block 0 is {genesis:#x}, which is not the chain that the ledger follows under id {}: it was restarted, or it is another one; give it a database of its own",
        keeper.chain_id
    )
}

async fn check_templates(provider: &Provider, keeper: &Deployment) -> anyhow::Result<String> {
    let facts = Facts::new(provider, &keeper.contracts);
    for template in &keeper.template_ids {
        let approved = facts
            .is_template_approved(*template, None)
            .await
            .context("it could not be asked whether the templates are approved")?;
        if !approved {
            bail!(
                "template {template} of the deployment file is not approved on chain: no agreement can be made under it; its owner must approve it, or take it out of templateIds"
            );
        }
    }
    Ok(match keeper.template_ids.len() {
        0 => "the deployment file names the template contract alone".to_owned(),
        named => format!("{named} approved template ids"),
    })
}

/// Whether the agent's account could pay for a transaction at the highest fee that it may offer.
async fn check_balance(agent: &AgentConfig, chain: &ChainConfig) -> anyhow::Result<String> {
    let (account, balance) = agent::balance(agent, chain).await?;
    let dearest = U256::from(agent.max_fee) * U256::from(DEAREST_ACT);
    let (has, needs) = (format_ether(balance), format_ether(dearest));
    if balance >= dearest {
        return Ok(format!("{account} has {has} ether"));
    }
    bail!(
        "{account} has {has} ether, and a transaction can cost {needs} at the highest fee allowed: send it some, or lower TIDEWATCH_AGENT_MAX_FEE_GWEI"
    )
}
