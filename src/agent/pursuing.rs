//! What became of a transaction that was signed.

use std::time::Duration;

use alloy::signers::Signer;

use super::fees::Fee;
use super::hearing::{ABORTED, FULFILLED};
use super::node::Receipt;
use super::ruling::code;
use super::view::View;
use super::wishing::Wish;
use super::{Agent, Error, Kind};
use crate::keeper::{self, Call, ContractCalls, KeeperEvent};
use crate::ledger::agent::acts::{self, Act, Change, DoneBy, State};
use crate::ledger::agent::nonces::{self, Fate};
use crate::ledger::agent::transactions::{self, Purpose, Signed};
use crate::ledger::{self, parked};

/// Multiples of the patience after which even an offer that looks right is raised: estimates of tips can be wrong.
const LONG: u32 = 5;

impl<C: ContractCalls, S: Signer + Send + Sync> Agent<C, S> {
    /// Looks where the act's transactions are; sends again, replaces or gives up as needed.
    pub(super) async fn pursue(&self, act: &Act, view: &View) -> Result<(), Error> {
        let mut connection = self.ledger.acquire().await?;
        let Some((account, nonce)) = nonces::find_held(&mut connection, act).await? else {
            drop(connection);
            return self.leave(act, State::Waiting, None, Duration::ZERO).await;
        };
        let signed = transactions::list(&mut connection, &account, nonce).await?;
        drop(connection);
        if let Some((one, receipt)) = self.find_mined(&signed).await? {
            return self.mined(act, view, one, &receipt).await;
        }
        let reading = self.node.reading(account.address).await?;
        if let Some(irreversible) = view.irreversible
            && reading.latest_count > nonce
            && self.node.count_at(account.address, irreversible).await? > nonce
        {
            return self.lost(act, nonce).await;
        }
        if account != self.account {
            let detail = format!(
                "The transaction was signed by {}, whose key the agent no longer has.",
                account.address
            );
            return self
                .leave(
                    act,
                    State::Sent,
                    Some((code::OTHER_KEY, &detail)),
                    self.settings.look_after,
                )
                .await;
        }
        let Some((newest, age)) = signed.last() else {
            return Ok(());
        };
        self.fill_gap(act, nonce, &reading, *age).await?;
        let is_next = reading.latest_count >= nonce;
        let wish = self.wish(act, view).await?;
        // What makes the act pointless can be its own transaction, mined since it was looked for.
        if matches!(wish, Wish::Cancel)
            && let Some((one, receipt)) = self.find_mined(&signed).await?
        {
            return self.mined(act, view, one, &receipt).await;
        }
        match wish {
            Wish::Keep(call) if newest.purpose == Purpose::Act => {
                self.keep_up(act, nonce, (newest, *age), Some(&call), is_next)
                    .await?;
                self.leave(act, State::Sent, None, self.settings.look_after)
                    .await
            }
            Wish::Pause => {
                let why = (
                    code::UNPAID,
                    "The payment is not on the chain any more; nothing is sent until it is back.",
                );
                self.leave(act, State::Sent, Some(why), self.settings.look_after)
                    .await
            }
            Wish::Keep(_) | Wish::Cancel => {
                if newest.purpose == Purpose::Cancel {
                    self.keep_up(act, nonce, (newest, *age), None, is_next)
                        .await?;
                } else {
                    self.cancel(act, nonce, newest).await?;
                }
                let why = (
                    code::CANCELLING,
                    "The act became pointless; its nonce is used up by a transfer of nothing.",
                );
                self.leave(act, State::Sent, Some(why), self.settings.look_after)
                    .await
            }
        }
    }

