//! The store's owner can let anybody set a condition's state. No such state is believed.

use super::{Row, honest};
use crate::admission::market::Cast;
use crate::admission::place::EVERYWHERE;
use crate::admission::step::Step::{Refused, Send};
use crate::admission::step::Who::{Consumer, Owner, Provider, Stranger};
use crate::admission::step::{ANSWER, CREATE, PAY, answer, pay};

/// Fulfilled, as `ConditionStoreLibrary.ConditionState` numbers it.
const FULFILLED: u8 = 2;
/// Aborted.
const ABORTED: u8 = 3;

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "a delegate marks the lock as fulfilled, and nobody paid or ever can",
        places: EVERYWHERE,
        bend: honest,
        steps: &[
            CREATE,
            ANSWER,
            Send(Owner, |deal, cast| {
                cast.delegate(deal, deal.purchase.lock_id())
            }),
            Send(Stranger, |deal, _| {
                Cast::set_state(deal, deal.purchase.lock_id(), FULFILLED)
            }),
            Refused(Consumer, pay, "revert"),
        ],
        verdicts: &["refused lock_impossible"],
    },
    Row {
        name: "a delegate aborts the lock",
        places: EVERYWHERE,
        bend: honest,
        steps: &[
            CREATE,
            ANSWER,
            Send(Owner, |deal, cast| {
                cast.delegate(deal, deal.purchase.lock_id())
            }),
            Send(Stranger, |deal, _| {
                Cast::set_state(deal, deal.purchase.lock_id(), ABORTED)
            }),
        ],
        verdicts: &["refused lock_impossible"],
    },
    Row {
        name: "a delegate marks the escrow as released, and it paid nobody",
        places: EVERYWHERE,
        bend: honest,
        steps: &[
            CREATE,
            PAY,
            ANSWER,
            Send(Owner, |deal, cast| {
                cast.delegate(deal, deal.purchase.escrow_id())
            }),
            Send(Stranger, |deal, _| {
                Cast::set_state(deal, deal.purchase.escrow_id(), FULFILLED)
            }),
        ],
        verdicts: &["refused escrow_aborted"],
    },
    Row {
        name: "a delegate marks the compute condition as fulfilled: no event, no job",
        places: EVERYWHERE,
        bend: honest,
        steps: &[
            CREATE,
            PAY,
            Send(Owner, |deal, cast| {
                cast.delegate(deal, deal.purchase.compute_id())
            }),
            Send(Stranger, |deal, _| {
                Cast::set_state(deal, deal.purchase.compute_id(), FULFILLED)
            }),
            Refused(Provider, answer, "revert"),
        ],
        verdicts: &[],
    },
];
