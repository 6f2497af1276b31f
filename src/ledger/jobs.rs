//! Jobs and where they are anchored in the chain: `jobs`, and the judge's columns of `job_state`. Written by: judge.

use std::collections::{HashMap, HashSet};

use alloy::primitives::{Address, B256, U256};
use sqlx::PgConnection;

use super::column::bigint;
use super::copy::{self, Copy};
use super::{Attempt, Error, Transaction};
use crate::ids::{AgreementId, BlockRef, DeploymentId, Did, JobId, JobName};

const STATE: &str = "job_state";

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

/// A job's row, as recording it found or made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The job.
    pub job: JobId,
    /// Its condition.
    pub key: B256,
    /// Whether it is new, and has no state yet.
    pub is_new: bool,
    /// Whether another, older job has the same name.
    pub collides: bool,
}

/// Records jobs unless they are there, and answers the rows of all of them. Each key once.
///
/// # Errors
/// Database errors, and [`Error::Unreadable`].
pub async fn record(
    transaction: &mut Transaction,
    deployment: DeploymentId,
    new: &[NewJob],
) -> Result<Vec<Recorded>, Error> {
    if new.is_empty() {
        return Ok(Vec::new());
    }
    // Two deployments on one chain id can have jobs of one name; whoever comes second must see the first.
    sqlx::query!(
        r#"SELECT pg_advisory_xact_lock(hashtextextended('tidewatch names jobs of chain ' || chain_id, 0)) AS "lock!: ()"
           FROM ledger.deployments WHERE id = $1"#,
        deployment.0
    )
    .fetch_one(&mut **transaction)
    .await
    .attempt("wait for the turn to record jobs")?;
    let named = list_named(transaction, new).await?;
    let mut recorded = Vec::with_capacity(new.len());
    let mut missing = Vec::new();
    for job in new {
        let others = named.get(job.name.as_str()).map_or(&[][..], Vec::as_slice);
        let ours = others.iter().find(|other| other.is(deployment, job));
        match ours {
            Some(ours) => recorded.push(Recorded {
                job: JobId(ours.id),
                key: job.key,
                is_new: false,
                collides: others.iter().any(|other| other.id < ours.id),
            }),
            None => missing.push((job, !others.is_empty())),
        }
    }
    recorded.extend(add(transaction, deployment, &missing).await?);
    recorded.sort_by_key(|row| row.job);
    mark_collisions(&mut recorded, new);
    Ok(recorded)
}

/// A recorded job that has a wanted name.
struct Named {
    id: i64,
    deployment: i64,
    contract: Vec<u8>,
    key: Vec<u8>,
}

impl Named {
    fn is(&self, deployment: DeploymentId, job: &NewJob) -> bool {
        self.deployment == deployment.0
            && self.contract == job.contract.as_slice()
            && self.key == job.key.as_slice()
    }
}

/// The recorded jobs with the names of these, by name. A name follows from chain, contract and key, so that whatever is there of
/// these is found by it, and whatever collides with them in the same look. OFFSET 0 keeps the planner from reading the whole table
/// once instead of looking up each name.
async fn list_named(
    connection: &mut PgConnection,
    new: &[NewJob],
) -> Result<HashMap<String, Vec<Named>>, Error> {
    let names: Vec<&str> = new.iter().map(|job| job.name.as_str()).collect();
    let rows = sqlx::query!(
        r#"SELECT j.id, j.deployment_id, j.name, j.contract AS "contract: Vec<u8>", j.key AS "key: Vec<u8>"
           FROM (SELECT DISTINCT unnest($1::text[])) AS given (name)
           CROSS JOIN LATERAL (SELECT * FROM ledger.jobs f WHERE f.name = given.name OFFSET 0) j"#,
        &names as &[&str]
    )
    .fetch_all(connection)
    .await
    .attempt("find recorded jobs")?;
    let mut named = HashMap::<_, Vec<_>>::new();
    for row in rows {
        named.entry(row.name).or_default().push(Named {
            id: row.id,
            deployment: row.deployment_id,
            contract: row.contract,
            key: row.key,
        });
    }
    Ok(named)
}

/// Adds jobs that are not there, in order, each with whether its name is taken. Nobody else adds jobs of this deployment until the
/// transaction ends: whoever does has moved the judged cursor and so holds its row.
async fn add(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    missing: &[(&NewJob, bool)],
) -> Result<Vec<Recorded>, Error> {
    const STATEMENT: &str = "COPY ledger.jobs (id, deployment_id, trigger, contract, key, name, agreement_id, did, consumer) \
         FROM STDIN (FORMAT binary)";
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    // Identities are drawn first: what is copied answers nothing. The sequence is looked for once.
    let mut drawn = sqlx::query_scalar!(
        r#"SELECT nextval(the.sequence) AS "id!"
           FROM (SELECT pg_get_serial_sequence('ledger.jobs', 'id')::regclass OFFSET 0) AS the (sequence), generate_series(1, $1::bigint)"#,
        bigint("jobs", missing.len() as u64)?
    )
    .fetch_all(&mut *connection)
    .await
    .attempt("draw the identities of new jobs")?;
    drawn.sort_unstable();
    let mut rows = Copy::new();
    let mut added = Vec::with_capacity(missing.len());
    for ((job, collides), id) in missing.iter().zip(drawn) {
        rows.row(9)?;
        rows.bigint(id);
        rows.bigint(deployment.0);
        rows.text(KEEPER_TRIGGER)?;
        rows.bytes(job.contract.as_slice())?;
        rows.bytes(job.key.as_slice())?;
        rows.text(job.name.as_str())?;
        rows.bytes(job.agreement.0.as_slice())?;
        rows.bytes(job.did.0.as_slice())?;
        rows.bytes(job.consumer.as_slice())?;
        added.push(Recorded {
            job: JobId(id),
            key: job.key,
            is_new: true,
            collides: *collides,
        });
    }
    copy::insert(connection, STATEMENT, rows, "record jobs").await?;
    Ok(added)
}

/// Marks every new job but the oldest of those among them that have the same name.
fn mark_collisions(recorded: &mut [Recorded], new: &[NewJob]) {
    let names: HashMap<B256, &JobName> = new.iter().map(|job| (job.key, &job.name)).collect();
    let mut taken = HashSet::new();
    for row in recorded.iter_mut().filter(|row| row.is_new) {
        let is_first = names.get(&row.key).is_none_or(|name| taken.insert(*name));
        row.collides |= !is_first;
    }
}

/// The log that a job is anchored in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The log's id.
    pub log: i64,
    /// Its block.
    pub block: BlockRef,
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
        bigint(STATE, anchor.block.number)?,
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
        terms
            .owed_block
            .map(|number| bigint(STATE, number))
            .transpose()?,
        terms.provider.as_ref().map(|provider| provider.as_slice()),
        payment
    )
    .execute(connection)
    .await
    .attempt("note a job's terms")?;
    Ok(())
}
