//! What the judge reads of the follower's tables, and the judged cursor: `cursors.judged_*`. Written by: judge.

use std::ops::RangeInclusive;

use alloy::primitives::{Address, B256, Bytes};
use sqlx::PgConnection;

use super::{Attempt, Error, Transaction};
use crate::chain::RawLog;
use crate::ids::{BlockRef, DeploymentId};

/// How far a deployment is recorded and judged, and by which rules it acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Horizons {
    /// Grows with every rollback.
    pub epoch: i64,
    /// Up to it every log is recorded.
    pub recorded: BlockRef,
    /// Up to it every consequence is drawn.
    pub judged: BlockRef,
    /// Up to it nothing rolls back, once known.
    pub irreversible: Option<u64>,
    /// First followed block.
    pub start: u64,
    /// Jobs owed before it start nothing, once known.
    pub act_from: Option<u64>,
    /// Version of the decoder that is in force; an older one's judge stands still.
    pub decoder: i32,
}

/// A recorded log with its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// The ledger's id of it.
    pub id: i64,
    /// The log as it was recorded.
    pub log: RawLog,
}

/// The horizons of a deployment; `None` before its first block was followed.
///
/// # Errors
/// Database errors, and [`Error::Unreadable`].
pub async fn find_horizons(
    connection: &mut PgConnection,
    deployment: DeploymentId,
) -> Result<Option<Horizons>, Error> {
    let row = sqlx::query!(
        r#"SELECT c.epoch, c.recorded_number, c.recorded_hash AS "recorded_hash: Vec<u8>", c.judged_number,
                  c.judged_hash AS "judged_hash: Vec<u8>", c.irreversible_number, d.start_block, d.act_from_block,
                  c.decoder
           FROM ledger.cursors c JOIN ledger.deployments d ON d.id = c.deployment_id WHERE c.deployment_id = $1"#,
        deployment.0
    )
    .fetch_optional(connection)
    .await
    .attempt("read the horizons")?;
    let Some(row) = row else { return Ok(None) };
    let optional = |number: Option<i64>| number.map(height).transpose();
    Ok(Some(Horizons {
        epoch: row.epoch,
        recorded: block(row.recorded_number, &row.recorded_hash)?,
        judged: block(row.judged_number, &row.judged_hash)?,
        irreversible: optional(row.irreversible_number)?,
        start: height(row.start_block)?,
        act_from: optional(row.act_from_block)?,
        decoder: row.decoder,
    }))
}

/// Moves the judged cursor from where `seen` has it to `to`, or only locks it when they are the same. False when somebody else
/// moved it, or a rollback came in between: whatever was concluded from `seen` is void then.
///
/// # Errors
/// Database errors.
pub async fn advance(
    transaction: &mut Transaction,
    deployment: DeploymentId,
    seen: &Horizons,
    to: BlockRef,
) -> Result<bool, Error> {
    let (from, number) = (signed(seen.judged.number)?, signed(to.number)?);
    let moved = sqlx::query!(
        "UPDATE ledger.cursors SET judged_number = $5, judged_hash = $6, updated_at = clock_timestamp()
         WHERE deployment_id = $1 AND epoch = $2 AND judged_number = $3 AND judged_hash = $4 AND recorded_number >= $5",
        deployment.0,
        seen.epoch,
        from,
        seen.judged.hash.as_slice(),
        number,
        to.hash.as_slice()
    )
    .execute(&mut **transaction)
    .await
    .attempt("move the judged cursor")?;
    Ok(moved.rows_affected() == 1)
}

/// Canonical logs of the blocks after `after` up to `up_to`, in order, at most `limit`.
///
/// # Errors
/// Database errors, and [`Error::Unreadable`].
pub async fn list_recorded(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    after: u64,
    up_to: u64,
    limit: i64,
) -> Result<Vec<Logged>, Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT id, block_number, block_hash AS "block_hash: Vec<u8>", log_index, transaction_hash AS "transaction_hash: Vec<u8>",
                  transaction_index, address AS "address: Vec<u8>", topics, data
           FROM ledger.logs
           WHERE deployment_id = $1 AND canonical AND block_number > $2 AND block_number <= $3
           ORDER BY block_number, log_index LIMIT $4"#,
        deployment.0,
        signed(after)?,
        signed(up_to)?,
        limit
    )
    .fetch_all(connection)
    .await
    .attempt("read recorded logs")?;
    rows.into_iter().map(Row::read).collect()
}

