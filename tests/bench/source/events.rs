//! What is in the blocks.

use alloy::primitives::{Address, B256, U256};
use alloy::sol_types::SolEvent;
use tidewatch::keeper::abi::{
    ComputeExecutionCondition, ConditionStoreManager, EscrowComputeExecutionTemplate, EscrowReward,
    LockRewardCondition,
};
use tidewatch::keeper::{Contracts, EscrowTerms, compute_id, escrow_id, lock_id};

/// Assets and consumers that events name. Few enough to come again and again, as they do in life.
const ASSETS: u64 = 100;
/// See [`ASSETS`].
const CONSUMERS: u64 = 1_000;
/// Events in a block, in either kind of chain.
pub(crate) const PER_BLOCK: u64 = 10;

/// What a chain is full of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Ten `Fulfilled` of the compute condition per block, each of another agreement that nobody created: each becomes a job,
    /// and each is refused. The dearest chain there is to judge.
    Fulfilled,
    /// One purchase per block from the agreement to the payment of the provider, as the template contract of 0.12.7 makes it:
    /// ten events, one job.
    Purchases,
}

/// An event with its place.
pub(crate) struct Event {
    pub(crate) transaction: u64,
    pub(crate) address: Address,
    pub(crate) topics: Vec<B256>,
    pub(crate) data: Vec<u8>,
}

/// What fills the blocks.
pub(super) struct Events {
    kind: Kind,
    contracts: Contracts,
}

impl Events {
    pub(super) const fn new(kind: Kind, contracts: Contracts) -> Self {
        Self { kind, contracts }
    }

    /// The events of a block, in order.
    pub(super) fn of_block(&self, number: u64) -> Vec<Event> {
        match self.kind {
            Kind::Fulfilled => (0..PER_BLOCK)
                .map(|index| self.lone_fulfilled(number, index))
                .collect(),
            Kind::Purchases => self.purchase(number),
        }
    }

    fn lone_fulfilled(&self, number: u64, index: u64) -> Event {
        let mut random = Random(number << 8 | index);
        let topics = vec![
            ComputeExecutionCondition::Fulfilled::SIGNATURE_HASH,
            random.word(),
            random.asset(),
            random.consumer().into_word(),
        ];
        Event {
            transaction: index,
            address: self.contracts.compute_execution_condition,
            topics,
            data: random.word().to_vec(),
        }
    }

    /// Created and agreed in one transaction; paid, executed and released in one more each.
    fn purchase(&self, number: u64) -> Vec<Event> {
        let mut random = Random(number << 8);
        let (agreement, did, consumer) = (random.word(), random.asset(), random.consumer());
        let provider = Address::repeat_byte(0x77);
        let of = &self.contracts;
        let amount = U256::from(10);
        let compute = compute_id(of, agreement.into(), did.into(), consumer);
        let lock = lock_id(of, agreement.into(), of.escrow_reward, amount);
        let terms = EscrowTerms {
            amount,
            receiver: provider,
            sender: consumer,
            lock,
            release: compute,
        };
        let escrow = escrow_id(of, agreement.into(), &terms);
        let (on_compute, on_lock) = (of.compute_execution_condition, of.lock_reward_condition);
        let people = [consumer, provider];
        let to_escrow = [of.escrow_reward.into_word(), lock.0, amount.into()];
        let to_provider = [provider.into_word(), escrow.0, amount.into()];
        let executed = [agreement, did, consumer.into_word(), compute.0];
        vec![
            self.created(compute.0, on_compute),
            self.created(lock.0, on_lock),
            self.created(escrow.0, of.escrow_reward),
            self.agreed(agreement, did, people),
            self.updated(1, lock.0, on_lock),
            rewarded(1, on_lock, agreement, to_escrow),
            self.updated(2, compute.0, on_compute),
            self.executed(executed),
            self.updated(3, escrow.0, of.escrow_reward),
            rewarded(3, of.escrow_reward, agreement, to_provider),
        ]
    }

    fn created(&self, condition: B256, of_type: Address) -> Event {
        let by = self.contracts.agreement_store_manager;
        Event {
            transaction: 0,
            address: self.contracts.condition_store_manager,
            topics: vec![
                ConditionStoreManager::ConditionCreated::SIGNATURE_HASH,
                condition,
                of_type.into_word(),
                by.into_word(),
            ],
            data: Vec::new(),
        }
    }

    fn updated(&self, transaction: u64, condition: B256, of_type: Address) -> Event {
        Event {
            transaction,
            address: self.contracts.condition_store_manager,
            topics: vec![
                ConditionStoreManager::ConditionUpdated::SIGNATURE_HASH,
                condition,
                of_type.into_word(),
                word(2),
            ],
            data: of_type.into_word().to_vec(),
        }
    }

    fn agreed(&self, agreement: B256, did: B256, people: [Address; 2]) -> Event {
        let [consumer, provider] = people.map(|person| person.into_word());
        Event {
            transaction: 0,
            address: self
                .contracts
                .escrow_compute_execution_template
                .unwrap_or_default(),
            topics: vec![
                EscrowComputeExecutionTemplate::AgreementCreated::SIGNATURE_HASH,
                agreement,
                consumer,
                provider,
            ],
            data: terms(did),
        }
    }

    fn executed(&self, [agreement, did, consumer, condition]: [B256; 4]) -> Event {
        Event {
            transaction: 2,
            address: self.contracts.compute_execution_condition,
            topics: vec![
                ComputeExecutionCondition::Fulfilled::SIGNATURE_HASH,
                agreement,
                did,
                consumer,
            ],
            data: condition.to_vec(),
        }
    }
}

/// A `Fulfilled` of the lock or the escrow, whose signatures are the same.
fn rewarded(
    transaction: u64,
    address: Address,
    agreement: B256,
    [to, condition, amount]: [B256; 3],
) -> Event {
    let signature = LockRewardCondition::Fulfilled::SIGNATURE_HASH;
    debug_assert_eq!(signature, EscrowReward::Fulfilled::SIGNATURE_HASH);
    Event {
        transaction,
        address,
        topics: vec![signature, agreement, to],
        data: [condition, amount].concat(),
    }
}

/// The data of the template's `AgreementCreated`: the asset, no time locks, no time-outs.
fn terms(did: B256) -> Vec<u8> {
    let (zero, three) = (word(0), word(3));
    let list = [three, zero, zero, zero].concat();
    [&[did, word(96), word(96 + 128)].concat(), &list, &list]
        .into_iter()
        .flatten()
        .copied()
        .collect()
}

fn word(number: u64) -> B256 {
    B256::left_padding_from(&number.to_be_bytes())
}

/// SplitMix64: the same numbers for the same seed, and no cost worth measuring.
pub(super) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// 32 bytes that no other seed gives.
    pub(super) fn word(&mut self) -> B256 {
        let mut word = B256::ZERO;
        for part in word.0.chunks_exact_mut(8) {
            part.copy_from_slice(&self.next().to_be_bytes());
        }
        word
    }

    fn asset(&mut self) -> B256 {
        Self((1 << 60) | (self.next() % ASSETS)).word()
    }

    fn consumer(&mut self) -> Address {
        Address::from_word(Self((1 << 61) | (self.next() % CONSUMERS)).word())
    }
}
