//! Until what was done can no longer be rolled back.

use std::time::Duration;

use alloy::signers::Signer;

use super::hearing::{FULFILLED, fact};
use super::view::View;
use super::wishing::subject;
use super::{Agent, Error};
use crate::keeper::{self, ContractCalls};
use crate::ledger;
use crate::ledger::agent::acts::{self, Act, Change, DoneBy, State};
use crate::ledger::agent::nonces::{self, Fate};
use crate::preflight::Sale;

impl<C: ContractCalls, S: Signer + Send + Sync> Agent<C, S> {
    /// Looks whether what was done still is, and whether it is for good.
    pub(super) async fn confirm(&self, act: &Act, view: &View) -> Result<(), Error> {
        match act.done_by {
            Some(DoneBy::Agent { transaction, .. }) => {
                let receipt = self.node.receipt(transaction).await?;
                let still =
                    receipt.filter(|receipt| receipt.succeeded && self.had_effect(act, receipt));
                let Some(receipt) = still else {
                    tracing::warn!(agreement = %act.agreement, hash = %transaction,
                        "a reorganisation took a transaction of the agent from the chain");
                    return self.leave(act, State::Sent, None, Duration::ZERO).await;
                };
                let is_final = view
                    .irreversible
                    .is_some_and(|number| number >= receipt.block.number);
                let done_by = DoneBy::Agent {
                    transaction,
                    block: receipt.block,
                };
                self.keep(act, done_by, is_final).await
            }
            _ => self.confirm_other(act, view).await,
        }
    }

    async fn confirm_other(&self, act: &Act, view: &View) -> Result<(), Error> {
        let events = self.events_of(act.agreement, view).await?;
        let Ok(sale) = Sale::read(&self.deployment.contracts, &events, act.agreement) else {
            return self
                .leave(act, State::Waiting, None, self.settings.look_after)
                .await;
        };
        let facts = keeper::Facts::new(&self.calls, &self.deployment.contracts);
        let condition = subject(act, &sale);
        let state = async |at| {
            let found = facts.condition(condition, at).await;
            let found = found.map_err(fact(act.agreement))?;
            Ok::<_, Error>(found.map(|its| its.state))
        };
        if state(None).await? != Some(FULFILLED) {
            return self.leave(act, State::Waiting, None, Duration::ZERO).await;
        }
        let is_final = match view.irreversible {
            Some(number) => state(Some(number)).await? == Some(FULFILLED),
            None => false,
        };
        self.keep(act, DoneBy::Other, is_final).await
    }

    async fn keep(&self, act: &Act, done_by: DoneBy, is_final: bool) -> Result<(), Error> {
        let change = Change {
            state: if is_final { State::Done } else { State::Mined },
            reason: None,
            detail: (done_by == DoneBy::Other).then_some("Somebody else did it first."),
            done_by: Some(done_by),
            again: self.settings.look_after,
        };
        let mut transaction = self.ledger.begin().await?;
        acts::confirm(&mut transaction, act).await?;
        if is_final {
            nonces::settle(&mut transaction, act, Fate::Used).await?;
        }
        acts::move_to(&mut transaction, act, &change).await?;
        Ok(ledger::commit(transaction).await?)
    }
}
