//! Where one step further would be another verdict: what stands in the same transaction and is another's, and what is not known.

use super::*;

/// Everything that a purchase of 77 under another agreement would say, with the ids of its conditions.
fn another(world: &World) -> Ids {
    World {
        amount: U256::from(77),
        ..world.clone()
    }
    .ids()
}

fn judged(world: &World, chain: &Chain) -> String {
    word(&world.verdict_of(&chain.events, &world.facts()))
}

#[test]
fn a_state_that_a_delegate_set_is_not_proven_by_anothers_payment() {
    let world = World {
        locked: None,
        ..World::default()
    };
    let (ids, other) = (world.ids(), another(&world));
    let mut chain = Chain {
        events: world.events(),
        transactions: 50,
    };
    let theirs = KeeperEvent::LockFulfilled {
        agreement: AgreementId(B256::repeat_byte(0x5a)),
        reward_address: ESCROW,
        condition: other.lock,
        amount: U256::from(77),
    };
    chain.mine(30, vec![updated(ids.lock, LOCK, 2), theirs]);
    assert_eq!(judged(&world, &chain), "refused lock_impossible");
}

#[test]
fn a_release_that_a_delegate_set_is_not_proven_by_anothers_nor_by_an_earlier_one() {
    let world = World::default();
    let (ids, other) = (world.ids(), another(&world));
    let paid = |condition| KeeperEvent::EscrowFulfilled {
        agreement: AGREEMENT,
        receiver: OWNER,
        condition,
        amount: U256::from(10),
    };
    for events in [
        vec![updated(ids.escrow, ESCROW, 2), paid(other.escrow)],
        vec![paid(ids.escrow), updated(ids.escrow, ESCROW, 2)],
    ] {
        let mut chain = Chain {
            events: world.events(),
            transactions: 50,
        };
        chain.mine(30, events);
        assert_eq!(judged(&world, &chain), "refused escrow_aborted");
    }
}

/// The store makes an agreement's conditions in one transaction; those that adjoin by chance in the same block are another's.
#[test]
fn conditions_of_the_transaction_before_are_not_an_agreements_own() {
    let world = World {
        direct: true,
        ..World::default()
    };
    let mut chain = Chain::default();
    chain.mine(2, vec![registered(OWNER)]);
    let mut creation = world.creation(&world.ids());
    let rest = creation.split_off(1);
    chain.mine(10, creation);
    chain.mine(10, rest);
    let whole = world.events();
    let later = whole.iter().filter(|recorded| recorded.block.number > 10);
    for recorded in later {
        let mut recorded = recorded.clone();
        recorded.log += 50;
        recorded.transaction = B256::with_last_byte(99);
        chain.events.push(recorded);
    }
    let verdict = world.verdict_of(&chain.events, &world.facts());
    assert_eq!(word(&verdict), "refused wrong_conditions");
}

#[test]
fn only_the_logs_of_the_same_call_are_a_creations_own() {
    let world = World::default();
    let ids = world.ids();
    let mut chain = Chain::default();
    let foreign = KeeperEvent::ConditionCreated {
        condition: another(&world).lock,
        type_ref: LOCK,
        by: STRANGER,
    };
    let again = |condition| KeeperEvent::ConditionCreated {
        condition,
        type_ref: COMPUTE,
        by: STRANGER,
    };
    // the same condition's id in another block and in another transaction, and another condition in the same one
    chain.mine(9, vec![again(ids.compute)]);
    chain.mine(10, vec![again(ids.compute)]);
    let mut creation = vec![foreign, registered(OWNER)];
    creation.extend(world.creation(&ids));
    chain.mine(10, creation);
    chain.mine(10, vec![again(ids.compute)]);
    chain.mine(11, vec![again(ids.compute)]);
    let made = |event: &Recorded| conditions_made_with(&chain.events, event);
    let created = chain
        .events
        .iter()
        .find(|recorded| matches!(recorded.event, KeeperEvent::TemplateAgreementCreated { .. }));
    assert_eq!(made(created.unwrap()), [5, 6, 7]);
    assert!(made(&chain.events[0]).is_empty());
}

#[test]
fn whose_asset_it_is_does_not_matter_before_the_contracts_rules_are_answered() {
    let world = World {
        direct: true,
        facts: false,
        offer: Offer::NotOurs,
        ..World::default()
    };
    assert_eq!(word(&world.verdict()), "undecided 2");
    let known = World {
        facts: true,
        ..world.clone()
    };
    assert_eq!(word(&known.verdict()), "skipped not_our_asset");
    let refused = World {
        fulfilled: (15, 3),
        ..known
    };
    assert_eq!(word(&refused.verdict()), "refused condition_not_fulfilled");
}

#[test]
fn a_strangers_condition_does_not_make_an_old_agreement_one_of_the_history() {
    let world = World {
        created: None,
        made: None,
        ..World::default()
    };
    let mut chain = Chain {
        events: world.events(),
        transactions: 50,
    };
    let theirs = KeeperEvent::ConditionCreated {
        condition: another(&world).lock,
        type_ref: LOCK,
        by: STRANGER,
    };
    chain.mine(9, vec![theirs]);
    assert_eq!(judged(&world, &chain), "skipped before_history");
}

