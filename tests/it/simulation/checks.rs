//! What must hold: at every step, and once the world has settled.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::B256;
use tidewatch::follower::ActAt;
use tidewatch::ids::BlockRef;

use super::block::{Era, Placed};
use super::node::Node;
use super::recorded::{Recorded, unsigned};
use super::world::World;

/// What was seen in the ledger so far.
#[derive(Debug, Default)]
pub(super) struct Checks {
    /// Places of logs that were canonical once: hash of the block, index of the log.
    ever: BTreeSet<(B256, u64)>,
    irreversible: u64,
    epoch: i64,
    /// Whether anything can be proven by receipts in this world.
    provable: bool,
    /// What the last failed tick said, for whoever reads why a play failed.
    pub(super) last_error: Option<String>,
}

impl Checks {
    /// Before anything was seen.
    pub(super) fn of(world: &World, nodes: &[Node]) -> Self {
        Self {
            provable: world.era != Era::Authority && nodes.iter().any(Node::has_receipts),
            ..Self::default()
        }
    }

    /// Compares the ledger with the truth while anything may still go on.
    pub(super) fn at_a_step(&mut self, world: &World, rule: ActAt, seen: &Recorded) {
        assert_eq!(seen.cursor.halt, None, "nothing irreversible ever changed");
        self.horizons_are_true(world, seen);
        nothing_is_invented(world, seen);
        proofs_are_honest(world, self.provable, seen);
        nothing_shallow_is_actable(world, rule, seen);
        nothing_verified_has_a_hole(world, seen);
        self.nothing_disappears(seen);
    }

    /// Compares the ledger with the truth once the world stands still and the follower rests.
    pub(super) fn when_settled(&mut self, world: &World, first: u64, seen: &Recorded) {
        let now = world.now();
        let truth: Vec<_> = now.blocks[usize::try_from(first).unwrap()..]
            .iter()
            .flat_map(|block| block.followed.clone())
            .collect();
        let mut rows = seen.canonical.clone();
        rows.sort_by_key(|log| (log.number, log.index));
        differ("canonical logs", &rows, &truth);
        let head = now.head().at;
        assert_eq!(
            (
                unsigned(seen.cursor.recorded_number),
                &seen.cursor.recorded_hash[..]
            ),
            (head.number, head.hash.as_slice()),
            "everything up to the head is recorded"
        );
        for (number, hash) in &seen.heights {
            let block = now.at(*number).expect("no block beyond the head");
            assert_eq!(block.at.hash, *hash, "block {number} is the chain's");
        }
        let irreversible = seen.cursor.irreversible_number.map_or(0, unsigned);
        for block in &now.blocks[usize::try_from(first).unwrap()..] {
            if block.at.number > irreversible || !block.followed.is_empty() {
                assert!(
                    seen.blocks.contains_key(&block.at.hash),
                    "{} has no row",
                    block.at
                );
            }
        }
    }

    /// The irreversible block is one, and never falls; an epoch never ends twice.
    fn horizons_are_true(&mut self, world: &World, seen: &Recorded) {
        let cursor = &seen.cursor;
        if let (Some(number), Some(hash)) = (cursor.irreversible_number, &cursor.irreversible_hash)
        {
            let block = BlockRef {
                number: unsigned(number),
                hash: B256::from_slice(hash),
            };
            assert!(
                world.is_final(block),
                "{block} is called irreversible, and may go away"
            );
            assert!(
                block.number >= self.irreversible,
                "the irreversible block fell"
            );
            self.irreversible = block.number;
        }
        assert!(cursor.epoch >= self.epoch, "the epoch fell");
        self.epoch = cursor.epoch;
    }

    /// What was recorded once stays, as part of the chain or as a tombstone.
    fn nothing_disappears(&mut self, seen: &Recorded) {
        let there: BTreeSet<_> = seen
            .canonical
            .iter()
            .chain(&seen.orphaned)
            .map(|log| (log.hash, log.index))
            .collect();
        if let Some((hash, index)) = self.ever.difference(&there).next() {
            panic!("log {index} of block {hash} was recorded and is gone");
        }
        let canonical = seen.canonical.iter().map(|log| (log.hash, log.index));
        self.ever.extend(canonical);
    }
}

/// Every row is a log of a block that the world made, field by field, and no place is taken twice.
fn nothing_is_invented(world: &World, seen: &Recorded) {
    let mut places = BTreeSet::new();
    for log in &seen.canonical {
        assert!(
            places.insert((log.number, log.index)),
            "two canonical logs at one place: {log:?}"
        );
    }
    for log in seen.canonical.iter().chain(&seen.orphaned) {
        let Some(block) = world.block(log.hash) else {
            assert!(
                may_be_invented(seen, log.number, &log.hash),
                "nobody made the block of {log:?}"
            );
            continue;
        };
        assert!(
            block.followed.contains(log),
            "nobody wrote {log:?}; block {} holds {:?}",
            block.at,
            block.followed
        );
    }
    for (hash, row) in &seen.blocks {
        let Some(block) = world.block(*hash) else {
            assert!(
                may_be_invented(seen, row.number, hash),
                "nobody made block {hash} at {}",
                row.number
            );
            continue;
        };
        assert_eq!(
            (row.number, row.made_at),
            (block.at.number, block.header.timestamp)
        );
        assert!(
            row.parent
                .is_none_or(|parent| parent == block.header.parent_hash),
            "the parent of {} is another one",
            block.at
        );
    }
}

