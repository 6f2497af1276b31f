use axum::Json;
use axum::extract::{RawQuery, State};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::Shared;
use crate::api::notation::time;
use crate::api::parameters::Parameters;
use crate::api::problem::Problem;
use crate::engine::Isolation;
use crate::ledger::isolation::{self, LastIsolation};
use crate::ledger::operator_actions;
use crate::ledger::providers::{self, ProviderRow};
use crate::ledger::reader::{self, Progress};
use crate::ledger::schema::{RELEASE, SchemaVersion, schema_version};
use crate::ledger::{Error, Transaction};

/// How far the ledger knows the chain. Block numbers are null until there is something to tell.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct Sync {
    /// EIP-155 chain id.
    chain_id: Option<u64>,
    /// Highest block that the node named.
    head: Option<u64>,
    /// Highest block that may never roll back.
    irreversible: Option<u64>,
    /// Every log up to it is recorded.
    recorded: Option<u64>,
    /// Every consequence of logs up to it is drawn.
    judged: Option<u64>,
    /// Logs up to it are proven complete.
    verified: Option<u64>,
    /// Blocks that the node has named and that are not recorded yet.
    lag_blocks: Option<u64>,
    /// Age of the newest recorded block while the head is not recorded; 0 when it is.
    lag_seconds: Option<i64>,
    /// When the follower last moved anything: an old time says that nobody follows, whatever the lag.
    #[schema(format = DateTime)]
    updated_at: Option<String>,
    /// Why following stands still, until an operator releases it.
    halt: Option<String>,
    /// Why `verified` stands still, which holds back work and not following.
    unverified: Option<String>,
    /// Why an operator paused the starting of jobs.
    pause: Option<String>,
    /// What the newest algorithm's pod that asked saw of the cluster's denial of the network.
    isolation: Option<Seen>,
    /// What everybody has to know of how this installation runs jobs: that algorithms run behind no wall, where they do.
    warning: Option<&'static str>,
    /// The nodes that are asked.
    providers: Vec<Node>,
    /// What answers.
    versions: Versions,
}

/// What an attempt's isolation from the network rested on, and when it was started.
#[derive(Debug, Serialize, ToSchema)]
struct Seen {
    /// `proven`: the cluster denied it; `unproven`: only the guard did.
    #[schema(value_type = String)]
    state: Isolation,
    /// When the attempt that found out was started.
    #[schema(format = DateTime)]
    at: String,
}

impl From<LastIsolation> for Seen {
    fn from(last: LastIsolation) -> Self {
        Self {
            state: last.isolation,
            at: time(last.at),
        }
    }
}

/// A node that is asked, as it last answered.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Node {
    /// Host and port.
    name: String,
    /// The newest block that it named.
    head: Option<u64>,
    /// When it last answered.
    #[schema(format = DateTime)]
    answered_at: Option<String>,
    /// When it last failed to.
    #[schema(format = DateTime)]
    failed_at: Option<String>,
}

impl From<ProviderRow> for Node {
    fn from(row: ProviderRow) -> Self {
        Self {
            name: row.name,
            head: row.head,
            answered_at: row.answered_at.map(time),
            failed_at: row.failed_at.map(time),
        }
    }
}

/// What answers.
#[derive(Debug, Serialize, ToSchema)]
struct Versions {
    /// The program.
    tidewatch: &'static str,
    /// The release whose schema it needs.
    release: i32,
    /// The database's last migration.
    schema: Option<i64>,
}

/// How far the chain is recorded and judged, and why it stands still if it does.
#[utoipa::path(get, path = "/v1/sync", tag = "chain",
    responses(
        (status = 200, description = "How far.", body = Sync),
        (status = "default", description = "Anything else.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(in crate::api) async fn show(
    State(shared): State<Shared>,
    RawQuery(query): RawQuery,
) -> Result<Json<Sync>, Problem> {
    Parameters::read(query.as_deref())?.finish()?;
    let mut transaction = shared.reader.snapshot().await?;
    let standing = Standing::find(&shared, &mut transaction).await?;
    Ok(Json(Sync::from(standing)))
}

/// How far everything is, as the ledger has it.
#[derive(Debug)]
pub(in crate::api) struct Standing {
    /// How far the deployment is followed; `None` while nothing was ever followed.
    pub(in crate::api) progress: Option<Progress>,
    /// The nodes that are asked.
    pub(in crate::api) providers: Vec<ProviderRow>,
    /// What was last seen of the cluster's denial of the network.
    pub(in crate::api) isolation: Option<LastIsolation>,
    /// Why an operator paused the starting of jobs.
    pub(in crate::api) pause: Option<String>,
    /// The database's last migration.
    pub(in crate::api) schema: Option<i64>,
    /// What everybody who looks should know of how jobs run here.
    pub(in crate::api) warning: Option<&'static str>,
}

impl Standing {
    /// Reads it.
    pub(in crate::api) async fn find(
        shared: &Shared,
        transaction: &mut Transaction,
    ) -> Result<Self, Error> {
        let (mut progress, mut providers, mut seen) = (None, Vec::new(), None);
        if let Some(deployment) = shared.deployment(transaction).await? {
            progress = reader::progress(transaction, deployment).await?;
            providers = providers::list(transaction, deployment).await?;
            seen = isolation::find_last(transaction, deployment).await?;
        }
        let pause = operator_actions::find_pause(transaction).await?;
        let schema = match schema_version(transaction).await? {
            SchemaVersion::Compatible { version } | SchemaVersion::TooOld { version, .. } => {
                Some(version)
            }
            _ => None,
        };
        Ok(Self {
            progress,
            providers,
            isolation: seen,
            pause,
            schema,
            warning: shared.warning,
        })
    }
}

impl From<Standing> for Sync {
    fn from(standing: Standing) -> Self {
        let versions = Versions {
            tidewatch: env!("CARGO_PKG_VERSION"),
            release: RELEASE,
            schema: standing.schema,
        };
        Self {
            pause: standing.pause,
            isolation: standing.isolation.map(Seen::from),
            warning: standing.warning,
            providers: standing.providers.into_iter().map(Node::from).collect(),
            ..Self::new(standing.progress, versions)
        }
    }
}

impl Sync {
    fn new(progress: Option<Progress>, versions: Versions) -> Self {
        let some = progress.as_ref();
        Self {
            chain_id: some.map(|progress| progress.chain_id),
            head: some.and_then(|progress| progress.head),
            irreversible: some.and_then(|progress| progress.irreversible),
            recorded: some.map(|progress| progress.recorded),
            judged: some.map(|progress| progress.judged),
            verified: some.map(|progress| progress.verified),
            lag_blocks: some
                .and_then(|progress| Some(progress.head?.saturating_sub(progress.recorded))),
            lag_seconds: some.and_then(|progress| progress.lag_seconds),
            updated_at: some.map(|progress| time(progress.updated_at)),
            halt: some.and_then(|progress| progress.halt.clone()),
            unverified: some.and_then(|progress| progress.unverified.clone()),
            pause: None,
            isolation: None,
            warning: None,
            providers: Vec::new(),
            versions,
        }
    }
}
