//! A world in which one agreement is made, paid and fulfilled. `table.rs` bends it in every way, `cases.rs` adds to it what takes
//! more than one purchase, `borders.rs` what is one step from another verdict, `opinions.rs` what the contracts answer to it,
//! `properties.rs` says what holds for all of it.
//!
//! Some changes of the rules change no verdict, and no test looks for them: a place on a chain holds one log, so that between the
//! places of two different logs `<` and `<=` are the same (the trigger and the agreement's creation, the trigger or the end of a
//! block and an asset's event, a state's update and its contract's own event).

use alloy::primitives::{Address, B256, U256};

mod borders;
mod cases;
mod opinions;
mod properties;
mod table;

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
    /// The block in which it was made, as a call says it, when no event does.
    made: Option<u64>,
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
            made: Some(0),
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
            made: self.created.or(self.made),
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

/// What others do: everything that an event can say, about another agreement and its conditions, and about another asset.
fn foreign(ids: &Ids) -> Vec<KeeperEvent> {
    let agreement = AgreementId(B256::repeat_byte(0x5a));
    let did = Did(agreement.0);
    vec![
        updated(ids.escrow, ESCROW, 3),
        updated(ids.lock, LOCK, 3),
        KeeperEvent::ConditionCreated {
            condition: ids.lock,
            type_ref: LOCK,
            by: STRANGER,
        },
        KeeperEvent::ComputeFulfilled {
            agreement,
            did: DID,
            consumer: CONSUMER,
            condition: ids.escrow,
        },
        KeeperEvent::LockFulfilled {
            agreement,
            reward_address: ESCROW,
            condition: ids.escrow,
            amount: U256::MAX,
        },
        KeeperEvent::EscrowFulfilled {
            agreement,
            receiver: STRANGER,
            condition: ids.escrow,
            amount: U256::MAX,
        },
        KeeperEvent::AgreementCreated {
            agreement,
            did: DID,
            by: STRANGER,
            created_at: U256::ONE,
        },
        KeeperEvent::AgreementActorAdded {
            agreement,
            actor: STRANGER,
            actor_type: B256::ZERO,
        },
        KeeperEvent::TemplateAgreementCreated {
            agreement,
            did: DID,
            consumer: STRANGER,
            provider: STRANGER,
            time_locks: vec![U256::MAX; 3],
            time_outs: vec![U256::ONE; 3],
        },
        KeeperEvent::DidRegistered {
            did,
            owner: STRANGER,
            checksum: B256::ZERO,
            value: Vec::new(),
            by: STRANGER,
        },
        KeeperEvent::DidOwnershipTransferred {
            did,
            from: OWNER,
            to: STRANGER,
        },
    ]
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
