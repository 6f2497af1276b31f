//! Challenges that were used up: `sign_in.spent_nonces`. Written by: API.

use chrono::{DateTime, Utc};

use crate::ledger::reader::Reader;
use crate::ledger::{Attempt, Error, commit};

/// Rows that are over and go with one that comes, at most.
const GOING: i64 = 100;

/// Spends a nonce; false when it was spent before, by whomever. Of several who spend one at the same moment one succeeds.
///
/// Rows whose challenge has been over for an hour (more than any two clocks differ) go with it.
///
/// # Errors
/// Database errors.
pub async fn spend(
    reader: &Reader,
    nonce: &[u8; 32],
    expires_at: DateTime<Utc>,
) -> Result<bool, Error> {
    let begun = reader.ledger.begin_with("BEGIN READ WRITE").await;
    let mut transaction = begun.attempt("begin to spend a sign-in challenge")?;
    let inserted = sqlx::query!(
        "INSERT INTO sign_in.spent_nonces (nonce, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        nonce.as_slice(),
        expires_at
    )
    .execute(&mut *transaction)
    .await
    .attempt("spend a sign-in challenge")?;
    sqlx::query!(
        "DELETE FROM sign_in.spent_nonces WHERE nonce IN (
             SELECT nonce FROM sign_in.spent_nonces WHERE expires_at < now() - interval '1 hour' ORDER BY expires_at LIMIT $1)",
        GOING
    )
    .execute(&mut *transaction)
    .await
    .attempt("forget sign-in challenges that are over")?;
    commit(transaction).await?;
    Ok(inserted.rows_affected() == 1)
}
