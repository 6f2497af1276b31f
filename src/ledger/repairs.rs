//! Blocks whose logs were recorded wrongly, and mended: `repairs`, append-only. Written by: verifier, the command
//! `follower resync`.

use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::PgConnection;

use super::blocks::Proof;
use super::column::bigint;
use super::{Attempt, Error};
use crate::ids::{BlockRef, DeploymentId};

const TABLE: &str = "repairs";

/// Logs that this process found missing or wrong and mended, since it began.
static MENDED: AtomicU64 = AtomicU64::new(0);

/// What finds holes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundBy {
    /// A second reading.
    SecondReading,
    /// The contracts' own counters.
    Counters,
    /// An operator's resync.
    Resync,
}

impl FoundBy {
    /// The word that the ledger uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SecondReading => "second_reading",
            Self::Counters => "counters",
            Self::Resync => "resync",
        }
    }
}

/// A mended block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// The block.
    pub block: BlockRef,
    /// Logs that were not recorded.
    pub missing: usize,
    /// Recorded logs that the block does not hold.
    pub disproved: usize,
    /// What found it.
    pub found_by: FoundBy,
    /// How the block's logs were proven.
    pub proof: Proof,
    /// Who gave them.
    pub provider: String,
}

/// Notes a repair, in its transaction.
///
/// # Errors
/// Database errors.
pub async fn record(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    repair: &Repair,
) -> Result<(), Error> {
    let rows = |count: usize| i32::try_from(count).map_err(Error::unreadable(TABLE));
    sqlx::query!(
        "INSERT INTO ledger.repairs (deployment_id, block_number, block_hash, missing, disproved, found_by, proof, provider)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        deployment.0,
        bigint(TABLE, repair.block.number)?,
        repair.block.hash.as_slice(),
        rows(repair.missing)?,
        rows(repair.disproved)?,
        repair.found_by.as_str(),
        repair.proof.as_str(),
        repair.provider
    )
    .execute(connection)
    .await
    .attempt("note a repair")?;
    let mended = u64::try_from(repair.missing + repair.disproved).unwrap_or(u64::MAX);
    MENDED.fetch_add(mended, Ordering::Relaxed);
    Ok(())
}

/// How many logs this process found missing or wrong and mended, since it began.
pub fn mended() -> u64 {
    MENDED.load(Ordering::Relaxed)
}
