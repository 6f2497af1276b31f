use alloy::primitives::{Address, U256};

use super::case::Claim;
use super::question::{AgreementFact, Facts, Question, Recorded};
use crate::ids::{AgreementId, ConditionId, Did};
use crate::keeper::KeeperEvent;

/// How the agreement that the event names came to be.
#[derive(Clone, Debug)]
pub(super) enum Creation<'a> {
    /// By the template contract, whose event carries the windows.
    Template {
        event: &'a Recorded,
        did: Did,
        conditions: Vec<Created>,
        time_locks: &'a [U256],
        time_outs: &'a [U256],
    },
    /// Directly, under a template id that only a call tells.
    Direct {
        event: &'a Recorded,
        did: Did,
        conditions: Vec<Created>,
        fact: Option<&'a AgreementFact>,
    },
    /// It exists, but no followed contract told of it.
    Silent { fact: &'a AgreementFact },
    /// It does not exist.
    Nowhere,
    /// No event tells of it, and nobody has asked yet.
    Unknown,
}

/// A condition as its creation's event tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Created {
    pub(super) condition: ConditionId,
    pub(super) type_ref: Address,
}

/// When the conditions may be fulfilled, relative to the agreement's block. `None`: not known yet.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Windows {
    pub(super) compute: Option<Window>,
    pub(super) lock: Option<Window>,
}

/// In blocks after creation; both ends belong to it, and an end of 0 never comes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) time_lock: U256,
    pub(super) time_out: U256,
}

impl Window {
    /// Whether a block lies in the window of a condition created in block `created`.
    pub(super) fn holds(self, created: u64, block: u64) -> bool {
        let (created, block) = (U256::from(created), U256::from(block));
        // A sum that leaves 256 bits is a block that never comes.
        let after_start = created
            .checked_add(self.time_lock)
            .is_some_and(|first| first <= block);
        let before_end = self.time_out.is_zero()
            || created
                .checked_add(self.time_out)
                .is_none_or(|last| block <= last);
        after_start && before_end
    }

    /// Whether no block can ever lie in the window of a condition created in block `created`.
    pub(super) fn never_opens(self, created: u64) -> bool {
        let created = U256::from(created);
        let Some(first) = created.checked_add(self.time_lock) else {
            return true;
        };
        let is_over = match created.checked_add(self.time_out) {
            _ if self.time_out.is_zero() => false,
            Some(last) => last < first,
            // The store adds the two, and fails if the sum leaves 256 bits.
            None => true,
        };
        is_over || first > U256::from(u64::MAX)
    }

    /// The last block of the window; `None` when none that can ever come.
    pub(super) fn last(self, created: u64) -> Option<u64> {
        if self.time_out.is_zero() {
            return None;
        }
        let last = U256::from(created).checked_add(self.time_out)?;
        u64::try_from(last).ok()
    }
}

impl<'a> Creation<'a> {
    pub(super) fn find(events: &[&'a Recorded], question: &Question<'a>, claim: Claim) -> Self {
        let fact = question.facts.agreements.get(&claim.agreement);
        let by_template = events
            .iter()
            .find_map(|recorded| template_made(recorded, claim.agreement));
        if let Some((event, did, time_locks, time_outs)) = by_template {
            // The template contract always makes three, right before it says so.
            let mut conditions = conditions_before(events, event, claim.agreement);
            let surplus = conditions.len().saturating_sub(3);
            conditions.drain(..surplus);
            return Self::Template {
                event,
                did,
                conditions,
                time_locks,
                time_outs,
            };
        }
        let directly = events.iter().find_map(|recorded| match &recorded.event {
            KeeperEvent::AgreementCreated { agreement, did, .. }
                if *agreement == claim.agreement =>
            {
                Some((*recorded, *did))
            }
            _ => None,
        });
        if let Some((event, did)) = directly {
            return Self::Direct {
                event,
                did,
                conditions: conditions_before(events, event, claim.agreement),
                fact: fact.and_then(Option::as_ref),
            };
        }
        match fact {
            Some(Some(fact)) => Self::Silent { fact },
            Some(None) => Self::Nowhere,
            None => Self::Unknown,
        }
    }

    /// The event that tells of the creation.
    pub(super) const fn event(&self) -> Option<&'a Recorded> {
        match self {
            Self::Template { event, .. } | Self::Direct { event, .. } => Some(event),
            Self::Silent { .. } | Self::Nowhere | Self::Unknown => None,
        }
    }

