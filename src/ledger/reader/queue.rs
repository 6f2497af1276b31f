use sqlx::PgConnection;

use crate::ids::{DeploymentId, JobId};
use crate::ledger::{Attempt, Error};

/// Where a queued job stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueRow {
    /// Queued jobs whose turn comes before, as far as payers of equal weight go; 0 for the next.
    pub ahead: i64,
    /// `block`, `halt`, `pause`, `parked`, `depth`, `verification`, `retry` or `turn`: what keeps it from being started, the first of
    /// these that does.
    pub waits_for: String,
}

/// Where a job stands in the queue; `None` when it is not queued, or is being handed to the engine.
///
/// The conditions are those under which a dispatcher starts a job (`dispatch.rs`). Caps are its own settings and not in the ledger: a
/// job that only they hold back waits for its turn.
///
/// # Errors
/// Database errors.
pub async fn find(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    job: JobId,
) -> Result<Option<QueueRow>, Error> {
    sqlx::query_as!(
        QueueRow,
        r#"WITH busy AS MATERIALIZED (
               SELECT payer FROM ledger.job_state
               WHERE deployment_id = $1 AND NOT removed
                 AND (phase IN ('configuring', 'running', 'filtering', 'publishing') OR phase = 'queued' AND workflow_uid IS NOT NULL)
           ), turns AS MATERIALIZED (
               SELECT s.job_id, greatest(s.block_number, s.owed_block) AS owed,
                      row_number() OVER (PARTITION BY s.payer ORDER BY greatest(s.block_number, s.owed_block), s.job_id)
                      + (SELECT count(*) FROM busy b WHERE b.payer IS NOT DISTINCT FROM s.payer) AS turn
               FROM ledger.job_state s
               WHERE s.deployment_id = $1 AND s.phase = 'queued' AND NOT s.removed AND s.workflow_uid IS NULL
           )
           SELECT (SELECT count(*) FROM turns o WHERE (o.turn, o.owed, o.job_id) < (t.turn, t.owed, t.job_id)) AS "ahead!",
                  CASE WHEN NOT s.block_canonical THEN 'block'
                       WHEN c.halt IS NOT NULL THEN 'halt'
                       WHEN (SELECT a.action = 'pause' FROM ledger.operator_actions a WHERE a.action IN ('pause', 'resume')
                             ORDER BY a.id DESC LIMIT 1) THEN 'pause'
                       WHEN EXISTS (SELECT 1 FROM ledger.parked p WHERE p.deployment_id = $1 AND p.kind = 'job'
                                                                    AND p.key = j.name AND p.replayed_at IS NULL) THEN 'parked'
                       WHEN t.owed <= c.act_number IS NOT TRUE THEN 'depth'
                       WHEN t.owed > c.verified_number THEN 'verification'
                       WHEN s.not_before > clock_timestamp() THEN 'retry'
                       ELSE 'turn' END AS "waits_for!"
           FROM turns t
           JOIN ledger.job_state s ON s.job_id = t.job_id
           JOIN ledger.jobs j ON j.id = t.job_id
           JOIN ledger.cursors c ON c.deployment_id = $1
           WHERE t.job_id = $2"#,
        deployment.0,
        job.0
    )
    .fetch_optional(connection)
    .await
    .attempt("find a job's place in the queue")
}
