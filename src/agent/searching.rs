//! What would this agreement run? Everything is looked at before the agent commits, as the resolver will afterwards.

use alloy::signers::Signer;
use futures::FutureExt;

use super::view::View;
use super::{Agent, Error};
use crate::admission::Position;
use crate::documents::{Search, search};
use crate::keeper::ContractCalls;
use crate::ledger::registrations;
use crate::preflight::Sale;
use crate::workflows::{Catalog, Found, Resolution};

impl<C: ContractCalls, S: Signer + Send + Sync> Agent<C, S> {
    /// Looks for the workflow as the resolver will, documents and image included, and notes in `found` what was had.
    pub(super) async fn search(
        &self,
        sale: &Sale,
        decided_at: Position,
        (view, catalog): (&View, &Catalog),
        found: &mut Found,
    ) -> Result<Search, Error> {
        let up_to = view.judged.number;
        let followed = (self.deployment_id, &self.deployment);
        let mut connection = self.ledger.acquire().await?;
        let said =
            registrations::list_of_agreement(&mut connection, followed, sale.agreement, up_to)
                .await?;
        drop(connection);
        let question = Resolution {
            agreement: sale.agreement,
            did: sale.did,
            consumer: sale.consumer,
            agreement_created: sale.created,
            decided_at,
            registrations: &said,
            catalog,
        };
        let of_did = |did| {
            async move {
                let mut connection = self.ledger.acquire().await?;
                let listed = registrations::list_of_did(&mut connection, followed, did, up_to);
                Ok::<_, Error>(listed.await?)
            }
            .boxed()
        };
        search(&self.documents, &question, found, of_did).await
    }
}
