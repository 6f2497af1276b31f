//! Which workers a role means, what each is made of, and who wakes whom.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use futures::StreamExt;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::config::{ChainConfig, Role, Secret, ServiceConfig};
use super::engines::{Connected, connect_engine};
use super::lifecycle::Supervisor;
use super::telemetry::{Metrics, Source};
use super::{agent, agent_key, catalog};
use crate::api;
use crate::chain::Providers;
use crate::documents::Documents;
use crate::engine::Engine;
use crate::follower::{self, ActAt, Follower, Following, Verifier};
use crate::ids::DeploymentId;
use crate::keeper::Deployment;
use crate::ledger::schema::schema_version;
use crate::ledger::{Ledger, Reader, deployments, listen, upgrades};
use crate::operator::{self, Operator};
use crate::process::{NO_WALL, Runner};
use crate::scheduler::{
    Collector, Dispatcher, Judge, Observer, Reaper, ReaperSettings, Resolver, forward_changes,
};
use crate::worker::{Pace, Wake};
use crate::workflows::Catalog;

/// Connections of one process to the writer's database.
const CONNECTIONS: u32 = 16;
/// How often workers look by themselves: what bounds the delay when every hint is lost.
const SOON: Pace = Pace::every(Duration::from_millis(500));
/// The same for what nobody waits for.
const LATER: Pace = Pace::every(Duration::from_secs(5));

/// The runner's, which has no other way to see a process end: what bounds the delay between the stages of a job.
const AT_ONCE: Pace = Pace::every(Duration::from_millis(50));

/// The verifier's: what it cannot verify now (a pruned node, a hole that nobody fills) does not change by the second.
const VERIFYING: Pace = Pace {
    longest_retry: Duration::from_secs(60),
    ..SOON
};

/// Grows when a release follows more contracts than the one before, so that an older program cannot move the cursor any more.
const FILTER_VERSION: i32 = 1;

/// Hints between workers. Those of other processes come through the database.
#[derive(Clone, Debug, Default)]
struct Wakes {
    verifier: Wake,
    judge: Wake,
    resolver: Wake,
    dispatcher: Wake,
    observer: Wake,
    collector: Wake,
    agent: Wake,
}

impl Wakes {
    fn on_hint(&self, channel: &str) {
        let woken = match channel {
            // the dispatcher too: a block that became deep enough lets jobs start
            listen::RECORDED => vec![&self.verifier, &self.judge, &self.dispatcher, &self.agent],
            listen::TRANSITIONS => vec![
                &self.resolver,
                &self.dispatcher,
                &self.observer,
                &self.collector,
                &self.agent,
            ],
            _ => Vec::new(),
        };
        woken.into_iter().for_each(Wake::wake);
    }
}

/// Makes everything that `config` asks for and starts it. Whatever is wrong now is an error; what goes away later is waited for.
///
/// # Errors
/// One sentence: what could not be reached, or does not fit.
pub(super) async fn start(config: ServiceConfig) -> anyhow::Result<Supervisor> {
    // before any worker, so that nothing is counted into the void
    let metrics = Metrics::start()?;
    let mut service = Service {
        catalog: catalog::open(config.catalog.as_deref())?,
        engine: connect_engine(config.engine.as_ref()).await?,
        config,
        wakes: Wakes::default(),
        supervisor: Supervisor::default(),
        measured: None,
        providers: None,
    };
    service.start_operator()?;
    service.start_ledger_roles().await?;
    service.start_api().await?;
    service.serve_metrics(metrics).await?;
    let catalog = service.catalog.follow(service.supervisor.stop());
    service.supervisor.spawn(catalog);
    Ok(service.supervisor)
}

struct Service {
    config: ServiceConfig,
    catalog: catalog::Source,
    engine: Option<Connected>,
    wakes: Wakes,
    supervisor: Supervisor,
    /// Where metrics read the ledger: the workers' login where there is one.
    measured: Option<Source>,
    /// The nodes that are asked, for metrics.
    providers: Option<Providers>,
}

impl Service {
    fn has(&self, role: Role) -> bool {
        self.config.roles.contains(&role)
    }

