//! A world in which one agreement is made, paid and fulfilled, and every way to bend it.

use alloy::primitives::{Address, B256, U256};
use proptest::prelude::*;

use super::*;
use crate::ids::{AgreementId, BlockRef, ConditionId, Did};
use crate::keeper::{self, Contracts, Deployment, EscrowTerms, KeeperEvent, KeeperVersion};

const AGREEMENT: AgreementId = AgreementId(B256::repeat_byte(0xa9));
const DID: Did = Did(B256::repeat_byte(0xd1));
const CONSUMER: Address = Address::repeat_byte(0xc0);
const OWNER: Address = Address::repeat_byte(0x0a);
const STRANGER: Address = Address::repeat_byte(0x66);
const COMPUTE: Address = Address::repeat_byte(2);
const LOCK: Address = Address::repeat_byte(7);
const ESCROW: Address = Address::repeat_byte(6);
const TEMPLATE: Address = Address::repeat_byte(5);
const TEMPLATE_ID: B256 = B256::repeat_byte(0x7e);

fn deployment() -> Deployment {
    Deployment {
        keeper_version: KeeperVersion::V0_13_2,
        chain_id: 8996,
        start_block: 1,
        contracts: Contracts {
            agreement_store_manager: Address::repeat_byte(1),
            compute_execution_condition: COMPUTE,
            condition_store_manager: Address::repeat_byte(3),
            did_registry: Address::repeat_byte(4),
            escrow_compute_execution_template: Some(TEMPLATE),
            escrow_reward: ESCROW,
            lock_reward_condition: LOCK,
            ocean_token: Address::repeat_byte(8),
            template_store_manager: Address::repeat_byte(9),
        },
        template_ids: vec![TEMPLATE_ID],
        implementations: Vec::new(),
    }
}

/// A purchase, each part of which a test can bend before it becomes events.
#[derive(Clone, Debug)]
struct World {
    direct: bool,
    agreement_did: Did,
    event_did: Did,
    consumer: Address,
    amount: U256,
    reward: Address,
    payee: Address,
    refunded: Address,
    types: [Address; 3],
    /// `None`: as they should be.
    compute_id: Option<ConditionId>,
    lock_id: Option<ConditionId>,
    windows: [(u64, u64); 3],
    registered: Option<u64>,
    created: Option<u64>,
    locked: Option<(u64, u8)>,
    fulfilled: (u64, u8),
    state_type: Address,
    state_apart: bool,
    released: Option<(u64, u8)>,
    template: B256,
    facts: bool,
    agreement_exists: bool,
    offer: Offer,
    horizon: Horizon,
}

impl Default for World {
    fn default() -> Self {
        Self {
            direct: false,
            agreement_did: DID,
            event_did: DID,
            consumer: CONSUMER,
            amount: U256::from(10),
            reward: ESCROW,
            payee: OWNER,
            refunded: CONSUMER,
            types: [COMPUTE, LOCK, ESCROW],
            compute_id: None,
            lock_id: None,
            windows: [(0, 0); 3],
            registered: Some(2),
            created: Some(10),
            locked: Some((12, 2)),
            fulfilled: (15, 2),
            state_type: COMPUTE,
            state_apart: false,
            released: None,
            template: TEMPLATE_ID,
            facts: true,
            agreement_exists: true,
            offer: Offer::Ours {
                minimum_price: U256::from(10),
                payees: None,
            },
            horizon: Horizon {
                judged: 100,
                irreversible: Some(90),
                first: 1,
                act_from: Some(5),
            },
        }
    }
}

struct Ids {
    compute: ConditionId,
    named_compute: ConditionId,
    lock: ConditionId,
    escrow: ConditionId,
}

impl World {
    fn ids(&self) -> Ids {
        let contracts = deployment().contracts;
        let named_compute =
            keeper::compute_id(&contracts, AGREEMENT, self.event_did, self.consumer);
        let compute = self.compute_id.unwrap_or(named_compute);
        let lock = self
            .lock_id
            .unwrap_or_else(|| keeper::lock_id(&contracts, AGREEMENT, self.reward, self.amount));
        let terms = EscrowTerms {
            amount: self.amount,
            receiver: self.payee,
            sender: self.refunded,
            lock,
            release: compute,
        };
        let escrow = keeper::escrow_id(&contracts, AGREEMENT, &terms);
        Ids {
            compute,
            named_compute,
            lock,
            escrow,
        }
    }

