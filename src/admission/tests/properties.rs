use proptest::prelude::*;

use super::opinions::answers;
use super::table::BOTH;
use super::*;

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

    /// A judge sees rows beyond the block that he judges; what a reorganisation took away and brought back is the same events.
    #[test]
    fn what_lies_beyond_the_horizon_does_not_matter(world in bent(), judged in 15_u64..30) {
        let world = World { horizon: Horizon { judged, ..world.horizon }, ..world };
        let events = world.events();
        let mut until = events.clone();
        until.retain(|recorded| recorded.block.number <= judged);
        prop_assert_eq!(
            world.verdict_of(&events, &world.facts()),
            world.verdict_of(&until, &world.facts())
        );
    }

    #[test]
    fn other_agreements_do_not_matter(world in bent(), blocks in prop::collection::vec(1_u64..90, 1..8)) {
        let mut chain = Chain { events: world.events(), transactions: 50 };
        let other = World { amount: U256::from(77), ..world.clone() };
        let foreign = foreign(&other.ids());
        for (index, block) in blocks.into_iter().enumerate() {
            chain.mine(block, vec![foreign[index % foreign.len()].clone()]);
        }
        // An id of its own: a purchase of 77 has other ids than this one.
        prop_assume!(world.amount != other.amount);
        prop_assert_eq!(world.verdict_of(&chain.events, &world.facts()), world.verdict());
    }

    /// The contracts say what their events say: then a second opinion never changes a decision.
    #[test]
    fn an_opinion_that_repeats_the_events_changes_no_decision(world in bent()) {
        let verdict = world.verdict();
        let mut weighed = verdict.clone();
        weigh(&mut weighed, &answers(&world));
        prop_assert_eq!(weighed.dispute, None);
        prop_assert_eq!(weighed.decision, verdict.decision);
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
