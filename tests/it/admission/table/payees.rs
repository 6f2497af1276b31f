//! A catalog that names who may be paid: here the stranger and nobody else.

use tidewatch::keeper::purchase::transfer_did;

use super::{Row, honest};
use crate::admission::place::EVERYWHERE;
use crate::admission::step::Step::Send;
use crate::admission::step::Who::{Provider, Stranger};
use crate::admission::step::{ANSWER, CREATE, PAY, answer};

pub(in crate::admission) const ROWS: &[Row] = &[
    Row {
        name: "the named payee is paid, who does not own the asset",
        places: EVERYWHERE,
        bend: |deal, cast| deal.purchase.receiver = cast.stranger,
        steps: &[CREATE, PAY, ANSWER],
        verdicts: &["admitted"],
    },
    Row {
        name: "the owner is paid, whom the catalog does not name",
        places: EVERYWHERE,
        bend: honest,
        steps: &[CREATE, PAY, ANSWER],
        verdicts: &["refused escrow_mismatch"],
    },
    Row {
        name: "the named payee is paid, and the asset is given away before the answer",
        places: EVERYWHERE,
        bend: |deal, cast| deal.purchase.receiver = cast.stranger,
        steps: &[
            CREATE,
            PAY,
            Send(Provider, |deal, cast| {
                transfer_did(&deal.purchase.contracts, deal.purchase.did, cast.stranger)
            }),
            Send(Stranger, answer),
        ],
        verdicts: &["admitted"],
    },
];
