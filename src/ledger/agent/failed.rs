//! Acts of the agent that were sent and had no effect: parked by a key, and tried again from the beginning when an operator says so.

use sqlx::PgConnection;

use super::acts::Act;
use crate::ids::{AgreementId, DeploymentId};
use crate::ledger::{Attempt, Error};

/// Lets an act that failed be tried from the beginning. One that did not fail stays as it is.
///
/// # Errors
/// Database errors; [`Error::Unreadable`] when `key` is no [`key`].
pub async fn try_again(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    key: &str,
) -> Result<(), Error> {
    let unreadable = || Error::unreadable("parked")(format!("{key:?} names no act"));
    let (act, agreement) = key.split_once(' ').ok_or_else(unreadable)?;
    let agreement: AgreementId = agreement.parse().map_err(Error::unreadable("parked"))?;
    sqlx::query!(
        "UPDATE ledger.agent_acts
         SET state = 'waiting', reason = NULL, detail = NULL, not_before = clock_timestamp(), changed_at = clock_timestamp()
         WHERE deployment_id = $1 AND act = $2 AND agreement_id = $3 AND state = 'failed'",
        deployment.0,
        act,
        agreement.0.as_slice()
    )
    .execute(connection)
    .await
    .attempt("let an act of the agent be tried again")?;
    Ok(())
}

/// The key by which an act is parked: what is done, a blank, and the agreement.
pub fn key(act: &Act) -> String {
    format!("{} {}", act.kind.as_str(), act.agreement)
}
