use super::*;

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
    for (type_ref, state) in [(LOCK, 2), (LOCK, 3), (STRANGER, 2), (STRANGER, 3)] {
        let mut chain = Chain {
            events: world.events(),
            transactions: 50,
        };
        chain.mine(30, vec![updated(lock, type_ref, state)]);
        let verdict = world.verdict_of(&chain.events, &world.facts());
        assert_eq!(word(&verdict), "refused lock_impossible", "{state}");
    }
}

/// Rows of earlier releases do not say in which block an agreement was made; then its condition's creation tells.
#[test]
fn an_agreement_is_of_the_history_if_its_condition_is() {
    let world = World {
        created: None,
        made: None,
        ..World::default()
    };
    let mut chain = Chain {
        events: world.events(),
        transactions: 50,
    };
    let created = KeeperEvent::ConditionCreated {
        condition: world.ids().compute,
        type_ref: COMPUTE,
        by: STRANGER,
    };
    chain.mine(9, vec![created]);
    let verdict = world.verdict_of(&chain.events, &world.facts());
    assert_eq!(word(&verdict), "refused template_not_approved");
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
