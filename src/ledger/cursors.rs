//! How far a deployment has been followed: horizons and cursors.
//!
//! Every change is a compare-and-set that comes first in its transaction: it locks the row, so that of two followers one waits
//! and then finds that the position is another one.

use alloy::primitives::B256;
use sqlx::PgConnection;

use super::column::{bigint, block, count, hash};
use super::{Attempt, Error, Transaction};
use crate::ids::{BlockRef, DeploymentId};
use crate::keeper::DECODER;

const TABLE: &str = "cursors";

/// The row of a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// What a change compares.
    pub position: Position,
    /// Version of the filter: grows when a newer program follows more.
    pub filter_version: i32,
    /// The newest block that the node named.
    pub head: Option<BlockRef>,
    /// Highest block on whose strength work may start.
    pub act: Option<u64>,
    /// Highest block that may never roll back.
    pub irreversible: Option<BlockRef>,
    /// Every consequence of logs up to it has been drawn.
    pub judged: BlockRef,
    /// Up to it the logs are proven complete.
    pub verified: u64,
    /// Why the follower stands still.
    pub halt: Option<String>,
}

/// Where recording stands: what every compare-and-set compares, beside "not halted".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Every log up to this block, in blocks of its chain, is recorded.
    pub recorded: BlockRef,
    /// Grows with every rollback.
    pub epoch: i64,
    /// SHA-256 of the followed addresses.
    pub filter_fingerprint: B256,
}

/// The horizons as a look at the chain gave them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Horizons {
    /// The newest block that the node named.
    pub head: BlockRef,
    /// Highest block that may never roll back; one below what is stored changes nothing.
    pub irreversible: Option<BlockRef>,
    /// Highest recorded block on whose strength work may start; `None` leaves what is stored.
    pub act: Option<u64>,
}

/// Creates a deployment's cursors at the block before its start, unless they exist.
///
/// # Errors
/// Database errors.
pub async fn create(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    before_start: BlockRef,
    filter_fingerprint: B256,
    filter_version: i32,
) -> Result<(), Error> {
    let number = bigint(TABLE, before_start.number)?;
    sqlx::query!(
        "INSERT INTO ledger.cursors (deployment_id, filter_fingerprint, filter_version, recorded_number, recorded_hash,
                                     judged_number, judged_hash, verified_number, decoder)
         VALUES ($1, $2, $3, $4, $5, $4, $5, $4, $6) ON CONFLICT (deployment_id) DO NOTHING",
        deployment.0,
        filter_fingerprint.as_slice(),
        filter_version,
        number,
        before_start.hash.as_slice(),
        DECODER
    )
    .execute(connection)
    .await
    .attempt("create a deployment's cursors")?;
    Ok(())
}

/// The cursors of a deployment that exists.
///
/// # Errors
/// Database errors; [`Error::Unreadable`].
pub async fn get(connection: &mut PgConnection, deployment: DeploymentId) -> Result<Cursor, Error> {
    let row = sqlx::query!(
        r#"SELECT epoch, filter_fingerprint AS "filter_fingerprint: Vec<u8>", filter_version,
                  head_number, head_hash AS "head_hash: Vec<u8>", act_number,
                  irreversible_number, irreversible_hash AS "irreversible_hash: Vec<u8>",
                  recorded_number, recorded_hash AS "recorded_hash: Vec<u8>",
                  judged_number, judged_hash AS "judged_hash: Vec<u8>", verified_number, halt
           FROM ledger.cursors WHERE deployment_id = $1"#,
        deployment.0
    )
    .fetch_one(connection)
    .await
    .attempt("read a deployment's cursors")?;
    let optional = |number: Option<i64>, hash: Option<Vec<u8>>| {
        number
            .zip(hash)
            .map(|(number, hash)| block(TABLE, number, &hash))
            .transpose()
    };
    Ok(Cursor {
        position: Position {
            recorded: block(TABLE, row.recorded_number, &row.recorded_hash)?,
            epoch: row.epoch,
            filter_fingerprint: hash(TABLE, &row.filter_fingerprint)?,
        },
        filter_version: row.filter_version,
        head: optional(row.head_number, row.head_hash)?,
        act: row
            .act_number
            .map(|number| count(TABLE, number))
            .transpose()?,
        irreversible: optional(row.irreversible_number, row.irreversible_hash)?,
        judged: block(TABLE, row.judged_number, &row.judged_hash)?,
        verified: count(TABLE, row.verified_number)?,
        halt: row.halt,
    })
}