/// What decided is named, whatever it was: a log where a log says it, a call where only a call does.
#[test]
fn the_rules_about_history_owner_and_window_name_what_decided_them() {
    let answer_of = |world: &World, rule: &str| {
        let verdict = world.verdict();
        let found = verdict.rules.into_iter().find(|its| its.rule == rule);
        let found = found.unwrap();
        (found.answer, found.evidence)
    };
    let unfollowed = World {
        created: None,
        made: Some(1),
        ..World::default()
    };
    let (answer, evidence) = answer_of(&unfollowed, "agreement");
    assert_eq!(
        answer,
        Answer::Holds,
        "it exists, though no followed contract made it"
    );
    assert!(matches!(evidence, Some(Evidence::Call(_))), "{evidence:?}");
    let older = World {
        made: Some(0),
        ..unfollowed
    };
    assert_eq!(answer_of(&older, "agreement").0, Answer::Fails);

    let by_event = World::default();
    let (answer, evidence) = answer_of(&by_event, "payee");
    assert_eq!((answer, evidence), (Answer::Holds, Some(Evidence::Log(1))));
    let by_call = World {
        registered: None,
        ..World::default()
    };
    let (answer, evidence) = answer_of(&by_call, "payee");
    let call = Evidence::Call(format!("DIDRegistry.getDIDOwner({DID})"));
    assert_eq!((answer, evidence), (Answer::Holds, Some(call)));
    let named = World {
        offer: Offer::Ours {
            minimum_price: U256::ZERO,
            payees: Some(vec![OWNER]),
        },
        ..World::default()
    };
    assert_eq!(answer_of(&named, "payee"), (Answer::Holds, None));

    let (_, evidence) = answer_of(&World::default(), "window");
    assert!(matches!(evidence, Some(Evidence::Log(_))), "{evidence:?}");
    let direct = World {
        direct: true,
        ..World::default()
    };
    let (_, evidence) = answer_of(&direct, "window");
    assert!(matches!(evidence, Some(Evidence::Call(_))), "{evidence:?}");
}

#[test]
fn calls_that_contradict_the_creations_events_refuse() {
    for direct in [false, true] {
        let world = World {
            direct,
            ..World::default()
        };
        let mut facts = world.facts();
        let lock = world.ids().lock;
        facts.conditions.get_mut(&lock).unwrap().type_ref = STRANGER;
        let verdict = world.verdict_of(&world.events(), &facts);
        assert_eq!(word(&verdict), "refused wrong_conditions", "{direct}");
    }
    let world = World {
        direct: true,
        ..World::default()
    };
    let mut facts = world.facts();
    let agreement = facts.agreements.get_mut(&AGREEMENT).unwrap();
    agreement.as_mut().unwrap().conditions.swap(1, 2);
    let verdict = world.verdict_of(&world.events(), &facts);
    assert_eq!(word(&verdict), "refused wrong_conditions");
}

#[test]
fn once_something_is_refused_or_unknown_no_further_rules_are_asked() {
    let too_late = World {
        windows: [(0, 1), (0, 0), (0, 0)],
        ..World::default()
    };
    assert_eq!(word(&too_late.verdict()), "refused outside_window");
    let not_offered = World {
        offer: Offer::NotOurs,
        ..World::default()
    };
    let unknown = World {
        direct: true,
        ..World::default()
    };
    let unknown = unknown.verdict_of(&unknown.events(), &Facts::default());
    let payee = |verdict: &Verdict| {
        let mut rules = verdict.rules.iter();
        rules.find(|its| its.rule == "payee").unwrap().answer
    };
    for verdict in [too_late.verdict(), not_offered.verdict(), unknown] {
        assert_eq!(payee(&verdict), Answer::NotReached, "{}", word(&verdict));
    }
    assert_eq!(payee(&World::default().verdict()), Answer::Holds);
}

#[test]
fn a_template_contract_that_tells_no_window_opens_none() {
    let world = World::default();
    let mut events = world.events();
    for recorded in &mut events {
        if let KeeperEvent::TemplateAgreementCreated { time_outs, .. } = &mut recorded.event {
            time_outs.clear();
        }
    }
    let verdict = world.verdict_of(&events, &world.facts());
    assert_eq!(word(&verdict), "refused outside_window");
}

#[test]
fn an_opinion_counts_only_if_it_was_asked_for_all_that_is_expected() {
    let world = World::default();
    let expectation = world.verdict().expectation.unwrap();
    let mut opinion = super::opinions::answers(&world);
    assert!(expectation.is_answered_by(&opinion));
    opinion.asked.pop();
    assert!(!expectation.is_answered_by(&opinion));
}

#[test]
fn an_agreement_of_the_opinions_own_block_is_there() {
    let world = World {
        created: Some(15),
        locked: Some((15, 2)),
        ..World::default()
    };
    let mut verdict = world.verdict();
    assert_eq!(word(&verdict), "admitted 15");
    weigh(&mut verdict, &super::opinions::answers(&world));
    assert_eq!(verdict.dispute, None);
    assert_eq!(word(&verdict), "admitted 15");
}
