//! Verdicts and the logs they rest on: `verdicts`, `job_evidence`. Append-only. Written by: judge, resolver.

use alloy::primitives::B256;
use sqlx::PgConnection;

use super::{Attempt, Error};
use crate::ids::{BlockRef, JobId};
use crate::jobs::Reason;

/// Name of the rule by which the resolver answers; the judge's own verdicts have none of that name.
pub const WORKFLOW_RULE: &str = "workflow";

/// A verdict as its row has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// `admitted`, `awaiting_payment`, `undecided`, `refused`, `skipped` or `withdrawn`.
    pub verdict: String,
    /// Why, where there is something nameable.
    pub reason: Option<String>,
    /// Array of {rule, answer, detail, evidence}.
    pub rules: serde_json::Value,
}

/// The judge's own last verdict on a job.
///
/// # Errors
/// Database errors.
pub async fn find_last_judged(
    connection: &mut PgConnection,
    job: JobId,
) -> Result<Option<Row>, Error> {
    sqlx::query_as!(
        Row,
        r#"SELECT verdict, reason, rules FROM ledger.verdicts
           WHERE job_id = $1 AND NOT rules @> '[{"rule": "workflow"}]'::jsonb ORDER BY number DESC LIMIT 1"#,
        job.0
    )
    .fetch_optional(connection)
    .await
    .attempt("read a job's last verdict")
}

/// On what a verdict was reached.
#[derive(Clone, Copy, Debug)]
pub struct Basis {
    /// Version of the catalog.
    pub policy: Option<B256>,
    /// The block up to which events were looked at.
    pub judged: BlockRef,
}

/// Appends a verdict. The job's state must be locked, so that two judges do not number alike.
///
/// # Errors
/// Database errors.
pub async fn append(
    connection: &mut PgConnection,
    job: JobId,
    (verdict, reason): (&'static str, Option<Reason>),
    rules: &serde_json::Value,
    basis: &Basis,
) -> Result<(), Error> {
    let judged = i64::try_from(basis.judged.number).map_err(Error::unreadable("verdicts"))?;
    sqlx::query!(
        "INSERT INTO ledger.verdicts (job_id, number, admitted, verdict, reason, rules, policy_sha256, judged_number, judged_hash)
         SELECT $1, coalesce(max(number), 0) + 1, $2, $3, $4, $5, $6, $7, $8 FROM ledger.verdicts WHERE job_id = $1",
        job.0,
        verdict == "admitted",
        verdict,
        reason.map(Reason::as_str),
        rules,
        basis.policy.as_ref().map(|policy| &policy[..]),
        judged,
        basis.judged.hash.as_slice()
    )
    .execute(connection)
    .await
    .attempt("append a verdict")?;
    Ok(())
}

/// Records that a job's verdict rests on a log, in that role. Known already: nothing.
///
/// # Errors
/// Database errors.
pub async fn record_evidence(
    connection: &mut PgConnection,
    job: JobId,
    role: &'static str,
    log: i64,
) -> Result<(), Error> {
    sqlx::query!(
        "INSERT INTO ledger.job_evidence (job_id, role, log_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        job.0,
        role,
        log
    )
    .execute(connection)
    .await
    .attempt("record the evidence of a verdict")?;
    Ok(())
}
