//! What a reading says about the rows that are recorded. Without any I/O.

use std::collections::{BTreeMap, BTreeSet};

use crate::chain::RawLog;
use crate::ledger::judging::Logged;

/// How the recorded rows of a block differ from the logs that it was proven to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// Logs that are not recorded.
    pub(super) missing: Vec<RawLog>,
    /// Recorded rows that are no logs of the block.
    pub(super) disproved: Vec<i64>,
}

impl Difference {
    /// Whether the rows are right.
    pub(super) const fn is_none(&self) -> bool {
        self.missing.is_empty() && self.disproved.is_empty()
    }
}

/// The heights at which rows and reading are not the same.
pub(super) fn differing_blocks(recorded: &[Logged], read: &[RawLog]) -> BTreeSet<u64> {
    let mut blocks: BTreeMap<u64, (Vec<&RawLog>, Vec<&RawLog>)> = BTreeMap::new();
    for logged in recorded {
        let block = blocks.entry(logged.log.block.number).or_default();
        block.0.push(&logged.log);
    }
    for log in read {
        blocks.entry(log.block.number).or_default().1.push(log);
    }
    blocks
        .into_iter()
        .filter(|(_, (ours, theirs))| ours != theirs)
        .map(|(number, _)| number)
        .collect()
}

/// Compares the rows of one block with its logs.
pub(super) fn difference(recorded: &[Logged], logs: &[RawLog]) -> Difference {
    let missing = logs
        .iter()
        .filter(|log| !recorded.iter().any(|logged| logged.log == **log));
    let disproved = recorded
        .iter()
        .filter(|logged| !logs.contains(&logged.log))
        .map(|logged| logged.id);
    Difference {
        missing: missing.cloned().collect(),
        disproved: disproved.collect(),
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Address, B256, Bytes};
    use proptest::prelude::*;

    use super::*;
    use crate::ids::BlockRef;

    fn log(number: u64, log_index: u64) -> RawLog {
        RawLog {
            block: BlockRef {
                number,
                hash: B256::with_last_byte(u8::try_from(number).unwrap()),
            },
            transaction_hash: B256::ZERO,
            transaction_index: 0,
            log_index,
            address: Address::ZERO,
            topics: vec![],
            data: Bytes::new(),
        }
    }

    fn rows(logs: &[RawLog]) -> Vec<Logged> {
        let row = |(id, log): (i64, &RawLog)| Logged {
            id,
            log: log.clone(),
        };
        (1..).zip(logs).map(row).collect()
    }

    #[test]
    fn an_altered_row_is_both_missing_and_disproved() {
        let mut altered = log(3, 0);
        altered.data = Bytes::from_static(&[1]);
        let found = difference(&rows(&[altered]), &[log(3, 0)]);
        assert_eq!(found.missing, [log(3, 0)]);
        assert_eq!(found.disproved, [1]);
    }

    proptest! {
        #[test]
        fn exactly_the_blocks_that_lost_or_gained_a_row_differ(
            present in prop::collection::btree_set((0_u64..8, 0_u64..4), 0..20),
            left_out in prop::collection::btree_set((0_u64..8, 0_u64..4), 0..6),
        ) {
            let all: Vec<_> = present.iter().map(|(number, index)| log(*number, *index)).collect();
            let kept: Vec<_> = present.difference(&left_out).map(|(number, index)| log(*number, *index)).collect();
            let changed: BTreeSet<u64> = present.intersection(&left_out).map(|(number, _)| *number).collect();
            prop_assert_eq!(differing_blocks(&rows(&kept), &all), changed.clone());
            prop_assert_eq!(differing_blocks(&rows(&all), &kept), changed);
        }
    }
}
