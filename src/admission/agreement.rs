//! The agreement behind the event: that it exists, what it is about, and who made it.

use super::case::Case;
use super::creation::{Created, Creation};
use super::question::AgreementFact;
use super::verdict::{Finding, Missing, Outcome, Role};
use crate::jobs::Reason;
use crate::keeper::KeeperEvent;

/// The agreement was created before the event.
pub(super) fn exists(case: &Case<'_>) -> Finding {
    let Some(claim) = case.claim else {
        return Finding::not_reached();
    };
    if let Some(event) = case.creation.event() {
        let finding = if event.position() < case.trigger.position() {
            Finding::holds(format!(
                "The agreement was created in block {}.",
                event.block.number
            ))
        } else {
            Finding::new(
                Outcome::Fails(Reason::UnknownAgreement),
                "The agreement was created only after the event.",
            )
        };
        return finding.by_log(event.log).in_role(Role::Creation, event.log);
    }
    let call = format!("AgreementStoreManager.getAgreement({})", claim.agreement);
    match &case.creation {
        Creation::Nowhere => Finding::fails(Reason::UnknownAgreement).by_call(call),
        Creation::Silent { fact } if is_of_history(case, fact) => {
            Finding::holds("The agreement exists.").by_call(call)
        }
        Creation::Silent { .. } => Finding::new(
            Outcome::Skips(Reason::BeforeHistory),
            format!(
                "The agreement was created before block {}, the first that is followed.",
                case.question.horizon.first
            ),
        )
        .by_call(call),
        _ => Finding::new(
            Outcome::Unknown(Missing::Agreement(claim.agreement)),
            "No event tells of the agreement; whether it exists has to be asked.",
        )
        .by_call(call),
    }
}

/// Whether an agreement that no event tells of was made in the followed history all the same: by a template contract that is not
/// followed.
fn is_of_history(case: &Case<'_>, fact: &AgreementFact) -> bool {
    match fact.made {
        Some(made) => made >= case.question.horizon.first,
        // Where the block was not kept: its condition's creation stands in the followed history, or it does not.
        None => case.events.iter().any(|recorded| {
            matches!(&recorded.event, KeeperEvent::ConditionCreated { condition, .. }
                if case.claim.is_some_and(|claim| claim.condition == *condition))
        }),
    }
}

/// The agreement is about the asset that the event names. Whoever owns any asset can fulfil a condition that names it.
pub(super) fn did(case: &Case<'_>) -> Finding {
    let Some(claim) = case.claim else {
        return Finding::not_reached();
    };
    let did = match &case.creation {
        Creation::Template { did, .. } | Creation::Direct { did, .. } => *did,
        Creation::Silent { fact } => fact.did,
        Creation::Nowhere | Creation::Unknown => return Finding::not_reached(),
    };
    let finding = if did == claim.did {
        Finding::holds("The agreement is about the event's asset.")
    } else {
        Finding::new(
            Outcome::Fails(Reason::WrongDid),
            format!(
                "The agreement is about {did}, the event about {}.",
                claim.did
            ),
        )
    };
    match case.creation.event() {
        Some(event) => finding.by_log(event.log),
        None => finding.by_call("AgreementStoreManager.getAgreement"),
    }
}

