//! What a job's resolver looks for outside of the ledger: `job_documents`. A finding is final. Written by: resolver.

use std::time::Duration;

use alloy::primitives::B256;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use super::{Attempt, Error, documents};
use crate::ids::JobId;
use crate::workflows::{Finding, Want};

/// Notes that a job needs something. Known already: nothing.
///
/// # Errors
/// Database errors.
pub async fn ask(connection: &mut PgConnection, job: JobId, want: &Want) -> Result<(), Error> {
    let (text, sha256) = written(want)?;
    sqlx::query!(
        "INSERT INTO ledger.job_documents (job_id, want_sha256, want) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        job.0,
        sha256.as_slice(),
        text
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
    let (word, document, detail) = match finding {
        Finding::Bytes(body) => {
            let kept = documents::record(connection, body, "fetched").await?;
            ("bytes", Some(kept), None)
        }
        Finding::Image(facts) => {
            let facts = serde_json::to_string(facts).map_err(Error::unreadable("job_documents"))?;
            ("image", None, Some(facts))
        }
        Finding::Unknown => ("unknown", None, None),
        Finding::Wrong(sentence) => ("wrong", None, Some(sentence.replace('\0', "\u{fffd}"))),
        Finding::TooLarge => ("too_large", None, None),
        Finding::Unavailable => ("unavailable", None, None),
    };
    sqlx::query!(
        "UPDATE ledger.job_documents SET finding = $3, document_sha256 = $4, detail = $5
         WHERE job_id = $1 AND want_sha256 = $2 AND finding IS NULL",
        job.0,
        sha256.as_slice(),
        word,
        document.as_ref().map(|sha256| &sha256[..]),
        detail
    )
    .execute(connection)
    .await
    .attempt("record what was found for a job")?;
    Ok(())
}

/// Counts a try that found nothing, with the reason, and answers how many there were. When `patience` has passed since the first
/// asking, by the database's clock, that it could not be had in time is recorded as the finding; then the answer is `None`.
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
             finding = CASE WHEN clock_timestamp() >= asked_at + make_interval(secs => $4) THEN 'unavailable' END
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
        findings.push((want, read(&row.finding, row.detail, row.body)?));
    }
    Ok(findings)
}

fn read(word: &str, detail: Option<String>, body: Option<Vec<u8>>) -> Result<Finding, Error> {
    let unreadable =
        || Error::unreadable("job_documents")(format!("a finding {word:?} of this form"));
    match (word, detail, body) {
        ("bytes", _, Some(body)) => Ok(Finding::Bytes(body)),
        ("image", Some(detail), _) => serde_json::from_str(&detail)
            .map(Finding::Image)
            .map_err(Error::unreadable("job_documents")),
        ("unknown", ..) => Ok(Finding::Unknown),
        ("wrong", Some(sentence), _) => Ok(Finding::Wrong(sentence)),
        ("too_large", ..) => Ok(Finding::TooLarge),
        ("unavailable", ..) => Ok(Finding::Unavailable),
        _ => Err(unreadable()),
    }
}

/// A want as it is stored, and its key.
fn written(want: &Want) -> Result<(String, B256), Error> {
    let text = serde_json::to_string(want).map_err(Error::unreadable("job_documents"))?;
    let sha256 = B256::from_slice(&Sha256::digest(&text));
    Ok((text, sha256))
}
