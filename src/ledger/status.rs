//! Moving a job: `job_state` and `transitions`, always together.

use alloy::primitives::B256;
use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{Attempt, Error, Transaction};
use crate::ids::{JobId, JobName};
use crate::jobs::{Outcome, Phase, Reason, Status, Transition};
use crate::meters;

/// A job's status as it stands, with its row locked until the transaction ends.
#[derive(Clone, Debug)]
pub struct Locked {
    /// The job.
    pub job: JobId,
    /// Its name.
    pub name: JobName,
    /// Its status.
    pub status: Status,
    deployment_id: i64,
    last_transition: i32,
    last_hash: B256,
    /// When it came to stand there; not known where somebody moved it a moment ago.
    since: Option<DateTime<Utc>>,
}

/// Locks a job's state for a move. Waits for whoever holds it.
///
/// # Errors
/// [`Error`] when the database fails or the row cannot be read.
pub async fn lock(transaction: &mut Transaction, job: JobId) -> Result<Locked, Error> {
    let row = sqlx::query!(
        r#"SELECT j.name, s.deployment_id, s.phase, s.outcome, s.reason, s.attempt, s.last_transition, s.last_hash AS "last_hash: Vec<u8>",
                  (SELECT t.at FROM ledger.transitions t WHERE t.job_id = s.job_id AND t.number = s.last_transition) AS since
           FROM ledger.job_state s JOIN ledger.jobs j ON j.id = s.job_id WHERE s.job_id = $1 FOR UPDATE OF s"#,
        job.0
    )
    .fetch_one(&mut **transaction)
    .await
    .attempt("lock a job's state")?;
    Ok(Locked {
        job,
        name: row.name.parse().map_err(Error::unreadable("jobs"))?,
        status: read(
            &row.phase,
            row.outcome.as_deref(),
            row.reason.as_deref(),
            row.attempt,
        )?,
        deployment_id: row.deployment_id,
        last_transition: row.last_transition,
        last_hash: B256::try_from(row.last_hash.as_slice())
            .map_err(Error::unreadable("job_state"))?,
        since: row.since,
    })
}

/// Reads a status from its columns.
///
/// # Errors
/// [`Error::Unreadable`] for words that this version does not know.
pub fn read(
    phase: &str,
    outcome: Option<&str>,
    reason: Option<&str>,
    attempt: i32,
) -> Result<Status, Error> {
    Ok(Status {
        phase: phase.parse::<Phase>()?,
        outcome: outcome.map(str::parse::<Outcome>).transpose()?,
        reason: reason.map(str::parse::<Reason>).transpose()?,
        attempt: u32::try_from(attempt).map_err(Error::unreadable("job_state"))?,
    })
}

/// Moves a locked job to `status` and appends the transition, signed with the name of the `worker`. Moving it to where it stands
/// is nothing and appends nothing, so every worker may say again what it has said. Answers whether anything changed.
///
/// # Errors
/// [`Error::IllegalMove`] when the phases do not allow it; database errors.
pub async fn advance(
    transaction: &mut Transaction,
    locked: &mut Locked,
    status: Status,
    worker: &'static str,
) -> Result<bool, Error> {
    if locked.status == status {
        return Ok(false);
    }
    let (from, to) = (locked.status.phase, status.phase);
    if from != to && !from.may_become(to) {
        return Err(Error::IllegalMove {
            job: locked.job,
            from,
            to,
        });
    }
    locked.status = status;
    let since = locked.since;
    let at = append(transaction, locked, worker).await?;
    if from != to
        && let Some(since) = since
    {
        meters::left_phase(from.as_str(), (at - since).to_std().unwrap_or_default());
    }
    if from != to
        && let Some(outcome) = status.outcome
    {
        meters::finished(outcome.as_str());
    }
    Ok(true)
}

/// The database's time, in whole microseconds.
pub(super) async fn now(connection: &mut PgConnection) -> Result<DateTime<Utc>, Error> {
    sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "at!""#)
        .fetch_one(connection)
        .await
        .attempt("ask the database for the time")
}

/// Tells whoever listens that jobs have moved. Heard when the transaction commits.
pub(super) async fn tell(connection: &mut PgConnection, what: &str) -> Result<(), Error> {
    sqlx::query!("SELECT pg_notify('tidewatch_transitions', $1)", what)
        .execute(connection)
        .await
        .attempt("tell of a transition")?;
    Ok(())
}

async fn append(
    connection: &mut PgConnection,
    locked: &mut Locked,
    worker: &'static str,
) -> Result<DateTime<Utc>, Error> {
    let status = locked.status;
    let number = locked.last_transition + 1;
    let at = now(connection).await?;
    let transition = Transition {
        job: locked.name.clone(),
        number: u32::try_from(number).map_err(Error::unreadable("job_state"))?,
        status,
        at,
        previous: locked.last_hash,
    };
    let hash = transition.hash();
    let attempt = i32::try_from(status.attempt).map_err(Error::unreadable("job_state"))?;
    // A job that leaves its end, since it is judged or tried again, is in the scheduler's queues again.
    let is_over = matches!(status.phase, Phase::AwaitingReview | Phase::Finished);
    let (phase, outcome, reason) = (
        status.phase.as_str(),
        status.outcome.map(Outcome::as_str),
        status.reason.map(Reason::as_str),
    );
    sqlx::query!(
        "INSERT INTO ledger.transitions
             (deployment_id, job_id, number, phase, outcome, reason, attempt, at, previous_hash, hash, worker)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        locked.deployment_id,
        locked.job.0,
        number,
        phase,
        outcome,
        reason,
        attempt,
        at,
        locked.last_hash.as_slice(),
        hash.as_slice(),
        worker
    )
    .execute(&mut *connection)
    .await
    .attempt("append a transition")?;
    sqlx::query!(
        "UPDATE ledger.job_state
         SET phase = $2, outcome = $3, reason = $4, attempt = $5, last_transition = $6, last_hash = $7,
             started_at = CASE WHEN $8 THEN coalesce(started_at, $9) ELSE started_at END,
             finished_at = CASE WHEN $3::text IS NULL THEN NULL ELSE $9 END,
             released = released AND $10, removed = removed AND $10
         WHERE job_id = $1",
        locked.job.0,
        phase,
        outcome,
        reason,
        attempt,
        number,
        hash.as_slice(),
        status.phase.is_live(),
        at,
        is_over
    )
    .execute(&mut *connection)
    .await
    .attempt("move a job")?;
    tell(connection, &locked.job.to_string()).await?;
    locked.last_transition = number;
    locked.last_hash = hash;
    locked.since = Some(at);
    Ok(at)
}
