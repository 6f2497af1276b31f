//! How jobs were decided: a reading of `jobs`, `verdicts` and `job_specs`, for judging them again.

use alloy::primitives::B256;
use sqlx::PgConnection;

use super::{Attempt, Error};
use crate::ids::{AgreementId, ConditionId, DeploymentId, JobId, JobName};

/// A job and how it was decided last.
#[derive(Clone, Debug)]
pub struct Past {
    /// The job.
    pub job: JobId,
    /// Its name.
    pub name: JobName,
    /// Its agreement.
    pub agreement: AgreementId,
    /// The word of its last verdict.
    pub verdict: String,
    /// The reason of its last verdict.
    pub reason: Option<String>,
    /// The frozen specification.
    pub spec: Option<Vec<u8>>,
}

/// Agreements that have jobs, in the order of their ids, after that one.
///
/// # Errors
/// Database errors, and [`Error::Unreadable`].
pub async fn list_agreements(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    after: Option<AgreementId>,
    limit: i64,
) -> Result<Vec<AgreementId>, Error> {
    let rows = sqlx::query_scalar!(
        r#"SELECT DISTINCT agreement_id AS "agreement_id: Vec<u8>" FROM ledger.jobs
           WHERE deployment_id = $1 AND agreement_id > coalesce($2, ''::bytea) ORDER BY 1 LIMIT $3"#,
        deployment.0,
        after.as_ref().map(|after| after.0.as_slice()),
        limit
    )
    .fetch_all(connection)
    .await
    .attempt("list agreements that have jobs")?;
    rows.iter()
        .map(|bytes| {
            B256::try_from(bytes.as_slice())
                .map(AgreementId)
                .map_err(Error::unreadable("jobs"))
        })
        .collect()
}

/// The job of a condition, with its last verdict.
///
/// # Errors
/// Database errors, and [`Error::Unreadable`].
pub async fn find(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    condition: ConditionId,
) -> Result<Option<Past>, Error> {
    let row = sqlx::query!(
        r#"SELECT j.id, j.name, j.agreement_id AS "agreement_id: Vec<u8>", v.verdict, v.reason, p.body AS "body?"
           FROM ledger.jobs j
           JOIN LATERAL (SELECT verdict, reason FROM ledger.verdicts WHERE job_id = j.id ORDER BY number DESC LIMIT 1) v ON true
           LEFT JOIN ledger.job_specs p ON p.job_id = j.id
           WHERE j.deployment_id = $1 AND j.trigger = 'keeper' AND j.key = $2"#,
        deployment.0,
        condition.0.as_slice()
    )
    .fetch_optional(connection)
    .await
    .attempt("read how a job was decided")?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Past {
        job: JobId(row.id),
        name: row.name.parse().map_err(Error::unreadable("jobs"))?,
        agreement: B256::try_from(row.agreement_id.as_slice())
            .map(AgreementId)
            .map_err(Error::unreadable("jobs"))?,
        verdict: row.verdict,
        reason: row.reason,
        spec: row.body,
    }))
}
