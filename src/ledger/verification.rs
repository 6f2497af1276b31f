//! Whether history is whole: the columns `reread_number`, `verified_number` and `unverified` of `cursors`. Written by: verifier.
//!
//! Every change is a compare-and-set on the epoch, the filter and the column that it moves, and comes first in its transaction:
//! of two verifiers one moves, and one that read before a rollback or a repair moves nothing.

use alloy::primitives::B256;
use sqlx::PgConnection;

use super::column::{bigint, block, count, hash};
use super::{Attempt, Error, Transaction};
use crate::ids::{BlockRef, DeploymentId};

const TABLE: &str = "cursors";

/// How far a deployment is read and verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Grows with every rollback and repair.
    pub epoch: i64,
    /// SHA-256 of the followed addresses.
    pub filter_fingerprint: B256,
    /// Every log up to it is recorded.
    pub recorded: BlockRef,
    /// Every consequence of logs up to it is drawn.
    pub judged: u64,
    /// Highest block that may never roll back.
    pub irreversible: Option<BlockRef>,
    /// History up to it was read a second time, or proven.
    pub reread: u64,
    /// Readings up to it left something out: every block is to be proven by its receipts.
    pub proving_to: Option<u64>,
    /// Up to it nothing is missing.
    pub verified: u64,
    /// Why `verified` stands still.
    pub unverified: Option<String>,
    /// Whether the deployment is halted.
    pub halted: bool,
}

impl Standing {
    /// The last block of recorded history; `None` before any block is irreversible.
    pub fn history(&self) -> Option<u64> {
        self.irreversible
            .map(|block| block.number.min(self.recorded.number))
    }
}

/// How far a deployment that exists is read and verified.
///
/// # Errors
/// Database errors; [`Error::Unreadable`].
pub async fn get(
    connection: &mut PgConnection,
    deployment: DeploymentId,
) -> Result<Standing, Error> {
    let row = sqlx::query!(
        r#"SELECT epoch, filter_fingerprint AS "filter_fingerprint: Vec<u8>", recorded_number,
                  recorded_hash AS "recorded_hash: Vec<u8>", judged_number, irreversible_number,
                  irreversible_hash AS "irreversible_hash: Vec<u8>",
                  greatest(reread_number, verified_number) AS "reread!", verified_number, proving_to, unverified,
                  halt IS NOT NULL AS "halted!"
           FROM ledger.cursors WHERE deployment_id = $1"#,
        deployment.0
    )
    .fetch_one(connection)
    .await
    .attempt("read how far a deployment is verified")?;
    let irreversible = row.irreversible_number.zip(row.irreversible_hash);
    Ok(Standing {
        epoch: row.epoch,
        filter_fingerprint: hash(TABLE, &row.filter_fingerprint)?,
        recorded: block(TABLE, row.recorded_number, &row.recorded_hash)?,
        judged: count(TABLE, row.judged_number)?,
        irreversible: irreversible
            .map(|(number, digest)| block(TABLE, number, &digest))
            .transpose()?,
        reread: count(TABLE, row.reread)?,
        proving_to: row
            .proving_to
            .map(|number| count(TABLE, number))
            .transpose()?,
        verified: count(TABLE, row.verified_number)?,
        unverified: row.unverified,
        halted: row.halted,
    })
}

/// Moves the second reading on to `to`, or only locks the row when that is where it stands.
///
/// # Errors
/// Database errors. A standing that is another one by now is no error but `false`.
pub async fn advance_reread(
    transaction: &mut Transaction,
    deployment: DeploymentId,
    seen: &Standing,
    to: u64,
) -> Result<bool, Error> {
    let changed = sqlx::query!(
        "UPDATE ledger.cursors SET reread_number = $5, unverified = NULL
         WHERE deployment_id = $1 AND epoch = $2 AND filter_fingerprint = $3 AND greatest(reread_number, verified_number) = $4
           AND recorded_number >= $5 AND halt IS NULL",
        deployment.0,
        seen.epoch,
        seen.filter_fingerprint.as_slice(),
        bigint(TABLE, seen.reread)?,
        bigint(TABLE, to)?
    )
    .execute(&mut **transaction)
    .await
    .attempt("note what was read a second time")?
    .rows_affected();
    Ok(changed > 0)
}

