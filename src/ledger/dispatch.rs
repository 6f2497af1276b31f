//! The dispatcher's queue: which jobs may be handed to the engine, and what is written while one is. Written by: dispatcher.
//!
//! A job may start when it is `queued`, its block is canonical, the block it is owed from (of its event, or of the payment when
//! that came later) is deep enough to act on and verified, nobody halted or paused the deployment, its specification is frozen
//! and it is not parked. `startable` says so with the row locked, in the transaction that commits a job to its start; `next_in_turn`
//! chooses among such jobs, payer by payer.

use std::num::NonZeroU16;
use std::time::Duration;

use alloy::primitives::{Address, B256};
use sqlx::PgConnection;

use super::leases::{self, Lease};
use super::{Attempt, Error, Transaction, status};
use crate::ids::{DeploymentId, JobName};
use crate::jobs::Status;

/// A leased job with everything its start needs.
#[derive(Clone, Debug)]
pub struct Dispatchable {
    /// Its name.
    pub name: JobName,
    /// Its status.
    pub status: Status,
    /// The attempt whose start the engine acknowledged.
    pub started_attempt: u32,
    /// The frozen specification's bytes.
    pub spec: Vec<u8>,
    /// Their recorded SHA-256.
    pub spec_digest: B256,
    /// Unix user of its stages, once assigned.
    pub run_as: Option<u32>,
    /// Uid of its workflow, once recorded.
    pub workflow_uid: Option<String>,
}

/// Most jobs that are in the engine at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// In all.
    pub window: u32,
    /// Of one payer.
    pub of_payer: u32,
    /// On one asset.
    pub of_asset: u32,
}

/// How many turns payers have for each of the others'.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Weights {
    payers: Vec<Vec<u8>>,
    weights: Vec<i32>,
}

impl Weights {
    /// The weights of some payers, at least 1 each; everybody else has 1.
    pub fn new(of: impl IntoIterator<Item = (Address, NonZeroU16)>) -> Self {
        let (payers, weights) = of
            .into_iter()
            .map(|(payer, weight)| (payer.to_vec(), i32::from(weight.get())))
            .unzip();
        Self { payers, weights }
    }
}

/// Takes up to `limit` leases of `duration` on jobs that want the dispatcher: first those whose start was committed but not
/// acknowledged, then those that may start. The caps hold exactly, since dispatchers of a deployment choose one after the other.
///
/// Payers take turns: whoever has fewest jobs in the engine for its weight is next, and among equals the oldest job. It goes by payer
/// and not by consumer, since anybody may name any consumer, and only the payer has paid for it.
///
/// # Errors
/// Database errors.
pub async fn acquire(
    transaction: &mut Transaction,
    deployment: DeploymentId,
    (caps, weights): (Caps, &Weights),
    limit: u32,
    duration: Duration,
) -> Result<Vec<Lease>, Error> {
    sqlx::query!(
        r#"SELECT pg_advisory_xact_lock(hashtextextended('tidewatch dispatch', $1)) AS "lock!: ()""#,
        deployment.0
    )
    .fetch_one(&mut **transaction)
    .await
    .attempt("wait for the turn to dispatch")?;
    let limit = i64::from(limit);
    let left =
        |chosen: &Vec<i64>| limit.saturating_sub(i64::try_from(chosen.len()).unwrap_or(i64::MAX));
    let mut chosen = unacknowledged(transaction, deployment, limit).await?;
    // With a workflow already made a job takes no room in the window that it does not have.
    let made = Choice::Made(left(&chosen));
    chosen.extend(startable(transaction, deployment, made).await?);
    let room = i64::from(caps.window).saturating_sub(in_engine(transaction, deployment).await?);
    let room = left(&chosen).min(room);
    if room > 0 {
        chosen.extend(next_in_turn(transaction, deployment, (caps, weights), room).await?);
    }
    leases::take(transaction, &chosen, "dispatcher", duration).await
}

