use alloy::primitives::B256;
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;

use super::{hash, unsigned};
use crate::ids::{AgreementId, DeploymentId};
use crate::ledger::{Attempt, Error};

/// A recorded event as people are told of it.
#[derive(Clone, Debug, PartialEq)]
pub struct ToldEvent {
    /// Height of its block.
    pub block: u64,
    /// The transaction that made it.
    pub transaction: B256,
    /// Its place in the block.
    pub log_index: u64,
    /// The contract's name.
    pub contract: String,
    /// The event's name.
    pub name: String,
    /// Its arguments; text is made safe.
    pub arguments: Value,
    /// Whether it is on the chain.
    pub canonical: bool,
    /// Its block's own timestamp, if the block is known.
    pub made_at: Option<DateTime<Utc>>,
    /// How it was made sure that the block's logs are complete, if the block is known: `root`, `bloom`, `two_reads`, `single_read`.
    pub proof: Option<String>,
}

/// Everything recorded about an agreement, in the order of the chain; orphaned events stand among them.
///
/// # Errors
/// Database errors, or rows that this version cannot read.
pub async fn list_about(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    agreement: AgreementId,
) -> Result<Vec<ToldEvent>, Error> {
    let rows = sqlx::query!(
        r#"SELECT l.block_number, l.transaction_hash AS "transaction_hash: Vec<u8>", l.log_index, l.canonical, e.contract, e.name,
                  e.arguments, b.made_at AS "made_at?", b.proof AS "proof?"
           FROM ledger.log_subjects s JOIN ledger.logs l ON l.id = s.log_id JOIN ledger.decoded_logs e ON e.log_id = l.id
           LEFT JOIN ledger.blocks b ON b.deployment_id = l.deployment_id AND b.hash = l.block_hash
           WHERE s.deployment_id = $1 AND s.kind = 'agreement' AND s.subject = $2
           ORDER BY l.block_number, l.log_index"#,
        deployment.0,
        agreement.0.as_slice()
    )
    .fetch_all(connection)
    .await
    .attempt("list what is recorded about an agreement")?;
    rows.into_iter()
        .map(|row| {
            Ok(ToldEvent {
                block: unsigned("logs", row.block_number)?,
                transaction: hash("logs", &row.transaction_hash)?,
                log_index: unsigned("logs", row.log_index)?,
                contract: row.contract,
                name: row.name,
                arguments: row.arguments,
                canonical: row.canonical,
                made_at: row.made_at,
                proof: row.proof,
            })
        })
        .collect()
}

/// The agreements that the logs of a transaction are about, a job's evidence included.
///
/// # Errors
/// Database errors, or rows that this version cannot read.
pub async fn agreements_of(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    transaction: B256,
) -> Result<Vec<AgreementId>, Error> {
    let rows = sqlx::query_scalar!(
        r#"SELECT m.subject AS "agreement!: Vec<u8>" FROM ledger.logs t
           JOIN ledger.log_subjects m ON m.log_id = t.id AND m.kind = 'agreement'
           WHERE t.deployment_id = $1 AND t.transaction_hash = $2::bytea
           UNION
           SELECT j.agreement_id FROM ledger.logs t JOIN ledger.job_evidence e ON e.log_id = t.id JOIN ledger.jobs j ON j.id = e.job_id
           WHERE t.deployment_id = $1 AND t.transaction_hash = $2::bytea
           UNION
           SELECT agreement_id FROM tidewatch.agent_transactions WHERE deployment = $1 AND transaction_hash = $2::bytea"#,
        deployment.0,
        transaction.as_slice()
    )
    .fetch_all(connection)
    .await
    .attempt("find the agreements of a transaction")?;
    rows.iter()
        .map(|bytes| hash("log_subjects", bytes).map(AgreementId))
        .collect()
}

/// How many logs of followed contracts a transaction made, and in which block, as far as recorded.
///
/// # Errors
/// Database errors, or rows that this version cannot read.
pub async fn logs_of(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    transaction: B256,
) -> Result<Vec<(u64, bool)>, Error> {
    let rows = sqlx::query!(
        "SELECT block_number, canonical FROM ledger.logs WHERE deployment_id = $1 AND transaction_hash = $2 ORDER BY id",
        deployment.0,
        transaction.as_slice()
    )
    .fetch_all(connection)
    .await
    .attempt("find the logs of a transaction")?;
    rows.into_iter()
        .map(|row| Ok((unsigned("logs", row.block_number)?, row.canonical)))
        .collect()
}
