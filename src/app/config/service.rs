use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;

use url::Url;

use super::agent::{self, AgentConfig};
use super::endpoints::{read_endpoints, read_quorum};
use super::{Environment, Faults, Secret, ServiceOptions};
use crate::cluster::{AccessMode, NetworkPolicy, PullPolicy};
use crate::documents;
use crate::follower::{ActAt, IrreversibleAt};
use crate::results;

/// A part of the service that can run by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Carries the chain's logs into the ledger.
    Follower,
    /// Draws their consequences.
    Judge,
    /// Freezes what each job runs.
    Resolver,
    /// Hands jobs to the engine.
    Dispatcher,
    /// Notes how they go.
    Observer,
    /// Copies logs and results' hashes into the ledger.
    Collector,
    /// Removes what is finished from the engine.
    Reaper,
    /// Turns workflows into Kubernetes Jobs.
    Operator,
    /// Acts on chain for the publisher.
    Agent,
    /// Answers people.
    Api,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 10] = [
        Self::Follower,
        Self::Judge,
        Self::Resolver,
        Self::Dispatcher,
        Self::Observer,
        Self::Collector,
        Self::Reaper,
        Self::Operator,
        Self::Agent,
        Self::Api,
    ];

    /// The role's name on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Follower => "follower",
            Self::Judge => "judge",
            Self::Resolver => "resolver",
            Self::Dispatcher => "dispatcher",
            Self::Observer => "observer",
            Self::Collector => "collector",
            Self::Reaper => "reaper",
            Self::Operator => "operator",
            Self::Agent => "agent",
            Self::Api => "api",
        }
    }

    /// Whether the role writes the ledger, and so needs a database and the deployment.
    pub const fn writes_the_ledger(self) -> bool {
        !matches!(self, Self::Operator | Self::Api)
    }

    const fn knows_the_contracts(self) -> bool {
        !matches!(self, Self::Operator)
    }

    const fn asks_the_chain(self) -> bool {
        matches!(self, Self::Follower | Self::Judge | Self::Agent)
    }

    const fn asks_the_engine(self) -> bool {
        matches!(
            self,
            Self::Dispatcher | Self::Observer | Self::Collector | Self::Reaper | Self::Operator
        )
    }
}

/// What `run` needs. A part is `None` exactly when no chosen role uses it.
#[derive(Debug)]
pub struct ServiceConfig {
    /// The chosen roles.
    pub roles: BTreeSet<Role>,
    /// The writer's database.
    pub database_url: Option<Secret>,
    /// File with the keeper's deployment.
    pub keeper: Option<PathBuf>,
    /// The chain.
    pub chain: Option<ChainConfig>,
    /// The publisher's catalog.
    pub catalog: Option<PathBuf>,
    /// How documents are fetched.
    pub documents: documents::Settings,
    /// What runs the jobs.
    pub engine: Option<EngineConfig>,
    /// The agent.
    pub agent: Option<AgentConfig>,
    /// The API.
    pub api: Option<ApiConfig>,
    /// Where metrics can be read.
    pub metrics_listen: SocketAddr,
}

/// How the chain is followed.
#[derive(Debug)]
pub struct ChainConfig {
    /// The nodes' endpoints. They can hold a key.
    pub rpc_urls: Vec<Secret>,
    /// Different operators of nodes that must name the same block before an event of it starts anything.
    pub quorum: usize,
    /// When work may start.
    pub act_at: ActAt,
    /// What may never roll back; `None`: the finalized tag where the chain has it, else a depth of 64.
    pub irreversible_at: Option<IrreversibleAt>,
    /// Conditions owed before it start nothing; `None`: the irreversible block when first followed.
    pub act_from_block: Option<u64>,
}