    fn events(&self) -> Vec<Recorded> {
        let ids = self.ids();
        let mut chain = Chain::default();
        if let Some(block) = self.registered {
            chain.mine(block, vec![registered(OWNER)]);
        }
        if let Some(block) = self.created {
            chain.mine(block, self.creation(&ids));
        }
        if let Some((block, state)) = self.locked {
            let paid = KeeperEvent::LockFulfilled {
                agreement: AGREEMENT,
                reward_address: self.reward,
                condition: ids.lock,
                amount: self.amount,
            };
            chain.mine(block, vec![updated(ids.lock, LOCK, state), paid]);
        }
        let (block, state) = self.fulfilled;
        let update = updated(ids.named_compute, self.state_type, state);
        let event = KeeperEvent::ComputeFulfilled {
            agreement: AGREEMENT,
            did: self.event_did,
            consumer: self.consumer,
            condition: ids.named_compute,
        };
        if self.state_apart {
            chain.mine(block, vec![update]);
            chain.mine(block, vec![event]);
        } else {
            chain.mine(block, vec![update, event]);
        }
        if let Some((block, state)) = self.released {
            let paid = KeeperEvent::EscrowFulfilled {
                agreement: AGREEMENT,
                receiver: self.payee,
                condition: ids.escrow,
                amount: self.amount,
            };
            chain.mine(block, vec![updated(ids.escrow, ESCROW, state), paid]);
        }
        chain.events
    }

    fn creation(&self, ids: &Ids) -> Vec<KeeperEvent> {
        let conditions = [ids.compute, ids.lock, ids.escrow];
        let mut events: Vec<_> = conditions
            .iter()
            .zip(self.types)
            .map(|(condition, type_ref)| KeeperEvent::ConditionCreated {
                condition: *condition,
                type_ref,
                by: Address::repeat_byte(1),
            })
            .collect();
        events.push(KeeperEvent::AgreementCreated {
            agreement: AGREEMENT,
            did: self.agreement_did,
            by: if self.direct { STRANGER } else { TEMPLATE },
            created_at: U256::from(self.created.unwrap_or_default()),
        });
        if !self.direct {
            events.push(KeeperEvent::TemplateAgreementCreated {
                agreement: AGREEMENT,
                did: self.agreement_did,
                consumer: CONSUMER,
                provider: OWNER,
                time_locks: self.windows.map(|(lock, _)| U256::from(lock)).to_vec(),
                time_outs: self.windows.map(|(_, out)| U256::from(out)).to_vec(),
            });
        }
        events
    }

    fn facts(&self) -> Facts {
        let mut facts = Facts::default();
        if !self.facts {
            return facts;
        }
        let ids = self.ids();
        let conditions = [ids.compute, ids.lock, ids.escrow];
        let agreement = self.agreement_exists.then(|| AgreementFact {
            did: self.agreement_did,
            template: if self.direct {
                self.template
            } else {
                B256::ZERO
            },
            conditions: conditions.to_vec(),
        });
        facts.agreements.insert(AGREEMENT, agreement);
        for (index, condition) in conditions.into_iter().enumerate() {
            let (time_lock, time_out) = self.windows[index];
            facts.conditions.insert(
                condition,
                ConditionFact {
                    type_ref: self.types[index],
                    time_lock: U256::from(time_lock),
                    time_out: U256::from(time_out),
                },
            );
        }
        facts.owners.insert(DID, OWNER);
        facts
    }

    fn verdict_of(&self, events: &[Recorded], facts: &Facts) -> Verdict {
        let keeper = deployment();
        let trigger = events
            .iter()
            .find(|recorded| matches!(recorded.event, KeeperEvent::ComputeFulfilled { .. }))
            .unwrap();
        judge(&Question {
            keeper: &keeper,
            trigger,
            events,
            facts,
            offer: &self.offer,
            horizon: self.horizon,
        })
    }

    fn verdict(&self) -> Verdict {
        self.verdict_of(&self.events(), &self.facts())
    }
}

