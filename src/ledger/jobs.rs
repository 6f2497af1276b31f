//! Jobs and where they are anchored in the chain: `jobs`, and the judge's columns of `job_state`. Written by: judge.

use alloy::primitives::{Address, B256, U256};
use sqlx::PgConnection;

use super::{Attempt, Error, Transaction};
use crate::ids::{AgreementId, BlockRef, DeploymentId, Did, JobId, JobName};
use crate::jobs::Status;

/// What owes jobs, as `jobs.trigger` names it.
pub const KEEPER_TRIGGER: &str = "keeper";

/// A job as it is first recorded. Immutable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    /// The contract whose event owes it.
    pub contract: Address,
    /// The trigger's key: the condition.
    pub key: B256,
    /// Its public name.
    pub name: JobName,
    /// Its agreement.
    pub agreement: AgreementId,
    /// Its asset.
    pub did: Did,
    /// Who gets it.
    pub consumer: Address,
}

/// What became of recording a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ensured {
    /// Its row.
    pub job: JobId,
    /// Whether it is new, and has no state yet.
    pub is_new: bool,
    /// Whether another, older job has the same name.
    pub collides: bool,
}

/// Records a job unless it is there.
///
/// # Errors
/// Database errors.
pub async fn ensure(
    transaction: &mut Transaction,
    deployment: DeploymentId,
    new: &NewJob,
) -> Result<Ensured, Error> {
    // Two deployments on one chain id can have jobs of one name; whoever comes second must see the first.
    sqlx::query!(
        r#"SELECT pg_advisory_xact_lock(hashtextextended($1, 0)) AS "lock!: ()""#,
        new.name.as_str()
    )
    .fetch_one(&mut **transaction)
    .await
    .attempt("wait for the turn to record a job")?;
    let inserted = sqlx::query_scalar!(
        "INSERT INTO ledger.jobs (deployment_id, trigger, contract, key, name, agreement_id, did, consumer)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (deployment_id, contract, key) DO NOTHING RETURNING id",
        deployment.0,
        KEEPER_TRIGGER,
        new.contract.as_slice(),
        new.key.as_slice(),
        new.name.as_str(),
        new.agreement.0.as_slice(),
        new.did.0.as_slice(),
        new.consumer.as_slice()
    )
    .fetch_optional(&mut **transaction)
    .await
    .attempt("record a job")?;
    let row = sqlx::query!(
        r#"SELECT j.id, EXISTS (SELECT 1 FROM ledger.jobs o WHERE o.name = j.name AND o.id < j.id) AS "collides!"
           FROM ledger.jobs j WHERE j.deployment_id = $1 AND j.contract = $2 AND j.key = $3"#,
        deployment.0,
        new.contract.as_slice(),
        new.key.as_slice()
    )
    .fetch_one(&mut **transaction)
    .await
    .attempt("find a job")?;
    Ok(Ensured {
        job: JobId(row.id),
        is_new: inserted.is_some(),
        collides: row.collides,
    })
}

/// The log that a job is anchored in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The log's id.
    pub log: i64,
    /// Its block.
    pub block: BlockRef,
}

/// Gives a new job its state. Append the first transition with `status::begin` in the same transaction.
///
/// # Errors
/// Database errors.
pub async fn open(
    transaction: &mut Transaction,
    deployment: DeploymentId,
    job: JobId,
    status: &Status,
    anchor: &Anchor,
) -> Result<(), Error> {
    let finished = status.outcome.is_some();
    sqlx::query!(
        "INSERT INTO ledger.job_state
             (job_id, deployment_id, phase, outcome, reason, block_number, block_hash, log_id, block_canonical, finished_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, true, CASE WHEN $9 THEN clock_timestamp() END)",
        job.0,
        deployment.0,
        status.phase.as_str(),
        status.outcome.map(crate::jobs::Outcome::as_str),
        status.reason.map(crate::jobs::Reason::as_str),
        height(anchor.block.number)?,
        anchor.block.hash.as_slice(),
        anchor.log,
        finished
    )
    .execute(&mut **transaction)
    .await
    .attempt("open a job's state")?;
    Ok(())
}

