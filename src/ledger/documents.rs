//! Workflow documents, DDOs and algorithms' files exactly as they were had: `documents`. Write-once. Written by: resolver, agent.

use alloy::primitives::B256;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use super::{Attempt, Error};

/// Keeps a document and answers its SHA-256. Known already: nothing.
///
/// # Errors
/// Database errors.
pub async fn record(
    connection: &mut PgConnection,
    body: &[u8],
    source: &str,
) -> Result<B256, Error> {
    let sha256 = B256::from_slice(&Sha256::digest(body));
    sqlx::query!(
        "INSERT INTO ledger.documents (sha256, body, source) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        sha256.as_slice(),
        body,
        source
    )
    .execute(connection)
    .await
    .attempt("keep a document")?;
    Ok(sha256)
}
