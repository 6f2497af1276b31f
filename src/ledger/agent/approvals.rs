//! Under which version of the catalog the agent approved what it fulfilled: `agent_acts` by the transactions signed for them.
//! Only read here.
//!
//! An approval is found by the transaction that fulfilled the condition, not by the agreement: what somebody else fulfilled was not
//! approved by the agent, though it may have judged it too.

use std::collections::BTreeMap;

use alloy::primitives::B256;
use sqlx::PgConnection;

use crate::ids::{AgreementId, DeploymentId, JobId};
use crate::ledger::column::hash;
use crate::ledger::{Attempt, Error};

const TABLE: &str = "agent_acts";

/// What is approved by which transaction: the catalog's version by agreement and transaction.
pub type Approvals = BTreeMap<(AgreementId, B256), B256>;

/// The approvals among transactions, with the hash of the catalog that judged each. Transactions of others are left out.
///
/// # Errors
/// Database errors, and [`Error::Unreadable`].
pub async fn list(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    transactions: &[B256],
) -> Result<Approvals, Error> {
    if transactions.is_empty() {
        return Ok(Approvals::new());
    }
    let wanted: Vec<&[u8]> = transactions.iter().map(|hash| &hash[..]).collect();
    let rows = sqlx::query!(
        r#"SELECT t.hash AS "hash: Vec<u8>", a.agreement_id AS "agreement_id: Vec<u8>", a.policy_sha256 AS "policy!: Vec<u8>"
           FROM ledger.agent_transactions t
           JOIN ledger.agent_nonces n USING (chain_id, genesis_hash, account, nonce)
           JOIN ledger.agent_acts a ON a.id = n.act_id
           WHERE t.hash = ANY($2::bytea[]) AND t.purpose = 'act' AND a.deployment_id = $1 AND a.act = 'approve'
             AND a.policy_sha256 IS NOT NULL"#,
        deployment.0,
        &wanted as &[&[u8]]
    )
    .fetch_all(connection)
    .await
    .attempt("find the agent's approvals among transactions")?;
    rows.into_iter()
        .map(|row| {
            let agreement = AgreementId(hash(TABLE, &row.agreement_id)?);
            let approval = (agreement, hash(TABLE, &row.hash)?);
            Ok((approval, hash(TABLE, &row.policy)?))
        })
        .collect()
}

/// The hash of the catalog under which the agent approved a job, by the transaction of the job's own event; `None` when somebody
/// else fulfilled it.
///
/// # Errors
/// Database errors, and [`Error::Unreadable`].
pub async fn find_of_job(connection: &mut PgConnection, job: JobId) -> Result<Option<B256>, Error> {
    let policy = sqlx::query_scalar!(
        r#"SELECT a.policy_sha256 AS "policy!: Vec<u8>"
           FROM ledger.jobs j
           JOIN ledger.job_evidence e ON e.job_id = j.id AND e.role = 'execute'
           JOIN ledger.logs l ON l.id = e.log_id AND l.canonical
           JOIN ledger.agent_transactions t ON t.hash = l.transaction_hash AND t.purpose = 'act'
           JOIN ledger.agent_nonces n USING (chain_id, genesis_hash, account, nonce)
           JOIN ledger.agent_acts a ON a.id = n.act_id AND a.deployment_id = j.deployment_id AND a.agreement_id = j.agreement_id
           WHERE j.id = $1 AND a.act = 'approve' AND a.policy_sha256 IS NOT NULL LIMIT 1"#,
        job.0
    )
    .fetch_optional(connection)
    .await
    .attempt("find the agent's approval of a job")?;
    policy.map(|bytes| hash(TABLE, &bytes)).transpose()
}
