//! A second opinion: what the contracts answer on the state after a block, beside what their events say. Where the two differ, one
//! of them is wrong, and nobody here can say which: the job waits for an operator.

use alloy::primitives::{Address, U256};
use serde::{Deserialize, Serialize};

use super::case::{Case, Owner};
use super::creation::{Creation, Window};
use super::question::{AgreementFact, Offer, Position};
use super::verdict::{Answer, Decision, Evidence, RuleAnswer, Verdict};
use crate::ids::{AgreementId, BlockRef, ConditionId, Did};
use crate::keeper::KeeperEvent;

/// Name of the rule by which a second opinion answers; a verdict without one has no such rule.
const RULE: &str = "second_opinion";

/// What the contracts must answer on the state after a block, if the events that a verdict rests on are all there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// The block: the condition's, or the payment's when that came later and the job is owed for it.
    pub block: BlockRef,
    /// The agreement that the event names.
    pub agreement: AgreementId,
    /// The asset that the event names.
    pub did: Did,
    /// What the agreement is about and made of; `None` when no event tells of it.
    made: Option<Made>,
    /// Each condition that events tell of.
    pub conditions: Vec<ExpectedCondition>,
    /// Who owns the asset; `None` when no event tells.
    owner: Option<Address>,
}

/// An agreement as its creation's events tell of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Made {
    is_there: bool,
    did: Did,
    conditions: Vec<ConditionId>,
}

/// A condition as its events tell of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedCondition {
    /// Its id.
    pub condition: ConditionId,
    type_ref: Address,
    state: u8,
    /// As the template contract's event tells it; one that only a call told is compared with nothing.
    window: Option<(U256, U256)>,
}

/// What the contracts answered on the state after a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Opinion {
    /// The agreement; `None`: there was none.
    pub agreement: Option<AgreementFact>,
    /// The conditions that were asked for: what events told of then. Events that came to light later can tell of more.
    #[serde(default)]
    pub asked: Vec<ConditionId>,
    /// Those of them that exist.
    pub conditions: Vec<ConditionOpinion>,
    /// Who owned the asset; `None`: nobody.
    pub owner: Option<Address>,
}

/// What `ConditionStoreManager.getCondition` answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConditionOpinion {
    /// The condition.
    pub condition: ConditionId,
    /// The contract that may fulfil it.
    pub type_ref: Address,
    /// 1 unfulfilled, 2 fulfilled, 3 aborted.
    pub state: u8,
    /// Blocks after its creation before it may be fulfilled.
    pub time_lock: U256,
    /// Blocks after its creation after which it no longer may; 0 never ends.
    pub time_out: U256,
}

impl Expectation {
    /// What the events behind a decision lead to expect. `None` where nothing hangs on it: an asset of somebody else, a job that is
    /// not to be started anyway, and one that is not decided yet.
    pub(super) fn of(case: &Case<'_>, decision: &Decision) -> Option<Self> {
        let trigger = case.trigger.block;
        let block = match (decision, case.question.offer) {
            (Decision::Admitted(admission), Offer::Ours { .. }) => {
                let owed = admission.owed_from;
                let event = case.events.iter().find(|its| its.position() == owed);
                event.map_or(trigger, |its| its.block)
            }
            (Decision::Refused(_), Offer::Ours { .. }) => trigger,
            (_, Offer::NotOurs)
            | (
                Decision::AwaitingPayment { .. }
                | Decision::Undecided { .. }
                | Decision::Skipped(_),
                Offer::Ours { .. },
            ) => return None,
        };
        let claim = case.claim?;
        let created = case.creation.conditions().unwrap_or_default();
        let mut ids: Vec<_> = created.iter().map(|its| its.condition).collect();
        ids.push(claim.condition);
        ids.sort_unstable();
        ids.dedup();
        let conditions = ids.into_iter();
        Some(Self {
            block,
            agreement: claim.agreement,
            did: claim.did,
            made: made(case, block.number),
            conditions: conditions
                .filter_map(|id| ExpectedCondition::at_end_of(case, block.number, id))
                .collect(),
            owner: match case.owner_at(end_of(block.number)) {
                Owner::Event(owner, _) => Some(owner),
                Owner::Call(_) | Owner::Unknown => None,
            },
        })
    }

    /// Whether an opinion was asked for everything that is expected.
    pub fn is_answered_by(&self, opinion: &Opinion) -> bool {
        let mut expected = self.conditions.iter();
        expected.all(|its| opinion.asked.contains(&its.condition))
    }

