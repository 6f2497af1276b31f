//! The agent's acts: `agent_acts`. `leases.rs`: who works on one.

mod leases;

pub use leases::{confirm, fail, release, take_due};

use std::time::Duration;

use alloy::primitives::B256;
use serde_json::Value;
use sqlx::PgConnection;

use super::documents;
use crate::ids::{AgreementId, BlockRef, DeploymentId, JobId, LeaseToken};
use crate::ledger::column::bigint;
use crate::ledger::{Attempt, Error, Transaction};
use crate::workflows::{Finding, Want};

const TABLE: &str = "agent_acts";
/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Fulfilling the compute condition.
    Approve,
    /// Letting the escrow pay.
    Release,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Approve, Self::Release];

    /// The word of the ledger and of the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Release => "release",
        }
    }
}

/// How far an act is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing was signed.
    Waiting,
    /// Signed, and perhaps in the chain's pool.
    Sent,
    /// Done, while it can still be rolled back.
    Mined,
    /// Done for good.
    Done,
    /// Judged; nothing is sent.
    Declined,
    /// It can no longer be done.
    Failed,
}

impl State {
    const ALL: [Self; 6] = [
        Self::Waiting,
        Self::Sent,
        Self::Mined,
        Self::Done,
        Self::Declined,
        Self::Failed,
    ];

    /// The word of the ledger.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Mined => "mined",
            Self::Done => "done",
            Self::Declined => "declined",
            Self::Failed => "failed",
        }
    }
}

/// Who did what the act is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DoneBy {
    /// A transaction of ours.
    Agent {
        /// The transaction.
        transaction: B256,
        /// Its block.
        block: BlockRef,
    },
    /// Somebody else.
    Other,
}

/// An act under a lease.
#[derive(Clone, Debug)]
pub struct Act {
    /// Its row.
    pub id: i64,
    /// What is done.
    pub kind: Kind,
    /// The agreement it is about.
    pub agreement: AgreementId,
    /// The job whose end calls for it.
    pub job: Option<JobId>,
    /// How far it is.
    pub state: State,
    /// Why it stands there, as a code.
    pub reason: Option<String>,
    /// Who did it, once mined.
    pub done_by: Option<DoneBy>,
    /// Last block in which it can be done, as far as judged.
    pub until_block: Option<u64>,
    /// What proves the right to work on it.
    pub token: LeaseToken,
}

/// Where a step leaves an act.
#[derive(Clone, Debug)]
pub struct Change<'a> {
    /// The state.
    pub state: State,
    /// Why it waits, was declined or failed: a stable code.
    pub reason: Option<&'a str>,
    /// The same as sentences.
    pub detail: Option<&'a str>,
    /// Who did it.
    pub done_by: Option<DoneBy>,
    /// When to look again.
    pub again: Duration,
}

/// On what an act is done or declined.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// Array of {rule, answer, detail, evidence}.
    pub rules: Value,
    /// How the consumer is refunded: {fromBlock, transactions}.
    pub refund: Option<Value>,
    /// Version of the catalog.
    pub policy: B256,
    /// The block up to which events were looked at.
    pub judged: BlockRef,
    /// The follower's epoch then.
    pub epoch: i64,
    /// Last block in which the act can be done.
    pub until_block: Option<u64>,
    /// What was found outside of the ledger: the job that follows from an approval is decided on it.
    pub found: Vec<(Want, Finding)>,
}

/// Records that there is such an act. Known already: nothing. Answers whether it is new.
///
/// # Errors
/// Database errors.
pub async fn ensure(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    kind: Kind,
    agreement: AgreementId,
    job: Option<JobId>,
) -> Result<bool, Error> {
    let made = sqlx::query!(
        "INSERT INTO ledger.agent_acts (deployment_id, act, agreement_id, job_id) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        deployment.0,
        kind.as_str(),
        agreement.0.as_slice(),
        job.map(|job| job.0)
    )
    .execute(connection)
    .await
    .attempt("record an act of the agent")?;
    Ok(made.rows_affected() == 1)
}

/// Records on what an act is done or declined.
///
/// # Errors
/// [`Error::Conflict`] when the lease is lost; database errors.
pub async fn judge(
    transaction: &mut Transaction,
    act: &Act,
    judgement: &Judgement,
) -> Result<(), Error> {
    let connection = &mut **transaction;
    let until = judgement.until_block.map(|number| bigint(TABLE, number));
    let judged = sqlx::query!(
        "UPDATE ledger.agent_acts SET rules = $3, refund = $4, policy_sha256 = $5, judged_number = $6, judged_hash = $7, epoch = $8,
             until_block = $9
         WHERE id = $1 AND lease_token = $2",
        act.id,
        act.token.0,
        judgement.rules,
        judgement.refund,
        judgement.policy.as_slice(),
        bigint(TABLE, judgement.judged.number)?,
        judgement.judged.hash.as_slice(),
        judgement.epoch,
        until.transpose()?
    )
    .execute(&mut *connection)
    .await
    .attempt("record on what an act of the agent rests")?;
    held(judged.rows_affected())?;
    documents::record(connection, act, &judgement.found).await
}

/// Records where a step leaves an act, without giving its lease back.
///
/// # Errors
/// [`Error::Conflict`] when the lease is lost; database errors.
pub async fn move_to(
    connection: &mut PgConnection,
    act: &Act,
    change: &Change<'_>,
) -> Result<(), Error> {
    let (word, transaction, at) = match change.done_by {
        None => (None, None, None),
        Some(DoneBy::Agent { transaction, block }) => {
            (Some("agent"), Some(transaction), Some(block))
        }
        Some(DoneBy::Other) => (Some("other"), None, None),
    };
    let moved = sqlx::query!(
        "UPDATE ledger.agent_acts
         SET changed_at = CASE WHEN state = $3 AND reason IS NOT DISTINCT FROM $4 THEN changed_at ELSE clock_timestamp() END,
             state = $3, reason = $4, detail = $5, done_by = $6, transaction_hash = $7, block_number = $8, block_hash = $9,
             not_before = clock_timestamp() + make_interval(secs => $10), failures = 0
         WHERE id = $1 AND lease_token = $2",
        act.id,
        act.token.0,
        change.state.as_str(),
        change.reason,
        change.detail,
        word,
        transaction.as_ref().map(|hash| &hash[..]),
        at.map(|block| bigint(TABLE, block.number)).transpose()?,
        at.as_ref().map(|block| &block.hash[..]),
        change.again.as_secs_f64()
    )
    .execute(connection)
    .await
    .attempt("move an act of the agent")?;
    held(moved.rows_affected())
}

/// Lets approvals that were declined on events which a rollback since then may have taken away be judged again.
///
/// # Errors
/// Database errors.
pub async fn reopen_declined(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    epoch: i64,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE ledger.agent_acts a SET state = 'waiting', not_before = clock_timestamp(), epoch = $2
         FROM ledger.cursors c
         WHERE a.deployment_id = $1 AND c.deployment_id = $1 AND a.act = 'approve' AND a.state = 'declined' AND a.epoch < $2
           AND a.judged_number > coalesce(c.irreversible_number, -1)",
        deployment.0,
        epoch
    )
    .execute(connection)
    .await
    .attempt("reopen declined acts of the agent after a rollback")?;
    Ok(())
}

fn held(rows: u64) -> Result<(), Error> {
    if rows == 1 { Ok(()) } else { Err(leases::LOST) }
}
