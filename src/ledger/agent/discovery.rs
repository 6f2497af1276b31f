//! Where acts come from: payments the agent has not looked at, and jobs that ended. `agent_cursors`.

use alloy::primitives::{Address, B256, U256};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::ids::{AgreementId, DeploymentId, JobId};
use crate::jobs::{Outcome, Reason};
use crate::ledger::column::{bigint, count, hash};
use crate::ledger::{Attempt, Error};

const TABLE: &str = "agent_cursors";

/// How far the agent has looked for payments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Considered {
    /// Every agreement paid up to this block has its act, or needs none.
    pub number: u64,
    /// The follower's epoch when that was so.
    pub epoch: i64,
}

/// A job that ended after it had been handed to an engine.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The job.
    pub job: JobId,
    /// Its agreement.
    pub agreement: AgreementId,
    /// When it ended.
    pub finished_at: DateTime<Utc>,
}

/// What a release is decided on.
#[derive(Clone, Debug)]
pub struct EndedJob {
    /// How it ended; `None` when it is being tried again.
    pub outcome: Option<Outcome>,
    /// Why.
    pub reason: Option<Reason>,
    /// Whether its event is on the chain.
    pub is_canonical: bool,
    /// What was paid, in the token's smallest unit.
    pub payment: Option<U256>,
    /// The asset's owner when the condition was fulfilled.
    pub provider: Option<Address>,
    /// The version of the catalog that admitted it last.
    pub policy: Option<B256>,
}

/// How far the agent has looked; `None` before it ever did.
///
/// # Errors
/// Database errors, and [`Error::Unreadable`].
pub async fn find_considered(
    connection: &mut PgConnection,
    deployment: DeploymentId,
) -> Result<Option<Considered>, Error> {
    let row = sqlx::query!(
        "SELECT considered_number, epoch FROM ledger.agent_cursors WHERE deployment_id = $1",
        deployment.0
    )
    .fetch_optional(connection)
    .await
    .attempt("read how far the agent has looked")?;
    row.map(|row| {
        Ok(Considered {
            number: count(TABLE, row.considered_number.max(0))?,
            epoch: row.epoch,
        })
    })
    .transpose()
}

/// Records how far the agent has looked. Two agents may both do so: whoever is behind looks at the same again, which is nothing.
///
/// # Errors
/// Database errors.
pub async fn set_considered(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    considered: Considered,
) -> Result<(), Error> {
    sqlx::query!(
        "INSERT INTO ledger.agent_cursors (deployment_id, considered_number, epoch) VALUES ($1, $2, $3)
         ON CONFLICT (deployment_id) DO UPDATE
         SET considered_number = excluded.considered_number, epoch = excluded.epoch, updated_at = clock_timestamp()
         WHERE agent_cursors.epoch < excluded.epoch
            OR (agent_cursors.epoch = excluded.epoch AND agent_cursors.considered_number < excluded.considered_number)",
        deployment.0,
        bigint(TABLE, considered.number)?,
        considered.epoch
    )
    .execute(connection)
    .await
    .attempt("record how far the agent has looked")?;
    Ok(())
}

/// The agreements that canonical logs of the lock contract's event name in the blocks after `after` up to `up_to`, and that have
/// no job yet.
///
/// # Errors
/// Database errors, and [`Error::Unreadable`].
pub async fn list_paid(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    (lock, event): (Address, B256),
    after: u64,
    up_to: u64,
) -> Result<Vec<AgreementId>, Error> {
    let rows = sqlx::query_scalar!(
        r#"SELECT DISTINCT l.topics[2] AS "agreement!: Vec<u8>" FROM ledger.logs l
           WHERE l.deployment_id = $1 AND l.canonical AND l.block_number > $2 AND l.block_number <= $3
             AND l.address = $4 AND l.topics[1] = $5 AND cardinality(l.topics) >= 2
             AND NOT EXISTS (SELECT 1 FROM ledger.jobs j WHERE j.deployment_id = $1 AND j.agreement_id = l.topics[2])"#,
        deployment.0,
        bigint(TABLE, after)?,
        bigint(TABLE, up_to)?,
        lock.as_slice(),
        event.as_slice()
    )
    .fetch_all(connection)
    .await
    .attempt("find agreements that were paid")?;
    rows.iter()
        .map(|agreement| hash("logs", agreement).map(AgreementId))
        .collect()
}