/// Jobs of the deployment that have a workflow which may run, or are about to get one.
async fn in_engine(connection: &mut PgConnection, deployment: DeploymentId) -> Result<i64, Error> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM ledger.job_state
           WHERE deployment_id = $1 AND NOT removed
             AND (phase IN ('configuring', 'running', 'filtering', 'publishing')
                  OR (phase = 'queued' AND (workflow_uid IS NOT NULL OR lease_until > clock_timestamp())))"#,
        deployment.0
    )
    .fetch_one(connection)
    .await
    .attempt("count the jobs in the engine")
}

async fn unacknowledged(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    limit: i64,
) -> Result<Vec<i64>, Error> {
    sqlx::query_scalar!(
        "SELECT s.job_id FROM ledger.job_state s JOIN ledger.jobs j ON j.id = s.job_id
         WHERE s.deployment_id = $1 AND NOT s.removed AND s.started_attempt < s.attempt
           AND s.phase IN ('configuring', 'running', 'filtering', 'publishing')
           AND s.not_before <= clock_timestamp() AND (s.lease_until IS NULL OR s.lease_until <= clock_timestamp())
           AND NOT EXISTS (SELECT 1 FROM ledger.parked p WHERE p.deployment_id = s.deployment_id AND p.kind = 'job'
                                                           AND p.key = j.name AND p.replayed_at IS NULL)
         ORDER BY s.job_id LIMIT $2 FOR UPDATE OF s SKIP LOCKED",
        deployment.0,
        limit
    )
    .fetch_all(connection)
    .await
    .attempt("find jobs whose start was not acknowledged")
}

/// Which startable jobs are asked for.
enum Choice<'a> {
    /// Those with a workflow, nobody's, at most so many.
    Made(i64),
    /// The one of this lease.
    Held(&'a Lease),
}

async fn startable(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    choice: Choice<'_>,
) -> Result<Vec<i64>, Error> {
    let (made, held, limit) = match choice {
        Choice::Made(limit) => (Some(true), None, limit),
        Choice::Held(lease) => (None, Some(lease), 1),
    };
    sqlx::query_scalar!(
        "SELECT s.job_id
         FROM ledger.job_state s
         JOIN ledger.jobs j ON j.id = s.job_id
         JOIN ledger.cursors c ON c.deployment_id = s.deployment_id
         WHERE s.deployment_id = $1 AND s.phase = 'queued' AND NOT s.removed AND s.block_canonical
           AND greatest(s.block_number, s.owed_block) <= c.act_number
           AND greatest(s.block_number, s.owed_block) <= c.verified_number
           AND c.halt IS NULL
           AND coalesce((SELECT a.action = 'resume' FROM ledger.operator_actions a WHERE a.action IN ('pause', 'resume')
                         ORDER BY a.id DESC LIMIT 1), true)
           AND EXISTS (SELECT 1 FROM ledger.job_specs p WHERE p.job_id = s.job_id)
           AND NOT EXISTS (SELECT 1 FROM ledger.parked p WHERE p.deployment_id = s.deployment_id AND p.kind = 'job'
                                                           AND p.key = j.name AND p.replayed_at IS NULL)
           AND ($2::boolean IS NULL OR (s.workflow_uid IS NOT NULL) = $2)
           AND CASE WHEN $3::bigint IS NULL
                    THEN s.not_before <= clock_timestamp() AND (s.lease_until IS NULL OR s.lease_until <= clock_timestamp())
                    ELSE s.job_id = $3 AND s.lease_token = $4 END
         ORDER BY greatest(s.block_number, s.owed_block), s.job_id
         LIMIT $5 FOR UPDATE OF s SKIP LOCKED",
        deployment.0,
        made,
        held.map(|lease| lease.job.0),
        held.map(|lease| lease.token.0),
        limit
    )
    .fetch_all(connection)
    .await
    .attempt("find jobs that may start")
}