    /// The conditions in order; `None` where nothing tells.
    pub(super) fn conditions(&self) -> Option<&[Created]> {
        match self {
            Self::Template { conditions, .. } | Self::Direct { conditions, .. } => Some(conditions),
            Self::Silent { .. } | Self::Nowhere | Self::Unknown => None,
        }
    }

    pub(super) fn windows(&self, facts: &Facts) -> Windows {
        match self {
            Self::Template {
                time_locks,
                time_outs,
                ..
            } => {
                let window = |index: usize| {
                    Some(Window {
                        time_lock: *time_locks.get(index)?,
                        time_out: *time_outs.get(index)?,
                    })
                };
                Windows {
                    compute: window(0),
                    lock: window(1),
                }
            }
            Self::Direct { conditions, .. } => {
                let window = |index: usize| {
                    let fact = facts.conditions.get(&conditions.get(index)?.condition)?;
                    Some(Window {
                        time_lock: fact.time_lock,
                        time_out: fact.time_out,
                    })
                };
                Windows {
                    compute: window(0),
                    lock: window(1),
                }
            }
            Self::Silent { .. } | Self::Nowhere | Self::Unknown => Windows::default(),
        }
    }
}

type TemplateMade<'a> = (&'a Recorded, Did, &'a [U256], &'a [U256]);

fn template_made<'a>(recorded: &&'a Recorded, of: AgreementId) -> Option<TemplateMade<'a>> {
    let recorded: &'a Recorded = recorded;
    match &recorded.event {
        KeeperEvent::TemplateAgreementCreated {
            agreement,
            did,
            time_locks,
            time_outs,
            ..
        } if *agreement == of => Some((recorded, *did, time_locks, time_outs)),
        _ => None,
    }
}

/// The conditions that the agreement store made in the same call: the unbroken run of `ConditionCreated` right before the
/// agreement's own events. Other agreements of the transaction, and contracts that are not followed, leave a gap.
fn conditions_before(events: &[&Recorded], creation: &Recorded, of: AgreementId) -> Vec<Created> {
    let mut found = Vec::new();
    let mut expected = creation.log_index.checked_sub(1);
    let before = events
        .iter()
        .rev()
        .skip_while(|recorded| recorded.position() >= creation.position());
    for recorded in before {
        let adjoins = recorded.block == creation.block
            && recorded.transaction == creation.transaction
            && Some(recorded.log_index) == expected;
        if !adjoins {
            break;
        }
        expected = recorded.log_index.checked_sub(1);
        match &recorded.event {
            KeeperEvent::ConditionCreated {
                condition,
                type_ref,
                ..
            } => found.push(Created {
                condition: *condition,
                type_ref: *type_ref,
            }),
            KeeperEvent::AgreementCreated { agreement, .. }
            | KeeperEvent::AgreementActorAdded { agreement, .. }
                if *agreement == of && found.is_empty() => {}
            _ => break,
        }
    }
    found.reverse();
    found
}

/// The logs of the conditions that were made in the same call as an agreement, whose creation's event this is: what they are
/// about, though they do not say so.
pub fn conditions_made_with(events: &[Recorded], creation: &Recorded) -> Vec<i64> {
    let (KeeperEvent::AgreementCreated { agreement, .. }
    | KeeperEvent::TemplateAgreementCreated { agreement, .. }) = creation.event
    else {
        return Vec::new();
    };
    let mut events: Vec<&Recorded> = events.iter().collect();
    events.sort_by_key(|recorded| recorded.position());
    let made = conditions_before(&events, creation, agreement);
    events
        .iter()
        .filter(|recorded| {
            recorded.transaction == creation.transaction
                && recorded.block == creation.block
                && matches!(&recorded.event, KeeperEvent::ConditionCreated { condition, .. }
                    if made.iter().any(|created| created.condition == *condition))
        })
        .map(|recorded| recorded.log)
        .collect()
}
