use alloy::primitives::B256;
use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::hash;
use crate::ids::{DeploymentId, JobId, JobName};
use crate::ledger::{Attempt, Error};

/// A recorded change of a job's status, in the words it was hashed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransitionRow {
    /// 1 for the job's first, then without gaps.
    pub number: i32,
    /// What it became.
    pub phase: String,
    /// How it ended.
    pub outcome: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// The attempt it speaks of.
    pub attempt: i32,
    /// When, in whole microseconds.
    pub at: DateTime<Utc>,
    /// Hash of the one before.
    pub previous_hash: B256,
    /// Its own hash.
    pub hash: B256,
    /// Who recorded it.
    pub worker: String,
}

/// At most `limit` transitions of a job after number `after`, in order.
///
/// # Errors
/// Database errors.
pub async fn list(
    connection: &mut PgConnection,
    job: JobId,
    after: i32,
    limit: u32,
) -> Result<Vec<TransitionRow>, Error> {
    let rows = sqlx::query!(
        r#"SELECT number, phase, outcome, reason, attempt, at, previous_hash AS "previous_hash: Vec<u8>", hash AS "hash: Vec<u8>",
                  worker
           FROM ledger.transitions WHERE job_id = $1 AND number > $2 ORDER BY number LIMIT $3"#,
        job.0,
        after,
        i64::from(limit)
    )
    .fetch_all(connection)
    .await
    .attempt("list a job's transitions")?;
    rows.into_iter()
        .map(|row| {
            Ok(TransitionRow {
                number: row.number,
                phase: row.phase,
                outcome: row.outcome,
                reason: row.reason,
                attempt: row.attempt,
                at: row.at,
                previous_hash: hash("transitions", &row.previous_hash)?,
                hash: hash("transitions", &row.hash)?,
                worker: row.worker,
            })
        })
        .collect()
}

/// A place in the stream of all transitions: the writing transaction's id, then the row's number. Sequence numbers alone commit out
/// of order, and whoever went by them would miss rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamPlace {
    /// 64-bit id of the transaction that wrote the row.
    pub transaction: i64,
    /// The row's sequence number.
    pub sequence: i64,
}

impl StreamPlace {
    /// Before the first row.
    pub const START: Self = Self {
        transaction: 0,
        sequence: 0,
    };
}

/// A transition in the stream of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamedTransition {
    /// Where the stream goes on behind it.
    pub place: StreamPlace,
    /// Whose it is.
    pub deployment: DeploymentId,
    /// The job's row.
    pub job: JobId,
    /// The job's public id.
    pub name: JobName,
    /// What was recorded.
    pub transition: TransitionRow,
}

/// At most `limit` transitions behind `after`, of one deployment or of all, in the order of the stream. Only rows of transactions
/// that began before every one that still runs: what is written later stands behind them, so nobody who goes on from the last place
/// misses a row or sees one twice.
///
/// # Errors
/// Database errors.
pub async fn list_streamed(
    connection: &mut PgConnection,
    deployment: Option<DeploymentId>,
    after: StreamPlace,
    limit: u32,
) -> Result<Vec<StreamedTransition>, Error> {
    let rows = sqlx::query_file!(
        "src/ledger/reader/streamed.sql",
        deployment.map(|deployment| deployment.0),
        after.transaction,
        after.sequence,
        i64::from(limit)
    )
    .fetch_all(connection)
    .await
    .attempt("list the transitions of all jobs")?;
    let table = "transitions";
    rows.into_iter()
        .map(|row| {
            let transaction = row.transaction.parse();
            Ok(StreamedTransition {
                place: StreamPlace {
                    transaction: transaction.map_err(Error::unreadable(table))?,
                    sequence: row.sequence,
                },
                deployment: DeploymentId(row.deployment_id),
                job: JobId(row.job_id),
                name: row.name.parse().map_err(Error::unreadable("jobs"))?,
                transition: TransitionRow {
                    number: row.number,
                    phase: row.phase,
                    outcome: row.outcome,
                    reason: row.reason,
                    attempt: row.attempt,
                    at: row.at,
                    previous_hash: hash(table, &row.previous_hash)?,
                    hash: hash(table, &row.hash)?,
                    worker: row.worker,
                },
            })
        })
        .collect()
}

/// The place before everything that may still be written: where a stream of what comes begins.
///
/// # Errors
/// Database errors.
pub async fn stream_end(connection: &mut PgConnection) -> Result<StreamPlace, Error> {
    let oldest =
        sqlx::query_scalar!(r#"SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS "oldest!""#)
            .fetch_one(connection)
            .await
            .attempt("find the end of the stream of transitions")?;
    Ok(StreamPlace {
        transaction: oldest.parse().map_err(Error::unreadable("transitions"))?,
        sequence: 0,
    })
}