/// Where and how jobs run.
#[derive(Debug)]
pub struct EngineConfig {
    /// Kubeconfig file; `None`: the service account of the pod this runs in.
    pub kubeconfig: Option<PathBuf>,
    /// Namespace of the jobs.
    pub namespace: String,
    /// Image of the stages, pinned by digest.
    pub image: String,
    /// When a node pulls it.
    pub image_pull_policy: PullPolicy,
    /// Storage class of the jobs' volumes.
    pub storage_class: Option<String>,
    /// Access mode of the jobs' volumes.
    pub access_mode: AccessMode,
    /// Runtime class of the algorithm's pods.
    pub runtime_class: Option<String>,
    /// Whether the jobs' pods get user namespaces of their own.
    pub user_namespaces: bool,
    /// What an algorithm's isolation from the network must rest on.
    pub network_policy: NetworkPolicy,
    /// Where results go.
    pub results_url: String,
    /// Secret with the credentials for it.
    pub results_secret: Option<String>,
    /// This process's own options for it, where it is the one that reads the records of logs.
    pub results_options: Option<results::Options>,
    /// File with certificate authorities to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// The gateway that `ipfs` inputs are had from.
    pub ipfs_gateway: Option<Url>,
}

/// The API.
#[derive(Debug)]
pub struct ApiConfig {
    /// The reader's own login.
    pub database_url: Secret,
    /// Where it listens.
    pub listen: SocketAddr,
    /// File with the operators' token.
    pub operator_token_file: Option<PathBuf>,
    /// Most requests a second from one address; `None`: any number.
    pub rate: Option<NonZeroU32>,
    /// The nodes' endpoints, if any were named and no other role asks them: for what no event tells. They can hold a key.
    pub rpc_urls: Vec<Secret>,
}

/// Requests a second from one address unless said otherwise: a person with a page open asks for a few.
const USUAL_RATE: u32 = 50;

impl ServiceConfig {
    /// Reads and checks everything.
    ///
    /// # Errors
    /// [`Faults`] with every fault found.
    pub fn read(options: &ServiceOptions, environment: &Environment) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        environment.check_names(&mut faults);
        let roles = read_roles(options, &mut faults);
        let needed = |need: fn(Role) -> bool| roles.iter().copied().any(need);
        let database_url = environment.secret("DATABASE_URL", &mut faults);
        if needed(Role::writes_the_ledger) && database_url.is_none() {
            faults.add(
                "DATABASE_URL",
                "is required: the writer's Postgres, postgres://user:password@host/database",
            );
        }
        if needed(Role::knows_the_contracts) && options.keeper.is_none() {
            faults.add(
                "TIDEWATCH_KEEPER",
                "is required: the file with the keeper's deployment",
            );
        }
        let chain =
            needed(Role::asks_the_chain).then(|| read_chain(options, environment, &mut faults));
        let engine = needed(Role::asks_the_engine).then(|| EngineConfig {
            results_options: roles
                .contains(&Role::Collector)
                .then(|| results::Options::among(environment.variables())),
            ..read_engine(options, environment, &mut faults)
        });
        let documents = documents::Settings {
            ipfs_gateway: read_gateway(options.ipfs_gateway.as_deref(), &mut faults),
            ca_file: options.ca_file.clone(),
        };
        let agent = roles
            .contains(&Role::Agent)
            .then(|| agent::read(options, &mut faults))
            .flatten();
        let api = roles
            .contains(&Role::Api)
            .then(|| read_api(options, environment, chain.is_none(), &mut faults))
            .flatten();
        let metrics_listen = read_address(
            options.metrics_listen.as_deref(),
            "127.0.0.1:9464",
            "TIDEWATCH_METRICS_LISTEN",
            &mut faults,
        );
        if let (Some(metrics_listen), true) = (metrics_listen, faults.is_empty()) {
            let (keeper, catalog) = (options.keeper.clone(), options.catalog.clone());
            Ok(Self {
                roles,
                database_url,
                keeper,
                chain,
                catalog,
                documents,
                engine,
                agent,
                api,
                metrics_listen,
            })
        } else {
            Err(faults)
        }
    }
}

/// The chosen roles. `all` leaves the agent out unless it was told what to do: it spends money.
fn read_roles(options: &ServiceOptions, faults: &mut Faults) -> BTreeSet<Role> {
    let has_agent = agent::is_on(options);
    let mut roles = BTreeSet::new();
    for word in options.role.split(',').map(str::trim) {
        match Role::ALL.into_iter().find(|role| role.as_str() == word) {
            Some(role) => _ = roles.insert(role),
            None if word == "all" => roles.extend(
                Role::ALL
                    .into_iter()
                    .filter(|role| *role != Role::Agent || has_agent),
            ),
            None => {
                let known = Role::ALL.map(Role::as_str).join(", ");
                faults.add("--role", format!("{word:?} is none of all, {known}"));
            }
        }
    }
    roles
}

