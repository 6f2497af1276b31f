//! What the agent found outside of the ledger when it approved: `agent_documents`.

use sqlx::PgConnection;

use super::acts::Act;
use crate::ids::{AgreementId, DeploymentId};
use crate::ledger::findings::{self, written};
use crate::ledger::{Attempt, Error};
use crate::workflows::{Finding, Want};

/// Keeps what an approval rests on, in the transaction that signs it. What an earlier approval of the same agreement found of the
/// same want is replaced: that one was given up.
///
/// # Errors
/// Database errors.
pub async fn record(
    connection: &mut PgConnection,
    act: &Act,
    found: &[(Want, Finding)],
) -> Result<(), Error> {
    for (want, finding) in found {
        let (text, sha256) = written(want)?;
        let kept = findings::keep(connection, finding).await?;
        sqlx::query!(
            "INSERT INTO ledger.agent_documents (act_id, want_sha256, want, finding, document_sha256, detail)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (act_id, want_sha256) DO UPDATE
             SET finding = excluded.finding, document_sha256 = excluded.document_sha256, detail = excluded.detail,
                 found_at = excluded.found_at",
            act.id,
            sha256.as_slice(),
            text,
            kept.word,
            kept.document.as_ref().map(|sha256| &sha256[..]),
            kept.detail
        )
        .execute(&mut *connection)
        .await
        .attempt("keep what an approval rests on")?;
    }
    Ok(())
}

/// What the agent found of a want when it approved an agreement; `None` when it did not approve, or did not look for it.
///
/// # Errors
/// Database errors, and [`Error::Unreadable`].
pub async fn find(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    agreement: AgreementId,
    want: &Want,
) -> Result<Option<Finding>, Error> {
    let (_, sha256) = written(want)?;
    let row = sqlx::query!(
        r#"SELECT f.finding, f.detail, d.body AS "body?"
           FROM ledger.agent_acts a JOIN ledger.agent_documents f ON f.act_id = a.id
           LEFT JOIN ledger.documents d ON d.sha256 = f.document_sha256
           WHERE a.deployment_id = $1 AND a.act = 'approve' AND a.agreement_id = $2 AND f.want_sha256 = $3"#,
        deployment.0,
        agreement.0.as_slice(),
        sha256.as_slice()
    )
    .fetch_optional(connection)
    .await
    .attempt("find what an approval rests on")?;
    row.map(|row| findings::read(&row.finding, row.detail, row.body))
        .transpose()
}
