//! Leases on `job_state`: who may act on a job now. Written by: resolver, dispatcher, collector, reaper.
//!
//! A lease is a token, and whoever writes under it names the token; a holder that lost its lease therefore writes nothing,
//! however late it comes. The end is by the database's clock, since those of two machines differ; the holder keeps a local
//! instant that is never later, because it was taken before the database looked at its own clock.

use std::time::Duration;

use tokio::time::Instant;

use super::{Attempt, Error, Transaction};
use crate::ids::{JobId, LeaseToken};

/// Longest wait before a job whose steps fail is tried again.
const LONGEST_DELAY_SECONDS: f64 = 60.0;

/// The right to act on a job until it ends, is released, or its token is replaced.
#[derive(Clone, Copy, Debug)]
pub struct Lease {
    /// The job.
    pub job: JobId,
    /// What proves the right.
    pub token: LeaseToken,
    /// The local moment from which it may have ended.
    pub ends: Instant,
}

/// Takes leases of `duration` for `worker` on jobs that the caller chose and locked in this transaction. Jobs that
/// somebody holds are left out. A lease that was never given back counts as a failure: its holder died.
///
/// # Errors
/// Database errors.
pub async fn take(
    transaction: &mut Transaction,
    jobs: &[i64],
    worker: &str,
    duration: Duration,
) -> Result<Vec<Lease>, Error> {
    let asked_at = Instant::now();
    let rows = sqlx::query!(
        r#"UPDATE ledger.job_state
           SET lease_failures = lease_failures + CASE WHEN lease_token IS NULL THEN 0 ELSE 1 END,
               lease_token = gen_random_uuid(), lease_worker = $2,
               lease_until = clock_timestamp() + make_interval(secs => $3)
           WHERE job_id = ANY($1) AND (lease_until IS NULL OR lease_until <= clock_timestamp())
           RETURNING job_id, lease_token AS "token!""#,
        jobs,
        worker,
        duration.as_secs_f64()
    )
    .fetch_all(&mut **transaction)
    .await
    .attempt("take leases on jobs")?;
    let lease = |job_id, token| Lease {
        job: JobId(job_id),
        token: LeaseToken(token),
        ends: asked_at + duration,
    };
    let mut leases: Vec<_> = rows
        .into_iter()
        .map(|row| lease(row.job_id, row.token))
        .collect();
    // RETURNING has no order; the caller's is by urgency.
    leases.sort_by_key(|lease| jobs.iter().position(|job| *job == lease.job.0));
    Ok(leases)
}

/// Prolongs a lease to `duration` from now and answers it with its new end.
///
/// # Errors
/// [`Error::Conflict`] when it is lost; database errors.
pub async fn renew(
    connection: &mut sqlx::PgConnection,
    lease: &Lease,
    duration: Duration,
) -> Result<Lease, Error> {
    let asked_at = Instant::now();
    let renewed = sqlx::query!(
        "UPDATE ledger.job_state SET lease_until = clock_timestamp() + make_interval(secs => $3)
         WHERE job_id = $1 AND lease_token = $2",
        lease.job.0,
        lease.token.0,
        duration.as_secs_f64()
    )
    .execute(connection)
    .await
    .attempt("renew a lease")?;
    held(renewed.rows_affected())?;
    Ok(Lease {
        ends: asked_at + duration,
        ..*lease
    })
}

/// Makes sure, with the job's row locked until the transaction ends, that the lease is still held.
///
/// # Errors
/// [`Error::Conflict`] when it is lost; database errors.
pub async fn confirm(transaction: &mut Transaction, lease: &Lease) -> Result<(), Error> {
    let row = sqlx::query!(
        "SELECT job_id FROM ledger.job_state WHERE job_id = $1 AND lease_token = $2 FOR UPDATE",
        lease.job.0,
        lease.token.0
    )
    .fetch_optional(&mut **transaction)
    .await
    .attempt("confirm a lease")?;
    held(u64::from(row.is_some()))
}

/// Gives a lease back after a step that did what it should; earlier failures are forgotten.
///
/// # Errors
/// [`Error::Conflict`] when it is lost; database errors.
pub async fn release(connection: &mut sqlx::PgConnection, lease: &Lease) -> Result<(), Error> {
    let released = sqlx::query!(
        "UPDATE ledger.job_state SET lease_token = NULL, lease_worker = NULL, lease_until = NULL, lease_failures = 0
         WHERE job_id = $1 AND lease_token = $2",
        lease.job.0,
        lease.token.0
    )
    .execute(connection)
    .await
    .attempt("release a lease")?;
    held(released.rows_affected())
}

/// Gives a lease back after a step that failed: counts it, and lets nobody take the job again before a delay that doubles
/// from one second to a minute. Answers the failures in a row.
///
/// # Errors
/// [`Error::Conflict`] when it is lost; database errors.
pub async fn fail(connection: &mut sqlx::PgConnection, lease: &Lease) -> Result<i32, Error> {
    sqlx::query_scalar!(
        "UPDATE ledger.job_state
         SET lease_token = NULL, lease_worker = NULL, lease_until = NULL, lease_failures = lease_failures + 1,
             not_before = clock_timestamp() + make_interval(secs => least(power(2, least(lease_failures, 10)), $3))
         WHERE job_id = $1 AND lease_token = $2
         RETURNING lease_failures",
        lease.job.0,
        lease.token.0,
        LONGEST_DELAY_SECONDS
    )
    .fetch_optional(connection)
    .await
    .attempt("count a failed step")?
    .ok_or(LOST)
}

/// Gives a lease back without a word about success or failure, for a holder that was told to stop, or has to wait for somebody
/// else. The job is not taken again before `delay`.
///
/// # Errors
/// [`Error::Conflict`] when it is lost; database errors.
pub async fn yield_for(
    connection: &mut sqlx::PgConnection,
    lease: &Lease,
    delay: Duration,
) -> Result<(), Error> {
    let released = sqlx::query!(
        "UPDATE ledger.job_state SET lease_token = NULL, lease_worker = NULL, lease_until = NULL,
             not_before = clock_timestamp() + make_interval(secs => $3)
         WHERE job_id = $1 AND lease_token = $2",
        lease.job.0,
        lease.token.0,
        delay.as_secs_f64()
    )
    .execute(connection)
    .await
    .attempt("yield a lease")?;
    held(released.rows_affected())
}

const LOST: Error = Error::Conflict {
    what: "the lease on a job",
};

fn held(rows: u64) -> Result<(), Error> {
    if rows == 1 { Ok(()) } else { Err(LOST) }
}
