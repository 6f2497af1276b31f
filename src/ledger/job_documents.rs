//! What a job's resolver looks for outside of the ledger: `job_documents`. A finding is final, but for one: what could not be had in
//! time is looked for again when an operator says so. Written by: resolver, operator commands.

use std::time::Duration;

use sqlx::PgConnection;

use super::findings::{self, written};
use super::{Attempt, Error};
use crate::ids::JobId;
use crate::workflows::{Finding, Want};

/// Notes that a job needs something, which is looked for as long as `patience` lasts, by the database's clock. Known already:
/// nothing.
///
/// # Errors
/// Database errors.
pub async fn ask(
    connection: &mut PgConnection,
    job: JobId,
    want: &Want,
    patience: Duration,
) -> Result<(), Error> {
    let (text, sha256) = written(want)?;
    sqlx::query!(
        "INSERT INTO ledger.job_documents (job_id, want_sha256, want, until)
         VALUES ($1, $2, $3, now() + make_interval(secs => $4)) ON CONFLICT DO NOTHING",
        job.0,
        sha256.as_slice(),
        text,
        patience.as_secs_f64()
    )
    .execute(connection)
    .await
    .attempt("note what a job needs")?;
    Ok(())
}

/// Records what was found, for good. A finding that is there already stays, whoever came first.
///
/// # Errors
/// Database errors.
pub async fn record(
    connection: &mut PgConnection,
    job: JobId,
    want: &Want,
    finding: &Finding,
) -> Result<(), Error> {
    let (_, sha256) = written(want)?;
    let kept = findings::keep(connection, finding).await?;
    sqlx::query!(
        "UPDATE ledger.job_documents SET finding = $3, document_sha256 = $4, detail = $5
         WHERE job_id = $1 AND want_sha256 = $2 AND finding IS NULL",
        job.0,
        sha256.as_slice(),
        kept.word,
        kept.document.as_ref().map(|sha256| &sha256[..]),
        kept.detail
    )
    .execute(connection)
    .await
    .attempt("record what was found for a job")?;
    Ok(())
}

/// Counts a try that found nothing, with the reason, and answers how many there were. When the time for it is over, by the
/// database's clock, that it could not be had in time is recorded as the finding; then the answer is `None`. `patience` counts
/// for rows that do not say until when.
///
/// # Errors
/// Database errors.
pub async fn count_try(
    connection: &mut PgConnection,
    job: JobId,
    want: &Want,
    problem: &str,
    patience: Duration,
) -> Result<Option<u32>, Error> {
    let (_, sha256) = written(want)?;
    let row = sqlx::query!(
        "UPDATE ledger.job_documents SET tries = tries + 1, tried_at = clock_timestamp(), problem = $3,
             finding = CASE WHEN clock_timestamp() >= coalesce(until, asked_at + make_interval(secs => $4)) THEN 'unavailable' END
         WHERE job_id = $1 AND want_sha256 = $2 AND finding IS NULL
         RETURNING tries, finding",
        job.0,
        sha256.as_slice(),
        problem.replace('\0', "\u{fffd}"),
        patience.as_secs_f64()
    )
    .fetch_optional(connection)
    .await
    .attempt("count a try to find what a job needs")?;
    row.filter(|row| row.finding.is_none())
        .map(|row| u32::try_from(row.tries).map_err(Error::unreadable("job_documents")))
        .transpose()
}

/// Lets everything be looked for again that could not be had for a job in time, for as long as before. Answers whether there was
/// anything.
///
/// # Errors
/// Database errors.
pub async fn look_again(connection: &mut PgConnection, job: JobId) -> Result<bool, Error> {
    let again = sqlx::query!(
        "UPDATE ledger.job_documents
         SET finding = NULL, tries = 0, tried_at = NULL, asked_at = clock_timestamp(), until = clock_timestamp() + (until - asked_at)
         WHERE job_id = $1 AND finding = 'unavailable'",
        job.0
    )
    .execute(connection)
    .await
    .attempt("let a job's documents be looked for again")?;
    Ok(again.rows_affected() > 0)
}

/// Everything that was found for a job, for good.
///
/// # Errors
/// Database errors, and [`Error::Unreadable`].
pub async fn list_findings(
    connection: &mut PgConnection,
    job: JobId,
) -> Result<Vec<(Want, Finding)>, Error> {
    let rows = sqlx::query!(
        r#"SELECT j.want, j.finding AS "finding!", j.detail, d.body AS "body?"
           FROM ledger.job_documents j LEFT JOIN ledger.documents d ON d.sha256 = j.document_sha256
           WHERE j.job_id = $1 AND j.finding IS NOT NULL"#,
        job.0
    )
    .fetch_all(connection)
    .await
    .attempt("read what was found for a job")?;
    let mut findings = Vec::with_capacity(rows.len());
    for row in rows {
        let want = serde_json::from_str(&row.want).map_err(Error::unreadable("job_documents"))?;
        findings.push((want, findings::read(&row.finding, row.detail, row.body)?));
    }
    Ok(findings)
}