/// Moves `recorded` on to `to`, with the horizons, if it still stands at `from`. First in the transaction that brings the rows.
/// `verified` goes along while it is abreast and the rows are `proven` complete.
///
/// # Errors
/// Database errors. A position that is another one by now is no error but `false`.
pub async fn advance_recorded(
    transaction: &mut Transaction,
    deployment: DeploymentId,
    from: &Position,
    to: BlockRef,
    proven: bool,
    horizons: &Horizons,
) -> Result<bool, Error> {
    let changed = sqlx::query!(
        "UPDATE ledger.cursors
         SET recorded_number = $5, recorded_hash = $6,
             verified_number = CASE WHEN $7 AND verified_number = recorded_number THEN $5 ELSE verified_number END,
             updated_at = now()
         WHERE deployment_id = $1 AND recorded_number = $2 AND recorded_hash = $3 AND epoch = $4
           AND filter_fingerprint = $8 AND halt IS NULL",
        deployment.0,
        bigint(TABLE, from.recorded.number)?,
        from.recorded.hash.as_slice(),
        from.epoch,
        bigint(TABLE, to.number)?,
        to.hash.as_slice(),
        proven,
        from.filter_fingerprint.as_slice()
    )
    .execute(&mut **transaction)
    .await
    .attempt("advance the recorded cursor")?
    .rows_affected();
    if changed == 0 {
        return Ok(false);
    }
    let position = Position {
        recorded: to,
        ..*from
    };
    set_horizons(&mut *transaction, deployment, &position, horizons).await
}

/// Writes down the horizons, if `recorded` still stands at `position`. The irreversible block only rises.
///
/// # Errors
/// Database errors. A position that is another one by now is no error but `false`.
pub async fn set_horizons(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    position: &Position,
    horizons: &Horizons,
) -> Result<bool, Error> {
    let number = |number: u64| bigint(TABLE, number);
    let irreversible = horizons.irreversible;
    let changed = sqlx::query!(
        "UPDATE ledger.cursors
         SET head_number = $6, head_hash = $7, act_number = coalesce($8, act_number),
             irreversible_number = CASE WHEN irreversible_number >= $9 THEN irreversible_number
                                        ELSE coalesce($9, irreversible_number) END,
             irreversible_hash = CASE WHEN irreversible_number >= $9 THEN irreversible_hash
                                      ELSE coalesce($10::bytea, irreversible_hash) END,
             updated_at = now()
         WHERE deployment_id = $1 AND recorded_number = $2 AND recorded_hash = $3 AND epoch = $4
           AND filter_fingerprint = $5 AND halt IS NULL",
        deployment.0,
        number(position.recorded.number)?,
        position.recorded.hash.as_slice(),
        position.epoch,
        position.filter_fingerprint.as_slice(),
        number(horizons.head.number)?,
        horizons.head.hash.as_slice(),
        horizons.act.map(number).transpose()?,
        irreversible.map(|block| number(block.number)).transpose()?,
        irreversible.as_ref().map(|block| block.hash.as_slice())
    )
    .execute(connection)
    .await
    .attempt("write down the horizons")?
    .rows_affected();
    Ok(changed > 0)
}

/// Takes `recorded`, and whatever stands above it, back to `to`, and begins a new epoch, if the position is still `from`.
/// First in the transaction that turns the orphaned rows into tombstones.
///
/// # Errors
/// Database errors. A position that is another one by now is no error but `false`.
pub async fn roll_back(
    transaction: &mut Transaction,
    deployment: DeploymentId,
    from: &Position,
    to: BlockRef,
) -> Result<bool, Error> {
    let changed = sqlx::query!(
        "UPDATE ledger.cursors
         SET epoch = epoch + 1, recorded_number = $6, recorded_hash = $7::bytea,
             judged_number = least(judged_number, $6),
             judged_hash = CASE WHEN judged_number >= $6 THEN $7::bytea ELSE judged_hash END,
             verified_number = least(verified_number, $6),
             reread_number = CASE WHEN reread_number > $6 THEN $6 ELSE reread_number END,
             act_number = CASE WHEN act_number > $6 THEN $6 ELSE act_number END, updated_at = now()
         WHERE deployment_id = $1 AND recorded_number = $2 AND recorded_hash = $3 AND epoch = $4
           AND filter_fingerprint = $5 AND halt IS NULL",
        deployment.0,
        bigint(TABLE, from.recorded.number)?,
        from.recorded.hash.as_slice(),
        from.epoch,
        from.filter_fingerprint.as_slice(),
        bigint(TABLE, to.number)?,
        to.hash.as_slice()
    )
    .execute(&mut **transaction)
    .await
    .attempt("roll the recorded cursor back")?
    .rows_affected();
    Ok(changed > 0)
}