/// Moves `verified` on to `to`, and over the proven blocks that follow it without a gap. Answers where it stands then; `None` when
/// the standing is another one by now.
///
/// # Errors
/// Database errors; [`Error::Unreadable`].
pub async fn advance_verified(
    transaction: &mut Transaction,
    deployment: DeploymentId,
    seen: &Standing,
    to: u64,
) -> Result<Option<u64>, Error> {
    let locked = sqlx::query_scalar!(
        "SELECT recorded_number FROM ledger.cursors
         WHERE deployment_id = $1 AND epoch = $2 AND filter_fingerprint = $3 AND verified_number = $4 AND recorded_number >= $5
           AND halt IS NULL FOR UPDATE",
        deployment.0,
        seen.epoch,
        seen.filter_fingerprint.as_slice(),
        bigint(TABLE, seen.verified)?,
        bigint(TABLE, to)?
    )
    .fetch_optional(&mut **transaction)
    .await
    .attempt("lock a deployment's cursors")?;
    let Some(recorded) = locked else {
        return Ok(None);
    };
    // A statement of its own, begun with the row locked: it sees every block that a follower committed before.
    let recorded = count(TABLE, recorded)?;
    let reached = proven_after(transaction, deployment, (to, recorded), false).await?;
    sqlx::query!(
        "UPDATE ledger.cursors SET verified_number = $2, unverified = NULL, updated_at = now() WHERE deployment_id = $1",
        deployment.0,
        bigint(TABLE, reached)?
    )
    .execute(&mut **transaction)
    .await
    .attempt("advance the verified cursor")?;
    Ok(Some(reached))
}

/// The last of the proven canonical blocks that follow `after` without a gap, up to `up_to`; `after` itself if there is none. When
/// readings are doubted, only what follows from a header counts (`by_header`).
///
/// # Errors
/// Database errors; [`Error::Unreadable`].
pub async fn proven_after(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    (after, up_to): (u64, u64),
    by_header: bool,
) -> Result<u64, Error> {
    let reached = sqlx::query_scalar!(
        r#"SELECT coalesce(max(number) FILTER (WHERE number - place = $2), $2) AS "reached!"
           FROM (SELECT number, row_number() OVER (ORDER BY number) AS place FROM ledger.blocks
                 WHERE deployment_id = $1 AND canonical AND number > $2 AND number <= $3 AND number <= $2 + 100000
                   AND proof <> 'single_read' AND (NOT $4 OR proof IN ('root', 'bloom'))) AS proven"#,
        deployment.0,
        bigint(TABLE, after)?,
        bigint(TABLE, up_to)?,
        by_header
    )
    .fetch_one(connection)
    .await
    .attempt("find proven blocks")?;
    count(TABLE, reached)
}

/// Says why `verified` stands still.
///
/// # Errors
/// Database errors.
pub async fn hold(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    reason: &str,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE ledger.cursors SET unverified = $2 WHERE deployment_id = $1 AND unverified IS DISTINCT FROM $2",
        deployment.0,
        reason
    )
    .execute(connection)
    .await
    .attempt("say why history is not verified")?;
    Ok(())
}

/// Begins a new epoch for a repair, so that whoever read the rows before reads them again. First in the repair's transaction.
///
/// `doubted` are blocks whose readings are not believed any more: `verified` and the second reading go back to the block before,
/// and each is proven by its receipts.
///
/// # Errors
/// Database errors. An epoch or filter that is another one by now, or a halt, is no error but `false`.
pub async fn begin_repair(
    transaction: &mut Transaction,
    deployment: DeploymentId,
    seen: &Standing,
    doubted: Option<(u64, u64)>,
) -> Result<bool, Error> {
    let before = doubted.map(|(from, _)| bigint(TABLE, from.saturating_sub(1)));
    let to = doubted.map(|(_, to)| bigint(TABLE, to));
    let changed = sqlx::query!(
        "UPDATE ledger.cursors
         SET epoch = epoch + 1, verified_number = least(verified_number, $4),
             reread_number = CASE WHEN $4::bigint IS NULL THEN reread_number
                                  ELSE least(greatest(reread_number, verified_number), $4) END,
             proving_to = greatest(proving_to, $5), updated_at = now()
         WHERE deployment_id = $1 AND epoch = $2 AND filter_fingerprint = $3 AND halt IS NULL",
        deployment.0,
        seen.epoch,
        seen.filter_fingerprint.as_slice(),
        before.transpose()?,
        to.transpose()?
    )
    .execute(&mut **transaction)
    .await
    .attempt("begin a repair")?
    .rows_affected();
    Ok(changed > 0)
}
