//! Where the escrow's money goes.

use alloy::primitives::Address;

use super::case::{Case, Owner};
use super::payment::{self, Payment};
use super::question::Offer;
use super::verdict::{Finding, Missing, Outcome, Role};
use crate::jobs::Reason;
use crate::keeper::{self, EscrowTerms};

/// Whom the escrow pays, if it is somebody who may be paid.
pub(super) fn paid(case: &Case<'_>) -> Option<Address> {
    allowed(case).into_iter().find(|payee| pays(case, *payee))
}

fn allowed(case: &Case<'_>) -> Vec<Address> {
    match case.question.offer {
        Offer::Ours {
            payees: Some(payees),
            ..
        } => payees.clone(),
        Offer::Ours { payees: None, .. } => case.owner().known().into_iter().collect(),
        Offer::NotOurs => Vec::new(),
    }
}

/// Whether the escrow's id says that it pays `receiver` what was locked and refunds the event's consumer.
fn pays(case: &Case<'_>, receiver: Address) -> bool {
    let (Some(claim), Some([compute, lock, escrow]), Payment::Made { amount, .. }) =
        (case.claim, case.creation.conditions(), payment::find(case))
    else {
        return false;
    };
    let terms = EscrowTerms {
        amount,
        receiver,
        sender: claim.consumer,
        lock: lock.condition,
        release: compute.condition,
    };
    let contracts = &case.question.keeper.contracts;
    keeper::escrow_id(contracts, claim.agreement, &terms) == escrow.condition
}

/// The escrow pays this publisher, and refunds the consumer.
pub(super) fn payee(case: &Case<'_>) -> Finding {
    let (Some(claim), Payment::Made { .. }, Offer::Ours { payees, .. }) =
        (case.claim, payment::find(case), case.question.offer)
    else {
        return Finding::not_reached();
    };
    let owner = case.owner();
    if payees.is_none() && matches!(owner, Owner::Unknown) {
        return Finding::new(
            Outcome::Unknown(Missing::Owner(claim.did)),
            "Who owned the asset has to be asked.",
        )
        .by_call(format!("DIDRegistry.getDIDOwner({})", claim.did));
    }
    let finding = match paid(case) {
        Some(payee) => Finding::holds(format!("The escrow pays {payee} and refunds the consumer.")),
        None => Finding::fails(Reason::EscrowMismatch),
    };
    match (payees, owner) {
        (None, Owner::Event(_, log)) => finding.by_log(log).in_role(Role::Registration, log),
        (None, Owner::Call(_)) => {
            finding.by_call(format!("DIDRegistry.getDIDOwner({})", claim.did))
        }
        _ => finding,
    }
}
