//! Nonces that nobody uses, behind which nothing is mined.

use std::time::Duration;

use alloy::signers::Signer;

use super::signing::{Unsigned, sign};
use super::{Agent, Error};
use crate::keeper::ContractCalls;
use crate::ledger;
use crate::ledger::agent::accounts::Reading;
use crate::ledger::agent::acts::{self, Act};
use crate::ledger::agent::{nonces, transactions};

impl<C: ContractCalls, S: Signer + Send + Sync> Agent<C, S> {
    /// Makes sure that nothing is missing before the nonce that an act holds. A gap comes about when somebody else with the same
    /// key sent a transaction that fell out of the nodes' pools after we had counted it: it is filled by a transfer of nothing,
    /// once it has been open for as long as a transaction may take.
    pub(super) async fn fill_gap(
        &self,
        act: &Act,
        nonce: u64,
        reading: &Reading,
        age: Duration,
    ) -> Result<(), Error> {
        let first = reading.latest_count.max(reading.pending_count);
        if first >= nonce {
            return Ok(());
        }
        let (_, market) = self.node.market().await?;
        let mut transaction = self.ledger.begin().await?;
        nonces::lock(&mut transaction, &self.account).await?;
        acts::confirm(&mut transaction, act).await?;
        let taken = nonces::list_taken(&mut transaction, &self.account, first).await?;
        let Some(gap) = (first..nonce).find(|nonce| !taken.contains(nonce)) else {
            drop(transaction);
            return self.send_fillers(first, nonce).await;
        };
        let Some(fee) = market
            .offer(self.settings.max_fee)
            .filter(|_| age > self.settings.patience)
        else {
            return Ok(());
        };
        let unsigned = Unsigned {
            chain_id: self.account.chain_id,
            nonce: gap,
            call: None,
            fee,
            dynamic: market.base.is_some(),
        };
        let signed = sign(&self.signer, act.agreement, &unsigned).await?;
        nonces::fill(&mut transaction, &self.account, gap, act).await?;
        transactions::record(&mut transaction, &self.account, gap, &signed).await?;
        ledger::commit(transaction).await?;
        tracing::warn!(nonce = gap, account = %self.account.address,
            "a nonce of the agent's account was left unused by somebody else; it is filled");
        self.send(&signed).await
    }

    async fn send_fillers(&self, first: u64, before: u64) -> Result<(), Error> {
        let mut connection = self.ledger.acquire().await?;
        let filling = nonces::list_filling(&mut connection, &self.account, first).await?;
        for nonce in filling.into_iter().filter(|nonce| *nonce < before) {
            let signed = transactions::list(&mut connection, &self.account, nonce).await?;
            if let Some((newest, _)) = signed.last() {
                self.send(newest).await?;
            }
        }
        Ok(())
    }
}
