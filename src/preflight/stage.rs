use alloy::primitives::{Address, U256, keccak256};

use super::intention::{Intention, Present};
use super::supposition::supposed;
use crate::admission::Recorded;
use crate::ids::Did;
use crate::keeper::{Deployment, KeeperEvent, Purchase};

/// Where the events of a purchase are made up, in the order in which its transactions would be sent.
pub(super) struct Stage {
    events: Vec<Recorded>,
    head: u64,
    happened: u16,
}

impl Stage {
    /// Log ids of what happens here begin below those of a [`Supposition`].
    const FIRST_LOG: i64 = -100_000;

    pub(super) fn new(present: &Present<'_>) -> Self {
        Self {
            events: present.registrations.to_vec(),
            head: present.head,
            happened: 0,
        }
    }

    pub(super) fn into_events(self) -> Vec<Recorded> {
        self.events
    }

    fn happen(&mut self, block: u64, event: KeeperEvent) {
        self.happened += 1;
        let (log, place) = (
            Self::FIRST_LOG + i64::from(self.happened),
            u64::from(self.happened),
        );
        let number = self.head.saturating_add(block);
        self.events.push(supposed(log, number, place, event));
    }

    pub(super) fn register(&mut self, intention: &Intention, present: &Present<'_>) {
        let Some(document) = &intention.document else {
            return;
        };
        self.happen(
            1,
            KeeperEvent::DidRegistered {
                did: Did(intention.agreement.0),
                owner: owner_of_id(intention, present),
                checksum: document.checksum,
                value: document.value.clone(),
                by: intention.consumer,
            },
        );
    }

    pub(super) fn create(
        &mut self,
        deployment: &Deployment,
        intention: &Intention,
        made: &Purchase,
    ) {
        let contracts = &deployment.contracts;
        let types = [
            contracts.compute_execution_condition,
            contracts.lock_reward_condition,
            contracts.escrow_reward,
        ];
        for (condition, type_ref) in made.condition_ids().into_iter().zip(types) {
            let by = contracts.agreement_store_manager;
            self.happen(
                2,
                KeeperEvent::ConditionCreated {
                    condition,
                    type_ref,
                    by,
                },
            );
        }
        if made.template_contract.is_some() {
            let windows = |blocks: [u64; 3]| blocks.map(U256::from).to_vec();
            self.happen(
                2,
                KeeperEvent::TemplateAgreementCreated {
                    agreement: intention.agreement,
                    did: intention.did,
                    consumer: intention.consumer,
                    provider: made.receiver,
                    time_locks: windows(made.time_locks),
                    time_outs: windows(made.time_outs),
                },
            );
            return;
        }
        for (actor, kind) in made.actors.iter().zip(["consumer", "provider"]) {
            self.happen(
                2,
                KeeperEvent::AgreementActorAdded {
                    agreement: intention.agreement,
                    actor: *actor,
                    actor_type: keccak256(kind),
                },
            );
        }
        let created_at = U256::from(self.head.saturating_add(2));
        self.happen(
            2,
            KeeperEvent::AgreementCreated {
                agreement: intention.agreement,
                did: intention.did,
                by: intention.consumer,
                created_at,
            },
        );
    }

    pub(super) fn pay(&mut self, deployment: &Deployment, intention: &Intention, made: &Purchase) {
        let lock = deployment.contracts.lock_reward_condition;
        self.happen(
            3,
            KeeperEvent::ConditionUpdated {
                condition: made.lock_id(),
                type_ref: lock,
                state: 2,
                by: lock,
            },
        );
        self.happen(
            3,
            KeeperEvent::LockFulfilled {
                agreement: intention.agreement,
                reward_address: made.reward_address,
                condition: made.lock_id(),
                amount: made.amount,
            },
        );
    }
}

/// Who owns the DID that is the agreement's id once the consumer has tried to register it: a stranger who was first stays.
fn owner_of_id(intention: &Intention, present: &Present<'_>) -> Address {
    let id = Did(intention.agreement.0);
    let first = present
        .registrations
        .iter()
        .find_map(|recorded| match recorded.event {
            KeeperEvent::DidRegistered { did, owner, .. } if did == id => Some(owner),
            _ => None,
        });
    first.unwrap_or(intention.consumer)
}
