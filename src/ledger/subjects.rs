//! What logs are about and say: `log_subjects`, `decoded_logs`. Derived from `logs`, so that making them again is nothing.
//! Written by: judge.

use alloy::primitives::B256;
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;

use super::column::hash;
use super::copy::{self, Copy, MANY};
use super::{Attempt, Error};
use crate::ids::{AgreementId, ConditionId, DeploymentId};
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
    if subjects.len() >= MANY && copy_subjects(connection, deployment, subjects).await? {
        return Ok(());
    }
    for kind in [AGREEMENT, CONDITION, DID] {
        let (logs, keys): (Vec<i64>, Vec<&[u8]>) = subjects
            .iter()
            .map(|(log, subject)| (log, parts(subject)))
            .filter(|(_, (its, _))| *its == kind)
            .map(|(log, (_, key))| (log, key.as_slice()))
            .unzip();
        if logs.is_empty() {
            continue;
        }
        sqlx::query!(
            "INSERT INTO ledger.log_subjects (deployment_id, kind, subject, log_id)
             SELECT $1, $2, subject, log_id FROM unnest($3::bytea[], $4::bigint[]) AS given (subject, log_id)
             ON CONFLICT DO NOTHING",
            deployment.0,
            kind,
            &keys as &[&[u8]],
            &logs
        )
        .execute(&mut *connection)
        .await
        .attempt("record what logs are about")?;
    }
    Ok(())
}

/// The fast way, when none of the rows is there; otherwise nothing, and false.
async fn copy_subjects(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    subjects: &[(i64, Subject)],
) -> Result<bool, Error> {
    const STATEMENT: &str = "COPY ledger.log_subjects (deployment_id, kind, subject, log_id) FROM STDIN (FORMAT binary)";
    let mut rows = Copy::new();
    for (log, subject) in subjects {
        let (kind, key) = parts(subject);
        rows.row(4)?;
        rows.bigint(deployment.0);
        rows.text(kind)?;
        rows.bytes(key.as_slice())?;
        rows.bigint(*log);
    }
    copy::insert_unless_there(connection, STATEMENT, rows, "record what logs are about").await
}

/// Records what logs say, for people. A newer decoder's words replace an older one's.
///
/// # Errors
/// Database errors.
pub async fn describe(
    connection: &mut PgConnection,
    described: &[(i64, Described)],
) -> Result<(), Error> {
    if described.len() >= MANY && copy_descriptions(connection, described).await? {
        return Ok(());
    }
    let logs: Vec<i64> = described.iter().map(|(log, _)| *log).collect();
    let contracts: Vec<&str> = described.iter().map(|(_, said)| said.contract).collect();
    let names: Vec<&str> = described
        .iter()
        .map(|(_, said)| said.name.as_str())
        .collect();
    let arguments: Vec<Json<&Value>> = described
        .iter()
        .map(|(_, said)| Json(&said.arguments))
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
        &contracts as &[&str],
        &names as &[&str],
        &arguments as &[Json<&Value>]
    )
    .execute(connection)
    .await
    .attempt("record what logs say")?;
    Ok(())
}

/// The fast way, when none of the rows is there; otherwise nothing, and false.
async fn copy_descriptions(
    connection: &mut PgConnection,
    described: &[(i64, Described)],
) -> Result<bool, Error> {
    const STATEMENT: &str = "COPY ledger.decoded_logs (log_id, decoder, contract, name, arguments) FROM STDIN (FORMAT binary)";
    let mut rows = Copy::new();
    for (log, said) in described {
        rows.row(5)?;
        rows.bigint(*log);
        rows.integer(DECODER);
        rows.text(said.contract)?;
        rows.text(&said.name)?;
        rows.jsonb(&said.arguments)?;
    }
    copy::insert_unless_there(connection, STATEMENT, rows, "record what logs say").await
}

/// Logs about the conditions that any of these logs is about.
///
/// # Errors
/// Database errors.
pub async fn list_of_same_conditions(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    logs: &[i64],
) -> Result<Vec<i64>, Error> {
    sqlx::query_scalar!(
        "SELECT DISTINCT o.log_id FROM ledger.log_subjects c
         JOIN ledger.log_subjects o ON o.deployment_id = c.deployment_id AND o.kind = 'condition' AND o.subject = c.subject
         WHERE c.deployment_id = $1 AND c.kind = 'condition' AND c.log_id = ANY($2)",
        deployment.0,
        logs
    )
    .fetch_all(connection)
    .await
    .attempt("find other logs of the same conditions")
}