    async fn start_api(&mut self) -> anyhow::Result<()> {
        let Some(config) = &self.config.api else {
            return Ok(());
        };
        let listen = &config.listen;
        let reader = Reader::connect(config.database_url.expose())
            .await
            .context("the API's login does not do")?;
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("TIDEWATCH_API_LISTEN: could not listen on {listen}"))?;
        tracing::info!(address = %listener.local_addr()?, "the API listens");
        self.measured
            .get_or_insert_with(|| Source::Reader(reader.clone()));
        let chain = self.config.chain.as_ref();
        let nodes = chain.map_or(&config.rpc_urls, |chain| &chain.rpc_urls);
        let settings = api::Settings {
            operator_token_file: config.operator_token_file.clone(),
            keeper: Some(Arc::new(read_deployment(self.config.keeper.as_deref())?)),
            catalog: Some(self.catalog.receiver()),
            outside: Some(super::api::outside(&self.config.documents)?),
            calls: super::api::calls(nodes)?,
            files: super::api::files(config.results.as_ref())?,
            origin: config.origin.clone(),
            session_key_file: config.session_key_file.clone(),
            rate: config.rate,
            trusted_proxies: config.trusted_proxies.clone(),
            warning: self.config.runs_processes.then_some(NO_WALL),
        };
        let stop = self.supervisor.stop();
        self.supervisor
            .spawn(async move { Ok(api::serve(listener, reader, settings, stop).await?) });
        Ok(())
    }

    fn start_operator(&mut self) -> anyhow::Result<()> {
        if !self.has(Role::Operator) {
            return Ok(());
        }
        match &self.engine {
            Some(Connected::Kubernetes { engine, namespace }) => {
                let settings = operator::Settings {
                    namespace: namespace.clone(),
                };
                let operator = Operator::new(engine.client(), settings);
                let stop = self.supervisor.stop();
                self.supervisor
                    .spawn(async move { Ok(operator.run(stop).await?) });
            }
            Some(Connected::Process(engine)) => {
                let runner = Runner::new(engine.clone())?;
                self.supervisor
                    .spawn_worker(runner, AT_ONCE, Wake::default());
            }
            None => {}
        }
        Ok(())
    }

    async fn start_ledger_roles(&mut self) -> anyhow::Result<()> {
        let roles = &self.config.roles;
        let (Some(url), true) = (
            &self.config.database_url,
            roles.iter().any(|role| role.writes_the_ledger()),
        ) else {
            return Ok(());
        };
        let ledger = open_ledger(url).await?;
        let keeper = read_deployment(self.config.keeper.as_deref())?;
        let deployment = self.start_chain_roles(&ledger, &keeper).await?;
        self.measured = Some(Source::Workers(ledger.clone(), deployment));
        if self.has(Role::Resolver) {
            let resolver = Resolver::new(
                ledger.clone(),
                deployment,
                keeper.clone(),
                self.catalog.receiver(),
                Documents::new(&self.config.documents)?,
            );
            self.supervisor
                .spawn_worker(resolver, SOON, self.wakes.resolver.clone());
        }
        match self.engine.clone() {
            Some(Connected::Kubernetes { engine, .. }) => {
                self.start_engine_roles(&ledger, deployment, *engine);
            }
            Some(Connected::Process(engine)) => {
                self.start_engine_roles(&ledger, deployment, engine);
            }
            None => {}
        }
        self.pass_hints_on(&ledger).await
    }

    /// Makes sure that the chain is the right one, and starts follower and judge. Without either, the deployment is looked up.
    async fn start_chain_roles(
        &mut self,
        ledger: &Ledger,
        keeper: &Deployment,
    ) -> anyhow::Result<DeploymentId> {
        let Some(chain) = &self.config.chain else {
            return find_deployment(ledger, keeper).await;
        };
        let providers = Providers::new(chain.rpc_urls.iter().map(Secret::expose))?;
        self.providers = Some(providers.clone());
        let following = following(chain, keeper);
        follower::check_contracts(&providers, &following).await?;
        let deployment = follower::open(ledger, &providers, &following).await?;
        if self.has(Role::Follower) {
            let verifier = Verifier::new(
                ledger.clone(),
                providers.list().to_vec(),
                following.clone(),
                deployment,
                Some(keeper.clone()),
            );
            self.supervisor
                .spawn_worker(verifier, VERIFYING, self.wakes.verifier.clone());
            let follower =
                Follower::new(ledger.clone(), providers.clone(), following).requiring(chain.quorum);
            let wake = Wake::default();
            self.supervisor.spawn_worker(follower, SOON, wake.clone());
            let (announcing, stop) = (providers.clone(), self.supervisor.stop());
            self.supervisor.spawn(async move {
                announcing.announce(|| wake.wake(), stop).await;
                Ok(())
            });
        }
        if self.has(Role::Judge) {
            let mut connection = ledger.acquire().await?;
            let listed = &keeper.implementations;
            upgrades::note_listed(&mut connection, deployment, listed).await?;
            drop(connection);
            let catalog: watch::Receiver<Arc<Catalog>> = self.catalog.receiver();
            let judge = Judge::new(
                ledger.clone(),
                deployment,
                keeper.clone(),
                providers.clone(),
                catalog,
            );
            self.supervisor
                .spawn_worker(judge, SOON, self.wakes.judge.clone());
        }
        if let Some(config) = &self.config.agent {
            let key = agent_key::Source::new(config)?;
            let (on, followed) = (
                (deployment, keeper),
                (key.receiver(), self.catalog.receiver()),
            );
            let documents = Documents::new(&self.config.documents)?;
            let parts = (config, chain, documents);
            let agent = agent::make(parts, ledger, on, providers, followed).await?;
            self.supervisor
                .spawn_worker(agent, SOON, self.wakes.agent.clone());
            self.supervisor.spawn(key.follow(self.supervisor.stop()));
        }
        Ok(deployment)
    }

    fn start_engine_roles<E: Engine>(
        &mut self,
        ledger: &Ledger,
        deployment: DeploymentId,
        engine: E,
    ) {
        let wakes = self.wakes.clone();
        if self.has(Role::Dispatcher) {
            let settings = self.config.turns.clone();
            let dispatcher = Dispatcher::new(ledger.clone(), deployment, engine.clone(), settings);
            self.supervisor
                .spawn_worker(dispatcher, SOON, wakes.dispatcher);
        }
        if self.has(Role::Observer) {
            let observer = Observer::new(ledger.clone(), deployment, engine.clone());
            self.supervisor
                .spawn_worker(observer, SOON, wakes.observer.clone());
        }
        if self.has(Role::Collector) {
            let collector = Collector::new(ledger.clone(), deployment, engine.clone());
            self.supervisor
                .spawn_worker(collector, SOON, wakes.collector.clone());
        }
        if self.has(Role::Reaper) {
            let reaper = Reaper::new(
                ledger.clone(),
                deployment,
                engine.clone(),
                ReaperSettings::default(),
            );
            self.supervisor.spawn_worker(reaper, LATER, Wake::default());
        }
        let stop = self.supervisor.stop();
        self.supervisor.spawn(async move {
            forward_changes(engine, vec![wakes.observer, wakes.collector], stop).await;
            Ok(())
        });
    }

    async fn serve_metrics(&mut self, metrics: Metrics) -> anyhow::Result<()> {
        let (listen, stop) = (self.config.metrics_listen, self.supervisor.stop());
        let measured = (self.measured.take(), self.providers.take());
        let serving = metrics.serve(listen, measured, stop).await?;
        self.supervisor.spawn(serving);
        Ok(())
    }

    async fn pass_hints_on(&mut self, ledger: &Ledger) -> anyhow::Result<()> {
        let hints = listen::listen(ledger).await?;
        let (wakes, stop) = (self.wakes.clone(), self.supervisor.stop());
        self.supervisor.spawn(async move {
            let hints = hints.take_until(stop.cancelled_owned());
            hints
                .for_each(|channel| {
                    wakes.on_hint(&channel);
                    std::future::ready(())
                })
                .await;
            Ok(())
        });
        Ok(())
    }
}

