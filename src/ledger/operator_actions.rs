//! What operators did by hand: `operator_actions`, append-only. Written by: operator commands.

use sqlx::PgConnection;

use super::{Attempt, Error};

/// Records what an operator did, to what, and why; in the transaction that does it.
///
/// # Errors
/// Database errors.
pub async fn record(
    connection: &mut PgConnection,
    action: &str,
    subject: &str,
    reason: &str,
) -> Result<(), Error> {
    sqlx::query!(
        "INSERT INTO ledger.operator_actions (action, subject, reason) VALUES ($1, $2, $3)",
        action,
        subject,
        reason.replace('\0', "\u{fffd}")
    )
    .execute(connection)
    .await
    .attempt("record what an operator did")?;
    Ok(())
}

/// Why an operator paused the starting of jobs; `None` while it is not paused. The last of `pause` and `resume` holds, for every
/// deployment of the ledger.
///
/// # Errors
/// Database errors.
pub async fn find_pause(connection: &mut PgConnection) -> Result<Option<String>, Error> {
    let last = sqlx::query!(
        "SELECT action, reason FROM ledger.operator_actions WHERE action IN ('pause', 'resume') ORDER BY id DESC LIMIT 1"
    )
    .fetch_optional(connection)
    .await
    .attempt("ask whether an operator paused")?;
    Ok(last
        .filter(|last| last.action == "pause")
        .map(|last| last.reason))
}