    /// Which of the transactions of a nonce is in the chain, if any is.
    async fn find_mined<'a>(
        &self,
        signed: &'a [(Signed, Duration)],
    ) -> Result<Option<(&'a Signed, Receipt)>, Error> {
        for (one, _) in signed {
            if let Some(receipt) = self.node.receipt(one.hash).await? {
                return Ok(Some((one, receipt)));
            }
        }
        Ok(None)
    }

    /// Sends the newest bytes again, or dearer ones once that can help: only the account's next transaction can be mined at all.
    async fn keep_up(
        &self,
        act: &Act,
        nonce: u64,
        (newest, age): (&Signed, Duration),
        call: Option<&Call>,
        is_next: bool,
    ) -> Result<(), Error> {
        let fee = Fee {
            max: newest.max_fee,
            priority: newest.priority_fee,
        };
        if is_next && age > self.settings.patience {
            let (_, market) = self.node.market().await?;
            let may_help = market.outgrew(fee) || age > self.settings.patience.saturating_mul(LONG);
            if may_help && let Some(dearer) = market.replacement(fee, self.settings.max_fee) {
                let call = call.map(|call| (call, newest.gas_limit));
                return self.replace(act, nonce, call, (dearer, market)).await;
            }
        }
        self.send(newest).await
    }

    async fn cancel(&self, act: &Act, nonce: u64, newest: &Signed) -> Result<(), Error> {
        let fee = Fee {
            max: newest.max_fee,
            priority: newest.priority_fee,
        };
        let (_, market) = self.node.market().await?;
        match market.replacement(fee, self.settings.max_fee) {
            Some(dearer) => self.replace(act, nonce, None, (dearer, market)).await,
            // it costs more than the limit: the next look may find it cheaper
            None => Ok(()),
        }
    }

    /// One of the act's transactions is in a block.
    async fn mined(
        &self,
        act: &Act,
        view: &View,
        signed: &Signed,
        receipt: &Receipt,
    ) -> Result<(), Error> {
        let mut connection = self.ledger.acquire().await?;
        let (used, succeeded) = (receipt.gas_used, receipt.succeeded);
        transactions::note_mined(&mut connection, signed.hash, used, succeeded).await?;
        let is_final = view
            .irreversible
            .is_some_and(|number| number >= receipt.block.number);
        if signed.purpose == Purpose::Act && succeeded && self.had_effect(act, receipt) {
            let change = Change {
                state: State::Mined,
                done_by: Some(DoneBy::Agent {
                    transaction: signed.hash,
                    block: receipt.block,
                }),
                ..self.sent()
            };
            tracing::info!(act = act.kind.as_str(), agreement = %act.agreement, hash = %signed.hash, block = %receipt.block,
                "a transaction of the agent was mined");
            return Ok(acts::move_to(&mut connection, act, &change).await?);
        }
        drop(connection);
        if !is_final {
            let why = match (signed.purpose, succeeded) {
                (Purpose::Cancel, _) => (code::CANCELLING, "The act's nonce was used up."),
                (Purpose::Act, true) => (
                    code::WINDOW_OVER,
                    "The transaction was mined after the window, so the condition was aborted.",
                ),
                (Purpose::Act, false) => {
                    (code::REVERTED, "The transaction was mined without effect.")
                }
            };
            return self
                .leave(act, State::Sent, Some(why), self.settings.look_after)
                .await;
        }
        self.without_effect(act, signed, succeeded).await
    }

    /// The act's nonce is irreversibly used by a transaction that did not do it.
    async fn without_effect(
        &self,
        act: &Act,
        signed: &Signed,
        succeeded: bool,
    ) -> Result<(), Error> {
        let state = self.state_of_subject(act).await?;
        let mut transaction = self.ledger.begin().await?;
        acts::confirm(&mut transaction, act).await?;
        nonces::settle(&mut transaction, act, Fate::Used).await?;
        ledger::commit(transaction).await?;
        if state == Some(FULFILLED) {
            return self.note_other(act).await;
        }
        if signed.purpose == Purpose::Cancel {
            return self.leave(act, State::Waiting, None, Duration::ZERO).await;
        }
        let why = match (succeeded, state) {
            (true, _) => (
                code::WINDOW_OVER,
                "The transaction was mined after the window, so the condition was aborted.",
            ),
            (false, Some(ABORTED)) => (code::ABORTED, "Somebody aborted the condition first."),
            (false, _) => (
                code::REVERTED,
                "The transaction was mined without effect, though a node had said that it would have one.",
            ),
        };
        self.give_up(act, why).await
    }

    /// The act failed. One that reverted for a reason that may be mended is parked with that: an operator can have it tried again.
    async fn give_up(
        &self,
        act: &Act,
        (reason, detail): (&'static str, &'static str),
    ) -> Result<(), Error> {
        tracing::error!(agreement = %act.agreement, reason, "an act of the agent failed: {detail}");
        let change = Change {
            state: State::Failed,
            reason: Some(reason),
            detail: Some(detail),
            done_by: None,
            again: Duration::ZERO,
        };
        let mut transaction = self.ledger.begin().await?;
        acts::move_to(&mut transaction, act, &change).await?;
        if reason == code::REVERTED {
            parked::park_act(&mut transaction, self.deployment_id, act, detail).await?;
        }
        Ok(ledger::commit(transaction).await?)
    }

    /// Somebody else with the same key used the act's nonce, irreversibly: none of its transactions can be mined any more, so that
    /// it may have another one.
    async fn lost(&self, act: &Act, nonce: u64) -> Result<(), Error> {
        let mut transaction = self.ledger.begin().await?;
        acts::confirm(&mut transaction, act).await?;
        nonces::settle(&mut transaction, act, Fate::Lost).await?;
        let change = Change {
            state: State::Waiting,
            again: Duration::ZERO,
            ..self.sent()
        };
        acts::move_to(&mut transaction, act, &change).await?;
        ledger::commit(transaction).await?;
        tracing::warn!(agreement = %act.agreement, nonce, account = %self.account.address,
            "somebody else uses the agent's key: a nonce went to another transaction");
        Ok(())
    }

    /// Whether a transaction did what the act is for. That it succeeded does not say so: a condition fulfilled after its window is
    /// aborted by its own contract, with a success.
    pub(super) fn had_effect(&self, act: &Act, receipt: &Receipt) -> bool {
        let contracts = &self.deployment.contracts;
        let expected = match act.kind {
            Kind::Approve => contracts.compute_execution_condition,
            Kind::Release => contracts.escrow_reward,
        };
        receipt.logs.iter().any(|log| {
            matches!(keeper::decode(&self.deployment, log),
                Ok(Some(KeeperEvent::ConditionUpdated { type_ref, state, .. })) if type_ref == expected && state == FULFILLED)
        })
    }
}
