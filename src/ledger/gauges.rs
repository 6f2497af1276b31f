//! What metrics show of the ledger: read as a whole whenever somebody asks, so it is the same from every process.

use sqlx::PgConnection;

use super::{Attempt, Error};
use crate::engine::Isolation;
use crate::ids::DeploymentId;

/// The ledger at one moment, as numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Heights of the cursors and horizons, by name; those that are not known yet are left out.
    pub heights: Vec<(&'static str, i64)>,
    /// Whether the follower is halted.
    pub halted: bool,
    /// Jobs that something is still to be done for, by phase.
    pub open_jobs: Vec<(String, i64)>,
    /// Age of the job that has been queued longest, in whole seconds; 0 when none is.
    pub queue_age_seconds: i64,
    /// Open parked items by kind.
    pub parked: Vec<(String, i64)>,
    /// Seconds since the follower last moved anything.
    pub follower_age_seconds: i64,
    /// Blocks that were recorded wrongly, and mended, ever.
    pub repairs: i64,
    /// Workflows in the engine that no job has on record, found twice and not removed.
    pub strays: i64,
    /// Blocks and providers that named another one, ever.
    pub disagreements: i64,
    /// What the agent's accounts had when it last looked, in ether, by address.
    pub balances: Vec<(String, String)>,
    /// Whether the newest attempt that asked saw the cluster deny the network; absent while none has asked.
    pub isolation_proven: Option<bool>,
}

/// Reads them. Bounded by what is open, not by what the ledger holds: finished jobs are not counted.
///
/// # Errors
/// Database errors.
pub async fn read(
    connection: &mut PgConnection,
    deployment: DeploymentId,
) -> Result<Option<Gauges>, Error> {
    let Some(mut gauges) = cursors(connection, deployment).await? else {
        return Ok(None);
    };
    let open = sqlx::query!(
        r#"SELECT phase, count(*) AS "jobs!",
                  coalesce(max(extract(epoch FROM now() - j.created_at)) FILTER (WHERE phase = 'queued'), 0)::bigint AS "age!"
           FROM ledger.job_state s JOIN ledger.jobs j ON j.id = s.job_id
           WHERE s.deployment_id = $1 AND NOT s.removed GROUP BY phase"#,
        deployment.0
    )
    .fetch_all(&mut *connection)
    .await
    .attempt("count the open jobs")?;
    for row in open {
        gauges.queue_age_seconds = gauges.queue_age_seconds.max(row.age);
        gauges.open_jobs.push((row.phase, row.jobs));
    }
    let parked = sqlx::query!(
        r#"SELECT kind, count(*) AS "items!" FROM ledger.parked
           WHERE deployment_id = $1 AND replayed_at IS NULL GROUP BY kind"#,
        deployment.0
    )
    .fetch_all(&mut *connection)
    .await
    .attempt("count the parked items")?;
    gauges.parked = parked
        .into_iter()
        .map(|row| (row.kind, row.items))
        .collect();
    gauges.balances = balances(&mut *connection, deployment).await?;
    let last = super::isolation::find_last(&mut *connection, deployment).await?;
    gauges.isolation_proven = last.map(|last| last.isolation == Isolation::Proven);
    Ok(Some(gauges))
}

async fn balances(
    connection: &mut PgConnection,
    deployment: DeploymentId,
) -> Result<Vec<(String, String)>, Error> {
    let rows = sqlx::query!(
        r#"SELECT encode(a.account, 'hex') AS "account!", (a.balance / 1e18)::text AS "ether!"
           FROM tidewatch.agent_accounts a
           JOIN ledger.deployments d ON d.chain_id = a.chain_id AND d.genesis_hash = a.genesis_hash
           WHERE d.id = $1 ORDER BY a.account"#,
        deployment.0
    )
    .fetch_all(connection)
    .await
    .attempt("read the balances of the agent's accounts")?;
    let shown = rows.into_iter();
    Ok(shown
        .map(|row| (format!("0x{}", row.account), row.ether))
        .collect())
}

async fn cursors(
    connection: &mut PgConnection,
    deployment: DeploymentId,
) -> Result<Option<Gauges>, Error> {
    let row = sqlx::query!(
        r#"SELECT head_number, act_number, irreversible_number, recorded_number, judged_number, verified_number,
                  halt IS NOT NULL AS "halted!", extract(epoch FROM now() - updated_at)::bigint AS "age!",
                  (SELECT count(*) FROM tidewatch.repairs r WHERE r.deployment = deployment_id) AS "repairs!",
                  (SELECT count(*) FROM tidewatch.strays t
                   WHERE t.deployment = deployment_id AND t.confirmed_at IS NOT NULL AND t.removed_at IS NULL) AS "strays!",
                  (SELECT count(*) FROM tidewatch.disagreements s WHERE s.deployment = deployment_id) AS "disagreements!"
           FROM ledger.cursors WHERE deployment_id = $1"#,
        deployment.0
    )
    .fetch_optional(connection)
    .await
    .attempt("read the cursors for metrics")?;
    Ok(row.map(|row| {
        let heights = [
            ("head", row.head_number),
            ("act", row.act_number),
            ("irreversible", row.irreversible_number),
            ("recorded", Some(row.recorded_number)),
            ("judged", Some(row.judged_number)),
            ("verified", Some(row.verified_number)),
        ];
        Gauges {
            heights: heights
                .into_iter()
                .filter_map(|(name, height)| Some((name, height?)))
                .collect(),
            halted: row.halted,
            follower_age_seconds: row.age,
            repairs: row.repairs,
            disagreements: row.disagreements,
            strays: row.strays,
            ..Gauges::default()
        }
    }))
}