/// Jobs without a workflow that may start, in the order of their turns, at most `room` of them.
///
/// The conditions are those of `startable`, which is asked again before a job is committed to its start.
async fn next_in_turn(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    (caps, weights): (Caps, &Weights),
    room: i64,
) -> Result<Vec<i64>, Error> {
    sqlx::query_scalar!(
        r#"WITH busy AS MATERIALIZED (
               SELECT s.payer, j.did FROM ledger.job_state s JOIN ledger.jobs j ON j.id = s.job_id
               WHERE s.deployment_id = $1 AND NOT s.removed
                 AND (s.phase IN ('configuring', 'running', 'filtering', 'publishing')
                      OR (s.phase = 'queued' AND (s.workflow_uid IS NOT NULL OR s.lease_until > clock_timestamp())))
           ), by_payer AS (
               SELECT s.job_id, s.payer, j.did, greatest(s.block_number, s.owed_block) AS owed,
                      row_number() OVER (PARTITION BY s.payer ORDER BY greatest(s.block_number, s.owed_block), s.job_id)
                      + (SELECT count(*) FROM busy b WHERE b.payer IS NOT DISTINCT FROM s.payer) AS place
               FROM ledger.job_state s
               JOIN ledger.jobs j ON j.id = s.job_id
               JOIN ledger.cursors c ON c.deployment_id = s.deployment_id
               WHERE s.deployment_id = $1 AND s.phase = 'queued' AND NOT s.removed AND s.block_canonical AND s.workflow_uid IS NULL
                 AND greatest(s.block_number, s.owed_block) <= c.act_number
                 AND greatest(s.block_number, s.owed_block) <= c.verified_number
                 AND c.halt IS NULL
                 AND coalesce((SELECT a.action = 'resume' FROM ledger.operator_actions a WHERE a.action IN ('pause', 'resume')
                               ORDER BY a.id DESC LIMIT 1), true)
                 AND EXISTS (SELECT 1 FROM ledger.job_specs p WHERE p.job_id = s.job_id)
                 AND NOT EXISTS (SELECT 1 FROM ledger.parked p WHERE p.deployment_id = s.deployment_id AND p.kind = 'job'
                                                                 AND p.key = j.name AND p.replayed_at IS NULL)
                 AND s.not_before <= clock_timestamp() AND (s.lease_until IS NULL OR s.lease_until <= clock_timestamp())
           ), by_turn AS (
               SELECT p.job_id, p.did, p.owed, p.place::float8 / coalesce(w.weight, 1) AS turn
               FROM by_payer p LEFT JOIN unnest($5::bytea[], $6::integer[]) AS w (payer, weight) ON w.payer = p.payer
               WHERE p.place <= $2
           ), by_asset AS (
               SELECT p.job_id, p.turn, p.owed,
                      row_number() OVER (PARTITION BY p.did ORDER BY p.turn, p.owed, p.job_id)
                      + (SELECT count(*) FROM busy b WHERE b.did = p.did) AS of_asset
               FROM by_turn p
           ), chosen AS MATERIALIZED (
               SELECT a.job_id, row_number() OVER (ORDER BY a.turn, a.owed, a.job_id) AS place
               FROM by_asset a WHERE a.of_asset <= $3 ORDER BY place LIMIT $4
           )
           SELECT s.job_id FROM chosen o JOIN ledger.job_state s ON s.job_id = o.job_id
           ORDER BY o.place FOR UPDATE OF s SKIP LOCKED"#,
        deployment.0,
        i64::from(caps.of_payer),
        i64::from(caps.of_asset),
        room,
        &weights.payers,
        &weights.weights
    )
    .fetch_all(connection)
    .await
    .attempt("find the jobs whose turn it is")
}

/// Whether a leased job may start at this moment, its row locked from now on if so. False also when somebody else has the row
/// locked or the lease is lost: then there is nothing to do now.
///
/// # Errors
/// Database errors.
pub async fn may_start(
    transaction: &mut Transaction,
    deployment: DeploymentId,
    lease: &Lease,
) -> Result<bool, Error> {
    let found = startable(transaction, deployment, Choice::Held(lease)).await?;
    Ok(!found.is_empty())
}

