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

/// A log of a contract that is not followed stands between: what comes before it in the transaction is of another call.
#[test]
fn a_gap_in_the_transaction_ends_an_agreements_conditions() {
    let world = World {
        direct: true,
        ..World::default()
    };
    let mut events = world.events();
    let first = events
        .iter()
        .position(|its| its.block.number == 10)
        .unwrap();
    for recorded in events.iter_mut().filter(|its| its.block.number == 10) {
        recorded.log_index += 5;
    }
    let earlier = Recorded {
        log: 99,
        log_index: 3,
        event: KeeperEvent::ConditionCreated {
            condition: ConditionId(B256::repeat_byte(1)),
            type_ref: COMPUTE,
            by: Address::repeat_byte(1),
        },
        ..events[first].clone()
    };
    events.push(earlier);
    let verdict = world.verdict_of(&events, &world.facts());
    assert_eq!(word(&verdict), "admitted 15", "{:#?}", verdict.rules);
}

/// An agreement without conditions takes none from the one that was made right before it.
#[test]
fn conditions_of_the_agreement_before_are_not_its_own() {
    let world = World {
        direct: true,
        created: None,
        ..World::default()
    };
    let mut chain = Chain {
        events: world.events(),
        transactions: 50,
    };
    let mut creation = world.creation(&world.ids());
    let other = KeeperEvent::AgreementCreated {
        agreement: AgreementId(B256::repeat_byte(0xbb)),
        did: DID,
        by: STRANGER,
        created_at: U256::from(10),
    };
    creation.insert(3, other);
    chain.mine(10, creation);
    let verdict = world.verdict_of(&chain.events, &Facts::default());
    assert_eq!(word(&verdict), "refused wrong_conditions");
}

#[test]
fn the_conditions_of_a_creation_are_found_by_their_logs() {
    for direct in [false, true] {
        let world = World {
            direct,
            ..World::default()
        };
        let events = world.events();
        let made: Vec<_> = events
            .iter()
            .filter(|its| matches!(its.event, KeeperEvent::ConditionCreated { .. }))
            .map(|its| its.log)
            .collect();
        let creations = events.iter().filter(|its| {
            matches!(
                its.event,
                KeeperEvent::AgreementCreated { .. } | KeeperEvent::TemplateAgreementCreated { .. }
            )
        });
        for creation in creations {
            assert_eq!(conditions_made_with(&events, creation), made);
        }
        assert_eq!(conditions_made_with(&events, &events[0]), Vec::<i64>::new());
    }
}

/// The lock is really paid to the escrow, for another agreement.
#[test]
fn a_lock_of_another_agreement_pays_nothing_here() {
    let other = AgreementId(B256::repeat_byte(0xbb));
    let stolen = keeper::lock_id(&deployment().contracts, other, ESCROW, U256::from(10));
    let world = World {
        lock_id: Some(stolen),
        ..World::default()
    };
    assert_eq!(word(&world.verdict()), "refused lock_mismatch");
}

#[test]
fn sums_that_leave_256_bits_are_blocks_that_never_come() {
    use crate::admission::creation::Window;
    let window = |time_lock, time_out| Window {
        time_lock,
        time_out,
    };
    let (none, all) = (U256::ZERO, U256::MAX);
    assert!(!window(all, none).holds(10, 15));
    assert!(window(none, all).holds(10, 15));
    assert!(window(all, none).never_opens(10));
    assert!(window(none, all).never_opens(10));
    assert!(!window(none, none).never_opens(u64::MAX));
    assert_eq!(window(none, all).last(10), None);
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
    for (block, expected, owner) in [
        (14, "refused escrow_mismatch", STRANGER),
        (16, "admitted 15", OWNER),
    ] {
        let world = World::default();
        let mut chain = Chain {
            events: world.events(),
            transactions: 50,
        };
        chain.mine(block, vec![transfer(OWNER, STRANGER)]);
        let mut verdict = world.verdict_of(&chain.events, &world.facts());
        assert_eq!(word(&verdict), expected);
        let opinion = Opinion {
            owner: Some(owner),
            ..super::opinions::answers(&world)
        };
        weigh(&mut verdict, &opinion);
        assert_eq!(
            verdict.dispute, None,
            "the contracts are expected to name {owner}"
        );
    }
}

#[test]
fn what_is_said_about_others_changes_nothing_wherever_it_stands() {
    for direct in [false, true] {
        let world = World {
            direct,
            released: Some((18, 2)),
            ..World::default()
        };
        let other = World {
            amount: U256::from(77),
            ..world.clone()
        };
        for foreign in foreign(&other.ids()) {
            for block in [1, 2, 10, 11, 12, 15, 18, 20] {
                let mut chain = Chain {
                    events: world.events(),
                    transactions: 50,
                };
                chain.mine(block, vec![foreign.clone()]);
                let verdict = world.verdict_of(&chain.events, &world.facts());
                assert_eq!(verdict, world.verdict(), "{foreign:?} in block {block}");
            }
        }
    }
}
