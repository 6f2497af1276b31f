//! What operators do to jobs: `job_state.stopped_attempt`, `told_to_stop`, `retry`, and `erasures`.
//! Written by: operator commands, dispatcher (`told_to_stop`), reaper (`retry`, when it is done).
//!
//! A command only writes down what is wanted; the workers do it. So a command that dies halfway has done nothing, and one that
//! came through is carried out whatever dies later.

use sqlx::PgConnection;

use super::status::{self, Locked};
use super::{Attempt, Error, Transaction};
use crate::ids::{DeploymentId, JobId, JobName};
use crate::jobs::{Phase, Status};
use crate::ledger::attempts::number;

/// Wants the running attempt of a job ended. Wanted already: nothing.
///
/// # Errors
/// Database errors.
pub async fn stop(transaction: &mut Transaction, locked: &Locked) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE ledger.job_state SET stopped_attempt = greatest(stopped_attempt, $2) WHERE job_id = $1",
        locked.job.0,
        number(locked.status.attempt)?
    )
    .execute(&mut **transaction)
    .await
    .attempt("want a job stopped")?;
    status::tell(transaction, &locked.job.to_string()).await
}

/// A running attempt that the engine has to be told to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The job.
    pub job: JobId,
    /// Its name.
    pub name: JobName,
    /// The recorded uid of its workflow.
    pub workflow_uid: String,
    /// The attempt.
    pub attempt: u32,
}

/// The attempts that the engine has to be told to end, oldest jobs first, at most `limit`.
///
/// # Errors
/// Database errors, and [`Error::Unreadable`].
pub async fn list_stops(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    limit: i64,
) -> Result<Vec<Stop>, Error> {
    let rows = sqlx::query!(
        r#"SELECT s.job_id, j.name, s.workflow_uid AS "workflow_uid!", s.attempt
           FROM ledger.job_state s JOIN ledger.jobs j ON j.id = s.job_id
           WHERE s.deployment_id = $1 AND s.told_to_stop < s.stopped_attempt AND s.stopped_attempt = s.attempt
             AND s.workflow_uid IS NOT NULL AND s.phase IN ('configuring', 'running', 'filtering', 'publishing')
           ORDER BY s.job_id LIMIT $2"#,
        deployment.0,
        limit
    )
    .fetch_all(connection)
    .await
    .attempt("list the jobs to stop")?;
    rows.into_iter()
        .map(|row| {
            Ok(Stop {
                job: JobId(row.job_id),
                name: row.name.parse().map_err(Error::unreadable("jobs"))?,
                workflow_uid: row.workflow_uid,
                attempt: u32::try_from(row.attempt).map_err(Error::unreadable("job_state"))?,
            })
        })
        .collect()
}

/// Notes that the engine was told. Never goes back.
///
/// # Errors
/// Database errors.
pub async fn note_told(connection: &mut PgConnection, stop: &Stop) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE ledger.job_state SET told_to_stop = greatest(told_to_stop, $2) WHERE job_id = $1",
        stop.job.0,
        number(stop.attempt)?
    )
    .execute(connection)
    .await
    .attempt("note that a job's stop was told")?;
    Ok(())
}

/// Wants a job that ran and is over tried once more.
///
/// # Errors
/// [`Error::Conflict`] when it is not over, or never ran; database errors.
pub async fn retry(transaction: &mut Transaction, locked: &mut Locked) -> Result<(), Error> {
    let wanted = sqlx::query!(
        "UPDATE ledger.job_state SET retry = true WHERE job_id = $1 AND phase = 'finished' AND attempt > 0",
        locked.job.0
    )
    .execute(&mut **transaction)
    .await
    .attempt("want a job tried again")?;
    if wanted.rows_affected() != 1 {
        return Err(Error::Conflict {
            what: "a job that is over",
        });
    }
    queue_again(transaction, locked, "operator").await?;
    Ok(())
}

/// Queues a job again that shall be tried again, if nothing of it is left in the engine; it gets a workflow and a user anew. Answers
/// whether it did.
///
/// # Errors
/// Database errors.
pub async fn queue_again(
    transaction: &mut Transaction,
    locked: &mut Locked,
    worker: &'static str,
) -> Result<bool, Error> {
    let ready = sqlx::query!(
        "UPDATE ledger.job_state SET retry = false, workflow_uid = NULL, run_as = NULL
         WHERE job_id = $1 AND retry AND removed AND phase = 'finished'",
        locked.job.0
    )
    .execute(&mut **transaction)
    .await
    .attempt("queue a job again")?;
    if ready.rows_affected() != 1 {
        return Ok(false);
    }
    let queued = Status::of_phase(Phase::Queued, locked.status.attempt);
    status::advance(transaction, locked, queued, worker).await
}

/// Erases the bytes of a job's logs; that they were, how many and their hashes stay. Done already: nothing.
///
/// # Errors
/// Database errors.
pub async fn erase(transaction: &mut Transaction, job: JobId, reason: &str) -> Result<(), Error> {
    sqlx::query!(
        "INSERT INTO ledger.erasures (job_id, reason) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        job.0,
        reason.replace('\0', "\u{fffd}")
    )
    .execute(&mut **transaction)
    .await
    .attempt("note an erasure")?;
    sqlx::query!("DELETE FROM ledger.job_log_chunks WHERE job_id = $1", job.0)
        .execute(&mut **transaction)
        .await
        .attempt("erase the logs of a job")?;
    Ok(())
}
