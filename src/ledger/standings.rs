//! Where the jobs of agreements stand, for the judge: `jobs` and `job_state`, many at once.
//!
//! OFFSET 0 keeps each lookup apart from the list that drives it: joined freely, a planner that knows the list's length reads the
//! whole tables instead of looking up each. The deployment is compared behind it: before a table was first analysed all its columns
//! look equally telling, and a planner that may choose reads every job of the deployment by an index that begins with it, for each
//! agreement.

use alloy::primitives::{Address, B256, U256};
use sqlx::PgConnection;

use super::column::{block, count, hash};
use super::jobs::{Anchor, Terms};
use super::{Attempt, Error, status};
use crate::ids::{AgreementId, DeploymentId, JobId};
use crate::jobs::Status;

const STATE: &str = "job_state";

/// A job as the judge left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The job.
    pub job: JobId,
    /// Its agreement.
    pub agreement: AgreementId,
    /// Its condition.
    pub key: B256,
    /// Where it stands.
    pub status: Status,
    /// What it was last anchored in.
    pub anchor: Anchor,
    /// Whether that is on the chain.
    pub canonical: bool,
    /// Who owes it to whom.
    pub terms: Terms,
}

/// The jobs of agreements, by age. Nothing is locked.
///
/// # Errors
/// Database errors, and [`Error::Unreadable`].
pub async fn list(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    agreements: &[AgreementId],
) -> Result<Vec<Standing>, Error> {
    let wanted: Vec<&[u8]> = agreements.iter().map(|id| id.0.as_slice()).collect();
    let rows = sqlx::query!(
        r#"SELECT j.id, j.agreement_id AS "agreement: Vec<u8>", j.key AS "key: Vec<u8>", s.phase, s.outcome, s.reason, s.attempt,
                  s.block_number, s.block_hash AS "block_hash: Vec<u8>", s.log_id, s.block_canonical, s.owed_block,
                  s.provider AS "provider: Vec<u8>", s.payment::text AS payment
           FROM (SELECT DISTINCT unnest($2::bytea[])) AS wanted (agreement)
           CROSS JOIN LATERAL (SELECT * FROM ledger.jobs f
                               WHERE f.agreement_id = wanted.agreement OFFSET 0) j
           CROSS JOIN LATERAL (SELECT * FROM ledger.job_state f WHERE f.job_id = j.id OFFSET 0) s
           WHERE j.deployment_id = $1
           ORDER BY j.id"#,
        deployment.0,
        &wanted as &[&[u8]]
    )
    .fetch_all(connection)
    .await
    .attempt("find the jobs of agreements")?;
    rows.into_iter()
        .map(|row| {
            let outcome = row.outcome.as_deref();
            let status = status::read(&row.phase, outcome, row.reason.as_deref(), row.attempt)?;
            let address = |bytes: Vec<u8>| {
                Address::try_from(bytes.as_slice()).map_err(Error::unreadable(STATE))
            };
            let amount = |text: String| text.parse::<U256>().map_err(Error::unreadable(STATE));
            Ok(Standing {
                job: JobId(row.id),
                agreement: AgreementId(hash("jobs", &row.agreement)?),
                key: hash("jobs", &row.key)?,
                status,
                anchor: Anchor {
                    log: row.log_id,
                    block: block(STATE, row.block_number, &row.block_hash)?,
                },
                canonical: row.block_canonical,
                terms: Terms {
                    owed_block: row
                        .owed_block
                        .map(|number| count(STATE, number))
                        .transpose()?,
                    provider: row.provider.map(address).transpose()?,
                    payment: row.payment.map(amount).transpose()?,
                },
            })
        })
        .collect()
}

/// Those of the agreements that have a job.
///
/// # Errors
/// Database errors, and [`Error::Unreadable`].
pub async fn list_with_jobs(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    agreements: &[AgreementId],
) -> Result<Vec<AgreementId>, Error> {
    let wanted: Vec<&[u8]> = agreements.iter().map(|id| id.0.as_slice()).collect();
    let rows = sqlx::query_scalar!(
        r#"SELECT DISTINCT j.agreement_id AS "agreement: Vec<u8>"
           FROM (SELECT DISTINCT unnest($2::bytea[])) AS wanted (agreement)
           CROSS JOIN LATERAL (SELECT f.agreement_id, f.deployment_id FROM ledger.jobs f
                               WHERE f.agreement_id = wanted.agreement OFFSET 0) j
           WHERE j.deployment_id = $1"#,
        deployment.0,
        &wanted as &[&[u8]]
    )
    .fetch_all(connection)
    .await
    .attempt("find agreements that have jobs")?;
    rows.iter()
        .map(|agreement| {
            B256::try_from(agreement.as_slice())
                .map(AgreementId)
                .map_err(Error::unreadable("jobs"))
        })
        .collect()
}
