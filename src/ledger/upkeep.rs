//! The queues behind the start: jobs to observe, to collect, to let go of and to remove.
//! Written by: collector (`released`), reaper (`removed`).

use std::time::Duration;

use sqlx::PgConnection;

use super::leases::{self, Lease};
use super::{Attempt, Error, Transaction, footings, status};
use crate::ids::{DeploymentId, JobId, JobName};
use crate::jobs::{Footing, Status};

/// A job with a workflow that may still change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// The job.
    pub job: JobId,
    /// Its name.
    pub name: JobName,
    /// The recorded uid of its workflow.
    pub workflow_uid: String,
    /// Its status when it was listed.
    pub status: Status,
    /// How what owes it stood on the chain.
    pub footing: Footing,
}

/// Every job with a recorded workflow that is queued or live, by age. The dispatcher's window bounds their number.
///
/// # Errors
/// Database errors, and [`Error::Unreadable`].
pub async fn list_watched(
    connection: &mut PgConnection,
    deployment: DeploymentId,
) -> Result<Vec<Watched>, Error> {
    let rows = sqlx::query!(
        r#"SELECT s.job_id, j.name, s.workflow_uid AS "workflow_uid!", s.phase, s.outcome, s.reason, s.attempt
           FROM ledger.job_state s JOIN ledger.jobs j ON j.id = s.job_id
           WHERE s.deployment_id = $1 AND NOT s.removed AND s.workflow_uid IS NOT NULL
             AND s.phase IN ('queued', 'configuring', 'running', 'filtering', 'publishing')
           ORDER BY s.job_id"#,
        deployment.0
    )
    .fetch_all(&mut *connection)
    .await
    .attempt("list the jobs to observe")?;
    let jobs: Vec<_> = rows.iter().map(|row| JobId(row.job_id)).collect();
    let footings = footings::list(connection, &jobs).await?;
    rows.into_iter()
        .map(|row| {
            let job = JobId(row.job_id);
            Ok(Watched {
                job,
                footing: footings.get(&job).copied().unwrap_or_default(),
                name: row.name.parse().map_err(Error::unreadable("jobs"))?,
                workflow_uid: row.workflow_uid,
                status: status::read(
                    &row.phase,
                    row.outcome.as_deref(),
                    row.reason.as_deref(),
                    row.attempt,
                )?,
            })
        })
        .collect()
}

/// Which jobs the collector asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collectable {
    /// Those whose algorithm may be running, to follow their logs, and all of the other kind.
    Any,
    /// Those whose attempt was seen to end, and those that are over but not let go of.
    Ended,
}

/// Takes up to `limit` leases of `duration` on jobs for the collector, oldest first.
///
/// # Errors
/// Database errors.
pub async fn acquire_collectable(
    transaction: &mut Transaction,
    deployment: DeploymentId,
    wanted: Collectable,
    limit: i64,
    duration: Duration,
) -> Result<Vec<Lease>, Error> {
    let chosen = sqlx::query_scalar!(
        "SELECT s.job_id
         FROM ledger.job_state s
         JOIN ledger.jobs j ON j.id = s.job_id
         LEFT JOIN ledger.job_attempts a ON a.job_id = s.job_id AND a.attempt = s.attempt
         WHERE s.deployment_id = $1 AND NOT s.removed AND s.workflow_uid IS NOT NULL
           AND (($2 AND s.phase IN ('running', 'filtering', 'publishing'))
                OR (s.phase IN ('configuring', 'running', 'filtering', 'publishing') AND a.finished_at IS NOT NULL)
                OR (s.phase IN ('awaiting_review', 'finished') AND NOT s.released))
           AND s.not_before <= clock_timestamp() AND (s.lease_until IS NULL OR s.lease_until <= clock_timestamp())
           AND NOT EXISTS (SELECT 1 FROM ledger.parked p WHERE p.deployment_id = s.deployment_id AND p.kind = 'job'
                                                           AND p.key = j.name AND p.replayed_at IS NULL)
         ORDER BY s.job_id LIMIT $3 FOR UPDATE OF s SKIP LOCKED",
        deployment.0,
        wanted == Collectable::Any,
        limit
    )
    .fetch_all(&mut **transaction)
    .await
    .attempt("find jobs to collect")?;
    leases::take(transaction, &chosen, "collector", duration).await
}

/// A leased job behind its start.
#[derive(Clone, Debug)]
pub struct Held {
    /// Its name.
    pub name: JobName,
    /// The recorded uid of its workflow, if there is one.
    pub workflow_uid: Option<String>,
    /// Its status.
    pub status: Status,
    /// The frozen specification's bytes, if it was frozen.
    pub spec: Option<Vec<u8>>,
}

