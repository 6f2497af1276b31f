//! What was read by calls and never changes: `facts`. Write-once. Written by: judge.

use alloy::primitives::B256;
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;

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
) -> Result<Vec<(B256, Value)>, Error> {
    if subjects.is_empty() {
        return Ok(Vec::new());
    }
    let subjects: Vec<&[u8]> = subjects.iter().map(B256::as_slice).collect();
    let rows = sqlx::query!(
        r#"SELECT subject AS "subject: Vec<u8>", value FROM ledger.facts
           WHERE deployment_id = $1 AND kind = $2 AND subject = ANY($3::bytea[])"#,
        deployment.0,
        kind.as_str(),
        &subjects as &[&[u8]]
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

/// A fact that was read at an irreversible block.
#[derive(Clone, Debug, PartialEq)]
pub struct NewFact {
    /// What it is about.
    pub about: (FactKind, B256),
    /// What was answered.
    pub value: Value,
    /// The block at which it was read.
    pub at_block: u64,
}

/// Stores facts. Known already: nothing.
///
/// # Errors
/// Database errors.
pub async fn record(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    facts: &[&NewFact],
) -> Result<(), Error> {
    if facts.is_empty() {
        return Ok(());
    }
    let kinds: Vec<&str> = facts.iter().map(|fact| fact.about.0.as_str()).collect();
    let subjects: Vec<&[u8]> = facts.iter().map(|fact| fact.about.1.as_slice()).collect();
    let values: Vec<Json<&Value>> = facts.iter().map(|fact| Json(&fact.value)).collect();
    let heights = facts
        .iter()
        .map(|fact| i64::try_from(fact.at_block).map_err(Error::unreadable("facts")))
        .collect::<Result<Vec<_>, _>>()?;
    sqlx::query!(
        "INSERT INTO ledger.facts (deployment_id, kind, subject, value, at_block)
         SELECT $1, * FROM unnest($2::text[], $3::bytea[], $4::jsonb[], $5::bigint[]) ON CONFLICT DO NOTHING",
        deployment.0,
        &kinds as &[&str],
        &subjects as &[&[u8]],
        &values as &[Json<&Value>],
        &heights
    )
    .execute(connection)
    .await
    .attempt("store facts")?;
    Ok(())
}
