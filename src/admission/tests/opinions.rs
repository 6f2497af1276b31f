use super::*;

type Difference = (&'static str, fn(&mut Opinion), &'static str);

/// What the contracts answer on the state that decides a purchase.
pub(super) fn answers(world: &World) -> Opinion {
    let at = world
        .verdict()
        .expectation
        .map_or(world.fulfilled.0, |its| its.block.number);
    let ids = world.ids();
    let by_then = |event: Option<(u64, u8)>| {
        let state = event.filter(|(block, _)| *block <= at);
        state.map_or(1, |(_, state)| state)
    };
    let its_own = world.compute_id.is_none();
    let states = [
        (
            ids.compute,
            world.state_type,
            if its_own { world.fulfilled.1 } else { 1 },
        ),
        (ids.lock, LOCK, by_then(world.locked)),
        (ids.escrow, ESCROW, by_then(world.released)),
    ];
    let is_made = world.created.is_some_and(|block| block <= at);
    let conditions = states.into_iter().enumerate();
    let conditions = conditions.map(|(index, (condition, by, state))| {
        let (time_lock, time_out) = world.windows[index];
        ConditionOpinion {
            condition,
            type_ref: if state == 1 { world.types[index] } else { by },
            state,
            time_lock: U256::from(time_lock),
            time_out: U256::from(time_out),
        }
    });
    Opinion {
        asked: vec![ids.compute, ids.lock, ids.escrow],
        agreement: is_made.then(|| AgreementFact {
            did: world.agreement_did,
            template: world.template,
            conditions: vec![ids.compute, ids.lock, ids.escrow],
            made: world.created,
        }),
        conditions: conditions.collect(),
        owner: Some(OWNER),
    }
}

fn weighed(world: &World, opinion: &Opinion) -> Verdict {
    let mut verdict = world.verdict();
    weigh(&mut verdict, opinion);
    verdict
}

#[test]
fn an_opinion_that_agrees_is_one_more_rule() {
    for direct in [false, true] {
        let world = World {
            direct,
            windows: [(0, 9), (0, 8), (0, 0)],
            ..World::default()
        };
        let verdict = weighed(&world, &answers(&world));
        assert_eq!(word(&verdict), "admitted 15");
        assert_eq!(verdict.dispute, None);
        let rule = verdict.rules.last().unwrap();
        assert_eq!(rule.rule, "second_opinion");
        assert_eq!(rule.answer, Answer::Holds);
        assert_eq!(rule.evidence, Some(Evidence::Block(15)));
    }
}

#[test]
fn whatever_is_answered_otherwise_is_a_dispute() {
    let differences: &[Difference] = &[
        (
            "no agreement",
            |o| o.agreement = None,
            "the agreement exists by events and not by call",
        ),
        (
            "another asset",
            |o| o.agreement.as_mut().unwrap().did = Did(B256::repeat_byte(9)),
            "the agreement is about",
        ),
        (
            "conditions in another order",
            |o| o.agreement.as_mut().unwrap().conditions.reverse(),
            "other conditions by call",
        ),
        (
            "no condition",
            |o| o.conditions.truncate(2),
            "exists by events and not by call",
        ),
        (
            "not fulfilled",
            |o| o.conditions[0].state = 1,
            "is in state 2 by events and in 1 by call",
        ),
        (
            "not paid",
            |o| o.conditions[1].state = 3,
            "is in state 2 by events and in 3 by call",
        ),
        (
            "released",
            |o| o.conditions[2].state = 2,
            "is in state 1 by events and in 2 by call",
        ),
        (
            "delegated",
            |o| o.conditions[0].type_ref = STRANGER,
            "belongs to",
        ),
        (
            "an earlier end",
            |o| o.conditions[0].time_out = U256::from(1),
            "another window",
        ),
        (
            "a later start",
            |o| o.conditions[1].time_lock = U256::from(1),
            "another window",
        ),
        (
            "another owner",
            |o| o.owner = Some(STRANGER),
            "the asset's owner is",
        ),
        ("no owner", |o| o.owner = None, "and nobody by call"),
    ];
    let world = World::default();
    for (name, differ, sentence) in differences {
        let mut opinion = answers(&world);
        differ(&mut opinion);
        let verdict = weighed(&world, &opinion);
        assert_eq!(word(&verdict), "undecided 0", "{name}");
        let dispute = verdict.dispute.unwrap();
        assert!(dispute.contains(sentence), "{name}: {dispute}");
        let rule = verdict.rules.last().unwrap();
        assert_eq!(
            (rule.answer, &*rule.detail),
            (Answer::Unknown, &*dispute),
            "{name}"
        );
    }
}

