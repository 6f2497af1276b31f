use axum::Json;
use axum::extract::{RawQuery, State};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::Shared;
use crate::api::notation::{address, hash, time};
use crate::api::parameters::Parameters;
use crate::api::problem::Problem;
use crate::api::segment::Segment;
use crate::ids::Did;
use crate::ledger::reader::{self, AgentAccount};
use crate::workflows::{Asset, Catalog, Document, ImageReference, Release, Transformation};

/// An asset as its publisher offers it. Where its data lies is not shown.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct AssetShown {
    /// The asset.
    did: String,
    /// Whether it is offered now.
    enabled: bool,
    /// Least payment, in the token's smallest unit.
    #[schema(example = "10")]
    price: String,
    /// Who may be paid; null: the asset's owner.
    payees: Option<Vec<String>>,
    /// Most that a job may use; what it gets when it asks for nothing.
    resources: ResourcesShown,
    /// Images that may run: exact names, and prefixes that end in `/`.
    images: Vec<String>,
    /// Whether consumers may bring code of their own.
    allow_raw_algorithm: bool,
    /// The only algorithms that may run, if any are named.
    trusted_algorithms: Vec<TrustedShown>,
    /// Whether algorithms get the network.
    allow_network_access: bool,
    /// What may come out.
    release: ReleaseShown,
    /// What runs when the consumer names nothing.
    default_workflow: Option<DefaultShown>,
    /// Who answers purchases.
    agent: Option<AgentShown>,
    /// SHA-256 of the catalog that says so.
    policy_version: String,
}

/// Ceilings of a job.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ResourcesShown {
    /// Cores.
    cpu: String,
    /// Bytes of memory.
    memory: String,
    /// Bytes of disk.
    disk: String,
    /// Seconds.
    max_execution_seconds: u32,
}

/// An algorithm that the publisher trusts.
#[derive(Debug, Serialize, ToSchema)]
struct TrustedShown {
    /// Its DID.
    did: Option<String>,
    /// SHA-256 of its code.
    file: Option<String>,
    /// Digest of its image.
    container: Option<String>,
    /// Its command line.
    entrypoint: Option<String>,
}

/// What may come out of a job: `raw`, `filtered` or `none`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ReleaseShown {
    /// Result files.
    results: &'static str,
    /// The job log; `vetted`: raw for algorithms that the publisher vetted, nothing for others.
    logs: &'static str,
    /// Most bytes of results.
    result_bytes: u64,
    /// Most result files.
    result_files: u32,
}

/// The publisher's default workflow.
#[derive(Debug, Serialize, ToSchema)]
struct DefaultShown {
    /// The algorithm's DID; null when the catalog brings the algorithm itself.
    algorithm: Option<String>,
    /// Its image, with tag and digest as far as named.
    image: Option<String>,
    /// Its command line.
    entrypoint: Option<String>,
}

/// The publisher's agent.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AgentShown {
    /// The account that it answers with.
    account: String,
    /// What it has for fees, in wei.
    balance: String,
    /// When a node said so: an old time says that no agent runs.
    #[schema(format = DateTime)]
    read_at: String,
}

/// What an asset costs and what may run on it, by the publisher's catalog as it is now.
#[utoipa::path(get, path = "/v1/assets/{did}", tag = "agreements",
    params(("did" = String, Path, description = "The asset.", pattern = "^did:op:[0-9a-fA-F]{64}$")),
    responses(
        (status = 200, description = "The asset.", body = AssetShown),
        (status = "default", description = "Anything else.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(in crate::api) async fn show(
    State(shared): State<Shared>,
    Segment(did): Segment,
    RawQuery(query): RawQuery,
) -> Result<Json<AssetShown>, Problem> {
    Parameters::read(query.as_deref())?.finish()?;
    let did: Did = did
        .parse()
        .map_err(|_| Problem::invalid_parameter("did", "did:op: and 64 hexadecimal digits"))?;
    let catalog = shared.catalog()?;
    let asset = catalog.find(did).ok_or_else(Problem::asset_not_found)?;
    let mut transaction = shared.reader.snapshot().await?;
    let agents = match shared.deployment(&mut transaction).await? {
        Some(deployment) => reader::list_agent_accounts(&mut transaction, deployment).await?,
        None => Vec::new(),
    };
    Ok(Json(AssetShown::new(did, asset, &catalog, agents)))
}

impl AssetShown {
    fn new(did: Did, asset: &Asset, catalog: &Catalog, agents: Vec<AgentAccount>) -> Self {
        let trusted = asset.trusted_algorithms.iter().map(|entry| TrustedShown {
            did: entry.did.map(|did| did.to_string()),
            file: entry.file.map(hash),
            container: entry.container.clone(),
            entrypoint: entry.entrypoint.clone(),
        });
        let payees = catalog.payees.as_ref();
        Self {
            did: did.to_string(),
            enabled: asset.enabled,
            price: asset.minimum_price.to_string(),
            payees: payees.map(|payees| payees.iter().copied().map(address).collect()),
            resources: ResourcesShown {
                cpu: asset.ceilings.cpu.to_string(),
                memory: asset.ceilings.memory.to_string(),
                disk: asset.ceilings.disk.to_string(),
                max_execution_seconds: asset.ceilings.max_execution_seconds,
            },
            images: asset.images.iter().map(ToString::to_string).collect(),
            allow_raw_algorithm: asset.allow_raw_algorithm,
            trusted_algorithms: trusted.collect(),
            allow_network_access: asset.allow_network_access,
            release: ReleaseShown {
                results: word(asset.release.results),
                logs: asset.release.logs.map_or("vetted", word),
                result_bytes: asset.release.result_bytes,
                result_files: asset.release.result_files,
            },
            default_workflow: asset.workflow.as_ref().map(DefaultShown::new),
            agent: agents.into_iter().next().map(|agent| AgentShown {
                account: address(agent.account),
                balance: agent.balance,
                read_at: time(agent.read_at),
            }),
            policy_version: hash(catalog.sha256),
        }
    }
}

impl DefaultShown {
    fn new(workflow: &Document) -> Self {
        match &workflow.transformation {
            Transformation::Named(did) => Self {
                algorithm: Some(did.to_string()),
                image: None,
                entrypoint: None,
            },
            Transformation::Given(given) => Self {
                algorithm: None,
                image: Some(reference(&given.image)),
                entrypoint: Some(given.entrypoint.clone()),
            },
        }
    }
}

fn reference(image: &ImageReference) -> String {
    let mut text = image.name.clone();
    for (sign, part) in [(':', &image.tag), ('@', &image.digest)] {
        if let Some(part) = part {
            text.push(sign);
            text.push_str(part);
        }
    }
    text
}

const fn word(release: Release) -> &'static str {
    match release {
        Release::Raw => "raw",
        Release::Filtered => "filtered",
        Release::None => "none",
    }
}
