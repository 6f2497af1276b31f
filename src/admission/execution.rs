//! The event itself: what it stands for, and whether its contract meant it.

use super::case::Case;
use super::verdict::{Finding, Outcome, Role};
use crate::jobs::Reason;
use crate::keeper::{self, KeeperEvent};

/// State of a condition that its contract fulfilled (`ConditionStoreLibrary.ConditionState`).
pub(super) const FULFILLED: u8 = 2;
/// State of a condition that was aborted.
pub(super) const ABORTED: u8 = 3;

/// The condition's id follows from the agreement, the asset and the consumer that the event names.
pub(super) fn condition_id(case: &Case<'_>) -> Finding {
    let recomputed = case.claim.map(|claim| {
        let contracts = &case.question.keeper.contracts;
        let id = keeper::compute_id(contracts, claim.agreement, claim.did, claim.consumer);
        id == claim.condition
    });
    let finding = if recomputed == Some(true) {
        Finding::holds("The condition's id follows from the agreement, the asset and the consumer.")
    } else {
        Finding::fails(Reason::ConditionIdMismatch)
    };
    finding.by_log(case.trigger.log)
}

/// The condition store made the condition fulfilled in this very transaction, right before the event. The event alone proves
/// nothing: a call after the window's end emits it too, and leaves the condition aborted.
pub(super) fn condition_state(case: &Case<'_>) -> Finding {
    let Some(claim) = case.claim else {
        return Finding::not_reached();
    };
    let compute = case.question.keeper.contracts.compute_execution_condition;
    let aborted = case
        .states(claim.condition)
        .find(|(_, _, state)| *state == ABORTED);
    if let Some((update, _, _)) = aborted {
        return Finding::fails(Reason::ConditionNotFulfilled)
            .by_log(update.log)
            .in_role(Role::Abort, update.log);
    }
    let proven = case
        .transaction_of(case.trigger)
        .take_while(|recorded| recorded.position() < case.trigger.position())
        .find(|recorded| {
            matches!(&recorded.event, KeeperEvent::ConditionUpdated { condition, type_ref, state, .. }
                if *condition == claim.condition && *type_ref == compute && *state == FULFILLED)
        });
    match proven {
        Some(update) => Finding::new(
            Outcome::Holds,
            "The condition was fulfilled by its own contract in the event's transaction.",
        )
        .by_log(update.log),
        None => Finding::fails(Reason::ConditionStateUnproven).by_log(case.trigger.log),
    }
}
