//! Followed proxies that were given other code: `upgrades`. Written by: judge; `released_at` by operator commands.

use alloy::primitives::Address;
use sqlx::PgConnection;

use super::column::{bigint, count};
use super::{Attempt, Error};
use crate::ids::DeploymentId;

const TABLE: &str = "upgrades";

/// A proxy that runs other code from a log on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upgrade {
    /// The ledger's id of the log.
    pub log: i64,
    /// The followed address.
    pub proxy: Address,
    /// What it runs from then on.
    pub implementation: Address,
    /// Height of the log's block.
    pub block_number: u64,
    /// Place of the log in it.
    pub log_index: u64,
}

/// Notes an upgrade. Noted already: only what the deployment file lists by now is taken over.
///
/// An implementation counts as listed when `listed` has it; when `listed` is empty, whatever was there when the deployment was
/// first followed does, since whoever wrote the file had seen it.
///
/// # Errors
/// Database errors.
pub async fn record(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    upgrade: &Upgrade,
    listed: &[Address],
) -> Result<(), Error> {
    sqlx::query!(
        "INSERT INTO ledger.upgrades (log_id, deployment_id, proxy, implementation, block_number, log_index, listed)
         SELECT $1, d.id, $3, $4, $5, $6,
                CASE WHEN $8 THEN $5 <= coalesce(d.first_head, d.act_from_block, -1) ELSE $7 END
         FROM ledger.deployments d WHERE d.id = $2
         ON CONFLICT (log_id) DO UPDATE SET listed = excluded.listed WHERE upgrades.listed <> excluded.listed",
        upgrade.log,
        deployment.0,
        upgrade.proxy.as_slice(),
        upgrade.implementation.as_slice(),
        bigint(TABLE, upgrade.block_number)?,
        bigint(TABLE, upgrade.log_index)?,
        listed.contains(&upgrade.implementation),
        listed.is_empty()
    )
    .execute(connection)
    .await
    .attempt("note a proxy's upgrade")?;
    Ok(())
}

/// Takes over what the deployment file lists by now, for upgrades that were noted under an older one.
///
/// # Errors
/// Database errors.
pub async fn note_listed(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    listed: &[Address],
) -> Result<(), Error> {
    let listed: Vec<&[u8]> = listed.iter().map(|address| address.as_slice()).collect();
    sqlx::query!(
        "UPDATE ledger.upgrades SET listed = true
         WHERE deployment_id = $1 AND NOT listed AND implementation = ANY($2::bytea[])",
        deployment.0,
        &listed as &[&[u8]]
    )
    .execute(connection)
    .await
    .attempt("take over which implementations are listed")?;
    Ok(())
}

/// Upgrades on the chain up to block `up_to` that neither the deployment file nor an operator vouches for, oldest first.
///
/// # Errors
/// Database errors; [`Error::Unreadable`].
pub async fn list_held(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    up_to: u64,
) -> Result<Vec<Upgrade>, Error> {
    let rows = sqlx::query!(
        r#"SELECT u.log_id, u.proxy AS "proxy: Vec<u8>", u.implementation AS "implementation: Vec<u8>", u.block_number, u.log_index
           FROM ledger.upgrades u JOIN ledger.logs l ON l.id = u.log_id
           WHERE u.deployment_id = $1 AND u.block_number <= $2 AND NOT u.listed AND u.released_at IS NULL AND l.canonical
           ORDER BY u.block_number, u.log_index"#,
        deployment.0,
        bigint(TABLE, up_to)?
    )
    .fetch_all(connection)
    .await
    .attempt("find upgrades that hold admission")?;
    let address = |bytes: &[u8]| Address::try_from(bytes).map_err(Error::unreadable(TABLE));
    rows.into_iter()
        .map(|row| {
            Ok(Upgrade {
                log: row.log_id,
                proxy: address(&row.proxy)?,
                implementation: address(&row.implementation)?,
                block_number: count(TABLE, row.block_number)?,
                log_index: count(TABLE, row.log_index)?,
            })
        })
        .collect()
}

/// Releases admission from every upgrade that holds it now, and has the agreements judged again that waited for it. Answers how
/// many there were.
///
/// # Errors
/// Database errors.
pub async fn release(
    connection: &mut PgConnection,
    deployment: DeploymentId,
) -> Result<u64, Error> {
    let released = sqlx::query!(
        "UPDATE ledger.upgrades SET released_at = now() WHERE deployment_id = $1 AND NOT listed AND released_at IS NULL",
        deployment.0
    )
    .execute(&mut *connection)
    .await
    .attempt("release admission from upgrades")?;
    sqlx::query!(
        "UPDATE ledger.judge_queue SET due_at = now(), due_block = NULL WHERE deployment_id = $1",
        deployment.0
    )
    .execute(connection)
    .await
    .attempt("have agreements judged again")?;
    Ok(released.rows_affected())
}
