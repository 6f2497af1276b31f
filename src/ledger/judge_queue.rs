//! Agreements to be judged again: `judge_queue`. Written by: follower (on a rollback), judge.

use std::time::Duration;

use alloy::primitives::B256;
use sqlx::PgConnection;

use super::{Attempt, Error};
use crate::ids::{AgreementId, DeploymentId};

/// When an agreement is to be judged again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// After some time, by the database's clock.
    After(Duration),
    /// Once this block is irreversible and judged.
    Block(u64),
}

/// Agreements that are due when everything up to block `settled` is irreversible and judged, longest due first.
///
/// # Errors
/// Database errors, and [`Error::Unreadable`].
pub async fn list_due(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    settled: Option<u64>,
    limit: i64,
) -> Result<Vec<AgreementId>, Error> {
    let settled = settled.map_or(-1, |number| i64::try_from(number).unwrap_or(i64::MAX));
    let rows = sqlx::query_scalar!(
        r#"SELECT agreement_id AS "agreement: Vec<u8>" FROM ledger.judge_queue
           WHERE deployment_id = $1 AND due_at <= clock_timestamp() AND (due_block IS NULL OR due_block <= $2)
           ORDER BY due_at LIMIT $3"#,
        deployment.0,
        settled,
        limit
    )
    .fetch_all(connection)
    .await
    .attempt("find agreements to judge again")?;
    rows.iter()
        .map(|agreement| {
            B256::try_from(agreement.as_slice())
                .map(AgreementId)
                .map_err(Error::unreadable("judge_queue"))
        })
        .collect()
}

/// Replaces what is queued for agreements that were just judged: each with when it is to be judged again and why, or with nothing.
///
/// Call it only under the judged cursor's lock: a rollback's entry that came after the judge looked would be lost otherwise.
///
/// # Errors
/// Database errors.
pub async fn replace(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    judged: &[(AgreementId, Option<(Due, &'static str)>)],
) -> Result<(), Error> {
    let agreements: Vec<&[u8]> = judged.iter().map(|(id, _)| id.0.as_slice()).collect();
    sqlx::query!(
        "DELETE FROM ledger.judge_queue WHERE deployment_id = $1 AND agreement_id = ANY($2::bytea[])",
        deployment.0,
        &agreements as &[&[u8]]
    )
    .execute(&mut *connection)
    .await
    .attempt("take agreements off the judge's queue")?;
    let again = judged.iter().filter_map(|(id, due)| Some((id, (*due)?)));
    let mut agreements = Vec::new();
    let (mut delays, mut blocks, mut causes) = (Vec::new(), Vec::new(), Vec::new());
    for (id, (due, cause)) in again {
        let (seconds, block) = match due {
            Due::After(delay) => (delay.as_secs_f64(), None),
            Due::Block(number) => (0.0, Some(i64::try_from(number).unwrap_or(i64::MAX))),
        };
        agreements.push(id.0.as_slice());
        delays.push(seconds);
        blocks.push(block);
        causes.push(cause);
    }
    if agreements.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO ledger.judge_queue (deployment_id, agreement_id, due_at, due_block, cause)
         SELECT $1, agreement, clock_timestamp() + make_interval(secs => delay), block, cause
         FROM unnest($2::bytea[], $3::float8[], $4::bigint[], $5::text[]) AS given (agreement, delay, block, cause)
         ON CONFLICT (deployment_id, agreement_id) DO UPDATE
         SET due_at = excluded.due_at, due_block = excluded.due_block, cause = excluded.cause",
        deployment.0,
        &agreements as &[&[u8]],
        &delays,
        &blocks as &[Option<i64>],
        &causes as &[&str]
    )
    .execute(connection)
    .await
    .attempt("queue agreements to be judged again")?;
    Ok(())
}
