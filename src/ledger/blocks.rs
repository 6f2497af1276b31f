//! Blocks: those above the irreversible one, those that hold recorded logs, and orphaned ones.

use std::collections::BTreeMap;
use std::time::Duration;

use alloy::primitives::B256;
use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::column::{bigint, count, hash};
use super::{Attempt, Error, Transaction};
use crate::ids::{BlockRef, DeploymentId};

const TABLE: &str = "blocks";

/// How it was made sure that no log of a block is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Proof {
    /// Every receipt was read, and they add up to the header's receipts root.
    Root,
    /// The header's bloom filter excludes the followed addresses, and such filters of this provider are trusted.
    Bloom,
    /// Two readings gave the same.
    TwoReads,
    /// One reading.
    SingleRead,
}

impl Proof {
    /// The word that the ledger uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Bloom => "bloom",
            Self::TwoReads => "two_reads",
            Self::SingleRead => "single_read",
        }
    }
}

/// A block to be recorded as canonical.
#[derive(Clone, Debug)]
pub struct NewBlock {
    /// Height and hash.
    pub at: BlockRef,
    /// Hash of the block before; `None` where nothing was compared with it, since one provider's word is no fact.
    pub parent: Option<B256>,
    /// When it was made, by its maker's clock.
    pub made_at: DateTime<Utc>,
    /// How its logs were proven.
    pub proof: Proof,
}

/// Records blocks as canonical. Those that were orphaned become canonical again and are answered; those that are there stay.
///
/// Whatever stands at their heights must have been turned into tombstones before.
///
/// # Errors
/// Database errors; a unique violation when another block is canonical at one of the heights.
pub async fn record(
    transaction: &mut Transaction,
    deployment: DeploymentId,
    blocks: &[NewBlock],
) -> Result<Vec<B256>, Error> {
    if blocks.is_empty() {
        return Ok(Vec::new());
    }
    let hashes: Vec<Vec<u8>> = blocks.iter().map(|block| block.at.hash.to_vec()).collect();
    let revived = sqlx::query_scalar!(
        r#"UPDATE ledger.blocks SET canonical = true
           WHERE deployment_id = $1 AND hash = ANY($2::bytea[]) AND NOT canonical RETURNING hash AS "hash: Vec<u8>""#,
        deployment.0,
        &hashes
    )
    .fetch_all(&mut **transaction)
    .await
    .attempt("revive blocks")?;
    let mut numbers = Vec::with_capacity(blocks.len());
    for block in blocks {
        numbers.push(bigint(TABLE, block.at.number)?);
    }
    let parents: Vec<Option<Vec<u8>>> = blocks
        .iter()
        .map(|block| block.parent.map(|hash| hash.to_vec()))
        .collect();
    let times: Vec<DateTime<Utc>> = blocks.iter().map(|block| block.made_at).collect();
    let proofs: Vec<String> = blocks
        .iter()
        .map(|block| block.proof.as_str().to_owned())
        .collect();
    sqlx::query!(
        "INSERT INTO ledger.blocks (deployment_id, number, hash, parent_hash, made_at, proof)
         SELECT $1, * FROM unnest($2::bigint[], $3::bytea[], $4::bytea[], $5::timestamptz[], $6::text[])
         ON CONFLICT (deployment_id, hash) DO NOTHING",
        deployment.0,
        &numbers,
        &hashes,
        &parents as &[Option<Vec<u8>>],
        &times,
        &proofs
    )
    .execute(&mut **transaction)
    .await
    .attempt("record blocks")?;
    revived.iter().map(|bytes| hash(TABLE, bytes)).collect()
}

/// The hashes of canonical blocks from height `from` on, by height. Heights below the irreversible block have gaps.
///
/// # Errors
/// Database errors; [`Error::Unreadable`].
pub async fn list_hashes_from(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    from: u64,
) -> Result<BTreeMap<u64, B256>, Error> {
    let rows = sqlx::query!(
        r#"SELECT number, hash AS "hash: Vec<u8>" FROM ledger.blocks
           WHERE deployment_id = $1 AND number >= $2 AND canonical"#,
        deployment.0,
        bigint(TABLE, from)?
    )
    .fetch_all(connection)
    .await
    .attempt("list the hashes of recent blocks")?;
    rows.into_iter()
        .map(|row| Ok((count(TABLE, row.number)?, hash(TABLE, &row.hash)?)))
        .collect()
}

/// Turns the canonical blocks from height `from` on into tombstones and answers how many there were.
///
/// # Errors
/// Database errors.
pub async fn orphan_from(
    transaction: &mut Transaction,
    deployment: DeploymentId,
    from: u64,
) -> Result<u64, Error> {
    let done = sqlx::query!(
        "UPDATE ledger.blocks SET canonical = false WHERE deployment_id = $1 AND number >= $2 AND canonical",
        deployment.0,
        bigint(TABLE, from)?
    )
    .execute(&mut **transaction)
    .await
    .attempt("turn blocks into tombstones")?;
    Ok(done.rows_affected())
}

/// Notes that the canonical blocks `from` to `to` were proven by more than one reading.
///
/// # Errors
/// Database errors.
pub async fn prove(
    transaction: &mut Transaction,
    deployment: DeploymentId,
    (from, to): (u64, u64),
    proof: Proof,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE ledger.blocks SET proof = $4
         WHERE deployment_id = $1 AND canonical AND number >= $2 AND number <= $3 AND proof = 'single_read'",
        deployment.0,
        bigint(TABLE, from)?,
        bigint(TABLE, to)?,
        proof.as_str()
    )
    .execute(&mut **transaction)
    .await
    .attempt("note how blocks were proven")?;
    Ok(())
}

/// The canonical block at a height, if it was read once only, and recorded at least `age` ago by the database's clock.
///
/// # Errors
/// Database errors; [`Error::Unreadable`].
pub async fn find_read_once(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    number: u64,
    age: Duration,
) -> Result<Option<BlockRef>, Error> {
    let found = sqlx::query_scalar!(
        r#"SELECT hash AS "hash: Vec<u8>" FROM ledger.blocks
           WHERE deployment_id = $1 AND number = $2 AND canonical AND proof = 'single_read'
             AND recorded_at <= clock_timestamp() - make_interval(secs => $3)"#,
        deployment.0,
        bigint(TABLE, number)?,
        age.as_secs_f64()
    )
    .fetch_optional(connection)
    .await
    .attempt("find a block that was read once")?;
    let found = found.as_deref().map(|bytes| hash(TABLE, bytes));
    Ok(found.transpose()?.map(|hash| BlockRef { number, hash }))
}

/// The canonical block at a height, if it is recorded.
///
/// # Errors
/// Database errors; [`Error::Unreadable`].
pub async fn find_hash(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    number: u64,
) -> Result<Option<B256>, Error> {
    let found = sqlx::query_scalar!(
        r#"SELECT hash AS "hash: Vec<u8>" FROM ledger.blocks WHERE deployment_id = $1 AND number = $2 AND canonical"#,
        deployment.0,
        bigint(TABLE, number)?
    )
    .fetch_optional(connection)
    .await
    .attempt("find a block's hash")?;
    found.as_deref().map(|bytes| hash(TABLE, bytes)).transpose()
}
