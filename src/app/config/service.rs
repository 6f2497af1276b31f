use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use url::Url;

use super::agent::{self, AgentConfig};
use super::api::{ApiConfig, read_api};
use super::endpoints::{read_endpoints, read_quorum};
use super::engine::{EngineConfig, read_engine};
use super::roles::{Role, read_roles};
use super::{Environment, Faults, Secret, ServiceOptions, turns};
use crate::documents;
use crate::follower::{ActAt, IrreversibleAt};
use crate::results;
use crate::scheduler::DispatcherSettings;

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
    /// How many jobs are in it at once, and whose turn it is.
    pub turns: DispatcherSettings,
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
        let turns = turns::read(options, &mut faults);
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
                turns,
                agent,
                api,
                metrics_listen,
            })
        } else {
            Err(faults)
        }
    }
}

/// The gateway is the operator's own and may lie anywhere; what it gives is checked against the registered checksum.
pub(super) fn read_gateway(text: Option<&str>, faults: &mut Faults) -> Option<Url> {
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

/// An address to listen on; `usual` if none is given.
pub(super) fn read_address(
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
