use std::fmt::Display;
use std::ops::RangeInclusive;

use alloy::primitives::{Address, B256, keccak256};
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};

/// Chance that a seed repeats: what is thrown for one matter does not depend on what was thrown for others, or when.
#[derive(Clone, Debug)]
pub(super) struct Dice(StdRng);

impl Dice {
    /// The dice for one matter of the world that `seed` names.
    pub(super) fn of(seed: u64, matter: impl Display) -> Self {
        Self(StdRng::from_seed(
            keccak256(format!("{seed} {matter}").as_bytes()).0,
        ))
    }

    /// Whether something happens that happens so many times in a hundred.
    pub(super) fn percent(&mut self, chance: u32) -> bool {
        self.0.random_range(0..100) < chance
    }

    /// A number of the range.
    pub(super) fn between(&mut self, range: RangeInclusive<u64>) -> u64 {
        self.0.random_range(range)
    }

    /// A place in something of so many parts.
    pub(super) fn place(&mut self, parts: usize) -> usize {
        self.0.random_range(0..parts)
    }

    /// One of several.
    pub(super) fn one_of<T: Copy>(&mut self, several: &[T]) -> T {
        several[self.place(several.len())]
    }

    /// 32 bytes that nothing else has.
    pub(super) fn hash(&mut self) -> B256 {
        let mut bytes = B256::ZERO;
        self.0.fill_bytes(bytes.as_mut_slice());
        bytes
    }

    /// Somebody.
    pub(super) fn address(&mut self) -> Address {
        Address::from_word(self.hash())
    }

    /// Any bytes, fewer than `limit`.
    pub(super) fn bytes(&mut self, limit: usize) -> Vec<u8> {
        let mut bytes = vec![0; self.place(limit)];
        self.0.fill_bytes(&mut bytes);
        bytes
    }
}