fn registered(owner: Address) -> KeeperEvent {
    KeeperEvent::DidRegistered {
        did: DID,
        owner,
        checksum: B256::ZERO,
        value: b"a\0b".to_vec(),
        by: owner,
    }
}

fn updated(condition: ConditionId, type_ref: Address, state: u8) -> KeeperEvent {
    KeeperEvent::ConditionUpdated {
        condition,
        type_ref,
        state,
        by: type_ref,
    }
}

/// Gives each transaction its logs' places.
#[derive(Default)]
struct Chain {
    events: Vec<Recorded>,
    transactions: u64,
}

impl Chain {
    fn mine(&mut self, block: u64, events: Vec<KeeperEvent>) {
        self.transactions += 1;
        let first = self.next_index(block);
        for (index, event) in (first..).zip(events) {
            self.events.push(Recorded {
                log: i64::try_from(self.events.len()).unwrap() + 1,
                block: BlockRef {
                    number: block,
                    hash: B256::with_last_byte(u8::try_from(block).unwrap()),
                },
                transaction: B256::with_last_byte(u8::try_from(self.transactions).unwrap()),
                transaction_index: self.transactions,
                log_index: index,
                event,
            });
        }
    }

    fn next_index(&self, block: u64) -> u64 {
        let last = self
            .events
            .iter()
            .filter(|recorded| recorded.block.number == block)
            .map(|recorded| recorded.log_index)
            .max();
        last.map_or(0, |last| last + 1)
    }
}

fn word(verdict: &Verdict) -> String {
    match &verdict.decision {
        Decision::Admitted(admission) => format!("admitted {}", admission.owed_from.block),
        Decision::AwaitingPayment { until_block } => format!("awaiting {until_block:?}"),
        Decision::Undecided { missing } => format!("undecided {}", missing.len()),
        Decision::Refused(reason) => format!("refused {reason}"),
        Decision::Skipped(reason) => format!("skipped {reason}"),
    }
}

type Bend = fn(&mut World);