/// The agreement has exactly the conditions compute execution, lock and escrow, and the event's is the first.
pub(super) fn conditions(case: &Case<'_>) -> Finding {
    let Some(claim) = case.claim else {
        return Finding::not_reached();
    };
    let contracts = &case.question.keeper.contracts;
    let types = [
        contracts.compute_execution_condition,
        contracts.lock_reward_condition,
        contracts.escrow_reward,
    ];
    match &case.creation {
        Creation::Template {
            event, conditions, ..
        }
        | Creation::Direct {
            event, conditions, ..
        } => {
            let ours = conditions.iter().map(|created| created.type_ref).eq(types)
                && conditions.first().map(|created| created.condition) == Some(claim.condition)
                && agrees_with_calls(case, conditions);
            let finding = if ours {
                Finding::holds(
                    "The agreement's conditions are compute execution, lock and escrow, and the event's is the first.",
                )
            } else {
                Finding::fails(Reason::WrongConditions)
            };
            finding.by_log(event.log)
        }
        Creation::Silent { fact } => {
            let call = "AgreementStoreManager.getAgreement";
            if fact.conditions.len() == 3 && fact.conditions.first() == Some(&claim.condition) {
                Finding::holds("The agreement has three conditions, and the event's is the first.")
                    .by_call(call)
            } else if is_of_history(case, fact) {
                Finding::fails(Reason::WrongConditions).by_call(call)
            } else {
                Finding::not_reached()
            }
        }
        Creation::Nowhere | Creation::Unknown => Finding::not_reached(),
    }
}

/// What calls answered, where they were made, says the same as the events.
fn agrees_with_calls(case: &Case<'_>, conditions: &[Created]) -> bool {
    if let Creation::Direct {
        fact: Some(fact), ..
    } = &case.creation
        && !fact
            .conditions
            .iter()
            .eq(conditions.iter().map(|created| &created.condition))
    {
        return false;
    }
    conditions.iter().all(|created| {
        let fact = case.question.facts.conditions.get(&created.condition);
        fact.is_none_or(|fact| fact.type_ref == created.type_ref)
    })
}

/// The agreement was made by the template contract of the deployment, or directly under one of its template ids.
pub(super) fn template(case: &Case<'_>) -> Finding {
    let Some(claim) = case.claim else {
        return Finding::not_reached();
    };
    let call = format!("AgreementStoreManager.getAgreement({})", claim.agreement);
    match &case.creation {
        Creation::Template { event, .. } => {
            Finding::holds("The approved template contract made the agreement.").by_log(event.log)
        }
        Creation::Direct {
            fact: Some(fact), ..
        } if case.question.keeper.template_ids.contains(&fact.template) => Finding::holds(format!(
            "The agreement was made directly under the approved template {}.",
            fact.template
        ))
        .by_call(call),
        Creation::Direct { fact: Some(_), .. } => {
            Finding::fails(Reason::TemplateNotApproved).by_call(call)
        }
        Creation::Direct { fact: None, .. } => Finding::new(
            Outcome::Unknown(Missing::Agreement(claim.agreement)),
            "The agreement was made directly; under which template has to be asked.",
        )
        .by_call(call),
        Creation::Silent { fact } if is_of_history(case, fact) => {
            Finding::fails(Reason::TemplateNotApproved).by_call(call)
        }
        Creation::Silent { .. } | Creation::Nowhere | Creation::Unknown => Finding::not_reached(),
    }
}

/// The event's block lies in the condition's window, which counts from the agreement's block. Both ends belong to it.
pub(super) fn window(case: &Case<'_>) -> Finding {
    let (Some(claim), Some(event)) = (case.claim, case.creation.event()) else {
        return Finding::not_reached();
    };
    let Some(window) = case.windows().compute else {
        return match case.creation {
            // Two lists that are shorter than the conditions: no genuine template contract says so.
            Creation::Template { .. } => Finding::fails(Reason::OutsideWindow).by_log(event.log),
            _ => Finding::new(
                Outcome::Unknown(Missing::Condition(claim.condition)),
                "The condition's window has to be asked.",
            )
            .by_call(format!(
                "ConditionStoreManager.getCondition({})",
                claim.condition
            )),
        };
    };
    let (created, block) = (event.block.number, case.trigger.block.number);
    let finding = if window.holds(created, block) {
        Finding::holds("The event's block lies in the condition's window.")
    } else {
        Finding::fails(Reason::OutsideWindow)
    };
    match case.creation {
        Creation::Template { .. } => finding.by_log(event.log),
        _ => finding.by_call(format!(
            "ConditionStoreManager.getCondition({})",
            claim.condition
        )),
    }
}
