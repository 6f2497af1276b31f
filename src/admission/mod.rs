//! Decides whether a compute condition's job is owed. Pure: [`judge`] is a function of what was recorded and read.
//!
//! It refuses to know where events and facts come from, and what becomes of the verdict.
//!
//! The keeper's contracts prove little by themselves. `ComputeExecutionCondition.fulfill` does not look at the payment; a call
//! that comes too late emits `Fulfilled` all the same and leaves the condition aborted; and the store takes any three numbers for
//! an agreement's conditions, so that a genuine event can stand for an agreement that pays nobody. Hence the rules:
//!
//! | group | rules | needs |
//! |---|---|---|
//! | `execution.rs` | `condition_id`, `condition_state` | the event's transaction |
//! | `agreement.rs` | `agreement`, `agreement_did`, `conditions`, `template`, `window` | how the agreement was made (`creation.rs`) |
//! | `offer.rs` | `our_asset` | the catalog |
//! | `payment.rs` | `escrow_state`, `payment`, `price` | the lock's and the escrow's events |
//! | `escrow.rs` | `payee` | the asset's owner or the publisher's payees |
//! | `start.rs` | `start` | the block from which the operator acts |
//!
//! Where the node still has the state, `opinion.rs` compares what the contracts answer with what their events say (rule
//! `second_opinion`); a difference leaves the verdict undecided and disputed.
//!
//! Invariants:
//! - the rules that need no catalog come first, and a refusal by any of them stands whatever the others would say;
//! - a state is believed only when `ConditionUpdated` with the expected type stands in the same transaction as that contract's
//!   own `Fulfilled`;
//! - what cannot be read is `Undecided` and never a refusal; an agreement older than the followed history is skipped;
//! - ids are recomputed, sums are checked, the order in which events arrived does not matter;
//! - further facts never turn a refusal into an admission.
//!
//! Why every rule answers, and in sentences: the answers are the verdict that people are shown.

mod agreement;
mod case;
mod creation;
mod escrow;
mod execution;
mod offer;
mod opinion;
mod payment;
mod question;
mod start;
mod verdict;

pub use creation::conditions_made_with;
pub use opinion::{ConditionOpinion, Expectation, ExpectedCondition, Opinion, weigh};
pub use question::{
    AgreementFact, ConditionFact, Facts, Horizon, Offer, Position, Question, Recorded,
};
pub use verdict::{Admission, Answer, Decision, Evidence, Missing, Role, RuleAnswer, Verdict};

use crate::jobs::Reason;
use case::Case;
use verdict::Finding;

/// Every reason that a verdict can give for refusing or skipping a job.
pub const REASONS: &[Reason] = &[
    Reason::BeforeStart,
    Reason::BeforeHistory,
    Reason::NotOurAsset,
    Reason::ConditionIdMismatch,
    Reason::ConditionNotFulfilled,
    Reason::ConditionStateUnproven,
    Reason::OutsideWindow,
    Reason::UnknownAgreement,
    Reason::WrongDid,
    Reason::WrongConditions,
    Reason::TemplateNotApproved,
    Reason::LockMismatch,
    Reason::LockImpossible,
    Reason::Underpaid,
    Reason::EscrowMismatch,
    Reason::EscrowAborted,
];

/// A rule: its stable name, and what it finds.
type Rule = (&'static str, fn(&Case<'_>) -> Finding);

/// The rules that need no catalog, in their order.
const CONTRACT_RULES: &[Rule] = &[
    ("condition_id", execution::condition_id),
    ("condition_state", execution::condition_state),
    ("agreement", agreement::exists),
    ("agreement_did", agreement::did),
    ("conditions", agreement::conditions),
    ("template", agreement::template),
    ("window", agreement::window),
];

/// Whether the publisher has anything to say at all.
const OFFER_RULES: &[Rule] = &[("our_asset", offer::our_asset)];

/// The rules that are asked only about this publisher's own assets, in their order.
const PUBLISHER_RULES: &[Rule] = &[
    ("escrow_state", payment::escrow_state),
    ("payment", payment::payment),
    ("price", payment::price),
    ("payee", escrow::payee),
    ("start", start::start),
];

/// Judges one compute condition.
///
/// The same question always has the same answer, in whatever order its events came. A question whose trigger is no compute
/// `Fulfilled` event is refused as `condition_id_mismatch`.
pub fn judge(question: &Question<'_>) -> Verdict {
    let case = Case::new(question);
    let mut verdict = verdict::Draft::default();
    for rules in [CONTRACT_RULES, OFFER_RULES, PUBLISHER_RULES] {
        if verdict.is_open() {
            verdict.ask(rules, &case);
        } else {
            verdict.leave(rules);
        }
    }
    verdict.close(&case)
}

#[cfg(test)]
mod tests;