/// Every way to bend a purchase, and what becomes of it, made by the template contract or directly.
const BOTH: &[(&str, Bend, &str)] = &[
    ("honest", |_| (), "admitted 15"),
    (
        "paid afterwards",
        |w| w.locked = Some((20, 2)),
        "admitted 20",
    ),
    ("unpaid, no end", |w| w.locked = None, "awaiting None"),
    (
        "unpaid, in time",
        |w| {
            w.locked = None;
            w.windows[1].1 = 85;
        },
        "awaiting Some(95)",
    ),
    (
        "unpaid, last block not final",
        |w| {
            w.locked = None;
            w.windows[1].1 = 81;
        },
        "awaiting Some(91)",
    ),
    (
        "unpaid, last block final",
        |w| {
            w.locked = None;
            w.windows[1].1 = 80;
        },
        "refused lock_impossible",
    ),
    (
        "unpaid, finality unknown",
        |w| {
            w.locked = None;
            w.windows[1].1 = 1;
            w.horizon.irreversible = None;
        },
        "awaiting Some(11)",
    ),
    (
        "unpaid, final but not judged",
        |w| {
            w.locked = None;
            w.windows[1].1 = 80;
            w.horizon.judged = 89;
        },
        "awaiting Some(90)",
    ),
    (
        "paid too late",
        |w| w.locked = Some((13, 3)),
        "refused lock_impossible",
    ),
    (
        "another contract's condition",
        |w| w.compute_id = Some(ConditionId(B256::repeat_byte(1))),
        "refused wrong_conditions",
    ),
    (
        "fulfilled too late",
        |w| w.fulfilled.1 = 3,
        "refused condition_not_fulfilled",
    ),
    (
        "state of another type",
        |w| w.state_type = STRANGER,
        "refused condition_state_unproven",
    ),
    (
        "state in another transaction",
        |w| w.state_apart = true,
        "refused condition_state_unproven",
    ),
    (
        "first block of the window",
        |w| w.windows[0] = (5, 9),
        "admitted 15",
    ),
    (
        "last block of the window",
        |w| w.windows[0] = (0, 5),
        "admitted 15",
    ),
    (
        "before the window",
        |w| w.windows[0] = (6, 9),
        "refused outside_window",
    ),
    (
        "after the window",
        |w| w.windows[0] = (0, 4),
        "refused outside_window",
    ),
    (
        "window beyond all blocks",
        |w| w.windows[0] = (u64::MAX, 0),
        "refused outside_window",
    ),
    (
        "agreement after the event",
        |w| w.created = Some(16),
        "refused unknown_agreement",
    ),
    (
        "about another asset",
        |w| w.agreement_did = Did(B256::repeat_byte(9)),
        "refused wrong_did",
    ),
    (
        "an attacker's own asset",
        |w| w.event_did = Did(B256::repeat_byte(9)),
        "refused wrong_did",
    ),
    (
        "conditions in another order",
        |w| w.types = [COMPUTE, ESCROW, LOCK],
        "refused wrong_conditions",
    ),
    (
        "another type of condition",
        |w| w.types[2] = STRANGER,
        "refused wrong_conditions",
    ),
    (
        "paid to the consumer",
        |w| w.reward = CONSUMER,
        "refused lock_mismatch",
    ),
    (
        "lock of nothing",
        |w| w.amount = U256::ZERO,
        "refused underpaid",
    ),
    (
        "one too little",
        |w| w.amount = U256::from(9),
        "refused underpaid",
    ),
    ("more than asked", |w| w.amount = U256::MAX, "admitted 15"),
    (
        "escrow to an attacker",
        |w| w.payee = STRANGER,
        "refused escrow_mismatch",
    ),
    (
        "refund to an attacker",
        |w| w.refunded = STRANGER,
        "refused escrow_mismatch",
    ),
    ("released", |w| w.released = Some((16, 2)), "admitted 15"),
    (
        "released too late",
        |w| w.released = Some((16, 3)),
        "refused escrow_aborted",
    ),
    (
        "not ours",
        |w| w.offer = Offer::NotOurs,
        "skipped not_our_asset",
    ),
    (
        "not ours, unpaid",
        |w| {
            w.offer = Offer::NotOurs;
            w.locked = None;
        },
        "skipped not_our_asset",
    ),
    (
        "not ours and bent",
        |w| {
            w.offer = Offer::NotOurs;
            w.fulfilled.1 = 3;
        },
        "refused condition_not_fulfilled",
    ),
    (
        "named payee",
        |w| {
            w.offer = Offer::Ours {
                minimum_price: U256::ZERO,
                payees: Some(vec![STRANGER, OWNER]),
            };
            w.registered = None;
        },
        "admitted 15",
    ),
    (
        "payee not named",
        |w| {
            w.offer = Offer::Ours {
                minimum_price: U256::ZERO,
                payees: Some(vec![STRANGER]),
            }
        },
        "refused escrow_mismatch",
    ),
    ("owner by call", |w| w.registered = None, "admitted 15"),
    (
        "owner by a later event",
        |w| {
            w.registered = Some(50);
            w.facts = w.direct;
        },
        "admitted 15",
    ),
    (
        "before the start",
        |w| w.horizon.act_from = Some(16),
        "skipped before_start",
    ),
    (
        "fulfilled before, paid after the start",
        |w| {
            w.horizon.act_from = Some(16);
            w.locked = Some((16, 2));
        },
        "admitted 16",
    ),
    (
        "start unknown",
        |w| w.horizon.act_from = None,
        "undecided 1",
    ),
];

const DIRECT: &[(&str, Bend, &str)] = &[
    (
        "unapproved template",
        |w| w.template = B256::ZERO,
        "refused template_not_approved",
    ),
    ("nothing read", |w| w.facts = false, "undecided 2"),
    (
        "nothing read, refused anyway",
        |w| {
            w.facts = false;
            w.fulfilled.1 = 3;
        },
        "refused condition_not_fulfilled",
    ),
];

const BY_TEMPLATE: &[(&str, Bend, &str)] = &[
    ("nothing read", |w| w.facts = false, "admitted 15"),
    (
        "owner unknown",
        |w| {
            w.facts = false;
            w.registered = None;
        },
        "undecided 1",
    ),
    (
        "created before the history",
        |w| w.created = None,
        "skipped before_history",
    ),
    (
        "created before the history, not asked",
        |w| {
            w.created = None;
            w.facts = false;
        },
        "undecided 1",
    ),
    (
        "never created",
        |w| {
            w.created = None;
            w.agreement_exists = false;
        },
        "refused unknown_agreement",
    ),
];