/// The gateway is the operator's own and may lie anywhere; what it gives is checked against the registered checksum.
fn read_gateway(text: Option<&str>, faults: &mut Faults) -> Option<Url> {
    let text = text?;
    let url = Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.username().is_empty()
            && url.password().is_none()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
    });
    if url.is_none() {
        faults.add(
            "TIDEWATCH_IPFS_GATEWAY",
            "must be https://host or http://host, with nothing before or after the host",
        );
    }
    url
}

fn read_chain(
    options: &ServiceOptions,
    environment: &Environment,
    faults: &mut Faults,
) -> ChainConfig {
    let rpc_urls = read_endpoints(options.rpc_urls.as_deref(), environment, faults);
    let quorum = read_quorum(options.quorum.as_deref(), &rpc_urls, faults);
    let act_at = read_rule(options.act_at.as_deref(), "TIDEWATCH_ACT_AT", faults);
    ChainConfig {
        rpc_urls,
        quorum,
        act_at: act_at.unwrap_or(ActAt::Finalized),
        irreversible_at: read_rule(
            options.irreversible_at.as_deref(),
            "TIDEWATCH_IRREVERSIBLE_AT",
            faults,
        ),
        act_from_block: read_rule(
            options.act_from_block.as_deref(),
            "TIDEWATCH_ACT_FROM_BLOCK",
            faults,
        ),
    }
}

fn read_rule<T: FromStr<Err: std::fmt::Display>>(
    text: Option<&str>,
    variable: &str,
    faults: &mut Faults,
) -> Option<T> {
    let text = text?;
    let read = text
        .parse::<T>()
        .map_err(|error| format!("is {text:?}: {error}"));
    faults.check(variable, read)
}

fn read_engine(
    options: &ServiceOptions,
    environment: &Environment,
    faults: &mut Faults,
) -> EngineConfig {
    match options.engine.as_deref() {
        None | Some("kubernetes") => {}
        Some("process") => faults.add(
            "TIDEWATCH_ENGINE",
            "process is not supported by this version; use kubernetes",
        ),
        Some(other) => faults.add("TIDEWATCH_ENGINE", format!("is {other:?}, not kubernetes")),
    }
    let image = options.image.clone().unwrap_or_default();
    if !image.contains("@sha256:") {
        faults.add(
            "TIDEWATCH_IMAGE",
            "must name the image of the stages by digest: repository@sha256:…",
        );
    }
    let results_url = options.results_url.clone().unwrap_or_default();
    if !["s3://", "gs://", "az://"]
        .iter()
        .any(|scheme| results_url.starts_with(scheme))
    {
        faults.add(
            "TIDEWATCH_RESULTS_URL",
            "must say where results go: s3://bucket/prefix, gs://bucket/prefix or az://container/prefix",
        );
    }
    EngineConfig {
        kubeconfig: environment.get("KUBECONFIG").map(PathBuf::from),
        namespace: options
            .namespace
            .clone()
            .unwrap_or_else(|| "tidewatch-jobs".to_owned()),
        image,
        image_pull_policy: one_of(
            options.image_pull_policy.as_deref(),
            &[
                PullPolicy::IfNotPresent,
                PullPolicy::Always,
                PullPolicy::Never,
            ]
            .map(|it| (it.as_str(), it)),
            "TIDEWATCH_IMAGE_PULL_POLICY",
            faults,
        ),
        storage_class: options.storage_class.clone(),
        access_mode: one_of(
            options.access_mode.as_deref(),
            &[AccessMode::ReadWriteOnce, AccessMode::ReadWriteOncePod].map(|it| (it.as_str(), it)),
            "TIDEWATCH_ACCESS_MODE",
            faults,
        ),
        runtime_class: options.runtime_class.clone(),
        user_namespaces: one_of(
            options.user_namespaces.as_deref(),
            &[("off", false), ("on", true)],
            "TIDEWATCH_USER_NAMESPACES",
            faults,
        ),
        network_policy: one_of(
            options.network_policy.as_deref(),
            &[NetworkPolicy::Preferred, NetworkPolicy::Required].map(|it| (it.as_str(), it)),
            "TIDEWATCH_NETWORK_POLICY",
            faults,
        ),
        results_url,
        results_secret: options.results_secret.clone(),
        results_options: None,
        ca_file: options.ca_file.clone(),
        // What is wrong with it is said where documents' settings are read.
        ipfs_gateway: read_gateway(options.ipfs_gateway.as_deref(), &mut Faults::default()),
    }
}

