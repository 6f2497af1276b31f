use std::collections::BTreeMap;

use alloy::primitives::{Address, B256, U256};
use serde::{Deserialize, Serialize};

use crate::ids::{AgreementId, BlockRef, ConditionId, Did};
use crate::keeper::{self, Deployment, KeeperEvent};

/// Everything a verdict rests on. Two equal questions have equal answers.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The contracts that are followed, and the templates that count.
    pub keeper: &'a Deployment,
    /// The `Fulfilled` log of the compute condition that is judged.
    pub trigger: &'a Recorded,
    /// Canonical events about the agreement, its conditions and its asset, and all others in the same transactions, up to
    /// [`Horizon::judged`]. In any order; others do no harm.
    pub events: &'a [Recorded],
    /// What was read by calls.
    pub facts: &'a Facts,
    /// The publisher's view of the asset.
    pub offer: &'a Offer,
    /// How far the chain is known.
    pub horizon: Horizon,
}

/// A decoded event and where it stands on the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The ledger's id of the raw log: the evidence.
    pub log: i64,
    /// Its block.
    pub block: BlockRef,
    /// Its transaction.
    pub transaction: B256,
    /// The transaction's place in the block.
    pub transaction_index: u64,
    /// The log's place in the block.
    pub log_index: u64,
    /// What it says.
    pub event: KeeperEvent,
}

impl Recorded {
    /// Its place on the chain.
    pub fn position(&self) -> Position {
        Position {
            block: self.block.number,
            log_index: self.log_index,
        }
    }
}

/// A place on one chain, in the order of execution.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Position {
    /// Block number.
    pub block: u64,
    /// The log's place in the block.
    pub log_index: u64,
}

/// What events do not carry, as far as it has been read by calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Agreements; `None` for one that does not exist.
    pub agreements: BTreeMap<AgreementId, Option<AgreementFact>>,
    /// Conditions.
    pub conditions: BTreeMap<ConditionId, ConditionFact>,
    /// Owners of assets that no recorded event names an owner of.
    pub owners: BTreeMap<Did, Address>,
}

/// What `AgreementStoreManager.getAgreement` answers, as far as it is fixed at creation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgreementFact {
    /// Its asset.
    pub did: Did,
    /// Its template. When a template contract made it: zero as 0.13.2 says it, the contract's address as 0.12.7 does.
    pub template: B256,
    /// Its conditions, in order.
    pub conditions: Vec<ConditionId>,
    /// The block it was made in; `None` in rows of releases that did not keep it.
    #[serde(default)]
    pub made: Option<u64>,
}

/// What `ConditionStoreManager.getCondition` answers, as far as it is fixed at creation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConditionFact {
    /// The contract that may fulfil it.
    pub type_ref: Address,
    /// Blocks after its creation before it may be fulfilled.
    pub time_lock: U256,
    /// Blocks after its creation after which it no longer may; 0 never ends.
    pub time_out: U256,
}

impl From<keeper::AgreementFact> for AgreementFact {
    fn from(its: keeper::AgreementFact) -> Self {
        Self {
            did: its.did,
            template: its.template_id,
            made: u64::try_from(its.block_number_updated).ok(),
            conditions: its.conditions,
        }
    }
}

impl From<keeper::ConditionFact> for ConditionFact {
    fn from(its: keeper::ConditionFact) -> Self {
        Self {
            type_ref: its.type_ref,
            time_lock: its.time_lock,
            time_out: its.time_out,
        }
    }
}

/// Whether the asset is this publisher's, and on what terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offer {
    /// It is not in the catalog.
    NotOurs,
    /// It is.
    Ours {
        /// Least payment, in the token's smallest unit.
        minimum_price: U256,
        /// Who may be paid; `None`: the asset's owner at the event's block.
        payees: Option<Vec<Address>>,
    },
}

/// How far the chain is known, and from where on the operator wants to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Horizon {
    /// Highest block whose events are in the question.
    pub judged: u64,
    /// Highest block that may never roll back, once one was seen.
    pub irreversible: Option<u64>,
    /// First followed block; what happened before it is in no event.
    pub first: u64,
    /// Jobs owed before it start nothing; `None` until that is known.
    pub act_from: Option<u64>,
}
