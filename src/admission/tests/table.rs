use super::*;

pub(super) type Bend = fn(&mut World);

/// Every way to bend a purchase, and what becomes of it, made by the template contract or directly.
pub(super) const BOTH: &[(&str, Bend, &str)] = &[
    ("honest", |_| (), "admitted 15"),
    (
        "judged up to its own block",
        |w| w.horizon.judged = 15,
        "admitted 15",
    ),
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
        "unpaid, a lock that ends before it begins",
        |w| {
            w.locked = None;
            w.windows[1] = (86, 85);
        },
        "refused lock_impossible",
    ),
    (
        "unpaid, a lock of one block",
        |w| {
            w.locked = None;
            w.windows[1] = (85, 85);
        },
        "awaiting Some(95)",
    ),
    (
        "unpaid, a lock beyond all blocks",
        |w| {
            w.locked = None;
            w.windows[1] = (u64::MAX, 0);
        },
        "refused lock_impossible",
    ),
    (
        "unpaid, a lock up to the last block there can be",
        |w| {
            w.locked = None;
            w.windows[1] = (u64::MAX - 10, 0);
        },
        "awaiting None",
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
        "made in the first block by a contract that is not followed",
        |w| {
            w.created = None;
            w.made = Some(1);
        },
        "refused template_not_approved",
    ),
    (
        "the same with other conditions",
        |w| {
            w.created = None;
            w.made = Some(1);
            w.compute_id = Some(ConditionId(B256::repeat_byte(1)));
        },
        "refused wrong_conditions",
    ),
    (
        "made before the history, with other conditions",
        |w| {
            w.created = None;
            w.compute_id = Some(ConditionId(B256::repeat_byte(1)));
        },
        "skipped before_history",
    ),
    (
        "made nobody kept when, and no event tells of its condition",
        |w| {
            w.created = None;
            w.made = None;
        },
        "skipped before_history",
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