/// What the start of a leased job needs; `None` when the lease is lost.
///
/// # Errors
/// Database errors, and [`Error::Unreadable`].
pub async fn find(
    connection: &mut PgConnection,
    lease: &Lease,
) -> Result<Option<Dispatchable>, Error> {
    let row = sqlx::query!(
        r#"SELECT j.name, s.phase, s.outcome, s.reason, s.attempt, s.started_attempt, s.run_as, s.workflow_uid,
                  p.body, p.sha256 AS "sha256: Vec<u8>"
           FROM ledger.job_state s
           JOIN ledger.jobs j ON j.id = s.job_id
           JOIN ledger.job_specs p ON p.job_id = s.job_id
           WHERE s.job_id = $1 AND s.lease_token = $2"#,
        lease.job.0,
        lease.token.0
    )
    .fetch_optional(connection)
    .await
    .attempt("read a job that is to be started")?;
    let Some(row) = row else { return Ok(None) };
    let unreadable = "job_state";
    Ok(Some(Dispatchable {
        name: row.name.parse().map_err(Error::unreadable("jobs"))?,
        status: status::read(
            &row.phase,
            row.outcome.as_deref(),
            row.reason.as_deref(),
            row.attempt,
        )?,
        started_attempt: u32::try_from(row.started_attempt)
            .map_err(Error::unreadable(unreadable))?,
        spec: row.body,
        spec_digest: B256::try_from(row.sha256.as_slice())
            .map_err(Error::unreadable("job_specs"))?,
        run_as: row
            .run_as
            .map(u32::try_from)
            .transpose()
            .map_err(Error::unreadable(unreadable))?,
        workflow_uid: row.workflow_uid,
    }))
}

/// Gives a leased job that Unix user, once and for all. False when another job has it: its unique index decides.
///
/// # Errors
/// [`Error::Conflict`] when the lease is lost or the job has a user; database errors.
pub async fn assign_user(
    connection: &mut PgConnection,
    lease: &Lease,
    run_as: u32,
) -> Result<bool, Error> {
    let user = i32::try_from(run_as).map_err(Error::unreadable("job_state"))?;
    let assigned = sqlx::query!(
        "UPDATE ledger.job_state SET run_as = $3 WHERE job_id = $1 AND lease_token = $2 AND run_as IS NULL",
        lease.job.0,
        lease.token.0,
        user
    )
    .execute(connection)
    .await;
    match assigned {
        Ok(assigned) if assigned.rows_affected() == 1 => Ok(true),
        Ok(_) => Err(Error::Conflict {
            what: "the user of a job",
        }),
        Err(sqlx::Error::Database(error)) if error.constraint() == Some("job_state_run_as") => {
            Ok(false)
        }
        Err(source) => Err(source).attempt("give a job its user"),
    }
}

/// Records the uid of a leased, queued job's workflow: set once, and confirmed when it is the one that is recorded. One that was
/// confirmed as a stray is about to be removed, and is not taken; the next try makes another.
///
/// # Errors
/// [`Error::Conflict`] when the lease is lost, the job is no longer queued, another uid is recorded, or the workflow is a stray;
/// database errors.
pub async fn record_uid(
    connection: &mut PgConnection,
    lease: &Lease,
    uid: &str,
) -> Result<(), Error> {
    let recorded = sqlx::query!(
        "UPDATE ledger.job_state SET workflow_uid = $3
         WHERE job_id = $1 AND lease_token = $2 AND phase = 'queued' AND (workflow_uid IS NULL OR workflow_uid = $3)
           AND NOT EXISTS (SELECT 1 FROM ledger.strays t WHERE t.deployment_id = job_state.deployment_id AND t.uid = $3
                                                           AND t.confirmed_at IS NOT NULL)",
        lease.job.0,
        lease.token.0,
        uid
    )
    .execute(connection)
    .await
    .attempt("record a workflow's uid")?;
    if recorded.rows_affected() == 1 {
        Ok(())
    } else {
        Err(Error::Conflict {
            what: "the workflow of a job",
        })
    }
}

/// The uid that is recorded for a job, whoever holds its lease.
///
/// # Errors
/// Database errors.
pub async fn recorded_uid(
    connection: &mut PgConnection,
    lease: &Lease,
) -> Result<Option<String>, Error> {
    sqlx::query_scalar!(
        "SELECT workflow_uid FROM ledger.job_state WHERE job_id = $1",
        lease.job.0
    )
    .fetch_one(connection)
    .await
    .attempt("read a workflow's uid")
}
