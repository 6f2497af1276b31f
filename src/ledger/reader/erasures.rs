use sqlx::PgConnection;

use crate::ids::JobId;
use crate::ledger::{Attempt, Error};

/// Whether an operator erased a job's logs and results.
///
/// # Errors
/// Database errors.
pub async fn is_erased(connection: &mut PgConnection, job: JobId) -> Result<bool, Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM ledger.erasures WHERE job_id = $1) AS "erased!""#,
        job.0
    )
    .fetch_one(connection)
    .await
    .attempt("ask whether a job was erased")
}
