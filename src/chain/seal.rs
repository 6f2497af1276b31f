//! Whether a header is what its hash says: the hash is computed anew from the header's fields.

use alloy::consensus::Header as Fields;
use alloy::primitives::{Address, Bloom, BloomInput};

use super::block::Header;

/// A header of the unfinalised window, where only hashes are true.
#[derive(Clone, Debug)]
pub(super) struct SealedHeader {
    pub(super) header: Header,
    /// All fields, where the header has those that Ethereum's have.
    fields: Option<Box<Fields>>,
    /// Whether the fields add up to the hash. Never so on chains whose hashes cover other fields, such as Aura's `sealFields`.
    pub(super) is_sealed: bool,
}

impl SealedHeader {
    pub(super) fn new(header: Header, fields: Option<Fields>) -> Self {
        let is_sealed = fields
            .as_ref()
            .is_some_and(|fields| fields.hash_slow() == header.at.hash);
        Self {
            header,
            fields: fields.map(Box::new),
            is_sealed,
        }
    }

    /// Whether the fields add up to the hash with this bloom filter in the place of the one that the provider gave.
    pub(super) fn is_sealed_with(&self, bloom: Bloom) -> bool {
        let Some(fields) = &self.fields else {
            return false;
        };
        let mended = Fields {
            logs_bloom: bloom,
            ..(**fields).clone()
        };
        mended.hash_slow() == self.header.at.hash
    }
}

/// Whether a filter says that none of the addresses made a log in the block (Yellow Paper, section 4.3.1). It proves absence
/// only: with a filter as full as a busy block's, an address that made none passes as well.
pub(super) fn excludes(bloom: &Bloom, addresses: &[Address]) -> bool {
    let mut addresses = addresses.iter();
    addresses.all(|address| !bloom.contains_input(BloomInput::Raw(address.as_slice())))
}

/// What was learned of a provider's headers and receipts on this chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Abilities {
    /// Whether hashes of its headers can be computed anew; `None` before the first header.
    pub(super) seals: Option<bool>,
    blooms: Blooms,
    /// Blocks whose receipts it did not serve, since it last served some.
    without_receipts: u32,
}

/// How far a provider's bloom filters are believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Blooms {
    /// None has been compared yet.
    #[default]
    Unknown,
    /// Those of blocks with logs were what their receipts say.
    True,
    /// One was not. Never believed again: there are nodes that serve zeros, all ones, or an empty filter now and then.
    False,
}

/// Blocks after which receipts are asked for again where they were not served: the node may have been upgraded.
const ASK_AGAIN: u32 = 1_000;

impl Abilities {
    /// A block's filter stood beside the one computed from its receipts, which are proven. An empty block proves nothing: a node
    /// that always serves zeros is right about it.
    pub(super) fn compared(&mut self, given: Bloom, computed: Bloom) {
        if given != computed {
            self.blooms = Blooms::False;
        } else if self.blooms == Blooms::Unknown && computed != Bloom::ZERO {
            self.blooms = Blooms::True;
        }
    }

    /// Whether a block is without logs of the addresses by its filter alone. The filter has to be under the hash as well, or one
    /// empty filter among true ones would be believed.
    pub(super) fn is_empty(&self, block: &SealedHeader, addresses: &[Address]) -> bool {
        self.blooms == Blooms::True
            && block.is_sealed
            && excludes(&block.header.logs_bloom, addresses)
    }

    /// Whether receipts are worth asking for.
    pub(super) fn has_receipts(&self) -> bool {
        self.without_receipts.is_multiple_of(ASK_AGAIN)
    }

    pub(super) fn asked_for_receipts(&mut self, served: bool) {
        self.without_receipts = if served {
            0
        } else {
            self.without_receipts.saturating_add(1)
        };
    }

