//! What was read by calls and never changes: `facts`. Write-once. Written by: judge.

use alloy::primitives::B256;
use sqlx::PgConnection;

use super::{Attempt, Error};
use crate::ids::DeploymentId;

/// What a fact is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FactKind {
    /// An agreement: its asset, template and conditions.
    Agreement,
    /// A condition: its type and window.
    Condition,
    /// Who owned an asset before the first event about it.
    DidOwner,
}

impl FactKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Agreement => "agreement",
            Self::Condition => "condition",
            Self::DidOwner => "did_owner",
        }
    }
}

/// The stored facts of a kind about any of the subjects.
///
/// # Errors
/// Database errors, and [`Error::Unreadable`].
pub async fn list(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    kind: FactKind,
    subjects: &[B256],
) -> Result<Vec<(B256, serde_json::Value)>, Error> {
    let subjects: Vec<Vec<u8>> = subjects.iter().map(|subject| subject.to_vec()).collect();
    let rows = sqlx::query!(
        r#"SELECT subject AS "subject: Vec<u8>", value FROM ledger.facts
           WHERE deployment_id = $1 AND kind = $2 AND subject = ANY($3::bytea[])"#,
        deployment.0,
        kind.as_str(),
        &subjects
    )
    .fetch_all(connection)
    .await
    .attempt("read stored facts")?;
    rows.into_iter()
        .map(|row| {
            let subject =
                B256::try_from(row.subject.as_slice()).map_err(Error::unreadable("facts"))?;
            Ok((subject, row.value))
        })
        .collect()
}

/// Stores a fact that was read at an irreversible block. Known already: nothing.
///
/// # Errors
/// Database errors.
pub async fn record(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    (kind, subject): (FactKind, B256),
    value: &serde_json::Value,
    at_block: u64,
) -> Result<(), Error> {
    let at_block = i64::try_from(at_block).map_err(Error::unreadable("facts"))?;
    sqlx::query!(
        "INSERT INTO ledger.facts (deployment_id, kind, subject, value, at_block) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT DO NOTHING",
        deployment.0,
        kind.as_str(),
        subject.as_slice(),
        value,
        at_block
    )
    .execute(connection)
    .await
    .attempt("store a fact")?;
    Ok(())
}
