//! Who named another block than the recorded one: `disagreements`, append-only. Written by: follower.

use alloy::primitives::B256;
use sqlx::PgConnection;

use super::column::bigint;
use super::{Attempt, Error};
use crate::ids::{BlockRef, DeploymentId};

const TABLE: &str = "disagreements";

/// Notes that `provider` names the block `named` where `recorded` is recorded. Noted already: nothing. Answers whether it is new.
///
/// # Errors
/// Database errors.
pub async fn record(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    recorded: BlockRef,
    provider: &str,
    named: B256,
) -> Result<bool, Error> {
    let noted = sqlx::query!(
        "INSERT INTO ledger.disagreements (deployment_id, block_number, recorded_hash, provider, named_hash)
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        deployment.0,
        bigint(TABLE, recorded.number)?,
        recorded.hash.as_slice(),
        provider,
        named.as_slice()
    )
    .execute(connection)
    .await
    .attempt("note a disagreement")?;
    Ok(noted.rows_affected() > 0)
}