/// What the word stands for; the first of `known` if there is none.
fn one_of<T: Copy>(
    word: Option<&str>,
    known: &[(&str, T)],
    variable: &str,
    faults: &mut Faults,
) -> T {
    let word = word.unwrap_or(known[0].0);
    if let Some((_, value)) = known.iter().find(|(name, _)| *name == word) {
        return *value;
    }
    let names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
    faults.add(
        variable,
        format!("is {word:?}, not one of {}", names.join(", ")),
    );
    known[0].1
}

fn read_api(
    options: &ServiceOptions,
    environment: &Environment,
    is_without_chain: bool,
    faults: &mut Faults,
) -> Option<ApiConfig> {
    let database_url = environment.secret("TIDEWATCH_API_DATABASE_URL", faults);
    if database_url.is_none() {
        faults.add(
            "TIDEWATCH_API_DATABASE_URL",
            "is required: the reader's own login; there is no fallback to the writer's",
        );
    }
    let listen = read_address(
        options.api_listen.as_deref(),
        "127.0.0.1:8080",
        "TIDEWATCH_API_LISTEN",
        faults,
    );
    let rate = options
        .api_rate
        .as_deref()
        .map_or(Ok(USUAL_RATE), str::parse);
    let rate = rate.map_err(|_| {
        "must be a number of requests a second from one address; 0: any number".to_owned()
    });
    let rate = faults.check("TIDEWATCH_API_RATE", rate);
    // A node is asked only for what no event tells, so the API runs without one.
    let has_nodes =
        options.rpc_urls.is_some() || environment.get("TIDEWATCH_RPC_URLS_FILE").is_some();
    let rpc_urls = match has_nodes && is_without_chain {
        true => read_endpoints(options.rpc_urls.as_deref(), environment, faults),
        false => Vec::new(),
    };
    Some(ApiConfig {
        database_url: database_url?,
        listen: listen?,
        operator_token_file: options.operator_token_file.clone(),
        rate: NonZeroU32::new(rate?),
        rpc_urls,
    })
}

/// An address to listen on; `usual` if none is given.
fn read_address(
    text: Option<&str>,
    usual: &str,
    variable: &str,
    faults: &mut Faults,
) -> Option<SocketAddr> {
    let text = text.unwrap_or(usual);
    let read = text
        .parse()
        .map_err(|_| format!("is {text:?}, not an address with a port, such as {usual}"));
    faults.check(variable, read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_told_at_once_with_its_variable() {
        let options = ServiceOptions {
            role: "all".to_owned(),
            act_at: Some("soon".to_owned()),
            engine: Some("process".to_owned()),
            ..ServiceOptions::default()
        };
        let told = ServiceConfig::read(&options, &Environment::default())
            .unwrap_err()
            .to_string();
        for variable in [
            "DATABASE_URL is required",
            "TIDEWATCH_API_DATABASE_URL is required",
            "TIDEWATCH_RPC_URLS is required",
            "TIDEWATCH_KEEPER is required",
            "TIDEWATCH_ACT_AT is \"soon\"",
            "TIDEWATCH_ENGINE process",
            "TIDEWATCH_IMAGE must",
            "TIDEWATCH_RESULTS_URL must",
        ] {
            assert!(told.contains(variable), "{variable} is missing in: {told}");
        }
    }

    #[test]
    fn a_role_needs_only_what_it_uses() {
        let options = ServiceOptions {
            role: "operator".to_owned(),
            image: Some(format!(
                "registry.example/tidewatch@sha256:{}",
                "0".repeat(64)
            )),
            results_url: Some("s3://results".to_owned()),
            ..ServiceOptions::default()
        };
        let config = ServiceConfig::read(&options, &Environment::default()).unwrap();
        assert!(config.database_url.is_none() && config.chain.is_none() && config.api.is_none());
        assert_eq!(config.engine.unwrap().namespace, "tidewatch-jobs");
    }
}