/// Reads a leased job; `None` when the lease is lost.
///
/// # Errors
/// Database errors, and [`Error::Unreadable`].
pub async fn find_held(
    connection: &mut PgConnection,
    lease: &Lease,
) -> Result<Option<Held>, Error> {
    let row = sqlx::query!(
        r#"SELECT j.name, s.workflow_uid, s.phase, s.outcome, s.reason, s.attempt, p.body AS "body?"
           FROM ledger.job_state s
           JOIN ledger.jobs j ON j.id = s.job_id
           LEFT JOIN ledger.job_specs p ON p.job_id = s.job_id
           WHERE s.job_id = $1 AND s.lease_token = $2"#,
        lease.job.0,
        lease.token.0
    )
    .fetch_optional(connection)
    .await
    .attempt("read a leased job")?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Held {
        name: row.name.parse().map_err(Error::unreadable("jobs"))?,
        workflow_uid: row.workflow_uid,
        status: status::read(
            &row.phase,
            row.outcome.as_deref(),
            row.reason.as_deref(),
            row.attempt,
        )?,
        spec: row.body,
    }))
}

/// Notes that the workflow of a leased job that is over was let go of.
///
/// # Errors
/// [`Error::Conflict`] when the lease is lost or the job is not over; database errors.
pub async fn mark_released(connection: &mut PgConnection, lease: &Lease) -> Result<(), Error> {
    let marked = sqlx::query!(
        "UPDATE ledger.job_state SET released = true
         WHERE job_id = $1 AND lease_token = $2 AND phase IN ('awaiting_review', 'finished')",
        lease.job.0,
        lease.token.0
    )
    .execute(connection)
    .await
    .attempt("note that a workflow was let go of")?;
    one(marked.rows_affected())
}

/// Marks finished jobs that never came near the engine as removed, up to `limit` of them, and answers how many. The user is
/// assigned before the engine is asked for anything, so a job without one has nothing there.
///
/// # Errors
/// Database errors.
pub async fn remove_unmade(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    limit: i64,
) -> Result<u64, Error> {
    let removed = sqlx::query!(
        "UPDATE ledger.job_state SET removed = true
         WHERE job_id IN (SELECT job_id FROM ledger.job_state
                          WHERE deployment_id = $1 AND phase = 'finished' AND NOT removed
                            AND workflow_uid IS NULL AND run_as IS NULL
                            AND (lease_until IS NULL OR lease_until <= clock_timestamp())
                          LIMIT $2 FOR UPDATE SKIP LOCKED)",
        deployment.0,
        limit
    )
    .execute(connection)
    .await
    .attempt("mark jobs without a workflow as removed")?;
    Ok(removed.rows_affected())
}

/// Takes up to `limit` leases of `duration` on jobs that have been over for `delay`, or shall be tried again, and were let go of, or
/// whose workflow was never recorded.
///
/// # Errors
/// Database errors.
pub async fn acquire_removable(
    transaction: &mut Transaction,
    deployment: DeploymentId,
    delay: Duration,
    limit: i64,
    duration: Duration,
) -> Result<Vec<Lease>, Error> {
    let chosen = sqlx::query_scalar!(
        "SELECT s.job_id
         FROM ledger.job_state s
         JOIN ledger.jobs j ON j.id = s.job_id
         LEFT JOIN ledger.job_attempts a ON a.job_id = s.job_id AND a.attempt = s.attempt
         WHERE s.deployment_id = $1 AND NOT s.removed AND s.phase IN ('awaiting_review', 'finished') AND s.run_as IS NOT NULL
           AND (s.released OR s.workflow_uid IS NULL)
           AND (s.retry OR coalesce(s.finished_at, a.finished_at) <= clock_timestamp() - make_interval(secs => $2))
           AND s.not_before <= clock_timestamp() AND (s.lease_until IS NULL OR s.lease_until <= clock_timestamp())
           AND NOT EXISTS (SELECT 1 FROM ledger.parked p WHERE p.deployment_id = s.deployment_id AND p.kind = 'job'
                                                           AND p.key = j.name AND p.replayed_at IS NULL)
         ORDER BY s.job_id LIMIT $3 FOR UPDATE OF s SKIP LOCKED",
        deployment.0,
        delay.as_secs_f64(),
        limit
    )
    .fetch_all(&mut **transaction)
    .await
    .attempt("find workflows to remove")?;
    leases::take(transaction, &chosen, "reaper", duration).await
}

/// Notes that nothing of a leased job is left in the engine. A job that was never started forgets its workflow and its user as
/// well: should its events return, it may have another one, since nothing ever ran.
///
/// # Errors
/// [`Error::Conflict`] when the lease is lost or the job is not over; database errors.
pub async fn mark_removed(connection: &mut PgConnection, lease: &Lease) -> Result<(), Error> {
    let marked = sqlx::query!(
        "UPDATE ledger.job_state
         SET removed = true,
             workflow_uid = CASE WHEN attempt > 0 THEN workflow_uid END,
             run_as = CASE WHEN attempt > 0 THEN run_as END
         WHERE job_id = $1 AND lease_token = $2 AND phase IN ('awaiting_review', 'finished')",
        lease.job.0,
        lease.token.0
    )
    .execute(connection)
    .await
    .attempt("note that a workflow was removed")?;
    one(marked.rows_affected())
}

fn one(rows: u64) -> Result<(), Error> {
    if rows == 1 {
        Ok(())
    } else {
        Err(Error::Conflict {
            what: "a leased job",
        })
    }
}
