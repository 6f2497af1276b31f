//! Asks a node for what events do not carry, in the words of admission: one way for all who judge.
//!
//! It decides nothing and keeps nothing. Which block to ask at is the asker's to say: at that block a node that lags behind must
//! answer with an error, and not with the past.

use alloy::primitives::Address;

use crate::admission::{AgreementFact, ConditionFact, Facts, Missing};
use crate::ids::{AgreementId, ConditionId, Did};
use crate::keeper::{self, ContractCalls, Contracts};

/// What a contract answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// An agreement; `None`: there is none of that id.
    Agreement(AgreementId, Option<AgreementFact>),
    /// A condition.
    Condition {
        /// Its id.
        id: ConditionId,
        /// What is fixed of it.
        fact: ConditionFact,
        /// The block it was made in; `None`: a number that no block has.
        made: Option<u64>,
    },
    /// Who owns an asset.
    Owner(Did, Address),
}

impl Fact {
    /// Adds it to what is known.
    pub fn put(self, known: &mut Facts) {
        match self {
            Self::Agreement(id, fact) => {
                known.agreements.insert(id, fact);
            }
            Self::Condition { id, fact, .. } => {
                known.conditions.insert(id, fact);
            }
            Self::Owner(did, owner) => {
                known.owners.insert(did, owner);
            }
        }
    }
}

/// Asks for what a verdict misses, on the state after block `at`. `None`: the contracts know nothing of it there, or no contract
/// can answer it.
///
/// # Errors
/// The node did not answer, or not as the contract would.
pub async fn ask<C: ContractCalls>(
    (calls, contracts): (&C, &Contracts),
    missing: Missing,
    at: u64,
) -> Result<Option<Fact>, keeper::facts::Error<C::Error>> {
    let facts = keeper::Facts::new(calls, contracts);
    Ok(match missing {
        Missing::Agreement(id) => {
            let found = facts.agreement(id, Some(at)).await?;
            Some(Fact::Agreement(id, found.map(AgreementFact::from)))
        }
        Missing::Condition(id) => {
            let found = facts.condition(id, Some(at)).await?;
            found.map(|its| Fact::Condition {
                id,
                made: u64::try_from(its.block_number).ok(),
                fact: its.into(),
            })
        }
        Missing::Owner(did) => {
            let owner = facts.did_owner(did, Some(at)).await?;
            owner.map(|owner| Fact::Owner(did, owner))
        }
        Missing::ActFrom => None,
    })
}
