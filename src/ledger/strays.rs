//! Workflows in the engine that no job has on record: `strays`. Written by: observer (sightings), reaper (`removed_at`).

use std::time::Duration;

use sqlx::PgConnection;

use super::{Attempt, Error};
use crate::ids::{DeploymentId, JobName};

/// A workflow that the engine has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighted {
    /// Its name, which is a job's.
    pub name: JobName,
    /// The identity that the engine gave it.
    pub uid: String,
}

/// Notes which of the workflows that the engine has are strays: under the name of a job of ours that has another one on record, or
/// none and is over. One that was seen before, at least `apart` ago, is confirmed. Answers how many are confirmed and not removed.
///
/// A queued job without a workflow on record is no reason to doubt one: its dispatcher may be about to record it.
///
/// # Errors
/// Database errors.
pub async fn sight(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    seen: &[Sighted],
    apart: Duration,
) -> Result<u64, Error> {
    let names: Vec<&str> = seen.iter().map(|one| one.name.as_str()).collect();
    let uids: Vec<&str> = seen.iter().map(|one| one.uid.as_str()).collect();
    sqlx::query!(
        "INSERT INTO ledger.strays AS s (deployment_id, uid, name)
         SELECT $1, given.uid, given.name FROM unnest($2::text[], $3::text[]) AS given (name, uid)
         WHERE EXISTS (SELECT 1 FROM ledger.jobs j WHERE j.name = given.name AND j.deployment_id = $1)
           AND NOT EXISTS (SELECT 1 FROM ledger.jobs j JOIN ledger.job_state t ON t.job_id = j.id
                           WHERE j.name = given.name
                             AND (t.workflow_uid = given.uid
                                  OR t.workflow_uid IS NULL AND NOT t.removed AND t.phase NOT IN ('awaiting_review', 'finished')))
         ON CONFLICT (deployment_id, uid) DO UPDATE SET confirmed_at = clock_timestamp()
         WHERE s.confirmed_at IS NULL AND s.sighted_at <= clock_timestamp() - make_interval(secs => $4)",
        deployment.0,
        &names as &[&str],
        &uids as &[&str],
        apart.as_secs_f64()
    )
    .execute(&mut *connection)
    .await
    .attempt("note which workflows no job has on record")?;
    let open = sqlx::query_scalar!(
        r#"SELECT count(*) AS "open!" FROM ledger.strays
           WHERE deployment_id = $1 AND confirmed_at IS NOT NULL AND removed_at IS NULL"#,
        deployment.0
    )
    .fetch_one(connection)
    .await
    .attempt("count the workflows that no job has on record")?;
    u64::try_from(open).map_err(Error::unreadable("strays"))
}

/// Up to `limit` confirmed strays that are not known to be gone, oldest first. What a job has taken as its own since is none.
///
/// # Errors
/// Database errors, and [`Error::Unreadable`].
pub async fn list_confirmed(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    limit: i64,
) -> Result<Vec<Sighted>, Error> {
    let rows = sqlx::query!(
        "SELECT s.name, s.uid FROM ledger.strays s
         WHERE s.deployment_id = $1 AND s.confirmed_at IS NOT NULL AND s.removed_at IS NULL
           AND NOT EXISTS (SELECT 1 FROM ledger.jobs j JOIN ledger.job_state t ON t.job_id = j.id
                           WHERE j.name = s.name AND t.workflow_uid = s.uid)
         ORDER BY s.sighted_at, s.uid LIMIT $2",
        deployment.0,
        limit
    )
    .fetch_all(connection)
    .await
    .attempt("list the workflows that no job has on record")?;
    rows.into_iter()
        .map(|row| {
            Ok(Sighted {
                name: row.name.parse().map_err(Error::unreadable("strays"))?,
                uid: row.uid,
            })
        })
        .collect()
}

/// Takes back that a workflow was confirmed as a stray, so that it is looked at again after further sightings and holds no other up.
///
/// # Errors
/// Database errors.
pub async fn put_back(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    uid: &str,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE ledger.strays SET sighted_at = clock_timestamp(), confirmed_at = NULL
         WHERE deployment_id = $1 AND uid = $2 AND removed_at IS NULL",
        deployment.0,
        uid
    )
    .execute(connection)
    .await
    .attempt("put a stray workflow back")?;
    Ok(())
}

/// Notes that a stray is gone. Noted already: nothing.
///
/// # Errors
/// Database errors.
pub async fn mark_removed(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    uid: &str,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE ledger.strays SET removed_at = clock_timestamp()
         WHERE deployment_id = $1 AND uid = $2 AND confirmed_at IS NOT NULL AND removed_at IS NULL",
        deployment.0,
        uid
    )
    .execute(connection)
    .await
    .attempt("note that a stray workflow is gone")?;
    Ok(())
}
