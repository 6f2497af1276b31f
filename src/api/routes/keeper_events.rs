use axum::Json;
use axum::extract::{RawQuery, State};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::Shared;
use crate::api::cursor::Cursor;
use crate::api::parameters::{self, Parameters};
use crate::api::problem::Problem;
use crate::api::told::EventShown;
use crate::ledger::reader::{self, EventFilter, EventPlace, EventRow};

const USUAL_LIMIT: u32 = 100;
const MOST: u32 = 500;

/// A page of recorded events.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct EventsPage {
    /// EIP-155 chain id; null while nothing was ever followed.
    chain_id: Option<u64>,
    /// By block and place in it, newest first.
    events: Vec<EventShown>,
    /// Where the next page begins; null on the last one.
    next_cursor: Option<String>,
}

/// Every log ever recorded of a followed contract, newest first; one row per log. Those that a reorganisation took from the chain are
/// listed apart.
#[utoipa::path(get, path = "/v1/keeper-events", tag = "chain",
    params(
        ("agreementId" = Option<String>, Query, description = "About this agreement.", pattern = "^0x[0-9a-fA-F]{64}$"),
        ("conditionId" = Option<String>, Query, description = "About this condition.", pattern = "^0x[0-9a-fA-F]{64}$"),
        ("did" = Option<String>, Query, description = "About this asset.", pattern = "^did:op:[0-9a-fA-F]{64}$"),
        ("transactionHash" = Option<String>, Query, description = "Made by this transaction.", pattern = "^0x[0-9a-fA-F]{64}$"),
        ("fromBlock" = Option<u64>, Query, minimum = 0, maximum = 9007199254740991_u64, description = "In this block or later ones."),
        ("toBlock" = Option<u64>, Query, minimum = 0, maximum = 9007199254740991_u64, description = "In this block or earlier ones."),
        ("canonical" = Option<bool>, Query, description = "false: those that a reorganisation took from the chain. true if absent."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 500, description = "Most events in the page; 100 if absent."),
        ("cursor" = Option<String>, Query, description = "The nextCursor of the page before.", pattern = "^03([0-7][0-9a-f]{15}){3}$"),
    ),
    responses(
        (status = 200, description = "A page.", body = EventsPage),
        (status = "default", description = "Anything else.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(in crate::api) async fn list(
    State(shared): State<Shared>,
    RawQuery(query): RawQuery,
) -> Result<Json<EventsPage>, Problem> {
    let (filter, limit) = read(query.as_deref())?;
    let mut transaction = shared.reader.snapshot().await?;
    let Some(deployment) = shared.deployment(&mut transaction).await? else {
        return Ok(Json(EventsPage {
            chain_id: None,
            events: Vec::new(),
            next_cursor: None,
        }));
    };
    let progress = reader::progress(&mut transaction, deployment).await?;
    let limited = limit.saturating_add(1);
    let rows = reader::list_events(&mut transaction, deployment, &filter, limited).await?;
    let (rows, last) = parameters::page(rows, limit);
    Ok(Json(EventsPage {
        chain_id: progress.map(|progress| progress.chain_id),
        next_cursor: last.map(|row: EventRow| {
            Cursor([row.place.block, row.place.log_index, row.place.row]).to_string()
        }),
        events: rows.into_iter().map(EventShown::from).collect(),
    }))
}

fn read(query: Option<&str>) -> Result<(EventFilter, u32), Problem> {
    let mut parameters = Parameters::read(query)?;
    let hash = "0x and 64 hexadecimal digits";
    let cursor = parameters.cursor()?;
    let canonical: Option<bool> = parameters.value("canonical", "true or false")?;
    let filter = EventFilter {
        agreement: parameters.value("agreementId", hash)?,
        condition: parameters.value("conditionId", hash)?,
        did: parameters.value("did", "did:op: and 64 hexadecimal digits")?,
        transaction: parameters.value("transactionHash", hash)?,
        from_block: parameters.block("fromBlock")?,
        to_block: parameters.block("toBlock")?,
        orphaned: canonical == Some(false),
        before: cursor.map(|Cursor([block, log_index, row])| EventPlace {
            block,
            log_index,
            row,
        }),
    };
    let limit = parameters.limit(USUAL_LIMIT, MOST)?;
    parameters.finish()?;
    Ok((filter, limit))
}
