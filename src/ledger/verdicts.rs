//! Verdicts and the logs they rest on: `verdicts`, `job_evidence`. Append-only. Written by: judge, resolver.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::B256;
use serde_json::Value;
use serde_json::value::RawValue;
use sqlx::PgConnection;

use super::column::bigint;
use super::copy::{self, Copy};
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
    pub rules: Value,
}

/// The judge's own last verdict on a job.
///
/// # Errors
/// Database errors.
pub async fn find_last_judged(
    connection: &mut PgConnection,
    job: JobId,
) -> Result<Option<Row>, Error> {
    let last = list_last_judged(connection, &[job]).await?;
    Ok(last.into_values().next())
}

/// The judge's own last verdict on each of the jobs that have one.
///
/// # Errors
/// Database errors.
pub async fn list_last_judged(
    connection: &mut PgConnection,
    jobs: &[JobId],
) -> Result<BTreeMap<JobId, Row>, Error> {
    if jobs.is_empty() {
        return Ok(BTreeMap::new());
    }
    let wanted: Vec<i64> = jobs.iter().map(|job| job.0).collect();
    let rows = sqlx::query!(
        r#"SELECT v.job_id, v.verdict, v.reason, v.rules
           FROM unnest($1::bigint[]) AS wanted (job_id)
           CROSS JOIN LATERAL (SELECT * FROM ledger.verdicts f
                               WHERE f.job_id = wanted.job_id AND NOT f.rules @> '[{"rule": "workflow"}]'::jsonb
                               ORDER BY f.number DESC LIMIT 1) v"#,
        &wanted
    )
    .fetch_all(connection)
    .await
    .attempt("read the last verdicts on jobs")?;
    let last = rows.into_iter().map(|row| {
        let verdict = Row {
            verdict: row.verdict,
            reason: row.reason,
            rules: row.rules,
        };
        (JobId(row.job_id), verdict)
    });
    Ok(last.collect())
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
    rules: &Value,
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

/// Appends the judge's own last verdict on a job once more: it counts again, after one of the resolver's. The job's state must be
/// locked.
///
/// # Errors
/// Database errors.
pub async fn repeat_judged(connection: &mut PgConnection, job: JobId) -> Result<(), Error> {
    sqlx::query!(
        r#"INSERT INTO ledger.verdicts
               (job_id, number, admitted, verdict, reason, rules, policy_sha256, judged_number, judged_hash)
           SELECT f.job_id, (SELECT max(number) + 1 FROM ledger.verdicts WHERE job_id = $1), f.admitted, f.verdict, f.reason, f.rules,
                  f.policy_sha256, f.judged_number, f.judged_hash
           FROM ledger.verdicts f WHERE f.job_id = $1 AND NOT f.rules @> '[{"rule": "workflow"}]'::jsonb
           ORDER BY f.number DESC LIMIT 1"#,
        job.0
    )
    .execute(connection)
    .await
    .attempt("repeat a verdict")?;
    Ok(())
}

/// A job's first verdict.
#[derive(Clone, Debug)]
pub struct NewVerdict {
    /// The job.
    pub job: JobId,
    /// The word, as [`Row::verdict`] has it.
    pub verdict: &'static str,
    /// Why, where there is something nameable.
    pub reason: Option<Reason>,
    /// Array of {rule, answer, detail, evidence}, as it is sent.
    pub rules: Box<RawValue>,
    /// On what it was reached.
    pub basis: Basis,
}

/// Appends the first verdicts of new jobs.
///
/// # Errors
/// Database errors.
pub async fn append_first(
    connection: &mut PgConnection,
    verdicts: &[NewVerdict],
) -> Result<(), Error> {
    const STATEMENT: &str = "COPY ledger.verdicts (job_id, number, admitted, verdict, reason, rules, policy_sha256, judged_number, \
         judged_hash) FROM STDIN (FORMAT binary)";
    if verdicts.is_empty() {
        return Ok(());
    }
    let mut rows = Copy::new();
    for verdict in verdicts {
        let basis = verdict.basis;
        rows.row(9)?;
        rows.bigint(verdict.job.0);
        rows.integer(1);
        rows.boolean(verdict.verdict == "admitted");
        rows.text(verdict.verdict)?;
        rows.optional(verdict.reason, |rows, reason| rows.text(reason.as_str()))?;
        rows.jsonb(&verdict.rules)?;
        rows.optional(basis.policy, |rows, policy| rows.bytes(policy.as_slice()))?;
        rows.bigint(bigint("verdicts", basis.judged.number)?);
        rows.bytes(basis.judged.hash.as_slice())?;
    }
    copy::insert(
        connection,
        STATEMENT,
        rows,
        "append the first verdicts on jobs",
    )
    .await
}

/// Records which logs the first verdicts of new jobs rest on, each in a role.
///
/// # Errors
/// Database errors.
pub async fn record_first_evidence(
    connection: &mut PgConnection,
    evidence: &BTreeSet<(JobId, &'static str, i64)>,
) -> Result<(), Error> {
    const STATEMENT: &str =
        "COPY ledger.job_evidence (job_id, role, log_id) FROM STDIN (FORMAT binary)";
    if evidence.is_empty() {
        return Ok(());
    }
    let mut rows = Copy::new();
    for (job, role, log) in evidence {
        rows.row(3)?;
        rows.bigint(job.0);
        rows.text(role)?;
        rows.bigint(*log);
    }
    copy::insert(
        connection,
        STATEMENT,
        rows,
        "record the evidence of first verdicts",
    )
    .await
}

/// Records which logs the verdicts of jobs rest on, each in a role. Known already: nothing.
///
/// # Errors
/// Database errors.
pub async fn record_evidence(
    connection: &mut PgConnection,
    evidence: &[(JobId, &'static str, i64)],
) -> Result<(), Error> {
    if evidence.is_empty() {
        return Ok(());
    }
    let jobs: Vec<i64> = evidence.iter().map(|(job, _, _)| job.0).collect();
    let roles: Vec<&str> = evidence.iter().map(|(_, role, _)| *role).collect();
    let logs: Vec<i64> = evidence.iter().map(|(_, _, log)| *log).collect();
    sqlx::query!(
        "INSERT INTO ledger.job_evidence (job_id, role, log_id) SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[])
         ON CONFLICT DO NOTHING",
        &jobs,
        &roles as &[&str],
        &logs
    )
    .execute(connection)
    .await
    .attempt("record the evidence of verdicts")?;
    Ok(())
}
