//! How things stand, in one look: for `tidewatch status`. Read only.

use sqlx::PgConnection;

use super::column::count;
use super::{Attempt, Error};
use crate::ids::DeploymentId;

const TABLE: &str = "job_state";

/// Counts of what a deployment has to do, and of what needs an operator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overview {
    /// Jobs that wait for a payment, a fact or a document.
    pub waiting: u64,
    /// Jobs that wait for their start.
    pub queued: u64,
    /// Jobs in the engine.
    pub running: u64,
    /// Things that are parked.
    pub parked: u64,
    /// Upgrades that hold admission.
    pub upgrades_held: u64,
    /// Blocks that were mended.
    pub repairs: u64,
    /// Times that a provider named another block than the recorded one.
    pub disagreements: u64,
}

/// The counts of a deployment.
///
/// # Errors
/// Database errors; [`Error::Unreadable`].
pub async fn get(
    connection: &mut PgConnection,
    deployment: DeploymentId,
) -> Result<Overview, Error> {
    let row = sqlx::query!(
        r#"SELECT
             (SELECT count(*) FROM ledger.job_state WHERE deployment_id = $1 AND NOT removed
              AND phase IN ('awaiting_payment', 'undecided', 'awaiting_document')) AS "waiting!",
             (SELECT count(*) FROM ledger.job_state WHERE deployment_id = $1 AND NOT removed AND phase = 'queued') AS "queued!",
             (SELECT count(*) FROM ledger.job_state WHERE deployment_id = $1 AND NOT removed
              AND phase IN ('configuring', 'running', 'filtering', 'publishing')) AS "running!",
             (SELECT count(*) FROM ledger.parked WHERE deployment_id = $1 AND replayed_at IS NULL) AS "parked!",
             (SELECT count(*) FROM ledger.upgrades u JOIN ledger.logs l ON l.id = u.log_id
              WHERE u.deployment_id = $1 AND NOT u.listed AND u.released_at IS NULL AND l.canonical) AS "upgrades!",
             (SELECT count(*) FROM ledger.repairs WHERE deployment_id = $1) AS "repairs!",
             (SELECT count(*) FROM ledger.disagreements WHERE deployment_id = $1) AS "disagreements!""#,
        deployment.0
    )
    .fetch_one(connection)
    .await
    .attempt("count what there is to do")?;
    let count = |number| count(TABLE, number);
    Ok(Overview {
        waiting: count(row.waiting)?,
        queued: count(row.queued)?,
        running: count(row.running)?,
        parked: count(row.parked)?,
        upgrades_held: count(row.upgrades)?,
        repairs: count(row.repairs)?,
        disagreements: count(row.disagreements)?,
    })
}