    /// A block passed without asking for its receipts, since they are not served.
    pub(super) fn passed(&mut self) {
        self.without_receipts = self.without_receipts.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::B256;
    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;
    use crate::ids::BlockRef;

    const OURS: Address = Address::repeat_byte(1);

    fn fields(bloom: Bloom) -> Fields {
        Fields {
            number: 7,
            logs_bloom: bloom,
            ..Fields::default()
        }
    }

    /// The filter of logs, given by the address and topics of each.
    fn bloom_of<'a>(logs: impl Iterator<Item = (Address, &'a [B256])>) -> Bloom {
        let mut bloom = Bloom::ZERO;
        for (address, topics) in logs {
            bloom.accrue_raw_log(address, topics);
        }
        bloom
    }

    /// A block with this filter; `served` is the one that the provider shows.
    fn block(bloom: Bloom, served: Bloom) -> SealedHeader {
        let header = Header {
            at: BlockRef {
                number: 7,
                hash: fields(bloom).hash_slow(),
            },
            parent: B256::ZERO,
            timestamp: DateTime::UNIX_EPOCH,
            receipts_root: B256::ZERO,
            logs_bloom: served,
        };
        SealedHeader::new(header, Some(fields(served)))
    }

    fn log_bloom(address: Address) -> Bloom {
        bloom_of([(address, &[][..])].into_iter())
    }

    #[test]
    fn a_header_with_another_filter_is_not_sealed_and_is_with_the_true_one() {
        let bloom = log_bloom(OURS);
        assert!(block(bloom, bloom).is_sealed);
        for lie in [Bloom::ZERO, Bloom::repeat_byte(0xff)] {
            let block = block(bloom, lie);
            assert!(!block.is_sealed);
            assert!(block.is_sealed_with(bloom));
            assert!(!block.is_sealed_with(Bloom::repeat_byte(1)));
        }
    }

    #[test]
    fn a_filter_is_believed_only_after_one_that_held_something_was_true() {
        let empty = block(Bloom::ZERO, Bloom::ZERO);
        let full = block(log_bloom(OURS), log_bloom(OURS));
        let other = log_bloom(Address::repeat_byte(9));
        let mut abilities = Abilities::default();
        assert!(!abilities.is_empty(&empty, &[OURS]));
        abilities.compared(Bloom::ZERO, Bloom::ZERO);
        assert!(!abilities.is_empty(&empty, &[OURS]));
        abilities.compared(other, other);
        assert!(abilities.is_empty(&empty, &[OURS]));
        assert!(!abilities.is_empty(&full, &[OURS]));
        // Zeros that are not under the hash.
        assert!(!abilities.is_empty(&block(log_bloom(OURS), Bloom::ZERO), &[OURS]));
        abilities.compared(Bloom::ZERO, other);
        assert!(!abilities.is_empty(&empty, &[OURS]));
        abilities.compared(other, other);
        assert!(
            !abilities.is_empty(&empty, &[OURS]),
            "one counterexample is enough"
        );
    }

    #[test]
    fn receipts_that_are_not_served_are_asked_for_now_and_then() {
        let mut abilities = Abilities::default();
        let mut asked = 0;
        for _ in 0..3 * ASK_AGAIN {
            if abilities.has_receipts() {
                asked += 1;
                abilities.asked_for_receipts(false);
            } else {
                abilities.passed();
            }
        }
        assert_eq!(asked, 3);
        abilities.asked_for_receipts(true);
        assert!(abilities.has_receipts());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Absence is never claimed of a log that is there.
        #[test]
        fn a_filter_never_excludes_what_it_holds(made in prop::collection::vec(any::<[u8; 20]>(), 1..50), one in any::<prop::sample::Index>()) {
            let made: Vec<Address> = made.into_iter().map(Address::from).collect();
            let topics = [B256::repeat_byte(3)];
            let bloom = bloom_of(made.iter().map(|address| (*address, &topics[..])));
            prop_assert!(!excludes(&bloom, &[made[one.index(made.len())]]));
            prop_assert!(excludes(&Bloom::ZERO, &made));
            prop_assert!(!excludes(&Bloom::repeat_byte(0xff), &made));
        }
    }
}