#[test]
fn every_bend_has_its_verdict() {
    let tables = [
        (false, BOTH),
        (true, BOTH),
        (true, DIRECT),
        (false, BY_TEMPLATE),
    ];
    for (direct, table) in tables {
        for (name, bend, expected) in table {
            let mut world = World {
                direct,
                ..World::default()
            };
            bend(&mut world);
            let verdict = world.verdict();
            assert_eq!(
                word(&verdict),
                *expected,
                "{name}, direct {direct}: {:#?}",
                verdict.rules
            );
            assert_eq!(verdict.rules.len(), 13, "{name}");
        }
    }
}

#[test]
fn an_admission_names_what_it_rests_on() {
    let verdict = World::default().verdict();
    let Decision::Admitted(admission) = &verdict.decision else {
        panic!("{verdict:?}");
    };
    assert_eq!(admission.payment, U256::from(10));
    assert_eq!(admission.payee, OWNER);
    assert_eq!(admission.agreement_created.block, 10);
    assert_eq!(verdict.provider, Some(OWNER));
    let roles: Vec<_> = verdict
        .evidence
        .iter()
        .map(|(role, _)| role.as_str())
        .collect();
    assert_eq!(roles, ["creation", "registration", "lock", "execute"]);
    assert!(
        verdict
            .rules
            .iter()
            .all(|rule| rule.answer == Answer::Holds)
    );
}

#[test]
fn an_aborted_lock_and_a_state_set_by_a_delegate_are_no_payment() {
    let world = World {
        locked: None,
        ..World::default()
    };
    let lock = world.ids().lock;
    for state in [2, 3] {
        let mut chain = Chain {
            events: world.events(),
            transactions: 50,
        };
        chain.mine(30, vec![updated(lock, LOCK, state)]);
        let verdict = world.verdict_of(&chain.events, &world.facts());
        assert_eq!(word(&verdict), "refused lock_impossible", "{state}");
    }
}

#[test]
fn an_escrow_that_was_aborted_or_marked_by_a_delegate_refuses() {
    let world = World::default();
    let escrow = world.ids().escrow;
    for state in [2, 3] {
        let mut chain = Chain {
            events: world.events(),
            transactions: 50,
        };
        chain.mine(30, vec![updated(escrow, ESCROW, state)]);
        let verdict = world.verdict_of(&chain.events, &world.facts());
        assert_eq!(word(&verdict), "refused escrow_aborted", "{state}");
    }
}

#[test]
fn purchases_that_share_a_transaction_do_not_mix() {
    let world = World::default();
    let other = |fill: u8| KeeperEvent::ConditionCreated {
        condition: ConditionId(B256::repeat_byte(fill)),
        type_ref: COMPUTE,
        by: Address::repeat_byte(1),
    };
    let other_agreement = KeeperEvent::AgreementCreated {
        agreement: AgreementId(B256::repeat_byte(0xbb)),
        did: DID,
        by: STRANGER,
        created_at: U256::from(10),
    };
    for direct in [false, true] {
        let world = World {
            direct,
            created: None,
            ..world.clone()
        };
        let mut together = vec![other(1), other(2), other(3), other_agreement.clone()];
        together.extend(world.creation(&world.ids()));
        together.extend([other(4), other(5), other_agreement.clone()]);
        let mut chain = Chain::default();
        chain.mine(10, together);
        chain.mine(
            12,
            vec![
                updated(world.ids().lock, LOCK, 2),
                KeeperEvent::LockFulfilled {
                    agreement: AGREEMENT,
                    reward_address: ESCROW,
                    condition: world.ids().lock,
                    amount: world.amount,
                },
            ],
        );
        chain.mine(
            15,
            vec![
                updated(world.ids().compute, COMPUTE, 2),
                KeeperEvent::ComputeFulfilled {
                    agreement: AGREEMENT,
                    did: DID,
                    consumer: CONSUMER,
                    condition: world.ids().compute,
                },
            ],
        );
        let verdict = world.verdict_of(&chain.events, &world.facts());
        assert_eq!(
            word(&verdict),
            "admitted 15",
            "direct {direct}: {:#?}",
            verdict.rules
        );
    }
}

