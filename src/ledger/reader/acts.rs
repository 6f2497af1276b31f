use alloy::primitives::B256;
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;

use super::{evidence, hash, unsigned};
use crate::ids::{AgreementId, DeploymentId};
use crate::ledger::{Attempt, Error};

/// An act of the publisher's agent about an agreement.
#[derive(Clone, Debug, PartialEq)]
pub struct ActRow {
    /// `approve` or `release`.
    pub act: String,
    /// `waiting`, `sent`, `mined`, `done`, `declined` or `failed`.
    pub state: String,
    /// Why, as a code.
    pub reason: Option<String>,
    /// The same as sentences.
    pub detail: Option<String>,
    /// The judgement rule by rule, with the place on the chain of what decided it.
    pub rules: Value,
    /// How the consumer is refunded.
    pub refund: Option<Value>,
    /// Last block in which it can be done; `None` never ends, or is not judged.
    pub until_block: Option<u64>,
    /// `agent` or `other`.
    pub done_by: Option<String>,
    /// Our transaction that did it.
    pub transaction: Option<B256>,
    /// Height of its block.
    pub block: Option<u64>,
    /// When state or reason changed last.
    pub changed_at: DateTime<Utc>,
}

/// The agent's acts about an agreement, oldest first.
///
/// # Errors
/// Database errors, or rows that this version cannot read.
pub async fn list(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    agreement: AgreementId,
) -> Result<Vec<ActRow>, Error> {
    let rows = sqlx::query!(
        r#"SELECT act AS "act!", state AS "state!", reason, detail, rules AS "rules!", refund, until_block, done_by,
                  transaction_hash AS "transaction_hash: Vec<u8>", block_number, changed_at AS "changed_at!"
           FROM tidewatch.agent_acts WHERE deployment = $1 AND agreement_id = $2 ORDER BY created_at, act"#,
        deployment.0,
        agreement.0.as_slice()
    )
    .fetch_all(&mut *connection)
    .await
    .attempt("list the agent's acts about an agreement")?;
    let table = "agent_acts";
    let mut acts = rows
        .into_iter()
        .map(|row| {
            let block = |number: Option<i64>| number.map(|number| unsigned(table, number));
            Ok(ActRow {
                act: row.act,
                state: row.state,
                reason: row.reason,
                detail: row.detail,
                rules: row.rules,
                refund: row.refund,
                until_block: block(row.until_block).transpose()?,
                done_by: row.done_by,
                transaction: row
                    .transaction_hash
                    .as_deref()
                    .map(|bytes| hash(table, bytes))
                    .transpose()?,
                block: block(row.block_number).transpose()?,
                changed_at: row.changed_at,
            })
        })
        .collect::<Result<Vec<_>, Error>>()?;
    for act in &mut acts {
        evidence::locate(connection, &mut act.rules).await?;
    }
    Ok(acts)
}