/// Opens the writer's database, if its schema is one that this program can work with.
pub(super) async fn open_ledger(url: &Secret) -> anyhow::Result<Ledger> {
    let ledger = Ledger::connect(url.expose(), CONNECTIONS).await?;
    let version = schema_version(&mut *ledger.acquire().await?).await?;
    ensure!(version.is_compatible(), "{version}");
    Ok(ledger)
}

/// The newest deployment of these contracts: what roles without a node work on.
pub(super) async fn find_deployment(
    ledger: &Ledger,
    keeper: &Deployment,
) -> anyhow::Result<DeploymentId> {
    let connection = &mut ledger.acquire().await?;
    let known =
        deployments::list_of_contracts(connection, keeper.chain_id, keeper.contracts_hash())
            .await?;
    let newest = known
        .last()
        .context("no follower has recorded this deployment yet: start one first")?;
    Ok(newest.id)
}

/// Reads the deployment file.
pub(super) fn read_deployment(path: Option<&Path>) -> anyhow::Result<Deployment> {
    let path = path.context("TIDEWATCH_KEEPER is required")?;
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("could not read the deployment file {shown}"))?;
    Deployment::parse(&text).with_context(|| format!("the deployment file {shown} cannot be used"))
}

/// What is followed, and by which rules.
pub(super) fn following(chain: &ChainConfig, keeper: &Deployment) -> Following {
    Following {
        act_at: chain.act_at,
        irreversible_at: chain.irreversible_at,
        act_from_block: chain.act_from_block,
        ..following_of(keeper)
    }
}

/// What the deployment file says of what is followed, under the default rules.
pub(super) fn following_of(keeper: &Deployment) -> Following {
    Following {
        chain_id: keeper.chain_id,
        contracts_hash: keeper.contracts_hash(),
        contracts_json: contracts_json(keeper),
        addresses: keeper.addresses(),
        start_block: keeper.start_block,
        act_at: ActAt::default(),
        irreversible_at: None,
        act_from_block: None,
        filter_version: FILTER_VERSION,
    }
}

/// The contract set for people who look at the ledger.
fn contracts_json(keeper: &Deployment) -> serde_json::Value {
    let named = keeper
        .contracts
        .iter()
        .map(|(contract, address)| (contract.as_str().to_owned(), address.to_string().into()));
    serde_json::Value::Object(named.collect())
}