#[test]
fn a_second_event_for_another_consumer_is_refused_beside_the_first() {
    let world = World::default();
    let contracts = deployment().contracts;
    let second = keeper::compute_id(&contracts, AGREEMENT, DID, STRANGER);
    let mut chain = Chain {
        events: world.events(),
        transactions: 50,
    };
    chain.mine(
        20,
        vec![
            updated(second, COMPUTE, 2),
            KeeperEvent::ComputeFulfilled {
                agreement: AGREEMENT,
                did: DID,
                consumer: STRANGER,
                condition: second,
            },
        ],
    );
    let keeper = deployment();
    let facts = world.facts();
    let words: Vec<_> = chain
        .events
        .iter()
        .filter(|recorded| matches!(recorded.event, KeeperEvent::ComputeFulfilled { .. }))
        .map(|trigger| {
            word(&judge(&Question {
                keeper: &keeper,
                trigger,
                events: &chain.events,
                facts: &facts,
                offer: &world.offer,
                horizon: world.horizon,
            }))
        })
        .collect();
    assert_eq!(words, ["admitted 15", "refused wrong_conditions"]);
}

#[test]
fn the_owner_before_the_event_counts_not_the_one_after() {
    let transfer = |from, to| KeeperEvent::DidOwnershipTransferred { did: DID, from, to };
    for (block, expected) in [(14, "refused escrow_mismatch"), (16, "admitted 15")] {
        let world = World::default();
        let mut chain = Chain {
            events: world.events(),
            transactions: 50,
        };
        chain.mine(block, vec![transfer(OWNER, STRANGER)]);
        let verdict = world.verdict_of(&chain.events, &world.facts());
        assert_eq!(word(&verdict), expected);
    }
}

/// A purchase bent by up to three rules of the table at once.
fn bent() -> impl Strategy<Value = World> {
    let bends = prop::collection::vec(0..BOTH.len(), 0..3);
    (any::<bool>(), bends).prop_map(|(direct, bends)| {
        let mut world = World {
            direct,
            ..World::default()
        };
        for index in bends {
            (BOTH[index].1)(&mut world);
        }
        world
    })
}

proptest! {
    #[test]
    fn the_order_of_arrival_does_not_matter(
        (world, order) in bent().prop_flat_map(|world| {
            let events = Just(world.events()).prop_shuffle();
            (Just(world), events)
        })
    ) {
        prop_assert_eq!(world.verdict_of(&order, &world.facts()), world.verdict());
    }

    #[test]
    fn judging_twice_is_judging_once(world in bent()) {
        prop_assert_eq!(world.verdict(), world.verdict());
        let doubled = [world.events(), world.events()].concat();
        prop_assert_eq!(world.verdict_of(&doubled, &world.facts()), world.verdict());
    }

    #[test]
    fn what_is_refused_on_less_stays_refused_on_more(
        world in bent(), agreement in any::<bool>(), conditions in any::<[bool; 3]>(), owner in any::<bool>(),
    ) {
        let full = world.facts();
        let mut less = full.clone();
        if agreement { less.agreements.clear(); }
        if owner { less.owners.clear(); }
        let mut keep = conditions.into_iter();
        less.conditions.retain(|_, _| keep.next().unwrap_or(true));
        let events = world.events();
        let on_less = world.verdict_of(&events, &less).decision;
        let on_more = world.verdict_of(&events, &full).decision;
        match on_less {
            Decision::Refused(_) => prop_assert!(matches!(on_more, Decision::Refused(_))),
            Decision::Undecided { .. } => {}
            same => prop_assert_eq!(same, on_more),
        }
    }

    #[test]
    fn only_an_unbent_purchase_is_admitted(world in bent()) {
        if let Decision::Admitted(admission) = world.verdict().decision {
            prop_assert!(world.fulfilled.1 == 2 && world.locked.is_some_and(|(_, state)| state == 2));
            prop_assert!(world.reward == ESCROW && world.refunded == CONSUMER);
            prop_assert!(world.agreement_did == world.event_did);
            prop_assert_eq!(admission.payment, world.amount);
        }
    }
}
