//! What the API reads as events rather than as rows: what is recorded about an agreement or an asset, decoded anew.

use std::collections::BTreeMap;

use alloy::primitives::B256;
use sqlx::PgConnection;

use crate::admission::{ConditionFact, Recorded};
use crate::ids::{AgreementId, ConditionId, DeploymentId, Did};
use crate::keeper::Deployment;
use crate::ledger::facts::{self, FactKind};
use crate::ledger::judging;
use crate::ledger::{Error, registrations, subjects};

/// The canonical events about an agreement up to a block, in order. Logs that cannot be decoded are parked by the judge and say
/// nothing here.
///
/// # Errors
/// Database errors, and [`Error::Unreadable`].
pub async fn list_about(
    connection: &mut PgConnection,
    (id, deployment): (DeploymentId, &Deployment),
    agreement: AgreementId,
    up_to: u64,
) -> Result<Vec<Recorded>, Error> {
    let about = [agreement.0];
    let logs = judging::list_about(connection, id, subjects::AGREEMENT, &about, up_to).await?;
    Ok(registrations::decoded(deployment, &logs))
}

/// The registry's canonical events about an asset up to a block, in order.
///
/// # Errors
/// Database errors, and [`Error::Unreadable`].
pub async fn list_assets_events(
    connection: &mut PgConnection,
    on: (DeploymentId, &Deployment),
    did: Did,
    up_to: u64,
) -> Result<Vec<Recorded>, Error> {
    registrations::list_of_did(connection, on, did, up_to).await
}

/// The windows of conditions that the judge has read by calls.
///
/// # Errors
/// Database errors, and [`Error::Unreadable`].
pub async fn find_facts(
    connection: &mut PgConnection,
    deployment: DeploymentId,
    conditions: &[ConditionId],
) -> Result<BTreeMap<ConditionId, ConditionFact>, Error> {
    let subjects: Vec<B256> = conditions.iter().map(|condition| condition.0).collect();
    let rows = facts::list(connection, deployment, FactKind::Condition, &subjects).await?;
    rows.into_iter()
        .map(|(subject, value)| {
            let fact = serde_json::from_value(value).map_err(Error::unreadable("facts"))?;
            Ok((ConditionId(subject), fact))
        })
        .collect()
}
