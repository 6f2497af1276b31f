use axum::Json;
use axum::extract::{RawQuery, State};
use serde::Serialize;

use crate::api::Shared;
use crate::api::notation::time;
use crate::api::parameters::Parameters;
use crate::api::problem::Problem;
use crate::ledger::reader::{self, Progress};
use crate::ledger::schema::{RELEASE, SchemaVersion, schema_version};

/// How far the ledger knows the chain. Block numbers are null until there is something to tell.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct Sync {
    chain_id: Option<u64>,
    head: Option<u64>,
    irreversible: Option<u64>,
    recorded: Option<u64>,
    judged: Option<u64>,
    verified: Option<u64>,
    /// Blocks that the node has named and that are not recorded yet.
    lag_blocks: Option<u64>,
    /// Age of the newest recorded block while the head is not recorded; 0 when it is.
    lag_seconds: Option<i64>,
    /// When the follower last moved anything: an old time says that nobody follows, whatever the lag.
    updated_at: Option<String>,
    halt: Option<String>,
    pause: Option<String>,
    versions: Versions,
}

#[derive(Debug, Serialize)]
struct Versions {
    tidewatch: &'static str,
    release: i32,
    schema: Option<i64>,
}

/// `GET /v1/sync`.
pub(in crate::api) async fn show(
    State(shared): State<Shared>,
    RawQuery(query): RawQuery,
) -> Result<Json<Sync>, Problem> {
    Parameters::read(query.as_deref())?.finish()?;
    let mut transaction = shared.reader.snapshot().await?;
    let progress = match shared.deployment(&mut transaction).await? {
        Some(deployment) => reader::progress(&mut transaction, deployment).await?,
        None => None,
    };
    let schema = match schema_version(&mut transaction).await? {
        SchemaVersion::Compatible { version } | SchemaVersion::TooOld { version, .. } => {
            Some(version)
        }
        _ => None,
    };
    let versions = Versions {
        tidewatch: env!("CARGO_PKG_VERSION"),
        release: RELEASE,
        schema,
    };
    Ok(Json(Sync::new(progress, versions)))
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
            pause: None,
            versions,
        }
    }
}
