//! From where on the operator wants to act.

use super::case::Case;
use super::payment::{self, Payment};
use super::question::Position;
use super::verdict::{Finding, Missing, Outcome};
use crate::jobs::Reason;

/// From where on the job is owed: the condition's event, or the payment when that came later.
pub(super) fn owed_from(case: &Case<'_>) -> Option<Position> {
    match payment::find(case) {
        Payment::Made { event, .. } => Some(case.trigger.position().max(event.position())),
        _ => None,
    }
}

/// The job is owed from a block at or after the one from which the operator acts.
pub(super) fn start(case: &Case<'_>) -> Finding {
    let Some(owed) = owed_from(case) else {
        return Finding::not_reached();
    };
    let Some(act_from) = case.question.horizon.act_from else {
        return Finding::new(
            Outcome::Unknown(Missing::ActFrom),
            "From which block on to act is not known yet.",
        );
    };
    let block = owed.block;
    let finding = if block >= act_from {
        Finding::holds(format!(
            "The job is owed from block {block}, and jobs are started from block {act_from} on."
        ))
    } else {
        Finding::new(
            Outcome::Skips(Reason::BeforeStart),
            format!(
                "The job is owed from block {block}, and jobs are started from block {act_from} on only."
            ),
        )
    };
    finding.by_block(block)
}
