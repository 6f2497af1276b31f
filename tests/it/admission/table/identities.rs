//! Ids that stand for something else: the chain takes any 32 bytes.

use alloy::primitives::keccak256;
use tidewatch::ids::ConditionId;
use tidewatch::keeper::Purchase;

use super::{Row, honest};
use crate::admission::place::EVERYWHERE;
use crate::admission::step::Step::{Refused, Send};
use crate::admission::step::Who::{Consumer, Provider, Stranger};
use crate::admission::step::{
    ANSWER, CREATE, CREATE_OTHER, PAY, answer, answer_for_stranger, for_stranger,
};

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "somebody else's asset: the catalog does not know it",
        places: EVERYWHERE,
        bend: |deal, _| deal.listed = false,
        steps: &[CREATE, PAY, ANSWER],
        verdicts: &["skipped not_our_asset"],
    },
    Row {
        name: "somebody else's asset, unpaid: whether it is paid is theirs to ask",
        places: EVERYWHERE,
        bend: |deal, _| deal.listed = false,
        steps: &[CREATE, ANSWER],
        verdicts: &["skipped not_our_asset"],
    },
    Row {
        name: "an agreement about the asset whose compute condition names an attacker's own",
        places: EVERYWHERE,
        bend: |deal, cast| deal.purchase.condition_did = cast.strangers_asset,
        steps: &[CREATE, PAY, Send(Stranger, answer)],
        verdicts: &["refused wrong_did"],
    },
    Row {
        name: "a stranger answers for an asset that is not his: the contract refuses",
        places: EVERYWHERE,
        bend: honest,
        steps: &[
            CREATE,
            PAY,
            Refused(Stranger, answer, "Invalid DID owner/provider"),
        ],
        verdicts: &[],
    },
    Row {
        name: "an agreement that nobody made: another one holds its conditions",
        places: EVERYWHERE,
        bend: |deal, _| deal.other.foreign_conditions = Some(deal.purchase.condition_ids()),
        steps: &[CREATE_OTHER, PAY, ANSWER],
        verdicts: &["refused unknown_agreement"],
    },
    Row {
        name: "an agreement that is made only after its event, with other conditions",
        places: EVERYWHERE,
        bend: |deal, _| deal.other.foreign_conditions = Some(deal.purchase.condition_ids()),
        steps: &[
            CREATE_OTHER,
            PAY,
            ANSWER,
            Send(Consumer, |deal, _| unrelated(&deal.purchase).create()),
        ],
        verdicts: &["refused unknown_agreement"],
    },
    Row {
        name: "a second event for an honest agreement's id, in favour of another consumer",
        places: EVERYWHERE,
        bend: |deal, cast| {
            let second = for_stranger(deal, cast).compute_id();
            let ids = vec![second, deal.other.lock_id(), deal.other.escrow_id()];
            deal.other.foreign_conditions = Some(ids);
        },
        steps: &[
            CREATE,
            PAY,
            ANSWER,
            CREATE_OTHER,
            Send(Provider, answer_for_stranger),
        ],
        verdicts: &["admitted", "refused wrong_conditions"],
    },
    Row {
        name: "an agreement that lists other conditions than the one that is fulfilled",
        places: EVERYWHERE,
        bend: |deal, _| {
            let genuine = deal.purchase.condition_ids();
            deal.purchase = unrelated(&deal.purchase);
            deal.other.foreign_conditions = Some(genuine);
        },
        steps: &[CREATE, CREATE_OTHER, PAY, ANSWER],
        verdicts: &["refused wrong_conditions"],
    },
];

/// The same agreement with conditions that stand for nothing.
fn unrelated(purchase: &Purchase) -> Purchase {
    let ids = (0..3_u8)
        .map(|index| ConditionId(keccak256([&purchase.agreement.0[..], &[index]].concat())));
    Purchase {
        foreign_conditions: Some(ids.collect()),
        ..purchase.clone()
    }
}