/// The agreements that recorded logs of each of these conditions are known to be about; a condition without one is left out.
///
/// # Errors
/// Database errors, and [`Error::Unreadable`].
pub async fn list_agreements_of(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    conditions: &[ConditionId],
) -> Result<Vec<(ConditionId, AgreementId)>, Error> {
    if conditions.is_empty() {
        return Ok(Vec::new());
    }
    let conditions: Vec<&[u8]> = conditions.iter().map(|id| id.0.as_slice()).collect();
    // OFFSET 0 keeps them lookups: joined freely, a planner that knows the list's length reads the whole table.
    let rows = sqlx::query!(
        r#"SELECT DISTINCT c.subject AS "condition: Vec<u8>", a.subject AS "agreement: Vec<u8>"
           FROM (SELECT DISTINCT unnest($2::bytea[])) AS wanted (condition)
           CROSS JOIN LATERAL (SELECT f.log_id, f.subject FROM ledger.log_subjects f
                               WHERE f.subject = wanted.condition AND f.kind = 'condition' AND f.deployment_id = $1 OFFSET 0) c
           CROSS JOIN LATERAL (SELECT f.subject FROM ledger.log_subjects f
                               WHERE f.log_id = c.log_id AND f.kind = 'agreement' AND f.deployment_id = $1 OFFSET 0) a"#,
        deployment.0,
        &conditions as &[&[u8]]
    )
    .fetch_all(connection)
    .await
    .attempt("find the agreements of conditions")?;
    rows.iter()
        .map(|row| {
            let condition = hash("log_subjects", &row.condition)?;
            let agreement = hash("log_subjects", &row.agreement)?;
            Ok((ConditionId(condition), AgreementId(agreement)))
        })
        .collect()
}

/// Gives condition logs the agreements that other logs of the same condition are known to be about, and answers those agreements,
/// each with the log: an abort names only the condition. Rows are written in order, so that two judges do not wait for each other
/// in a circle.
///
/// # Errors
/// Database errors.
pub async fn link_conditions(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    logs: &[i64],
) -> Result<Vec<(AgreementId, i64)>, Error> {
    // Each lookup is by what the one before it found: a log's conditions, a condition's logs, their agreements. OFFSET 0 keeps them
    // lookups: joined freely, a planner that knows the list's length reads the whole table three times.
    let linked = sqlx::query!(
        r#"WITH found AS (
               SELECT DISTINCT a.subject AS agreement, c.log_id
               FROM unnest($2::bigint[]) AS wanted (log_id)
               CROSS JOIN LATERAL (SELECT f.log_id, f.subject FROM ledger.log_subjects f
                                   WHERE f.log_id = wanted.log_id AND f.kind = 'condition' AND f.deployment_id = $1 OFFSET 0) c
               CROSS JOIN LATERAL (SELECT f.log_id FROM ledger.log_subjects f
                                   WHERE f.subject = c.subject AND f.kind = 'condition' AND f.deployment_id = $1 OFFSET 0) o
               CROSS JOIN LATERAL (SELECT f.subject FROM ledger.log_subjects f
                                   WHERE f.log_id = o.log_id AND f.kind = 'agreement' AND f.deployment_id = $1 OFFSET 0) a
           ), written AS (
               INSERT INTO ledger.log_subjects (deployment_id, kind, subject, log_id)
               SELECT $1, 'agreement', agreement, log_id FROM found
               ORDER BY log_id, agreement ON CONFLICT DO NOTHING
           )
           SELECT agreement AS "agreement!: Vec<u8>", log_id FROM found"#,
        deployment.0,
        logs
    )
    .fetch_all(connection)
    .await
    .attempt("link conditions to their agreements")?;
    linked
        .iter()
        .map(|row| {
            let agreement = B256::try_from(row.agreement.as_slice())
                .map_err(Error::unreadable("log_subjects"))?;
            Ok((AgreementId(agreement), row.log_id))
        })
        .collect()
}