/// Anchors a job in a canonical log, again or elsewhere.
///
/// # Errors
/// Database errors.
pub async fn anchor(
    connection: &mut PgConnection,
    job: JobId,
    anchor: &Anchor,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE ledger.job_state SET block_number = $2, block_hash = $3, log_id = $4, block_canonical = true
         WHERE job_id = $1 AND (log_id <> $4 OR NOT block_canonical)",
        job.0,
        height(anchor.block.number)?,
        anchor.block.hash.as_slice(),
        anchor.log
    )
    .execute(connection)
    .await
    .attempt("anchor a job")?;
    Ok(())
}

/// Notes that a job's event is not on the chain now.
///
/// # Errors
/// Database errors.
pub async fn orphan(connection: &mut PgConnection, job: JobId) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE ledger.job_state SET block_canonical = false WHERE job_id = $1 AND block_canonical",
        job.0
    )
    .execute(connection)
    .await
    .attempt("note that a job's event is orphaned")?;
    Ok(())
}

/// What is known of who owes a job to whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Block from which it is owed.
    pub owed_block: Option<u64>,
    /// The asset's owner at the event's block.
    pub provider: Option<Address>,
    /// Paid amount in the token's smallest unit.
    pub payment: Option<U256>,
}

/// Notes a job's terms as the last verdict has them.
///
/// # Errors
/// Database errors.
pub async fn note_terms(
    connection: &mut PgConnection,
    job: JobId,
    terms: &Terms,
) -> Result<(), Error> {
    let payment = terms.payment.map(|amount| amount.to_string());
    sqlx::query!(
        "UPDATE ledger.job_state SET owed_block = $2, provider = $3, payment = $4::text::numeric WHERE job_id = $1",
        job.0,
        terms.owed_block.map(height).transpose()?,
        terms.provider.as_ref().map(|provider| provider.as_slice()),
        payment
    )
    .execute(connection)
    .await
    .attempt("note a job's terms")?;
    Ok(())
}

/// A job of an agreement, as the judge needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The job.
    pub job: JobId,
    /// Its condition.
    pub key: B256,
    /// The block that it was last anchored in.
    pub block_number: u64,
}

/// The jobs of an agreement, by age.
///
/// # Errors
/// Database errors, and [`Error::Unreadable`].
pub async fn list_of_agreement(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    agreement: AgreementId,
) -> Result<Vec<Judged>, Error> {
    let rows = sqlx::query!(
        r#"SELECT j.id, j.key AS "key: Vec<u8>", s.block_number
           FROM ledger.jobs j JOIN ledger.job_state s ON s.job_id = j.id
           WHERE j.deployment_id = $1 AND j.agreement_id = $2 ORDER BY j.id"#,
        deployment.0,
        agreement.0.as_slice()
    )
    .fetch_all(connection)
    .await
    .attempt("find the jobs of an agreement")?;
    rows.into_iter()
        .map(|row| {
            Ok(Judged {
                job: JobId(row.id),
                key: B256::try_from(row.key.as_slice()).map_err(Error::unreadable("jobs"))?,
                block_number: u64::try_from(row.block_number)
                    .map_err(Error::unreadable("job_state"))?,
            })
        })
        .collect()
}

/// Those of the agreements that have a job.
///
/// # Errors
/// Database errors, and [`Error::Unreadable`].
pub async fn list_with_jobs(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    agreements: &[AgreementId],
) -> Result<Vec<AgreementId>, Error> {
    let wanted: Vec<Vec<u8>> = agreements.iter().map(|id| id.0.to_vec()).collect();
    let rows = sqlx::query_scalar!(
        r#"SELECT DISTINCT agreement_id AS "agreement: Vec<u8>" FROM ledger.jobs
           WHERE deployment_id = $1 AND agreement_id = ANY($2::bytea[])"#,
        deployment.0,
        &wanted
    )
    .fetch_all(connection)
    .await
    .attempt("find agreements that have jobs")?;
    rows.iter()
        .map(|agreement| {
            B256::try_from(agreement.as_slice())
                .map(AgreementId)
                .map_err(Error::unreadable("jobs"))
        })
        .collect()
}

fn height(number: u64) -> Result<i64, Error> {
    i64::try_from(number).map_err(Error::unreadable("job_state"))
}
