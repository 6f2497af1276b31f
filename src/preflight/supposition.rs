use alloy::primitives::{Address, B256};

use super::sale::Sale;
use crate::admission::{Evidence, Position, Recorded, RuleAnswer};
use crate::ids::BlockRef;
use crate::keeper::{Contracts, KeeperEvent};

/// Log id of the supposed change of state.
const UPDATE: i64 = -2;
/// Log id of the supposed event.
const FULFILLED: i64 = -1;
/// State of a fulfilled condition (`ConditionStoreLibrary.ConditionState`).
const STATE_FULFILLED: u8 = 2;
/// Places in the supposed block that no real log has.
const PLACE: u64 = u64::MAX - 1;

/// What the chain would say if the compute condition of a sale were fulfilled in a coming block.
#[derive(Clone, Debug)]
pub struct Supposition {
    /// The condition's own event: what admission judges.
    pub trigger: Recorded,
    /// The change of state before it, in the same transaction.
    pub update: Recorded,
}

impl Supposition {
    /// Supposes that the condition is fulfilled in block `number`, which must be later than every event that is judged with it.
    pub fn new(contracts: &Contracts, sale: &Sale, number: u64) -> Self {
        let update = KeeperEvent::ConditionUpdated {
            condition: sale.compute,
            type_ref: contracts.compute_execution_condition,
            state: STATE_FULFILLED,
            by: Address::ZERO,
        };
        let fulfilled = KeeperEvent::ComputeFulfilled {
            agreement: sale.agreement,
            did: sale.did,
            consumer: sale.consumer,
            condition: sale.compute,
        };
        Self {
            trigger: supposed(FULFILLED, number, PLACE + 1, fulfilled),
            update: supposed(UPDATE, number, PLACE, update),
        }
    }

    /// Where the supposed event stands.
    pub fn position(&self) -> Position {
        self.trigger.position()
    }
}

/// An event that did not happen, in a block and a transaction of its own with whatever else is supposed for that block. Its log id
/// is negative.
pub(super) fn supposed(log: i64, number: u64, log_index: u64, event: KeeperEvent) -> Recorded {
    Recorded {
        log,
        block: BlockRef {
            number,
            hash: B256::ZERO,
        },
        transaction: B256::from(alloy::primitives::U256::from(number)),
        transaction_index: PLACE,
        log_index,
        event,
    }
}

/// The answers without pointing to logs that do not exist: such a rule says that it was supposed.
pub fn without_supposed(mut rules: Vec<RuleAnswer>) -> Vec<RuleAnswer> {
    for rule in &mut rules {
        if matches!(rule.evidence, Some(Evidence::Log(log)) if log < 0) {
            rule.evidence = None;
            rule.detail = format!(
                "Supposed, if the condition were fulfilled now: {}",
                rule.detail
            )
            .into();
        }
    }
    rules
}
