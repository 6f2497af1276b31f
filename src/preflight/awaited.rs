use std::collections::BTreeMap;

use super::refund::{Refund, refund};
use super::sale::Sale;
use crate::admission::{ConditionFact, Recorded};
use crate::ids::{AgreementId, ConditionId};
use crate::keeper::{Contracts, Deployment, KeeperEvent};

/// State of a condition that nobody has fulfilled or aborted (`ConditionStoreLibrary.ConditionState`).
const STATE_UNFULFILLED: u8 = 1;

/// How far an agreement has come, by its events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progressed {
    /// No event tells of its creation.
    Unknown,
    /// Its conditions are not those of a compute job for an account that it names, so none can come of it.
    NoSale,
    /// Its compute condition was fulfilled: a job follows, or a refusal.
    Answered,
    /// It was made, and waits for somebody.
    Open(Box<Sale>),
}

impl Progressed {
    /// Reads the canonical events about an agreement, in any order.
    pub fn read(contracts: &Contracts, events: &[Recorded], agreement: AgreementId) -> Self {
        let is_answered = events.iter().any(|recorded| {
            matches!(recorded.event, KeeperEvent::ComputeFulfilled { agreement: named, .. } if named == agreement)
        });
        if is_answered {
            return Self::Answered;
        }
        match Sale::read(contracts, events, agreement) {
            Ok(sale) => Self::Open(Box::new(sale)),
            Err(_) if Sale::asset(events, agreement).is_some() => Self::NoSale,
            Err(_) => Self::Unknown,
        }
    }
}

/// What an agreement waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// Nobody knows such an agreement.
    Creation,
    /// Its conditions are not those of a compute job, so nothing will come of it.
    Nothing,
    /// Somebody has to pay.
    Payment {
        /// The conditions' windows, as far as they are known.
        windows: Windows,
    },
    /// The publisher has to answer.
    Answer {
        /// Block of the payment.
        paid_in: u64,
        /// The conditions' windows, as far as they are known.
        windows: Windows,
        /// How to be refunded when nobody answers.
        refund: Option<Refund>,
    },
    /// It was answered.
    Answered,
}

impl Awaited {
    /// What an open sale waits for.
    pub fn by(deployment: &Deployment, sale: &Sale, windows: Windows) -> Self {
        match sale.paid {
            None => Self::Payment { windows },
            Some(paid) => Self::Answer {
                paid_in: paid.block.number,
                windows,
                refund: match windows.answer {
                    Until::Block(last) => refund(deployment, sale, &[], last),
                    _ => None,
                },
            },
        }
    }
}

/// Last block in which the payment and the answer can come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Windows {
    /// For the payment.
    pub payment: Until,
    /// For the publisher's answer.
    pub answer: Until,
}

impl Windows {
    /// The windows that the agreement's own events and facts read earlier tell. Agreements that were made directly, without a
    /// template contract, carry none in their events.
    pub fn told(
        sale: &Sale,
        events: &[Recorded],
        facts: &BTreeMap<ConditionId, ConditionFact>,
    ) -> Self {
        let of = |index: usize, condition: ConditionId| {
            if is_over(events, condition) {
                return Until::Over;
            }
            let made = events.iter().find_map(|recorded| match &recorded.event {
                KeeperEvent::TemplateAgreementCreated {
                    agreement,
                    time_outs,
                    ..
                } if *agreement == sale.agreement => time_outs.get(index).copied(),
                _ => None,
            });
            let time_out = made.or_else(|| facts.get(&condition).map(|fact| fact.time_out));
            let Some(time_out) = time_out else {
                return Until::Unknown;
            };
            if time_out.is_zero() {
                return Until::Ever;
            }
            let last = u64::try_from(time_out).ok();
            let last = last.and_then(|blocks| sale.created.block.checked_add(blocks));
            last.map_or(Until::Ever, Until::Block)
        };
        Self {
            answer: of(0, sale.compute),
            payment: of(1, sale.lock),
        }
    }
}

/// Until when something can come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Until {
    /// Nobody has asked the contracts.
    #[default]
    Unknown,
    /// The window never ends.
    Ever,
    /// Up to this block.
    Block(u64),
    /// Somebody ended it.
    Over,
}

fn is_over(events: &[Recorded], of: ConditionId) -> bool {
    events.iter().any(|recorded| {
        matches!(recorded.event, KeeperEvent::ConditionUpdated { condition, state, .. }
            if condition == of && state != STATE_UNFULFILLED)
    })
}
