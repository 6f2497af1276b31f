//! Catalogs that judged anything: `policy_versions`. Write-once. Written by: judge, resolver, agent.

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

/// The bytes of a version of the catalog; `None`: it judged nothing here.
///
/// # Errors
/// Database errors.
pub async fn find(connection: &mut PgConnection, sha256: B256) -> Result<Option<Vec<u8>>, Error> {
    sqlx::query_scalar!(
        "SELECT body FROM ledger.policy_versions WHERE sha256 = $1",
        sha256.as_slice()
    )
    .fetch_optional(connection)
    .await
    .attempt("read a version of the catalog")
}
