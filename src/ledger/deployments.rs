//! Followed deployments: what leads every key.

use alloy::primitives::B256;
use sqlx::PgConnection;

use super::column::{bigint, count, hash};
use super::{Attempt, Error, Transaction};
use crate::ids::{BlockRef, DeploymentId};

const TABLE: &str = "deployments";

/// What tells deployments apart: the same contracts at the same addresses of a chain restarted under the same id are another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Hash of block 0.
    pub genesis_hash: B256,
    /// SHA-256 over the canonical contract set.
    pub contracts_hash: B256,
}

/// A deployment that is followed from now on.
#[derive(Clone, Debug)]
pub struct NewDeployment {
    /// Its identity.
    pub identity: Identity,
    /// The contract set, for people: a JSON object of names and addresses.
    pub contracts: serde_json::Value,
    /// First followed block.
    pub start: BlockRef,
    /// Rule for starting work.
    pub act_at: String,
    /// Rule for what may never roll back; never changed afterwards.
    pub irreversible_at: String,
    /// Conditions owed before it start nothing; `None` until the first irreversible block is seen.
    pub act_from_block: Option<u64>,
    /// The newest block now: what was there before it was known to whoever wrote the deployment file.
    pub first_head: u64,
}

/// A deployment as it stands.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// Its surrogate id.
    pub id: DeploymentId,
    /// Its identity.
    pub identity: Identity,
    /// First followed block, with the hash it had when last seen.
    pub start: BlockRef,
    /// Whether the start block is irreversible, and its hash thereby part of the identity.
    pub start_fixed: bool,
    /// Rule for what may never roll back.
    pub irreversible_at: String,
    /// Conditions owed before it start nothing.
    pub act_from_block: Option<u64>,
}

/// Every deployment of these contracts on a chain of this id, whatever the chain's genesis.
///
/// # Errors
/// Database errors; [`Error::Unreadable`].
pub async fn list_of_contracts(
    connection: &mut PgConnection,
    chain_id: u64,
    contracts_hash: B256,
) -> Result<Vec<Deployment>, Error> {
    let rows = sqlx::query!(
        r#"SELECT id, genesis_hash AS "genesis_hash: Vec<u8>", start_block, start_hash AS "start_hash: Vec<u8>", start_fixed,
                  irreversible_at, act_from_block
           FROM ledger.deployments WHERE chain_id = $1 AND contracts_hash = $2 ORDER BY id"#,
        bigint(TABLE, chain_id)?,
        contracts_hash.as_slice()
    )
    .fetch_all(connection)
    .await
    .attempt("list deployments")?;
    rows.into_iter()
        .map(|row| {
            Ok(Deployment {
                id: DeploymentId(row.id),
                identity: Identity {
                    chain_id,
                    genesis_hash: hash(TABLE, &row.genesis_hash)?,
                    contracts_hash,
                },
                start: BlockRef {
                    number: count(TABLE, row.start_block)?,
                    hash: hash(TABLE, &row.start_hash)?,
                },
                start_fixed: row.start_fixed,
                irreversible_at: row.irreversible_at,
                act_from_block: row
                    .act_from_block
                    .map(|number| count(TABLE, number))
                    .transpose()?,
            })
        })
        .collect()
}

/// Every deployment of the ledger, oldest first.
///
/// # Errors
/// Database errors.
pub async fn list_ids(connection: &mut PgConnection) -> Result<Vec<DeploymentId>, Error> {
    let ids = sqlx::query_scalar!("SELECT id FROM ledger.deployments ORDER BY id")
        .fetch_all(connection)
        .await
        .attempt("list the deployments of the ledger")?;
    Ok(ids.into_iter().map(DeploymentId).collect())
}

/// Finds the deployment of that identity, or creates it. The second of two that create it at once finds the first's: it waits
/// for its commit. Everything but the identity of one that exists stays as it is.
///
/// # Errors
/// Database errors.
pub async fn find_or_create(
    transaction: &mut Transaction,
    new: &NewDeployment,
) -> Result<DeploymentId, Error> {
    let identity = &new.identity;
    let chain_id = bigint(TABLE, identity.chain_id)?;
    sqlx::query!(
        "INSERT INTO ledger.deployments
             (chain_id, genesis_hash, contracts_hash, contracts, start_block, start_hash, act_at, irreversible_at, act_from_block,
              first_head)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (chain_id, genesis_hash, contracts_hash) DO NOTHING",
        chain_id,
        identity.genesis_hash.as_slice(),
        identity.contracts_hash.as_slice(),
        new.contracts,
        bigint(TABLE, new.start.number)?,
        new.start.hash.as_slice(),
        new.act_at,
        new.irreversible_at,
        new.act_from_block
            .map(|number| bigint(TABLE, number))
            .transpose()?,
        bigint(TABLE, new.first_head)?
    )
    .execute(&mut **transaction)
    .await
    .attempt("create a deployment")?;
    let id = sqlx::query_scalar!(
        "SELECT id FROM ledger.deployments WHERE chain_id = $1 AND genesis_hash = $2 AND contracts_hash = $3",
        chain_id,
        identity.genesis_hash.as_slice(),
        identity.contracts_hash.as_slice()
    )
    .fetch_one(&mut **transaction)
    .await
    .attempt("find a deployment")?;
    Ok(DeploymentId(id))
}

/// Writes down the rules that an operator may change: when to act, and from which block on if that is given.
///
/// # Errors
/// Database errors.
pub async fn set_rules(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    act_at: &str,
    act_from_block: Option<u64>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE ledger.deployments SET act_at = $2, act_from_block = coalesce($3, act_from_block)
         WHERE id = $1 AND (act_at <> $2 OR act_from_block IS DISTINCT FROM coalesce($3, act_from_block))",
        deployment.0,
        act_at,
        act_from_block
            .map(|number| bigint(TABLE, number))
            .transpose()?
    )
    .execute(connection)
    .await
    .attempt("write down a deployment's rules")?;
    Ok(())
}

/// Sets the block from which conditions start work, unless it is set already.
///
/// # Errors
/// Database errors.
pub async fn begin_acting_from(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    number: u64,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE ledger.deployments SET act_from_block = $2 WHERE id = $1 AND act_from_block IS NULL",
        deployment.0,
        bigint(TABLE, number)?
    )
    .execute(connection)
    .await
    .attempt("set the block from which a deployment acts")?;
    Ok(())
}

/// Writes down the start block's hash, for good if `fixed`. Nothing once it is fixed.
///
/// # Errors
/// Database errors.
pub async fn set_start_hash(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    start_hash: B256,
    fixed: bool,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE ledger.deployments SET start_hash = $2, start_fixed = $3 WHERE id = $1 AND NOT start_fixed",
        deployment.0,
        start_hash.as_slice(),
        fixed
    )
    .execute(connection)
    .await
    .attempt("set the hash of a deployment's start block")?;
    Ok(())
}

/// Whether any job of the deployment exists.
///
/// # Errors
/// Database errors.
pub async fn has_jobs(
    connection: &mut PgConnection,
    deployment: DeploymentId,
) -> Result<bool, Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM ledger.jobs WHERE deployment_id = $1) AS "exists!""#,
        deployment.0
    )
    .fetch_one(connection)
    .await
    .attempt("look for jobs of a deployment")
}
