//! Whether a transaction that was signed is still wanted.

use std::sync::Arc;

use alloy::signers::Signer;

use super::hearing::{FULFILLED, fact};
use super::view::View;
use super::{Agent, Error, Kind};
use crate::ids::ConditionId;
use crate::keeper::{self, Call, ContractCalls};
use crate::ledger::agent::acts::Act;
use crate::ledger::agent::discovery;
use crate::preflight::Sale;

/// Whether the act is still wanted.
pub(super) enum Wish {
    /// Yes, by this call.
    Keep(Call),
    /// Not at this moment: nothing is sent, nothing is given up.
    Pause,
    /// No: its nonce is used up by a transfer of nothing.
    Cancel,
}

impl<C: ContractCalls, S: Signer + Send + Sync> Agent<C, S> {
    /// Whether an act that was signed for is still wanted, as the ledger and the node have it now.
    pub(super) async fn wish(&self, act: &Act, view: &View) -> Result<Wish, Error> {
        let events = self.events_of(act.agreement, view).await?;
        let Ok(sale) = Sale::read(&self.deployment.contracts, &events, act.agreement) else {
            return Ok(Wish::Pause);
        };
        let Some(paid) = sale.paid else {
            return Ok(Wish::Pause);
        };
        match act.kind {
            Kind::Approve => {
                let (head, _) = self.node.market().await?;
                // a transaction that is in the pool already can be mined in the very next block
                if act
                    .until_block
                    .is_some_and(|last| head.saturating_add(1) >= last)
                {
                    return Ok(Wish::Cancel);
                }
                if self.state_of(act, sale.compute).await? != Some(1) {
                    return Ok(Wish::Cancel);
                }
                if self.state_of(act, sale.lock).await? != Some(FULFILLED) {
                    return Ok(Wish::Pause);
                }
                Ok(Wish::Keep(
                    self.purchase(&sale, self.account.address, paid.amount)
                        .fulfil(),
                ))
            }
            Kind::Release => {
                if self.state_of(act, sale.escrow).await? != Some(1) {
                    return Ok(Wish::Cancel);
                }
                let Some(job) = act.job else {
                    return Ok(Wish::Cancel);
                };
                let ended = discovery::get_ended(&mut *self.ledger.acquire().await?, job).await?;
                let catalog = Arc::clone(&self.catalog.borrow());
                let payee = self.payee(&sale, &ended, &catalog).await?;
                Ok(payee.map_or(Wish::Pause, |payee| {
                    Wish::Keep(self.purchase(&sale, payee, paid.amount).release())
                }))
            }
        }
    }

    /// The state of the condition that the act is about, as the node has it now.
    pub(super) async fn state_of_subject(&self, act: &Act) -> Result<Option<u8>, Error> {
        let view = View::find(&mut *self.ledger.acquire().await?, self.deployment_id).await?;
        let Some(view) = view else { return Ok(None) };
        let events = self.events_of(act.agreement, &view).await?;
        let Ok(sale) = Sale::read(&self.deployment.contracts, &events, act.agreement) else {
            return Ok(None);
        };
        self.state_of(act, subject(act, &sale)).await
    }

    async fn state_of(&self, act: &Act, condition: ConditionId) -> Result<Option<u8>, Error> {
        let facts = keeper::Facts::new(&self.calls, &self.deployment.contracts);
        let found = facts.condition(condition, None).await;
        Ok(found.map_err(fact(act.agreement))?.map(|its| its.state))
    }
}

/// The condition that the act is about.
pub(super) const fn subject(act: &Act, sale: &Sale) -> ConditionId {
    match act.kind {
        Kind::Approve => sale.compute,
        Kind::Release => sale.escrow,
    }
}