/// Jobs that ended at or after `since` other than by a verdict and have no release yet, oldest first.
///
/// # Errors
/// Database errors, and [`Error::Unreadable`].
pub async fn list_ended(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    since: Option<DateTime<Utc>>,
    limit: i64,
) -> Result<Vec<Ended>, Error> {
    let rows = sqlx::query!(
        r#"SELECT s.job_id, j.agreement_id AS "agreement_id: Vec<u8>", s.finished_at AS "finished_at!"
           FROM ledger.job_state s JOIN ledger.jobs j ON j.id = s.job_id
           WHERE s.deployment_id = $1 AND s.phase = 'finished' AND s.outcome NOT IN ('refused', 'withdrawn', 'skipped')
             AND ($2::timestamptz IS NULL OR s.finished_at >= $2)
             AND NOT EXISTS (SELECT 1 FROM ledger.agent_acts a
                             WHERE a.deployment_id = $1 AND a.act = 'release' AND a.agreement_id = j.agreement_id
                               AND (a.state <> 'declined' OR s.outcome <> 'succeeded'))
           ORDER BY s.finished_at LIMIT $3"#,
        deployment.0,
        since,
        limit
    )
    .fetch_all(connection)
    .await
    .attempt("find jobs that ended")?;
    rows.into_iter()
        .map(|row| {
            Ok(Ended {
                job: JobId(row.job_id),
                agreement: AgreementId(hash("jobs", &row.agreement_id)?),
                finished_at: row.finished_at,
            })
        })
        .collect()
}

/// Lets a release be considered: for a job that ended, or that succeeded when it was tried again after its release was declined.
///
/// # Errors
/// Database errors.
pub async fn ensure_release(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    ended: &Ended,
) -> Result<(), Error> {
    sqlx::query!(
        "INSERT INTO ledger.agent_acts (deployment_id, act, agreement_id, job_id) VALUES ($1, 'release', $2, $3)
         ON CONFLICT (deployment_id, act, agreement_id) DO UPDATE
         SET state = 'waiting', job_id = excluded.job_id, not_before = clock_timestamp() WHERE agent_acts.state = 'declined'",
        deployment.0,
        ended.agreement.0.as_slice(),
        ended.job.0
    )
    .execute(connection)
    .await
    .attempt("record the release that a job's end calls for")?;
    Ok(())
}

/// What a release is decided on.
///
/// # Errors
/// Database errors, and [`Error::Unreadable`].
pub async fn get_ended(connection: &mut PgConnection, job: JobId) -> Result<EndedJob, Error> {
    let row = sqlx::query!(
        r#"SELECT outcome, reason, block_canonical, payment::text AS payment, provider AS "provider: Vec<u8>",
                  (SELECT v.policy_sha256 FROM ledger.verdicts v WHERE v.job_id = $1 AND v.admitted
                   ORDER BY v.number DESC LIMIT 1) AS "policy: Vec<u8>"
           FROM ledger.job_state WHERE job_id = $1"#,
        job.0
    )
    .fetch_one(connection)
    .await
    .attempt("read how a job ended")?;
    Ok(EndedJob {
        outcome: row.outcome.as_deref().map(str::parse).transpose()?,
        reason: row.reason.as_deref().map(str::parse).transpose()?,
        is_canonical: row.block_canonical,
        payment: row
            .payment
            .map(|amount| amount.parse().map_err(Error::unreadable("job_state")))
            .transpose()?,
        provider: row
            .provider
            .map(|address| {
                address
                    .as_slice()
                    .try_into()
                    .map_err(Error::unreadable("job_state"))
            })
            .transpose()?,
        policy: row
            .policy
            .map(|sha256| hash("verdicts", &sha256))
            .transpose()?,
    })
}
