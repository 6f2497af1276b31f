//! Catalogs that judged anything: `policy_versions`. Write-once. Written by: judge, resolver.

use alloy::primitives::B256;
use sqlx::PgConnection;

use super::{Attempt, Error};

/// Keeps a version of the catalog. Known already: nothing.
///
/// # Errors
/// Database errors.
pub async fn record(connection: &mut PgConnection, sha256: B256, body: &[u8]) -> Result<(), Error> {
    sqlx::query!(
        "INSERT INTO ledger.policy_versions (sha256, body) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        sha256.as_slice(),
        body
    )
    .execute(connection)
    .await
    .attempt("keep a version of the catalog")?;
    Ok(())
}
