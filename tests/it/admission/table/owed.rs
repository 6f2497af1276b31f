//! What is owed, however unusual the way.

use alloy::primitives::U256;
use tidewatch::keeper::purchase::transfer_did;

use super::{Row, honest};
use crate::admission::market::Deal;
use crate::admission::place::{EVERYWHERE, UNDISTURBED};
use crate::admission::step::Step::{Create, OneBlock, OneTransaction, Send};
use crate::admission::step::Who::{Consumer, Provider, Stranger};
use crate::admission::step::{ANSWER, CREATE, PAY, RELEASE, answer, create, pay, release};

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "an honest purchase",
        places: EVERYWHERE,
        bend: honest,
        steps: &[CREATE, PAY, ANSWER],
        verdicts: &["admitted"],
    },
    Row {
        name: "more is paid than asked",
        places: EVERYWHERE,
        bend: |deal, _| deal.purchase.amount = U256::from(11),
        steps: &[CREATE, PAY, ANSWER],
        verdicts: &["admitted"],
    },
    Row {
        name: "a stranger pays",
        places: EVERYWHERE,
        bend: honest,
        steps: &[CREATE, Send(Stranger, pay), ANSWER],
        verdicts: &["admitted"],
    },
    Row {
        name: "a stranger makes the agreement in the consumer's name, and pays: nobody asks the consumer",
        places: EVERYWHERE,
        bend: honest,
        steps: &[Create(Stranger), Send(Stranger, pay), ANSWER],
        verdicts: &["admitted"],
    },
    Row {
        name: "a provider of the asset answers who is not its owner",
        places: EVERYWHERE,
        bend: honest,
        steps: &[CREATE, PAY, OneTransaction(&[answer])],
        verdicts: &["admitted"],
    },
    Row {
        name: "answered before it is paid",
        places: EVERYWHERE,
        bend: honest,
        steps: &[CREATE, ANSWER, PAY],
        verdicts: &["admitted"],
    },
    Row {
        name: "the escrow is released",
        places: EVERYWHERE,
        bend: honest,
        steps: &[CREATE, PAY, ANSWER, RELEASE],
        verdicts: &["admitted"],
    },
    Row {
        name: "two purchases share a block, each transaction beside the other's",
        places: UNDISTURBED,
        bend: honest,
        steps: &[OneBlock(&[
            (Consumer, create),
            (Stranger, |deal, _| deal.other.create()),
            (Consumer, pay),
            (Consumer, |deal, _| deal.other.lock()),
            (Provider, answer),
            (Provider, |deal, _| deal.other.fulfil()),
        ])],
        verdicts: &["admitted", "admitted"],
    },
    Row {
        name: "made, paid, answered and released in one transaction",
        places: UNDISTURBED,
        bend: honest,
        steps: &[OneTransaction(&[create, pay, answer, release])],
        verdicts: &["admitted"],
    },
    Row {
        name: "two purchases in one transaction, one answered before it is paid",
        places: UNDISTURBED,
        bend: honest,
        steps: &[OneTransaction(&[
            create,
            |deal, _| deal.other.create(),
            answer,
            |deal, _| deal.other.lock(),
            pay,
            |deal, _| deal.other.fulfil(),
        ])],
        verdicts: &["admitted", "admitted"],
    },
    Row {
        name: "two purchases are answered in one transaction, and only one is paid",
        places: EVERYWHERE,
        bend: honest,
        steps: &[
            CREATE,
            Send(Consumer, |deal, _| deal.other.create()),
            PAY,
            OneTransaction(&[|deal, _| deal.other.fulfil(), answer]),
        ],
        verdicts: &["admitted", "awaiting_payment"],
    },
    Row {
        name: "the asset is given away before the answer, and the new owner is paid",
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
    Row {
        name: "the asset is given away after the answer",
        places: EVERYWHERE,
        bend: honest,
        steps: &[
            CREATE,
            PAY,
            ANSWER,
            Send(Provider, |deal, cast| {
                transfer_did(&deal.purchase.contracts, deal.purchase.did, cast.stranger)
            }),
        ],
        verdicts: &["admitted"],
    },
    Row {
        name: "the asset is registered again with other providers after the answer",
        places: EVERYWHERE,
        bend: honest,
        steps: &[CREATE, PAY, ANSWER, Send(Provider, Deal::register)],
        verdicts: &["admitted"],
    },
];
