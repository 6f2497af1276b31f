//! Money that is too little, or goes elsewhere.

use alloy::primitives::U256;
use tidewatch::keeper::purchase::transfer_did;

use super::Row;
use crate::admission::place::EVERYWHERE;
use crate::admission::step::Step::Send;
use crate::admission::step::Who::{Consumer, Provider, Stranger};
use crate::admission::step::{ANSWER, CREATE, PAY, RELEASE, answer};

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "one too little is paid",
        places: EVERYWHERE,
        bend: |deal, _| deal.purchase.amount = U256::from(9),
        steps: &[CREATE, PAY, ANSWER],
        verdicts: &["refused underpaid"],
    },
    Row {
        name: "nothing is paid, by a lock of zero",
        places: EVERYWHERE,
        bend: |deal, _| deal.purchase.amount = U256::ZERO,
        steps: &[CREATE, PAY, ANSWER, RELEASE],
        verdicts: &["refused underpaid"],
    },
    Row {
        name: "the lock pays the consumer himself",
        places: EVERYWHERE,
        bend: |deal, cast| deal.purchase.reward_address = cast.consumer,
        steps: &[CREATE, PAY, ANSWER],
        verdicts: &["refused lock_mismatch"],
    },
    Row {
        name: "the lock is another agreement's",
        places: EVERYWHERE,
        bend: |deal, _| {
            let mut ids = deal.purchase.condition_ids();
            ids[1] = deal.other.lock_id();
            deal.purchase.foreign_conditions = Some(ids);
        },
        steps: &[CREATE, Send(Consumer, |deal, _| deal.other.lock()), ANSWER],
        verdicts: &["refused lock_mismatch"],
    },
    Row {
        name: "the escrow pays an attacker",
        places: EVERYWHERE,
        bend: |deal, cast| deal.purchase.receiver = cast.stranger,
        steps: &[CREATE, PAY, ANSWER, RELEASE],
        verdicts: &["refused escrow_mismatch"],
    },
    Row {
        name: "the escrow refunds an attacker",
        places: EVERYWHERE,
        bend: |deal, cast| deal.purchase.sender = cast.stranger,
        steps: &[CREATE, PAY, ANSWER],
        verdicts: &["refused escrow_mismatch"],
    },
    Row {
        name: "the escrow is of another amount than the lock: it can pay nobody",
        places: EVERYWHERE,
        bend: |deal, _| {
            let mut less = deal.purchase.clone();
            less.amount = U256::from(1);
            let mut ids = deal.purchase.condition_ids();
            ids[2] = less.escrow_id();
            deal.purchase.foreign_conditions = Some(ids);
        },
        steps: &[CREATE, PAY, ANSWER],
        verdicts: &["refused escrow_mismatch"],
    },
    Row {
        name: "the escrow waits for another condition than the compute condition",
        places: EVERYWHERE,
        bend: |deal, _| {
            let mut ids = deal.purchase.condition_ids();
            ids[2] = deal.other.escrow_id();
            deal.purchase.foreign_conditions = Some(ids);
        },
        steps: &[CREATE, PAY, ANSWER],
        verdicts: &["refused escrow_mismatch"],
    },
    Row {
        name: "the asset is given away before the answer, and its former owner is paid",
        places: EVERYWHERE,
        bend: |_, _| (),
        steps: &[
            CREATE,
            PAY,
            Send(Provider, |deal, cast| {
                transfer_did(&deal.purchase.contracts, deal.purchase.did, cast.stranger)
            }),
            Send(Stranger, answer),
        ],
        verdicts: &["refused escrow_mismatch"],
    },
    Row {
        name: "the asset is given away after the answer, and its later owner is paid",
        places: EVERYWHERE,
        bend: |deal, cast| deal.purchase.receiver = cast.stranger,
        steps: &[
            CREATE,
            PAY,
            ANSWER,
            Send(Provider, |deal, cast| {
                transfer_did(&deal.purchase.contracts, deal.purchase.did, cast.stranger)
            }),
        ],
        verdicts: &["refused escrow_mismatch"],
    },
];
