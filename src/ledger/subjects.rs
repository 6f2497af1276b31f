//! What logs are about and say: `log_subjects`, `decoded_logs`. Derived from `logs`, so that making them again is nothing.
//! Written by: judge.

use alloy::primitives::B256;
use sqlx::PgConnection;

use super::{Attempt, Error};
use crate::ids::DeploymentId;
use crate::keeper::{DECODER, Described, Subject};

/// The words of `log_subjects.kind`.
pub const AGREEMENT: &str = "agreement";
/// The words of `log_subjects.kind`.
pub const CONDITION: &str = "condition";
/// The words of `log_subjects.kind`.
pub const DID: &str = "did";

/// A subject as its row has it.
const fn parts(subject: &Subject) -> (&'static str, &B256) {
    match subject {
        Subject::Agreement(agreement) => (AGREEMENT, &agreement.0),
        Subject::Condition(condition) => (CONDITION, &condition.0),
        Subject::Did(did) => (DID, &did.0),
    }
}

/// Records what logs are about. Known already: nothing.
///
/// # Errors
/// Database errors.
pub async fn record(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    subjects: &[(i64, Subject)],
) -> Result<(), Error> {
    let logs: Vec<i64> = subjects.iter().map(|(log, _)| *log).collect();
    let kinds: Vec<String> = subjects
        .iter()
        .map(|(_, subject)| parts(subject).0.to_owned())
        .collect();
    let keys: Vec<Vec<u8>> = subjects
        .iter()
        .map(|(_, subject)| parts(subject).1.to_vec())
        .collect();
    sqlx::query!(
        "INSERT INTO ledger.log_subjects (deployment_id, kind, subject, log_id)
         SELECT $1, kind, subject, log_id FROM unnest($2::text[], $3::bytea[], $4::bigint[]) AS given (kind, subject, log_id)
         ON CONFLICT DO NOTHING",
        deployment.0,
        &kinds,
        &keys,
        &logs
    )
    .execute(connection)
    .await
    .attempt("record what logs are about")?;
    Ok(())
}

/// Records what logs say, for people. A newer decoder's words replace an older one's.
///
/// # Errors
/// Database errors.
pub async fn describe(
    connection: &mut PgConnection,
    described: &[(i64, Described)],
) -> Result<(), Error> {
    let logs: Vec<i64> = described.iter().map(|(log, _)| *log).collect();
    let contracts: Vec<String> = described
        .iter()
        .map(|(_, said)| said.contract.to_owned())
        .collect();
    let names: Vec<String> = described
        .iter()
        .map(|(_, said)| said.name.clone())
        .collect();
    let arguments: Vec<serde_json::Value> = described
        .iter()
        .map(|(_, said)| said.arguments.clone())
        .collect();
    sqlx::query!(
        "INSERT INTO ledger.decoded_logs (log_id, decoder, contract, name, arguments)
         SELECT log_id, $1, contract, name, arguments
         FROM unnest($2::bigint[], $3::text[], $4::text[], $5::jsonb[]) AS given (log_id, contract, name, arguments)
         ON CONFLICT (log_id) DO UPDATE
         SET decoder = excluded.decoder, contract = excluded.contract, name = excluded.name, arguments = excluded.arguments
         WHERE decoded_logs.decoder < excluded.decoder",
        DECODER,
        &logs,
        &contracts,
        &names,
        &arguments
    )
    .execute(connection)
    .await
    .attempt("record what logs say")?;
    Ok(())
}

/// Gives condition logs the agreements that other logs of the same condition are known to be about, and answers those agreements:
/// an abort names only the condition. Rows are written in order, so that two judges do not wait for each other in a circle.
///
/// # Errors
/// Database errors.
pub async fn link_conditions(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    logs: &[i64],
) -> Result<Vec<B256>, Error> {
    let linked = sqlx::query_scalar!(
        r#"WITH found AS (
               SELECT DISTINCT a.subject AS agreement, c.log_id
               FROM ledger.log_subjects c
               JOIN ledger.log_subjects o ON o.deployment_id = c.deployment_id AND o.kind = 'condition' AND o.subject = c.subject
               JOIN ledger.log_subjects a ON a.log_id = o.log_id AND a.kind = 'agreement' AND a.deployment_id = c.deployment_id
               WHERE c.deployment_id = $1 AND c.kind = 'condition' AND c.log_id = ANY($2)
           ), written AS (
               INSERT INTO ledger.log_subjects (deployment_id, kind, subject, log_id)
               SELECT $1, 'agreement', agreement, log_id FROM found ORDER BY log_id, agreement ON CONFLICT DO NOTHING
           )
           SELECT DISTINCT agreement AS "agreement!: Vec<u8>" FROM found"#,
        deployment.0,
        logs
    )
    .fetch_all(connection)
    .await
    .attempt("link conditions to their agreements")?;
    linked
        .iter()
        .map(|agreement| {
            B256::try_from(agreement.as_slice()).map_err(Error::unreadable("log_subjects"))
        })
        .collect()
}
