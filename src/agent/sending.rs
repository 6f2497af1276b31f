//! From a ruling to a transaction that nodes have: nonce, signature, record, and only then sending.

use std::time::Duration;

use alloy::primitives::U256;
use alloy::signers::Signer;

use super::fees::{Fee, Market};
use super::node::Trial;
use super::ruling::{Ruling, code};
use super::signing::{Unsigned, sign};
use super::view::View;
use super::{Agent, Error, Kind, nonce, releasing};
use crate::keeper::{Call, ContractCalls};
use crate::ledger::agent::acts::{self, Act, Change, DoneBy, Judgement, State};
use crate::ledger::agent::{accounts, nonces, transactions};
use crate::ledger::{self, Transaction, policies};
use crate::workflows::Catalog;

/// Room above a node's estimate of gas, in percent: what a call takes can grow a little until it is mined.
const GAS_ROOM: u64 = 30;

/// A call that can be afforded.
struct Affordable {
    gas: u64,
    fee: Fee,
    market: Market,
    reading: accounts::Reading,
}

impl<C: ContractCalls, S: Signer + Send + Sync> Agent<C, S> {
    /// Decides about an act that nothing was signed for, and begins it if it may be.
    pub(super) async fn consider(
        &self,
        act: &Act,
        view: &View,
        catalog: &Catalog,
    ) -> Result<(), Error> {
        let ruling = match act.kind {
            Kind::Approve => self.hear(act, view, catalog).await?,
            Kind::Release => self.hear_release(act, view, catalog).await?,
        };
        match ruling {
            Ruling::Act { call, judgement } => match self.afford(&call).await? {
                Ok(affordable) => {
                    self.begin(act, &call, judgement.as_ref(), catalog, affordable)
                        .await
                }
                Err((reason, detail)) => {
                    let again = Duration::from_secs(5);
                    self.leave(act, State::Waiting, Some((reason, &detail)), again)
                        .await
                }
            },
            Ruling::Wait {
                reason,
                detail,
                again,
            } => {
                self.leave(act, State::Waiting, Some((reason, &detail)), again)
                    .await
            }
            Ruling::Decline {
                reason,
                detail,
                judgement,
            } => {
                self.decline_act(act, (&reason, &detail), judgement.as_ref(), catalog)
                    .await
            }
            Ruling::Fail { reason, detail } => {
                self.leave(act, State::Failed, Some((reason, &detail)), Duration::ZERO)
                    .await
            }
            Ruling::DoneByOther => self.note_other(act).await,
        }
    }

    async fn decline_act(
        &self,
        act: &Act,
        (reason, detail): (&str, &str),
        judgement: Option<&Judgement>,
        catalog: &Catalog,
    ) -> Result<(), Error> {
        let mut transaction = self.ledger.begin().await?;
        acts::confirm(&mut transaction, act).await?;
        if let Some(judgement) = judgement {
            policies::record(&mut transaction, catalog.sha256, &catalog.bytes).await?;
            acts::judge(&mut transaction, act, judgement).await?;
        }
        let change = Change {
            state: State::Declined,
            reason: Some(reason),
            detail: Some(detail),
            done_by: None,
            again: Duration::ZERO,
        };
        acts::move_to(&mut transaction, act, &change).await?;
        ledger::commit(transaction).await?;
        match act.kind {
            Kind::Release if releasing::alarms(reason) => {
                tracing::error!(agreement = %act.agreement, reason, "{detail}");
            }
            Kind::Release => tracing::warn!(agreement = %act.agreement, reason, "{detail}"),
            Kind::Approve => {
                tracing::info!(agreement = %act.agreement, reason, "the agent declined: {detail}");
            }
        }
        Ok(())
    }

    /// By what offer a call can be mined now; else why not. Whether there is money and gas for it is asked later, under the
    /// account's lock.
    async fn afford(
        &self,
        call: &Call,
    ) -> Result<Result<Affordable, (&'static str, String)>, Error> {
        let account = self.account.address;
        let (_, market) = self.node.market().await?;
        let Some(fee) = market.offer(self.settings.max_fee) else {
            let detail = format!(
                "Getting into a block costs {} wei per gas now, more than the limit of {}.",
                market.least(),
                self.settings.max_fee
            );
            return Ok(Err((code::FEE_TOO_HIGH, detail)));
        };
        let reading = self.node.reading(account).await?;
        accounts::record(&mut *self.ledger.acquire().await?, &self.account, &reading).await?;
        if reading.balance.is_zero() {
            // some nodes refuse even to estimate for it
            let detail = format!("The agent's account {account} has nothing.");
            return Ok(Err((code::PURSE_EMPTY, detail)));
        }
        let gas = match self.node.try_call(account, call).await? {
            Trial::Gas(gas) => gas.saturating_add(gas.saturating_mul(GAS_ROOM) / 100),
            Trial::Reverts(reason) => {
                let reason: String = reason.chars().take(200).collect();
                let detail =
                    format!("A node says that the transaction would have no effect: {reason}");
                return Ok(Err((code::REVERTS, detail)));
            }
        };
        Ok(Ok(Affordable {
            gas,
            fee,
            market,
            reading,
        }))
    }