/// A window of the escrow is in no rule, and that of a directly made agreement is known from a call alone.
#[test]
fn what_no_event_tells_is_compared_with_nothing() {
    let world = World {
        direct: true,
        registered: None,
        ..World::default()
    };
    let mut opinion = answers(&world);
    opinion.owner = Some(STRANGER);
    for condition in &mut opinion.conditions {
        condition.time_out = U256::from(77);
    }
    assert_eq!(weighed(&world, &opinion).dispute, None);

    let by_template = World::default();
    let mut opinion = answers(&by_template);
    opinion.conditions[2].time_out = U256::from(77);
    assert_eq!(weighed(&by_template, &opinion).dispute, None);
}

#[test]
fn what_comes_after_the_block_is_not_expected_yet() {
    let world = World {
        released: Some((16, 2)),
        ..World::default()
    };
    let mut chain = Chain {
        events: world.events(),
        transactions: 50,
    };
    let (from, to) = (OWNER, STRANGER);
    chain.mine(
        16,
        vec![KeeperEvent::DidOwnershipTransferred { did: DID, from, to }],
    );
    let mut verdict = world.verdict_of(&chain.events, &world.facts());
    assert_eq!(word(&verdict), "admitted 15");
    weigh(&mut verdict, &answers(&world));
    assert_eq!(verdict.dispute, None);
}

#[test]
fn the_state_after_the_block_from_which_a_job_is_owed_is_asked() {
    let later = World {
        locked: Some((20, 2)),
        ..World::default()
    };
    let verdict = later.verdict();
    assert_eq!(verdict.expectation.unwrap().block.number, 20);

    let refused = World {
        amount: U256::from(9),
        ..later
    };
    let expectation = refused.verdict().expectation.unwrap();
    assert_eq!(expectation.block.number, 15);
    assert_eq!(expectation.conditions.len(), 3);
    let mut verdict = refused.verdict();
    let mut opinion = answers(&refused);
    opinion.conditions[1].state = 1;
    weigh(&mut verdict, &opinion);
    assert_eq!(
        (word(&verdict).as_str(), verdict.dispute),
        ("refused underpaid", None)
    );
}

/// The chain knows of an agreement that the events say nobody had made yet.
#[test]
fn an_agreement_that_only_the_contracts_know_of_is_a_dispute() {
    let world = World {
        created: Some(16),
        ..World::default()
    };
    let mut verdict = world.verdict();
    assert_eq!(word(&verdict), "refused unknown_agreement");
    let absent = answers(&world);
    assert_eq!(absent.agreement, None);
    weigh(&mut verdict, &absent);
    assert_eq!(verdict.dispute, None);
    let present = Opinion {
        agreement: answers(&World::default()).agreement,
        ..absent
    };
    weigh(&mut verdict, &present);
    let dispute = verdict.dispute.unwrap();
    assert!(
        dispute.contains("exists by call and not by events"),
        "{dispute}"
    );
}

#[test]
fn nothing_is_asked_where_nothing_hangs_on_it() {
    let bends: [fn(&mut World); 4] = [
        |w| w.offer = Offer::NotOurs,
        |w| w.locked = None,
        |w| w.horizon.act_from = Some(16),
        |w| w.horizon.act_from = None,
    ];
    for bend in bends {
        let mut world = World::default();
        bend(&mut world);
        let verdict = world.verdict();
        assert_eq!(verdict.expectation, None, "{}", word(&verdict));
        assert_eq!(weighed(&world, &answers(&world)), verdict);
    }
    // What the contracts' rules refuse is refused whoever's the asset is; nothing of ours hangs on it.
    let world = World {
        offer: Offer::NotOurs,
        fulfilled: (15, 3),
        ..World::default()
    };
    assert_eq!(world.verdict().expectation, None);
}
