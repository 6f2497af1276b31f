use alloy::primitives::Address;

use super::creation::{Creation, Windows};
use super::payment::{self, Payment};
use super::question::{Position, Question, Recorded};
use super::verdict::Admission;
use super::{escrow, start};
use crate::ids::{AgreementId, ConditionId, Did};
use crate::keeper::KeeperEvent;

/// A question with its events in order and its parts found: what every rule looks at.
pub(super) struct Case<'a> {
    pub(super) question: &'a Question<'a>,
    pub(super) trigger: &'a Recorded,
    /// What the trigger says; `None` when it is no compute event.
    pub(super) claim: Option<Claim>,
    /// By position.
    pub(super) events: Vec<&'a Recorded>,
    pub(super) creation: Creation<'a>,
}

/// What a compute event claims. None of it is believed before it is checked.
#[derive(Clone, Copy)]
pub(super) struct Claim {
    pub(super) agreement: AgreementId,
    pub(super) did: Did,
    pub(super) consumer: Address,
    pub(super) condition: ConditionId,
}

/// Who owned an asset when the condition was fulfilled.
#[derive(Clone, Copy)]
pub(super) enum Owner {
    /// As an event says.
    Event(Address, i64),
    /// As a call said.
    Call(Address),
    /// Not known yet.
    Unknown,
}

impl Owner {
    pub(super) const fn known(self) -> Option<Address> {
        match self {
            Self::Event(owner, _) | Self::Call(owner) => Some(owner),
            Self::Unknown => None,
        }
    }
}

impl<'a> Case<'a> {
    pub(super) fn new(question: &'a Question<'a>) -> Self {
        let trigger = question.trigger;
        let claim = match trigger.event {
            KeeperEvent::ComputeFulfilled {
                agreement,
                did,
                consumer,
                condition,
            } => Some(Claim {
                agreement,
                did,
                consumer,
                condition,
            }),
            _ => None,
        };
        let mut events: Vec<&Recorded> = question
            .events
            .iter()
            .filter(|recorded| recorded.block.number <= question.horizon.judged)
            .collect();
        events.sort_by_key(|recorded| (recorded.position(), recorded.log));
        events.dedup_by_key(|recorded| recorded.log);
        let creation = claim.map_or(Creation::Unknown, |claim| {
            Creation::find(&events, question, claim)
        });
        Self {
            question,
            trigger,
            claim,
            events,
            creation,
        }
    }

    /// The events of one transaction, in order.
    pub(super) fn transaction_of(
        &self,
        recorded: &Recorded,
    ) -> impl Iterator<Item = &'a Recorded> + '_ {
        let (block, transaction) = (recorded.block, recorded.transaction);
        self.events
            .iter()
            .copied()
            .filter(move |other| other.block == block && other.transaction == transaction)
    }

    /// Every state that a condition was given, in order, with the contract that it was said to be of.
    pub(super) fn states(
        &self,
        of: ConditionId,
    ) -> impl Iterator<Item = (&'a Recorded, Address, u8)> + '_ {
        self.events.iter().filter_map(move |recorded| {
            let KeeperEvent::ConditionUpdated {
                condition,
                type_ref,
                state,
                ..
            } = &recorded.event
            else {
                return None;
            };
            (*condition == of).then_some((*recorded, *type_ref, *state))
        })
    }

    /// Who owned the asset when the condition was fulfilled.
    pub(super) fn owner(&self) -> Owner {
        self.owner_at(self.trigger.position())
    }

    /// Who owned the asset at a place on the chain: the last event before it says so, else the first one after it names whose it
    /// was until then, else a call.
    pub(super) fn owner_at(&self, at: Position) -> Owner {
        let Some(claim) = self.claim else {
            return Owner::Unknown;
        };
        let mut before = None;
        for recorded in &self.events {
            let is_before = recorded.position() < at;
            match &recorded.event {
                KeeperEvent::DidRegistered { did, owner, .. }
                    if *did == claim.did && (is_before || before.is_none()) =>
                {
                    before = Some((*owner, recorded.log));
                }
                KeeperEvent::DidOwnershipTransferred { did, from, to } if *did == claim.did => {
                    if is_before {
                        before = Some((*to, recorded.log));
                    } else if before.is_none() {
                        before = Some((*from, recorded.log));
                    }
                }
                _ => {}
            }
        }
        if let Some((owner, log)) = before {
            return Owner::Event(owner, log);
        }
        let fact = self.question.facts.owners.get(&claim.did);
        fact.map_or(Owner::Unknown, |owner| Owner::Call(*owner))
    }

    pub(super) fn windows(&self) -> Windows {
        self.creation.windows(self.question.facts)
    }

    /// What is known once every rule holds.
    pub(super) fn admission(&self) -> Option<Admission> {
        let Payment::Made { amount, .. } = payment::find(self) else {
            return None;
        };
        Some(Admission {
            owed_from: start::owed_from(self)?,
            payment: amount,
            payee: escrow::paid(self)?,
            agreement_created: self.created()?,
        })
    }

    /// Where the agreement was created.
    pub(super) fn created(&self) -> Option<Position> {
        self.creation.event().map(Recorded::position)
    }
}
