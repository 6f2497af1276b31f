//! What jobs run: `job_specs`, and the resolver's queue. Write-once. Written by: resolver.

use alloy::primitives::{Address, B256};
use sqlx::PgConnection;

use super::{Attempt, Error, Transaction};
use crate::admission::Position;
use crate::ids::{AgreementId, BlockRef, DeploymentId, Did, JobId, JobName};

/// An admitted job that has no specification yet.
#[derive(Clone, Debug)]
pub struct Unresolved {
    /// The job.
    pub job: JobId,
    /// Its name.
    pub name: JobName,
    /// Its agreement.
    pub agreement: AgreementId,
    /// Its asset.
    pub did: Did,
    /// Who chooses the workflow.
    pub consumer: Address,
    /// Where the agreement was created.
    pub agreement_created: Position,
    /// The place of its event, or of the payment's when that came later.
    pub decided_at: Position,
    /// The block up to which the ledger is judged.
    pub judged: BlockRef,
}

/// Locks the oldest job that waits for its specification and is due, leaving out those that somebody else holds or has leased; on
/// request also those that are known to wait for something from outside.
///
/// A job waits until its block is deep enough to act on: what is frozen must not rest on a registration that may still be
/// reorganised away.
///
/// # Errors
/// Database errors, and [`Error::Unreadable`].
pub async fn lock_unresolved(
    transaction: &mut Transaction,
    deployment: DeploymentId,
    without_waiting: bool,
) -> Result<Option<Unresolved>, Error> {
    let row = sqlx::query_scalar!(
        "SELECT s.job_id
           FROM ledger.job_state s
           JOIN ledger.jobs j ON j.id = s.job_id
           JOIN ledger.cursors c ON c.deployment_id = s.deployment_id
           WHERE s.deployment_id = $1 AND s.phase = 'awaiting_document' AND s.block_canonical AND NOT s.removed
             AND greatest(s.block_number, s.owed_block) <= c.act_number
             AND greatest(s.block_number, s.owed_block) <= c.judged_number
             AND s.not_before <= clock_timestamp() AND (s.lease_until IS NULL OR s.lease_until <= clock_timestamp())
             AND NOT ($2 AND EXISTS (SELECT 1 FROM ledger.job_documents w WHERE w.job_id = s.job_id AND w.finding IS NULL))
             AND NOT EXISTS (SELECT 1 FROM ledger.parked p WHERE p.deployment_id = s.deployment_id AND p.kind = 'job'
                                                             AND p.key = j.name AND p.replayed_at IS NULL)
           ORDER BY s.job_id LIMIT 1 FOR UPDATE OF s SKIP LOCKED",
        deployment.0,
        without_waiting
    )
    .fetch_optional(&mut **transaction)
    .await
    .attempt("find a job without a specification")?;
    match row {
        Some(job) => find_admitted(transaction, JobId(job)).await?.map_or_else(
            || {
                Err(Error::unreadable("job_evidence")(
                    "an admitted job lacks its evidence",
                ))
            },
            |found| Ok(Some(found)),
        ),
        None => Ok(None),
    }
}

/// What a job's specification follows from; `None` when its evidence lacks the agreement's creation or the event.
///
/// # Errors
/// Database errors, and [`Error::Unreadable`].
pub async fn find_admitted(
    connection: &mut PgConnection,
    job: JobId,
) -> Result<Option<Unresolved>, Error> {
    let row = sqlx::query!(
        r#"SELECT j.name, j.agreement_id AS "agreement: Vec<u8>", j.did AS "did: Vec<u8>", j.consumer AS "consumer: Vec<u8>",
                  c.judged_number, c.judged_hash AS "judged_hash: Vec<u8>"
           FROM ledger.jobs j JOIN ledger.cursors c ON c.deployment_id = j.deployment_id WHERE j.id = $1"#,
        job.0
    )
    .fetch_one(&mut *connection)
    .await
    .attempt("read what a specification follows from")?;
    let created = positions(connection, job, &["creation"]).await?;
    let decided = positions(connection, job, &["execute", "lock"]).await?;
    let (Some(agreement_created), Some(decided_at)) =
        (created.into_iter().min(), decided.into_iter().max())
    else {
        return Ok(None);
    };
    let hash = |bytes: &[u8]| B256::try_from(bytes).map_err(Error::unreadable("jobs"));
    Ok(Some(Unresolved {
        job,
        name: row.name.parse().map_err(Error::unreadable("jobs"))?,
        agreement: AgreementId(hash(&row.agreement)?),
        did: Did(hash(&row.did)?),
        consumer: Address::try_from(row.consumer.as_slice()).map_err(Error::unreadable("jobs"))?,
        agreement_created,
        decided_at,
        judged: BlockRef {
            number: unsigned(row.judged_number)?,
            hash: hash(&row.judged_hash)?,
        },
    }))
}

/// The places of a job's canonical evidence in those roles.
async fn positions(
    connection: &mut PgConnection,
    job: JobId,
    roles: &[&str],
) -> Result<Vec<Position>, Error> {
    let roles: Vec<String> = roles.iter().map(|role| (*role).to_owned()).collect();
    let rows = sqlx::query!(
        "SELECT l.block_number, l.log_index FROM ledger.job_evidence e JOIN ledger.logs l ON l.id = e.log_id
         WHERE e.job_id = $1 AND e.role = ANY($2) AND l.canonical",
        job.0,
        &roles
    )
    .fetch_all(connection)
    .await
    .attempt("read the places of a job's evidence")?;
    rows.into_iter()
        .map(|row| {
            Ok(Position {
                block: unsigned(row.block_number)?,
                log_index: unsigned(row.log_index)?,
            })
        })
        .collect()
}

/// A specification to freeze.
#[derive(Clone, Copy, Debug)]
pub struct NewSpec<'a> {
    /// Its bytes.
    pub body: &'a [u8],
    /// Their SHA-256.
    pub sha256: B256,
    /// Who named the workflow.
    pub source: &'static str,
    /// The kept document, if one was registered.
    pub document: Option<B256>,
    /// The version of the catalog that allowed it.
    pub policy: B256,
}

/// Freezes a job's specification. One that is frozen already stays as it is.
///
/// # Errors
/// Database errors.
pub async fn freeze(
    connection: &mut PgConnection,
    job: JobId,
    spec: &NewSpec<'_>,
) -> Result<(), Error> {
    sqlx::query!(
        "INSERT INTO ledger.job_specs (job_id, body, sha256, source, document_sha256, policy_sha256)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        job.0,
        spec.body,
        spec.sha256.as_slice(),
        spec.source,
        spec.document.as_ref().map(|sha256| &sha256[..]),
        spec.policy.as_slice()
    )
    .execute(connection)
    .await
    .attempt("freeze a job's specification")?;
    Ok(())
}

fn unsigned(number: i64) -> Result<u64, Error> {
    u64::try_from(number).map_err(Error::unreadable("logs"))
}