    /// Whether the purse and the day's gas suffice, with everything that is under way counted.
    async fn limits(
        &self,
        transaction: &mut Transaction,
        affordable: &Affordable,
    ) -> Result<Result<(), (&'static str, String)>, Error> {
        let Affordable {
            gas, fee, reading, ..
        } = affordable;
        let reserved = transactions::reserved(transaction, &self.account).await?;
        let spent = transactions::gas_of_day(transaction, &self.account).await?;
        let cost = U256::from(*gas).saturating_mul(U256::from(fee.max));
        if reading.balance < cost.saturating_add(reserved) {
            let detail = format!(
                "The agent's account {} has {} wei, and needs {cost} beside {reserved} for what is under way.",
                self.account.address, reading.balance
            );
            return Ok(Err((code::PURSE_EMPTY, detail)));
        }
        if spent.saturating_add(*gas) > self.settings.daily_gas {
            let detail = format!(
                "{spent} gas was spent in 24 hours; {gas} more would exceed the limit of {}.",
                self.settings.daily_gas
            );
            return Ok(Err((code::DAILY_GAS, detail)));
        }
        Ok(Ok(()))
    }

    /// Takes a nonce, signs, and records both with the act's state in one transaction; then sends.
    async fn begin(
        &self,
        act: &Act,
        call: &Call,
        judgement: Option<&Judgement>,
        catalog: &Catalog,
        affordable: Affordable,
    ) -> Result<(), Error> {
        let mut transaction = self.ledger.begin().await?;
        nonces::lock(&mut transaction, &self.account).await?;
        acts::confirm(&mut transaction, act).await?;
        if let Err((reason, detail)) = self.limits(&mut transaction, &affordable).await? {
            drop(transaction);
            let again = Duration::from_secs(5);
            return self
                .leave(act, State::Waiting, Some((reason, &detail)), again)
                .await;
        }
        let Affordable {
            gas,
            fee,
            market,
            reading,
        } = affordable;
        let first = reading.latest_count.min(reading.pending_count);
        let taken = nonces::list_taken(&mut transaction, &self.account, first).await?;
        let nonce = nonce::next(&reading, &taken);
        let unsigned = Unsigned {
            chain_id: self.account.chain_id,
            nonce,
            call: Some((call, gas)),
            fee,
            dynamic: market.base.is_some(),
        };
        let signed = sign(&self.signer, act.agreement, &unsigned).await?;
        nonces::take(&mut transaction, &self.account, nonce, act).await?;
        transactions::record(&mut transaction, &self.account, nonce, &signed).await?;
        if let Some(judgement) = judgement {
            policies::record(&mut transaction, catalog.sha256, &catalog.bytes).await?;
            acts::judge(&mut transaction, act, judgement).await?;
        }
        acts::move_to(&mut transaction, act, &self.sent()).await?;
        ledger::commit(transaction).await?;
        tracing::info!(act = act.kind.as_str(), agreement = %act.agreement, nonce, hash = %signed.hash,
            "the agent signed a transaction");
        self.send(&signed).await
    }

    /// Signs another transaction for a nonce that the act holds, records it, and sends it.
    pub(super) async fn replace(
        &self,
        act: &Act,
        nonce: u64,
        call: Option<(&Call, u64)>,
        (fee, market): (Fee, Market),
    ) -> Result<(), Error> {
        let unsigned = Unsigned {
            chain_id: self.account.chain_id,
            nonce,
            call,
            fee,
            dynamic: market.base.is_some(),
        };
        let signed = sign(&self.signer, act.agreement, &unsigned).await?;
        let mut transaction = self.ledger.begin().await?;
        acts::confirm(&mut transaction, act).await?;
        transactions::record(&mut transaction, &self.account, nonce, &signed).await?;
        ledger::commit(transaction).await?;
        tracing::info!(act = act.kind.as_str(), agreement = %act.agreement, nonce, hash = %signed.hash,
            cancels = call.is_none(), "the agent replaced a transaction");
        self.send(&signed).await
    }

    /// Sends recorded bytes, as often as wanted: they are the same transaction.
    pub(super) async fn send(&self, signed: &transactions::Signed) -> Result<(), Error> {
        let answer = self.node.send(&signed.raw).await?;
        let mut connection = self.ledger.acquire().await?;
        match answer {
            Ok(()) => transactions::note_sent(&mut connection, signed.hash).await?,
            Err(refusal) => {
                tracing::debug!(hash = %signed.hash, refusal, "no node took a transaction");
                transactions::note_refused(&mut connection, signed.hash, &refusal).await?;
            }
        }
        Ok(())
    }

    pub(super) const fn sent(&self) -> Change<'static> {
        Change {
            state: State::Sent,
            reason: None,
            detail: None,
            done_by: None,
            again: self.settings.look_after,
        }
    }

    /// Leaves an act in a state, with why.
    pub(super) async fn leave(
        &self,
        act: &Act,
        state: State,
        why: Option<(&str, &str)>,
        again: Duration,
    ) -> Result<(), Error> {
        let reason = why.map(|(reason, _)| reason);
        if act.reason.as_deref() != reason
            && let Some((reason, detail)) = why
        {
            match state {
                State::Failed => {
                    tracing::error!(agreement = %act.agreement, reason, "an act of the agent failed: {detail}");
                }
                _ => {
                    tracing::warn!(agreement = %act.agreement, reason, "an act of the agent waits: {detail}");
                }
            }
        }
        let change = Change {
            state,
            reason,
            detail: why.map(|(_, detail)| detail),
            done_by: None,
            again,
        };
        Ok(acts::move_to(&mut *self.ledger.acquire().await?, act, &change).await?)
    }

    /// Somebody else did it. That can still be rolled back, so it is looked at until it cannot.
    pub(super) async fn note_other(&self, act: &Act) -> Result<(), Error> {
        let change = Change {
            state: State::Mined,
            reason: None,
            detail: Some("Somebody else did it first."),
            done_by: Some(DoneBy::Other),
            again: self.settings.look_after,
        };
        Ok(acts::move_to(&mut *self.ledger.acquire().await?, act, &change).await?)
    }
}