    /// What an opinion says otherwise, in sentences; none: it says the same.
    fn disagreements(&self, opinion: &Opinion) -> Vec<String> {
        let mut found: Vec<String> = self.about_agreement(opinion).into_iter().collect();
        for expected in &self.conditions {
            let id = expected.condition;
            let answered = opinion.conditions.iter().find(|its| its.condition == id);
            found.extend(expected.otherwise(answered));
        }
        if self.owner.is_some() && self.owner != opinion.owner {
            let name = |owner: Option<Address>| {
                owner.map_or_else(|| "nobody".to_owned(), |owner| owner.to_string())
            };
            found.push(format!(
                "the asset's owner is {} by events and {} by call",
                name(self.owner),
                name(opinion.owner)
            ));
        }
        found
    }

    fn about_agreement(&self, opinion: &Opinion) -> Option<String> {
        let made = self.made.as_ref()?;
        match &opinion.agreement {
            None if made.is_there => {
                Some("the agreement exists by events and not by call".to_owned())
            }
            None => None,
            Some(_) if !made.is_there => {
                Some("the agreement exists by call and not by events".to_owned())
            }
            Some(its) if its.did != made.did => Some(format!(
                "the agreement is about {} by events and about {} by call",
                made.did, its.did
            )),
            Some(its) => (its.conditions != made.conditions)
                .then(|| "the agreement has other conditions by call than by events".to_owned()),
        }
    }
}

impl ExpectedCondition {
    /// Whose a condition is and its state at the end of a block; `None` when no event tells of its creation.
    fn at_end_of(case: &Case<'_>, block: u64, id: ConditionId) -> Option<Self> {
        let mut told = None;
        let until = case.events.iter().filter(|its| its.block.number <= block);
        for recorded in until {
            match &recorded.event {
                KeeperEvent::ConditionCreated {
                    condition,
                    type_ref,
                    ..
                } if *condition == id => told = Some((*type_ref, 1)),
                KeeperEvent::ConditionUpdated {
                    condition,
                    type_ref,
                    state,
                    ..
                } if *condition == id && told.is_some() => told = Some((*type_ref, *state)),
                _ => {}
            }
        }
        let (type_ref, state) = told?;
        Some(Self {
            condition: id,
            type_ref,
            state,
            window: window_of(case, id).map(|window| (window.time_lock, window.time_out)),
        })
    }

    fn otherwise(&self, answered: Option<&ConditionOpinion>) -> Option<String> {
        let id = self.condition;
        let Some(its) = answered else {
            return Some(format!("condition {id} exists by events and not by call"));
        };
        if its.state != self.state {
            return Some(format!(
                "condition {id} is in state {} by events and in {} by call",
                self.state, its.state
            ));
        }
        if its.type_ref != self.type_ref {
            return Some(format!(
                "condition {id} belongs to {} by events and to {} by call",
                self.type_ref, its.type_ref
            ));
        }
        let is_other = self
            .window
            .is_some_and(|window| window != (its.time_lock, its.time_out));
        is_other.then(|| format!("condition {id} has another window by events than by call"))
    }
}

/// The verdict after a second opinion: the same with one more rule where the two agree, undecided and disputed where they do not.
/// A verdict that expects nothing stays as it is.
pub fn weigh(verdict: &mut Verdict, opinion: &Opinion) {
    let Some(expectation) = &verdict.expectation else {
        return;
    };
    let block = expectation.block.number;
    let disagreements = expectation.disagreements(opinion);
    let agrees = disagreements.is_empty();
    let detail = if agrees {
        format!("The contracts answer the same on the state after block {block}.")
    } else {
        let differences = disagreements.join("; ");
        format!("On the state after block {block} the contracts answer otherwise: {differences}.")
    };
    if !agrees {
        verdict.decision = Decision::Undecided {
            missing: Vec::new(),
        };
        verdict.dispute = Some(detail.clone());
    }
    verdict.rules.push(RuleAnswer {
        rule: RULE.into(),
        answer: if agrees {
            Answer::Holds
        } else {
            Answer::Unknown
        },
        detail: detail.into(),
        evidence: Some(Evidence::Block(block)),
    });
}

fn made(case: &Case<'_>, block: u64) -> Option<Made> {
    let (Creation::Template {
        event,
        did,
        conditions,
        ..
    }
    | Creation::Direct {
        event,
        did,
        conditions,
        ..
    }) = &case.creation
    else {
        return None;
    };
    Some(Made {
        is_there: event.block.number <= block,
        did: *did,
        conditions: conditions.iter().map(|its| its.condition).collect(),
    })
}

fn window_of(case: &Case<'_>, id: ConditionId) -> Option<Window> {
    let Creation::Template { conditions, .. } = &case.creation else {
        return None;
    };
    let place = conditions.iter().position(|its| its.condition == id)?;
    let windows = case.windows();
    [windows.compute, windows.lock].get(place).copied()?
}

const fn end_of(block: u64) -> Position {
    Position {
        block,
        log_index: u64::MAX,
    }
}
