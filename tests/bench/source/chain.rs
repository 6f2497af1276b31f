//! The blocks: made anew from their number whenever they are asked for, but for what the hashes need.

use std::collections::HashMap;
use std::thread;

use alloy::consensus::proofs::calculate_receipt_root;
use alloy::consensus::{Eip658Value, Header, Receipt};
use alloy::network::AnyReceiptEnvelope;
use alloy::primitives::{Address, B256, Bloom, Log};
use tidewatch::keeper::{Contracts, Deployment, KeeperVersion};

use super::events::{Event, Events, Kind, Random};

/// The chain's EIP-155 id.
const CHAIN_ID: u64 = 8_996;
/// Seconds of the first block's timestamp.
const BEGINNING: u64 = 1_600_000_000;
/// Gas of a transaction, for receipts that look like receipts.
const GAS: u64 = 90_000;

/// A chain of blocks 0 to `head`; block 0 is empty.
pub(crate) struct Chain {
    /// The contracts whose events are on it.
    pub(crate) deployment: Deployment,
    events: Events,
    seals: Vec<Seal>,
    hashes: Vec<B256>,
    numbers: HashMap<B256, u64>,
}

/// What a header says of the block's logs.
#[derive(Clone)]
struct Seal {
    receipts_root: B256,
    bloom: Bloom,
}

impl Chain {
    /// Makes a chain: some 50 microseconds per block, on two threads.
    pub(crate) fn new(kind: Kind, head: u64) -> Self {
        let deployment = deployment();
        let events = Events::new(kind, deployment.contracts.clone());
        let middle = head / 2;
        let (low, high) = thread::scope(|scope| {
            let low = scope.spawn(|| seals(&events, 0..=middle));
            let high = seals(&events, middle + 1..=head);
            (low.join().unwrap_or_default(), high)
        });
        let seals = [low, high].concat();
        let mut chain = Self {
            deployment,
            events,
            hashes: Vec::with_capacity(seals.len()),
            seals,
            numbers: HashMap::new(),
        };
        for number in 0..=head {
            let hash = chain
                .header_after(chain.hashes.last().copied(), number)
                .hash_slow();
            chain.hashes.push(hash);
            chain.numbers.insert(hash, number);
        }
        chain
    }

    /// The newest block, which is also the finalized one.
    pub(crate) fn head(&self) -> u64 {
        u64::try_from(self.hashes.len())
            .unwrap_or(0)
            .saturating_sub(1)
    }

    /// The hash of a block.
    pub(crate) fn hash(&self, number: u64) -> Option<B256> {
        self.hashes.get(usize::try_from(number).ok()?).copied()
    }

    /// The number of a block.
    pub(super) fn number(&self, hash: B256) -> Option<u64> {
        self.numbers.get(&hash).copied()
    }

    /// The header of a block that is there.
    pub(super) fn header(&self, number: u64) -> Header {
        let parent = number.checked_sub(1).and_then(|parent| self.hash(parent));
        self.header_after(parent, number)
    }

    /// The events of a block, in order.
    pub(crate) fn events(&self, number: u64) -> Vec<Event> {
        events_of(&self.events, number)
    }

    /// The hash of a transaction.
    pub(crate) fn transaction(number: u64, index: u64) -> B256 {
        Random(1 << 62 | number << 8 | index).word()
    }

    /// The seconds of a block's timestamp.
    pub(super) const fn timestamp(number: u64) -> u64 {
        BEGINNING + 12 * number
    }

    fn header_after(&self, parent: Option<B256>, number: u64) -> Header {
        let seal = usize::try_from(number)
            .ok()
            .and_then(|place| self.seals.get(place))
            .cloned();
        let seal = seal.unwrap_or_else(|| seal_of(&[]));
        Header {
            parent_hash: parent.unwrap_or_default(),
            receipts_root: seal.receipts_root,
            logs_bloom: seal.bloom,
            number,
            gas_limit: 30_000_000,
            gas_used: 10 * GAS,
            timestamp: Self::timestamp(number),
            base_fee_per_gas: Some(7),
            ..Header::default()
        }
    }
}

/// The receipts of a block.
pub(super) fn receipts(events: &[Event]) -> Vec<AnyReceiptEnvelope> {
    let count = events.last().map_or(0, |last| last.transaction + 1);
    (0..count)
        .map(|transaction| {
            let its = events
                .iter()
                .filter(|event| event.transaction == transaction);
            let receipt = Receipt {
                status: Eip658Value::Eip658(true),
                cumulative_gas_used: GAS * (transaction + 1),
                logs: its
                    .map(|event| {
                        let (topics, data) = (event.topics.clone(), event.data.clone().into());
                        Log::new_unchecked(event.address, topics, data)
                    })
                    .collect(),
            };
            AnyReceiptEnvelope {
                inner: receipt.with_bloom(),
                r#type: 2,
            }
        })
        .collect()
}

fn events_of(events: &Events, number: u64) -> Vec<Event> {
    if number == 0 {
        Vec::new()
    } else {
        events.of_block(number)
    }
}

fn seals(events: &Events, numbers: std::ops::RangeInclusive<u64>) -> Vec<Seal> {
    numbers
        .map(|number| seal_of(&receipts(&events_of(events, number))))
        .collect()
}

fn seal_of(receipts: &[AnyReceiptEnvelope]) -> Seal {
    let mut bloom = Bloom::ZERO;
    for receipt in receipts {
        bloom |= receipt.inner.logs_bloom;
    }
    Seal {
        receipts_root: calculate_receipt_root(receipts),
        bloom,
    }
}

/// A contract set at addresses of our own.
fn deployment() -> Deployment {
    let address = |byte| Address::with_last_byte(byte);
    Deployment {
        keeper_version: KeeperVersion::V0_12_7,
        chain_id: CHAIN_ID,
        start_block: 1,
        contracts: Contracts {
            agreement_store_manager: address(1),
            compute_execution_condition: address(2),
            condition_store_manager: address(3),
            did_registry: address(4),
            escrow_compute_execution_template: Some(address(5)),
            escrow_reward: address(6),
            lock_reward_condition: address(7),
            ocean_token: address(8),
            template_store_manager: address(9),
        },
        template_ids: Vec::new(),
        implementations: Vec::new(),
    }
}