/// Canonical logs about any of the subjects up to a block, in order, each with the subject that it is about. `kind` is a word of
/// `log_subjects`.
///
/// # Errors
/// Database errors, and [`Error::Unreadable`].
pub async fn list_about(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    kind: &'static str,
    subjects: &[B256],
    up_to: u64,
) -> Result<Vec<(B256, Logged)>, Error> {
    let about = (kind, subjects);
    list_about_others(connection, deployment, about, up_to, &NO_LOGS).await
}

/// A range of ids that holds none.
pub const NO_LOGS: RangeInclusive<i64> = RangeInclusive::new(1, 0);

/// The same but for logs whose ids are among `known`: whoever has these in memory spares looking them up.
///
/// # Errors
/// Database errors, and [`Error::Unreadable`].
pub async fn list_about_others(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    (kind, subjects): (&'static str, &[B256]),
    up_to: u64,
    known: &RangeInclusive<i64>,
) -> Result<Vec<(B256, Logged)>, Error> {
    let subjects: Vec<&[u8]> = subjects.iter().map(B256::as_slice).collect();
    // OFFSET 0 keeps each lookup apart from the list that drives it: joined freely, a planner that knows the list's length reads
    // the whole tables instead of looking up each.
    let rows = sqlx::query!(
        r#"SELECT s.subject AS "subject: Vec<u8>", l.id, l.block_number, l.block_hash AS "block_hash: Vec<u8>", l.log_index,
                  l.transaction_hash AS "transaction_hash: Vec<u8>", l.transaction_index, l.address AS "address: Vec<u8>",
                  l.topics, l.data
           FROM (SELECT DISTINCT unnest($3::bytea[])) AS wanted (subject)
           CROSS JOIN LATERAL (SELECT f.subject, f.log_id FROM ledger.log_subjects f
                               WHERE f.subject = wanted.subject AND f.deployment_id = $1 AND f.kind = $2
                                     AND f.log_id NOT BETWEEN $5 AND $6 OFFSET 0) s
           CROSS JOIN LATERAL (SELECT * FROM ledger.logs f
                               WHERE f.id = s.log_id AND f.canonical AND f.block_number <= $4 OFFSET 0) l
           ORDER BY l.block_number, l.log_index"#,
        deployment.0,
        kind,
        &subjects as &[&[u8]],
        signed(up_to)?,
        *known.start(),
        *known.end()
    )
    .fetch_all(connection)
    .await
    .attempt("read the logs about subjects")?;
    rows.into_iter()
        .map(|row| {
            let logged = Row {
                id: row.id,
                block_number: row.block_number,
                block_hash: row.block_hash,
                log_index: row.log_index,
                transaction_hash: row.transaction_hash,
                transaction_index: row.transaction_index,
                address: row.address,
                topics: row.topics,
                data: row.data,
            };
            Ok((hash(&row.subject)?, logged.read()?))
        })
        .collect()
}

struct Row {
    id: i64,
    block_number: i64,
    block_hash: Vec<u8>,
    log_index: i64,
    transaction_hash: Vec<u8>,
    transaction_index: i64,
    address: Vec<u8>,
    topics: Vec<Vec<u8>>,
    data: Vec<u8>,
}

impl Row {
    fn read(self) -> Result<Logged, Error> {
        let topics = self.topics.iter().map(|topic| hash(topic));
        Ok(Logged {
            id: self.id,
            log: RawLog {
                block: block(self.block_number, &self.block_hash)?,
                transaction_hash: hash(&self.transaction_hash)?,
                transaction_index: height(self.transaction_index)?,
                log_index: height(self.log_index)?,
                address: Address::try_from(self.address.as_slice())
                    .map_err(Error::unreadable("logs"))?,
                topics: topics.collect::<Result<_, _>>()?,
                data: Bytes::from(self.data),
            },
        })
    }
}

fn block(number: i64, digest: &[u8]) -> Result<BlockRef, Error> {
    Ok(BlockRef {
        number: height(number)?,
        hash: hash(digest)?,
    })
}

fn hash(bytes: &[u8]) -> Result<B256, Error> {
    B256::try_from(bytes).map_err(Error::unreadable("logs"))
}

fn height(number: i64) -> Result<u64, Error> {
    u64::try_from(number).map_err(Error::unreadable("cursors"))
}

fn signed(number: u64) -> Result<i64, Error> {
    i64::try_from(number).map_err(Error::unreadable("cursors"))
}
