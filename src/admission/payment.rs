//! The money: that it lies in the escrow, and that it is enough.

use alloy::primitives::U256;

use super::case::Case;
use super::execution::{ABORTED, FULFILLED};
use super::question::{Offer, Recorded};
use super::verdict::{Finding, Missing, Outcome, Role};
use crate::ids::ConditionId;
use crate::jobs::Reason;
use crate::keeper::{self, KeeperEvent};

/// What became of an agreement's lock.
pub(super) enum Payment<'a> {
    /// The escrow was paid.
    Made { event: &'a Recorded, amount: U256 },
    /// Somebody else was paid, or the lock is of another agreement.
    Misdirected(&'a Recorded),
    /// It was aborted, or marked as fulfilled without any payment: nobody can pay any more.
    Ended(&'a Recorded),
    /// Nothing yet.
    Open,
}

/// What became of the lock, as the condition store says it, and the lock's own contract with it.
pub(super) fn find<'a>(case: &Case<'a>) -> Payment<'a> {
    let (Some(claim), Some(lock)) = (case.claim, lock(case)) else {
        return Payment::Open;
    };
    let contracts = &case.question.keeper.contracts;
    let ended = case.states(lock).find(|(_, _, state)| *state == ABORTED);
    if let Some((update, _, _)) = ended {
        return Payment::Ended(update);
    }
    // Whoever made it so: a state that was set is final, and nobody can pay any more.
    let fulfilled = case.states(lock).find(|(_, _, state)| *state == FULFILLED);
    let Some((update, type_ref, _)) = fulfilled else {
        return Payment::Open;
    };
    if type_ref != contracts.lock_reward_condition {
        return Payment::Ended(update);
    }
    let own = case
        .transaction_of(update)
        .filter(|recorded| recorded.position() > update.position())
        .find_map(|recorded| match &recorded.event {
            KeeperEvent::LockFulfilled {
                reward_address,
                condition,
                amount,
                ..
            } if *condition == lock => Some((recorded, *reward_address, *amount)),
            _ => None,
        });
    match own {
        // The contract's delegates can set a state without anybody paying.
        None => Payment::Ended(update),
        Some((event, reward_address, amount)) => {
            let escrow = contracts.escrow_reward;
            let expected = keeper::lock_id(contracts, claim.agreement, escrow, amount);
            if reward_address == escrow && expected == lock {
                Payment::Made { event, amount }
            } else {
                Payment::Misdirected(event)
            }
        }
    }
}

/// The agreement's second condition.
pub(super) fn lock(case: &Case<'_>) -> Option<ConditionId> {
    Some(case.creation.conditions()?.get(1)?.condition)
}

/// The lock paid the escrow. Anybody may pay. What is not paid yet is waited for as long as it can be paid.
pub(super) fn payment(case: &Case<'_>) -> Finding {
    match find(case) {
        Payment::Made { event, amount } => {
            Finding::holds(format!("The lock paid {amount} into the escrow."))
                .by_log(event.log)
                .in_role(Role::Lock, event.log)
        }
        Payment::Misdirected(event) => Finding::fails(Reason::LockMismatch)
            .by_log(event.log)
            .in_role(Role::Lock, event.log),
        Payment::Ended(update) => Finding::fails(Reason::LockImpossible)
            .by_log(update.log)
            .in_role(Role::Abort, update.log),
        Payment::Open => unpaid(case),
    }
}

fn unpaid(case: &Case<'_>) -> Finding {
    let (Some(lock), Some(event)) = (lock(case), case.creation.event()) else {
        return Finding::not_reached();
    };
    let Some(window) = case.windows().lock else {
        return Finding::new(
            Outcome::Unknown(Missing::Condition(lock)),
            "Nobody has paid yet; until when that can be done has to be asked.",
        )
        .by_call(format!("ConditionStoreManager.getCondition({lock})"));
    };
    if window.never_opens(event.block.number) {
        return Finding::new(
            Outcome::Fails(Reason::LockImpossible),
            "Nobody has paid, and the lock's window never opens.",
        );
    }
    let Some(last) = window.last(event.block.number) else {
        return Finding::new(
            Outcome::Waits(None),
            "Nobody has paid yet; that can be done at any time.",
        );
    };
    // Only blocks that are both final and judged can be said to hold no payment.
    let settled = case
        .question
        .horizon
        .irreversible
        .map(|number| number.min(case.question.horizon.judged));
    if settled.is_some_and(|settled| settled >= last) {
        return Finding::new(
            Outcome::Fails(Reason::LockImpossible),
            format!("Nobody paid up to block {last}, the last in which that could be done."),
        )
        .by_block(last);
    }
    Finding::new(
        Outcome::Waits(Some(last)),
        format!("Nobody has paid yet; that can be done up to block {last}."),
    )
    .by_block(last)
}

/// The payment is at least the asset's price.
pub(super) fn price(case: &Case<'_>) -> Finding {
    let (Payment::Made { event, amount }, Offer::Ours { minimum_price, .. }) =
        (find(case), case.question.offer)
    else {
        return Finding::not_reached();
    };
    let finding = if amount >= *minimum_price {
        Finding::holds(format!(
            "{amount} is at least the price of {minimum_price}."
        ))
    } else {
        Finding::new(
            Outcome::Fails(Reason::Underpaid),
            format!("{amount} is less than the price of {minimum_price}."),
        )
    };
    finding.by_log(event.log)
}

/// The escrow still holds the money, or released it.
pub(super) fn escrow_state(case: &Case<'_>) -> Finding {
    let Some(escrow) = case.creation.conditions().and_then(|list| list.get(2)) else {
        return Finding::not_reached();
    };
    for (update, _, state) in case.states(escrow.condition) {
        if state == ABORTED {
            return Finding::fails(Reason::EscrowAborted)
                .by_log(update.log)
                .in_role(Role::Abort, update.log);
        }
        if state == FULFILLED && !released(case, update, escrow.condition) {
            let detail = "The escrow was marked as released, but paid nobody.";
            return Finding::new(Outcome::Fails(Reason::EscrowAborted), detail)
                .by_log(update.log)
                .in_role(Role::Abort, update.log);
        }
    }
    Finding::holds("The escrow was not aborted.")
}

/// Whether the escrow's own contract paid in the transaction that made it fulfilled.
fn released(case: &Case<'_>, update: &Recorded, escrow: ConditionId) -> bool {
    case.transaction_of(update).any(|recorded| {
        recorded.position() > update.position()
            && matches!(&recorded.event, KeeperEvent::EscrowFulfilled { condition, .. } if *condition == escrow)
    })
}
