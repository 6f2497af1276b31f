use alloy::primitives::{Address, U256};

use crate::admission::{Position, Recorded, conditions_made_with};
use crate::ids::{AgreementId, BlockRef, ConditionId, Did};
use crate::keeper::{self, Contracts, EscrowTerms, KeeperEvent};

/// What the canonical events about an agreement say of it. Nothing is believed here: admission judges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sale {
    /// The agreement.
    pub agreement: AgreementId,
    /// Its asset.
    pub did: Did,
    /// For whom its compute condition is.
    pub consumer: Address,
    /// The compute condition.
    pub compute: ConditionId,
    /// The lock condition.
    pub lock: ConditionId,
    /// The escrow condition.
    pub escrow: ConditionId,
    /// Where it was created.
    pub created: Position,
    /// The payment of its lock, if one was made.
    pub paid: Option<Paid>,
    /// Accounts that its events name, and that the escrow may therefore pay.
    named: Vec<Address>,
}

/// A payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paid {
    /// In the token's smallest unit.
    pub amount: U256,
    /// The log that tells of it.
    pub log: i64,
    /// That log's block.
    pub block: BlockRef,
}

/// Why events cannot be read as a sale that a publisher could answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotASale {
    /// No followed contract tells of the agreement's creation.
    Unknown,
    /// It does not have three conditions.
    Conditions,
    /// Its first condition is for none of the accounts that the agreement names, so nobody knows for whom to fulfil it.
    Consumer,
}

impl Sale {
    /// Reads the events about an agreement, in any order.
    ///
    /// # Errors
    /// [`NotASale`].
    pub fn read(
        contracts: &Contracts,
        events: &[Recorded],
        agreement: AgreementId,
    ) -> Result<Self, NotASale> {
        let (creation, did) = creation(events, agreement).ok_or(NotASale::Unknown)?;
        let made = conditions_made_with(events, creation);
        let made: Vec<ConditionId> = made
            .iter()
            .filter_map(|log| condition_created(events, *log))
            .collect();
        let [.., compute, lock, escrow] = made.as_slice() else {
            return Err(NotASale::Conditions);
        };
        let named = named_accounts(events, agreement);
        let consumer = named
            .iter()
            .copied()
            .find(|account| keeper::compute_id(contracts, agreement, did, *account) == *compute)
            .ok_or(NotASale::Consumer)?;
        Ok(Self {
            agreement,
            did,
            consumer,
            compute: *compute,
            lock: *lock,
            escrow: *escrow,
            created: creation.position(),
            paid: payment(events, *lock),
            named,
        })
    }

    /// The asset of an agreement, whether or not it can be answered.
    pub fn asset(events: &[Recorded], agreement: AgreementId) -> Option<Did> {
        creation(events, agreement).map(|(_, did)| did)
    }

    /// Whom the escrow pays: the account among `candidates` and those that the agreement names of which its id is made, with
    /// what was paid, and a refund to the consumer.
    pub fn payee(&self, contracts: &Contracts, candidates: &[Address]) -> Option<Address> {
        let amount = self.paid?.amount;
        let mut candidates = candidates.iter().chain(&self.named).copied();
        candidates.find(|receiver| {
            let terms = EscrowTerms {
                amount,
                receiver: *receiver,
                sender: self.consumer,
                lock: self.lock,
                release: self.compute,
            };
            keeper::escrow_id(contracts, self.agreement, &terms) == self.escrow
        })
    }
}

fn creation(events: &[Recorded], of: AgreementId) -> Option<(&Recorded, Did)> {
    let template = events.iter().find_map(|recorded| match recorded.event {
        KeeperEvent::TemplateAgreementCreated { agreement, did, .. } if agreement == of => {
            Some((recorded, did))
        }
        _ => None,
    });
    template.or_else(|| {
        events.iter().find_map(|recorded| match recorded.event {
            KeeperEvent::AgreementCreated { agreement, did, .. } if agreement == of => {
                Some((recorded, did))
            }
            _ => None,
        })
    })
}

fn condition_created(events: &[Recorded], log: i64) -> Option<ConditionId> {
    events.iter().find_map(|recorded| match recorded.event {
        KeeperEvent::ConditionCreated { condition, .. } if recorded.log == log => Some(condition),
        _ => None,
    })
}

fn named_accounts(events: &[Recorded], of: AgreementId) -> Vec<Address> {
    let mut named = Vec::new();
    for recorded in events {
        match recorded.event {
            KeeperEvent::TemplateAgreementCreated {
                agreement,
                consumer,
                provider,
                ..
            } if agreement == of => named.extend([consumer, provider]),
            KeeperEvent::AgreementActorAdded {
                agreement, actor, ..
            } if agreement == of => named.push(actor),
            KeeperEvent::AgreementCreated { agreement, by, .. } if agreement == of => {
                named.push(by);
            }
            _ => {}
        }
    }
    named
}

fn payment(events: &[Recorded], of: ConditionId) -> Option<Paid> {
    events.iter().find_map(|recorded| match recorded.event {
        KeeperEvent::LockFulfilled {
            condition, amount, ..
        } if condition == of => Some(Paid {
            amount,
            log: recorded.log,
            block: recorded.block,
        }),
        _ => None,
    })
}