/// Whether a block that nobody made may be in the ledger: where logs tell the time of their block no header is asked for, so a hash that
/// one log alone names in a first reading of history is a provider's word. The second reading, before anything counts as verified, makes
/// a tombstone of it.
fn may_be_invented(seen: &Recorded, number: u64, hash: &B256) -> bool {
    let cursor = &seen.cursor;
    let is_history = cursor
        .irreversible_number
        .is_some_and(|irreversible| number <= unsigned(irreversible));
    let is_canonical = seen.heights.get(&number) == Some(hash);
    is_history && (!is_canonical || number > unsigned(cursor.verified_number))
}

/// A block that is called proven by root or bloom filter has all of its logs, tombstone or not; and none is called so on a chain
/// whose headers do not add up to their hashes, or where nobody gives receipts.
fn proofs_are_honest(world: &World, provable: bool, seen: &Recorded) {
    let mut rows: BTreeMap<B256, Vec<&Placed>> = BTreeMap::new();
    for log in seen.canonical.iter().chain(&seen.orphaned) {
        rows.entry(log.hash).or_default().push(log);
    }
    for (hash, row) in &seen.blocks {
        if matches!(row.proof.as_str(), "root" | "bloom") {
            assert!(
                provable,
                "block {} is called proven by {}",
                row.number, row.proof
            );
            let truth = &world.block(*hash).unwrap().followed;
            let found = rows.get(hash).map_or(0, Vec::len);
            assert_eq!(
                found,
                truth.len(),
                "block {} is called proven by {}, canonical: {}",
                row.number,
                row.proof,
                row.canonical
            );
        }
    }
}

/// Work may start on canonical logs up to the horizon for acting, as far as they are verified: each of their blocks is as deep as
/// the operator's rule asks.
fn nothing_shallow_is_actable(world: &World, rule: ActAt, seen: &Recorded) {
    let cursor = &seen.cursor;
    let Some(act) = cursor.act_number else {
        return;
    };
    let horizon = unsigned(act.min(cursor.verified_number));
    for log in seen.canonical.iter().filter(|log| log.number <= horizon) {
        let block = BlockRef {
            number: log.number,
            hash: log.hash,
        };
        let deep = match rule {
            ActAt::Latest => world.burial(block).is_some(),
            ActAt::Depth(depth) => world.burial(block).is_some_and(|above| above >= depth),
            ActAt::Safe => world.was_safe(block) || world.is_final(block),
            ActAt::Finalized => world.is_final(block),
        };
        assert!(
            deep,
            "work may start for block {block}, which is not deep enough for {rule}"
        );
    }
}

/// Whatever counts as verified is whole: up to there, work starts on the strength of what is recorded.
fn nothing_verified_has_a_hole(world: &World, seen: &Recorded) {
    let mut rows: BTreeMap<u64, usize> = BTreeMap::new();
    for log in &seen.canonical {
        *rows.entry(log.number).or_default() += 1;
    }
    let verified = unsigned(seen.cursor.verified_number);
    for number in world.deployment.start_block.max(1)..=verified {
        // Below the irreversible block only blocks with logs are kept, and there is one chain only.
        let settled = world
            .now()
            .at(number)
            .filter(|block| world.is_final(block.at));
        let hash = seen.heights.get(&number).copied();
        let block = match (hash, settled) {
            (Some(hash), _) => world.block(hash).expect("the world made the block"),
            (None, Some(block)) => block,
            (None, None) => {
                panic!("block {number} is called verified, and nobody knows which it is")
            }
        };
        assert_eq!(
            rows.get(&number).copied().unwrap_or(0),
            block.followed.len(),
            "block {} is called verified ({:?})",
            block.at,
            seen.blocks.get(&block.at.hash)
        );
    }
}

fn differ(what: &str, found: &[Placed], truth: &[Placed]) {
    let (found, truth): (BTreeSet<_>, BTreeSet<_>) =
        (found.iter().collect(), truth.iter().collect());
    let missing: Vec<_> = truth.difference(&found).collect();
    let invented: Vec<_> = found.difference(&truth).collect();
    assert!(
        missing.is_empty() && invented.is_empty(),
        "{what}: {} are missing, first {:?}; {} too many, first {:?}",
        missing.len(),
        missing.first(),
        invented.len(),
        invented.first()
    );
}
