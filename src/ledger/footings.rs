//! How what owes jobs stands on the chain: `job_state.withdrawn_attempt`, and what follows from the logs of `job_evidence`.
//! Written by: judge.
//!
//! A job rests on its event, and on the creation and the payment that its verdict named: of each kind one log at least must be on the
//! chain. The catalog has no part in it, since a new one changes no job that was handed to an engine.

use std::collections::BTreeMap;

use sqlx::PgConnection;

use super::{Attempt, Error, Transaction};
use crate::ids::JobId;
use crate::jobs::Footing;

/// How each of the jobs stands.
///
/// # Errors
/// Database errors.
pub async fn list(
    connection: &mut PgConnection,
    jobs: &[JobId],
) -> Result<BTreeMap<JobId, Footing>, Error> {
    if jobs.is_empty() {
        return Ok(BTreeMap::new());
    }
    let wanted: Vec<i64> = jobs.iter().map(|job| job.0).collect();
    let rows = sqlx::query!(
        r#"SELECT s.job_id, s.attempt > 0 AND s.withdrawn_attempt >= s.attempt AS "is_withdrawn!",
                  NOT s.block_canonical OR EXISTS (
                      SELECT FROM ledger.job_evidence e JOIN ledger.logs l ON l.id = e.log_id
                      WHERE e.job_id = s.job_id AND e.role IN ('creation', 'lock', 'execute')
                      GROUP BY e.role HAVING NOT bool_or(l.canonical)) AS "is_orphaned!"
           FROM ledger.job_state s WHERE s.job_id = ANY($1)"#,
        &wanted
    )
    .fetch_all(connection)
    .await
    .attempt("find out how jobs stand on the chain")?;
    let footing = |withdrawn, orphaned| match (withdrawn, orphaned) {
        (true, _) => Footing::Withdrawn,
        (_, true) => Footing::Orphaned,
        _ => Footing::Canonical,
    };
    let footings = rows.into_iter().map(|row| {
        (
            JobId(row.job_id),
            footing(row.is_withdrawn, row.is_orphaned),
        )
    });
    Ok(footings.collect())
}

/// How a job stands.
///
/// # Errors
/// Database errors.
pub async fn get(connection: &mut PgConnection, job: JobId) -> Result<Footing, Error> {
    let footing = list(connection, &[job]).await?;
    Ok(footing.into_values().next().unwrap_or_default())
}

/// Notes that the event of a job's attempt is gone for good; the engine is told afterwards, by whoever finds it here. Answers whether
/// that is new. The job's row must be locked.
///
/// # Errors
/// Database errors.
pub async fn withdraw(
    transaction: &mut Transaction,
    job: JobId,
    attempt: u32,
) -> Result<bool, Error> {
    let attempt = i32::try_from(attempt).map_err(Error::unreadable("job_state"))?;
    let noted = sqlx::query!(
        "UPDATE ledger.job_state SET withdrawn_attempt = $2 WHERE job_id = $1 AND withdrawn_attempt < $2",
        job.0,
        attempt
    )
    .execute(&mut **transaction)
    .await
    .attempt("note that a running job is withdrawn")?;
    Ok(noted.rows_affected() > 0)
}
