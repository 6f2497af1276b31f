//! The DIDRegistry's events as the resolver needs them: a reading of `logs` through `log_subjects`.

use alloy::primitives::B256;
use sqlx::PgConnection;

use super::judging::{self, Logged};
use super::{Error, subjects};
use crate::admission::Recorded;
use crate::ids::{AgreementId, DeploymentId, Did};
use crate::keeper::{self, Deployment, KeeperEvent};

/// The registry's canonical events, up to a block, that can hold a consumer's choice of workflow: about the DID that is the
/// agreement's id, and about every DID with a value that names the agreement. In order.
///
/// # Errors
/// Database errors, and [`Error::Unreadable`].
pub async fn list_of_agreement(
    connection: &mut PgConnection,
    (id, deployment): (DeploymentId, &Deployment),
    agreement: AgreementId,
    up_to: u64,
) -> Result<Vec<Recorded>, Error> {
    let key = [agreement.0];
    let naming = judging::list_about(connection, id, subjects::AGREEMENT, &key, up_to).await?;
    let mut dids = vec![agreement.0];
    dids.extend(naming.iter().filter_map(|(_, logged)| {
        match keeper::decode(deployment, &logged.log) {
            Ok(Some(KeeperEvent::DidRegistered { did, .. })) => Some(did.0),
            _ => None,
        }
    }));
    let logs = judging::list_about(connection, id, subjects::DID, &dids, up_to).await?;
    Ok(decoded(deployment, &logs))
}

/// The registry's canonical events about one DID, up to a block, in order.
///
/// # Errors
/// Database errors, and [`Error::Unreadable`].
pub async fn list_of_did(
    connection: &mut PgConnection,
    (id, deployment): (DeploymentId, &Deployment),
    did: Did,
    up_to: u64,
) -> Result<Vec<Recorded>, Error> {
    let logs = judging::list_about(connection, id, subjects::DID, &[did.0], up_to).await?;
    Ok(decoded(deployment, &logs))
}

/// What logs say, in their order. Those that cannot be decoded are parked by the judge and say nothing here.
pub(super) fn decoded(deployment: &Deployment, logs: &[(B256, Logged)]) -> Vec<Recorded> {
    logs.iter()
        .filter_map(|(_, logged)| {
            let event = keeper::decode(deployment, &logged.log).ok()??;
            Some(Recorded {
                log: logged.id,
                block: logged.log.block,
                transaction: logged.log.transaction_hash,
                transaction_index: logged.log.transaction_index,
                log_index: logged.log.log_index,
                event,
            })
        })
        .collect()
}
