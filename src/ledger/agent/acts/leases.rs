//! Leases on acts: the right to work on one.

use std::time::Duration;

use sqlx::PgConnection;

use super::{Act, DoneBy, Kind, State, TABLE};
use crate::ids::{AgreementId, DeploymentId, JobId, LeaseToken};
use crate::ledger::column::{block, count, hash};
use crate::ledger::{Attempt, Error, Transaction};

/// Longest wait before an act whose steps fail is looked at again.
const LONGEST_DELAY_SECONDS: f64 = 60.0;

/// Somebody else works on the act by now.
pub(super) const LOST: Error = Error::Conflict {
    what: "the lease on an act of the agent",
};

/// Takes leases of `duration` on acts of these kinds that are due and that nobody works on, at most `limit`. With `only_sent`
/// those for which nothing was signed are left out.
///
/// # Errors
/// Database errors, and [`Error::Unreadable`].
pub async fn take_due(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    kinds: &[Kind],
    only_sent: bool,
    (limit, duration): (i64, Duration),
) -> Result<Vec<Act>, Error> {
    let kinds: Vec<String> = kinds.iter().map(|kind| kind.as_str().to_owned()).collect();
    let rows = sqlx::query!(
        r#"UPDATE ledger.agent_acts SET lease_token = gen_random_uuid(),
                  lease_until = clock_timestamp() + make_interval(secs => $5)
           WHERE id IN (SELECT id FROM ledger.agent_acts
                        WHERE deployment_id = $1 AND act = ANY($2) AND not_before <= clock_timestamp()
                          AND state IN ('waiting', 'sent', 'mined') AND NOT ($3 AND state = 'waiting')
                          AND (lease_until IS NULL OR lease_until <= clock_timestamp())
                        ORDER BY not_before LIMIT $4 FOR UPDATE SKIP LOCKED)
           RETURNING id, act, agreement_id AS "agreement_id: Vec<u8>", job_id, state, reason, done_by, until_block,
                     transaction_hash AS "transaction_hash: Vec<u8>", block_number, block_hash AS "block_hash: Vec<u8>",
                     lease_token AS "token!""#,
        deployment.0,
        &kinds,
        only_sent,
        limit,
        duration.as_secs_f64()
    )
    .fetch_all(connection)
    .await
    .attempt("take acts of the agent that are due")?;
    let unknown = || Error::unreadable(TABLE)("a word that this version does not know");
    rows.into_iter()
        .map(|row| {
            let kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == row.act);
            let state = State::ALL
                .into_iter()
                .find(|state| state.as_str() == row.state);
            let ours = row
                .transaction_hash
                .zip(row.block_number)
                .zip(row.block_hash);
            let done_by = match (row.done_by.as_deref(), ours) {
                (None, _) => None,
                (Some("agent"), Some(((transaction, number), block_hash))) => Some(DoneBy::Agent {
                    transaction: hash(TABLE, &transaction)?,
                    block: block(TABLE, number, &block_hash)?,
                }),
                _ => Some(DoneBy::Other),
            };
            Ok(Act {
                id: row.id,
                kind: kind.ok_or_else(unknown)?,
                agreement: AgreementId(hash(TABLE, &row.agreement_id)?),
                job: row.job_id.map(JobId),
                state: state.ok_or_else(unknown)?,
                reason: row.reason,
                done_by,
                until_block: row
                    .until_block
                    .map(|number| count(TABLE, number))
                    .transpose()?,
                token: LeaseToken(row.token),
            })
        })
        .collect()
}

/// Makes sure, with the row locked until the transaction ends, that the lease is still held.
///
/// # Errors
/// [`Error::Conflict`] when it is lost; database errors.
pub async fn confirm(transaction: &mut Transaction, act: &Act) -> Result<(), Error> {
    let row = sqlx::query!(
        "SELECT id FROM ledger.agent_acts WHERE id = $1 AND lease_token = $2 FOR UPDATE",
        act.id,
        act.token.0
    )
    .fetch_optional(&mut **transaction)
    .await
    .attempt("confirm the lease on an act of the agent")?;
    row.map(|_| ()).ok_or(LOST)
}

/// Gives the lease back. One that is lost already is no error: somebody else works on the act.
///
/// # Errors
/// Database errors.
pub async fn release(connection: &mut PgConnection, act: &Act) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE ledger.agent_acts SET lease_token = NULL, lease_until = NULL WHERE id = $1 AND lease_token = $2",
        act.id,
        act.token.0
    )
    .execute(connection)
    .await
    .attempt("give back the lease on an act of the agent")?;
    Ok(())
}

/// Gives the lease back after a step that failed. The act is not looked at before a delay that doubles from one second to a
/// minute.
///
/// # Errors
/// Database errors.
pub async fn fail(connection: &mut PgConnection, act: &Act) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE ledger.agent_acts SET lease_token = NULL, lease_until = NULL, failures = failures + 1,
             not_before = clock_timestamp() + make_interval(secs => least(power(2, least(failures, 10)), $3))
         WHERE id = $1 AND lease_token = $2",
        act.id,
        act.token.0,
        LONGEST_DELAY_SECONDS
    )
    .execute(connection)
    .await
    .attempt("count a failed step of the agent")?;
    Ok(())
}
