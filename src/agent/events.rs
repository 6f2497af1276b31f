//! What the ledger has about an agreement.

use alloy::primitives::B256;
use alloy::signers::Signer;

use super::view::View;
use super::{Agent, Error};
use crate::admission::Recorded;
use crate::ids::AgreementId;
use crate::keeper::{self, ContractCalls};
use crate::ledger::{Connection, judging, subjects};
use crate::preflight::Sale;

impl<C: ContractCalls, S: Signer + Send + Sync> Agent<C, S> {
    /// The canonical events about subjects, up to a block.
    pub(super) async fn events_about(
        &self,
        connection: &mut Connection,
        kind: &'static str,
        subjects: &[B256],
        up_to: u64,
    ) -> Result<Vec<Recorded>, Error> {
        let logs =
            judging::list_about(connection, self.deployment_id, kind, subjects, up_to).await?;
        Ok(logs
            .iter()
            .filter_map(|(_, logged)| {
                let event = keeper::decode(&self.deployment, &logged.log).ok()??;
                Some(Recorded {
                    log: logged.id,
                    block: logged.log.block,
                    transaction: logged.log.transaction_hash,
                    transaction_index: logged.log.transaction_index,
                    log_index: logged.log.log_index,
                    event,
                })
            })
            .collect())
    }

    /// The events about an agreement and its asset, up to the judged block.
    pub(super) async fn events_of(
        &self,
        agreement: AgreementId,
        view: &View,
    ) -> Result<Vec<Recorded>, Error> {
        let up_to = view.judged.number;
        let mut connection = self.ledger.acquire().await?;
        let mut events = self
            .events_about(&mut connection, subjects::AGREEMENT, &[agreement.0], up_to)
            .await?;
        if let Some(did) = Sale::asset(&events, agreement) {
            let about = self
                .events_about(&mut connection, subjects::DID, &[did.0], up_to)
                .await?;
            events.extend(about);
        }
        Ok(events)
    }
}
