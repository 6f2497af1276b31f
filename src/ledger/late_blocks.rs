//! Blocks whose logs the judge has to take in once more: `late_blocks`. Written by: verifier, judge, operator commands; emptied
//! by: judge.

use sqlx::PgConnection;

use super::column::{bigint, count};
use super::{Attempt, Error, Transaction};
use crate::ids::DeploymentId;

const TABLE: &str = "late_blocks";

/// Why a block is late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Its logs were mended.
    Repaired,
    /// An operator replays one of its logs.
    Replayed,
}

impl Cause {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Repaired => "repaired",
            Self::Replayed => "replayed",
        }
    }
}

/// Queues a block. Queued already: nothing.
///
/// # Errors
/// Database errors.
pub async fn queue(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    number: u64,
    cause: Cause,
) -> Result<(), Error> {
    sqlx::query!(
        "INSERT INTO ledger.late_blocks (deployment_id, block_number, cause) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        deployment.0,
        bigint(TABLE, number)?,
        cause.as_str()
    )
    .execute(connection)
    .await
    .attempt("queue a block to be judged late")?;
    Ok(())
}

/// The lowest queued blocks up to `judged`: those above are judged in their turn, once the cursor comes there.
///
/// # Errors
/// Database errors; [`Error::Unreadable`].
pub async fn list(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    judged: u64,
    limit: i64,
) -> Result<Vec<u64>, Error> {
    let numbers = sqlx::query_scalar!(
        "SELECT block_number FROM ledger.late_blocks WHERE deployment_id = $1 AND block_number <= $2
         ORDER BY block_number LIMIT $3",
        deployment.0,
        bigint(TABLE, judged)?,
        limit
    )
    .fetch_all(connection)
    .await
    .attempt("find blocks to be judged late")?;
    numbers
        .into_iter()
        .map(|number| count(TABLE, number))
        .collect()
}

/// Takes blocks off the queue, in the transaction that judged them.
///
/// # Errors
/// Database errors.
pub async fn remove(
    transaction: &mut Transaction,
    deployment: DeploymentId,
    numbers: &[u64],
) -> Result<(), Error> {
    let mut columns = Vec::with_capacity(numbers.len());
    for number in numbers {
        columns.push(bigint(TABLE, *number)?);
    }
    sqlx::query!(
        "DELETE FROM ledger.late_blocks WHERE deployment_id = $1 AND block_number = ANY($2)",
        deployment.0,
        &columns
    )
    .execute(&mut **transaction)
    .await
    .attempt("take blocks off the queue of late ones")?;
    Ok(())
}

/// Queues every judged block that holds a log which an older decoder read, or none, and notes that `decoder` is in force. Answers
/// how many blocks were queued; nothing when it is in force already.
///
/// # Errors
/// Database errors.
pub async fn queue_for_decoder(
    transaction: &mut Transaction,
    deployment: DeploymentId,
    decoder: i32,
) -> Result<u64, Error> {
    let begun = sqlx::query!(
        "UPDATE ledger.cursors SET decoder = $2 WHERE deployment_id = $1 AND decoder < $2",
        deployment.0,
        decoder
    )
    .execute(&mut **transaction)
    .await
    .attempt("note which decoder is in force")?;
    if begun.rows_affected() == 0 {
        return Ok(0);
    }
    let queued = sqlx::query!(
        "INSERT INTO ledger.late_blocks (deployment_id, block_number, cause)
         SELECT DISTINCT l.deployment_id, l.block_number, 'decoder'
         FROM ledger.logs l JOIN ledger.cursors c ON c.deployment_id = l.deployment_id
         LEFT JOIN ledger.decoded_logs d ON d.log_id = l.id
         WHERE l.deployment_id = $1 AND l.block_number <= c.judged_number AND coalesce(d.decoder, 0) < $2
         ON CONFLICT DO NOTHING",
        deployment.0,
        decoder
    )
    .execute(&mut **transaction)
    .await
    .attempt("queue the blocks that an older decoder read")?;
    Ok(queued.rows_affected())
}