/// Takes over for a program that follows more: from now on only its fingerprint moves the cursor, which goes back to the block
/// before the start so that everything is read once more. Rows stay; those that are read again are found in place.
///
/// # Errors
/// Database errors. A filter that is another one by now is no error but `false`.
pub async fn take_over(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    old_fingerprint: B256,
    new_fingerprint: B256,
    new_version: i32,
    before_start: BlockRef,
) -> Result<bool, Error> {
    let changed = sqlx::query!(
        "UPDATE ledger.cursors
         SET epoch = epoch + 1, filter_fingerprint = $3, filter_version = $4, recorded_number = $5, recorded_hash = $6,
             judged_number = $5, judged_hash = $6, verified_number = $5, reread_number = NULL, act_number = NULL,
             updated_at = now()
         WHERE deployment_id = $1 AND filter_fingerprint = $2 AND filter_version < $4",
        deployment.0,
        old_fingerprint.as_slice(),
        new_fingerprint.as_slice(),
        new_version,
        bigint(TABLE, before_start.number)?,
        before_start.hash.as_slice()
    )
    .execute(connection)
    .await
    .attempt("take a deployment's cursors over for a newer filter")?
    .rows_affected();
    Ok(changed > 0)
}

/// Halts the deployment with a reason, if the position is still the one that was judged.
///
/// # Errors
/// Database errors. A position that is another one by now is no error but `false`.
pub async fn halt(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    position: &Position,
    reason: &str,
) -> Result<bool, Error> {
    let changed = sqlx::query!(
        "UPDATE ledger.cursors SET halt = $5, halted_at = now(), updated_at = now()
         WHERE deployment_id = $1 AND recorded_number = $2 AND recorded_hash = $3 AND epoch = $4 AND halt IS NULL",
        deployment.0,
        bigint(TABLE, position.recorded.number)?,
        position.recorded.hash.as_slice(),
        position.epoch,
        reason
    )
    .execute(connection)
    .await
    .attempt("halt a deployment")?
    .rows_affected();
    Ok(changed > 0)
}

/// Releases a halt: an operator's decision to take the chain as it is now. What was irreversible is so no longer: the follower
/// looks for the newest block that both have, goes back to it like after any reorganisation, and believes the chain's word for
/// what is irreversible from there on.
///
/// # Errors
/// Database errors. Nothing to release is no error but `false`.
pub async fn release_halt(
    connection: &mut PgConnection,
    deployment: DeploymentId,
) -> Result<bool, Error> {
    let changed = sqlx::query!(
        "UPDATE ledger.cursors SET halt = NULL, halted_at = NULL, irreversible_number = NULL, irreversible_hash = NULL,
             epoch = epoch + 1, updated_at = now()
         WHERE deployment_id = $1 AND halt IS NOT NULL",
        deployment.0
    )
    .execute(connection)
    .await
    .attempt("release a halt")?
    .rows_affected();
    Ok(changed > 0)
}

/// Tells whoever listens on `tidewatch_recorded` that the deployment's cursor moved. Heard when the transaction commits.
///
/// # Errors
/// Database errors.
pub async fn tell_recorded(
    connection: &mut PgConnection,
    deployment: DeploymentId,
) -> Result<(), Error> {
    sqlx::query!(
        "SELECT pg_notify('tidewatch_recorded', $1)",
        deployment.to_string()
    )
    .execute(connection)
    .await
    .attempt("tell of recorded blocks")?;
    Ok(())
}

/// Lets this transaction's commit return before it is on disk. Right for history, where rows and cursor are lost together and the
/// next tick reads them again, and for what is derived from logs before a cursor moves past them: the cursor is written behind it.
///
/// # Errors
/// Database errors.
pub async fn need_not_be_durable(transaction: &mut Transaction) -> Result<(), Error> {
    sqlx::query!("SET LOCAL synchronous_commit = off")
        .execute(&mut **transaction)
        .await
        .attempt("let a commit return early")?;
    Ok(())
}
