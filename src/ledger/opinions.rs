//! What contracts answered beside what their events say: `second_opinions`. Append-only. Written by: judge.

use alloy::primitives::B256;
use sqlx::PgConnection;

use super::{Attempt, Error};
use crate::ids::{BlockRef, ConditionId, DeploymentId, JobName};

/// Which opinion: on what, on which block's state, and the how-manieth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpinionKey {
    /// The compute condition.
    pub condition: ConditionId,
    /// The block whose state is asked.
    pub block: BlockRef,
    /// 1 for the first; each replay of the parked job asks once more.
    pub number: i32,
}

/// The number of the opinion that counts now: one more than the job was replayed after it had been parked.
///
/// # Errors
/// Database errors.
pub async fn next_number(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    job: &JobName,
) -> Result<i32, Error> {
    sqlx::query_scalar!(
        r#"SELECT (count(*) + 1)::integer AS "number!" FROM ledger.parked
           WHERE deployment_id = $1 AND kind = 'job' AND key = $2 AND replayed_at IS NOT NULL"#,
        deployment.0,
        job.as_str()
    )
    .fetch_one(connection)
    .await
    .attempt("count a job's replays")
}

/// The opinions on any of these conditions, each condition's and block's last one last.
///
/// # Errors
/// Database errors, and [`Error::Unreadable`].
pub async fn list(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    conditions: &[ConditionId],
) -> Result<Vec<(OpinionKey, serde_json::Value)>, Error> {
    let conditions: Vec<Vec<u8>> = conditions.iter().map(|its| its.0.to_vec()).collect();
    let rows = sqlx::query!(
        r#"SELECT condition_id AS "condition: Vec<u8>", block_hash AS "hash: Vec<u8>", number, block_number, answers
           FROM ledger.second_opinions WHERE deployment_id = $1 AND condition_id = ANY($2::bytea[]) ORDER BY number"#,
        deployment.0,
        &conditions
    )
    .fetch_all(connection)
    .await
    .attempt("read second opinions")?;
    rows.into_iter()
        .map(|row| {
            let key = OpinionKey {
                condition: ConditionId(hash(&row.condition)?),
                block: BlockRef {
                    number: u64::try_from(row.block_number)
                        .map_err(Error::unreadable("second_opinions"))?,
                    hash: hash(&row.hash)?,
                },
                number: row.number,
            };
            Ok((key, row.answers))
        })
        .collect()
}

fn hash(bytes: &[u8]) -> Result<B256, Error> {
    B256::try_from(bytes).map_err(Error::unreadable("second_opinions"))
}

/// Records an opinion. Known already: nothing, and the first one stays.
///
/// # Errors
/// Database errors.
pub async fn record(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    key: &OpinionKey,
    answers: &serde_json::Value,
) -> Result<(), Error> {
    let number = i64::try_from(key.block.number).map_err(Error::unreadable("second_opinions"))?;
    sqlx::query!(
        "INSERT INTO ledger.second_opinions (deployment_id, condition_id, block_hash, number, block_number, answers)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        deployment.0,
        key.condition.0.as_slice(),
        key.block.hash.as_slice(),
        key.number,
        number,
        answers
    )
    .execute(connection)
    .await
    .attempt("record a second opinion")?;
    Ok(())
}
