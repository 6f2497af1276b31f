//! Which nonce comes next. Pure.

use std::collections::BTreeSet;

use crate::ledger::agent::accounts::Reading;

/// The smallest nonce that neither the chain, nor the node's pool, nor an act of ours has taken.
///
/// The chain's counts include what others sent with the same key. A nonce that one of them used and that fell out of the pool
/// again is free once more, and taken first: nothing behind a gap is ever mined.
pub(super) fn next(reading: &Reading, taken: &BTreeSet<u64>) -> u64 {
    let first = reading.latest_count.max(reading.pending_count);
    (first..=u64::MAX)
        .find(|nonce| !taken.contains(nonce))
        .unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(latest_count: u64, pending_count: u64) -> Reading {
        Reading {
            balance: alloy::primitives::U256::ZERO,
            latest_count,
            pending_count,
        }
    }

    #[test]
    fn the_next_nonce_is_the_first_that_is_free() {
        let taken = |nonces: &[u64]| nonces.iter().copied().collect::<BTreeSet<_>>();
        // (mined, with the pool, ours) → next
        for (latest, pending, ours, expected) in [
            (0, 0, &[][..], 0),
            (5, 5, &[3, 4], 5),
            (5, 7, &[], 7),
            (5, 7, &[5], 7),
            (5, 5, &[5, 6], 7),
            (5, 5, &[6, 7], 5),
            (5, 6, &[5, 7], 6),
        ] {
            assert_eq!(
                next(&reading(latest, pending), &taken(ours)),
                expected,
                "{latest} {pending} {ours:?}"
            );
        }
    }
}
