//! Windows are counted in blocks from the agreement's on; both ends belong to them.

use super::{Row, honest};
use crate::admission::place::UNDISTURBED;
use crate::admission::step::Step::{At, Mine, Refused, Send};
use crate::admission::step::Who::{Consumer, Provider, Stranger};
use crate::admission::step::{ANSWER, CREATE, PAY, RELEASE, answer, create, pay};

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "answered in the first block of its window",
        places: UNDISTURBED,
        bend: |deal, _| deal.purchase.time_locks[0] = 4,
        steps: &[CREATE, PAY, At(4), ANSWER],
        verdicts: &["admitted"],
    },
    Row {
        name: "answered one block before its window: the contract refuses, and a later answer counts",
        places: UNDISTURBED,
        bend: |deal, _| deal.purchase.time_locks[0] = 4,
        steps: &[
            CREATE,
            PAY,
            At(3),
            Refused(Provider, answer, "TimeLock is not over yet"),
            ANSWER,
        ],
        verdicts: &["admitted"],
    },
    Row {
        name: "answered in the last block of its window",
        places: UNDISTURBED,
        bend: |deal, _| deal.purchase.time_outs[0] = 4,
        steps: &[CREATE, PAY, At(4), ANSWER],
        verdicts: &["admitted"],
    },
    Row {
        name: "answered one block after its window: the event comes, the condition is aborted",
        places: UNDISTURBED,
        bend: |deal, _| deal.purchase.time_outs[0] = 4,
        steps: &[CREATE, PAY, At(5), ANSWER],
        verdicts: &["refused condition_not_fulfilled"],
    },
    Row {
        name: "aborted after its window and refunded: no event, no job",
        places: UNDISTURBED,
        bend: |deal, _| deal.purchase.time_outs[0] = 4,
        steps: &[
            CREATE,
            PAY,
            At(5),
            Send(Stranger, |deal, _| deal.purchase.abort_compute()),
            RELEASE,
        ],
        verdicts: &[],
    },
    Row {
        name: "paid in the last block in which that can be done",
        places: UNDISTURBED,
        bend: |deal, _| deal.purchase.time_outs[1] = 4,
        steps: &[CREATE, ANSWER, At(4), PAY],
        verdicts: &["admitted"],
    },
    Row {
        name: "paid one block too late: the tokens are taken, the lock is aborted",
        places: UNDISTURBED,
        bend: |deal, _| deal.purchase.time_outs[1] = 4,
        steps: &[CREATE, ANSWER, At(5), PAY],
        verdicts: &["refused lock_impossible"],
    },
    Row {
        name: "paid too early: the contract refuses, and a later payment counts",
        places: UNDISTURBED,
        bend: |deal, _| deal.purchase.time_locks[1] = 4,
        steps: &[
            CREATE,
            ANSWER,
            At(3),
            Refused(Consumer, pay, "TimeLock is not over yet"),
            PAY,
        ],
        verdicts: &["admitted"],
    },
    Row {
        name: "nobody pays, and somebody aborts the lock after its window",
        places: UNDISTURBED,
        bend: |deal, _| deal.purchase.time_outs[1] = 2,
        steps: &[
            CREATE,
            ANSWER,
            At(3),
            Send(Stranger, |deal, _| deal.purchase.abort_lock()),
        ],
        verdicts: &["refused lock_impossible"],
    },
    Row {
        name: "nobody pays until the last block in which that can be done is final",
        places: UNDISTURBED,
        bend: |deal, _| deal.purchase.time_outs[1] = 2,
        steps: &[CREATE, ANSWER, Mine(3)],
        verdicts: &["refused lock_impossible"],
    },
    Row {
        name: "nobody pays, and there is time",
        places: UNDISTURBED,
        bend: |deal, _| deal.purchase.time_outs[1] = 1_000_000,
        steps: &[CREATE, ANSWER],
        verdicts: &["awaiting_payment"],
    },
    Row {
        name: "nobody pays, and there will always be time",
        places: UNDISTURBED,
        bend: honest,
        steps: &[CREATE, ANSWER],
        verdicts: &["awaiting_payment"],
    },
    Row {
        name: "a lock that ends before it begins: the contract refuses",
        places: UNDISTURBED,
        bend: |deal, _| {
            deal.purchase.time_locks[1] = 1_000_000;
            deal.purchase.time_outs[1] = 999_999;
        },
        steps: &[Refused(Consumer, create, "Invalid time margin")],
        verdicts: &[],
    },
    Row {
        name: "a lock that begins after all blocks that can be: nobody can ever pay",
        places: UNDISTURBED,
        bend: |deal, _| deal.purchase.time_locks[1] = u64::MAX,
        steps: &[
            CREATE,
            ANSWER,
            Refused(Consumer, pay, "TimeLock is not over yet"),
        ],
        verdicts: &["refused lock_impossible"],
    },
    Row {
        name: "the escrow is released one block too late: the money is paid, the escrow is aborted",
        places: UNDISTURBED,
        bend: |deal, _| deal.purchase.time_outs[2] = 4,
        steps: &[CREATE, PAY, ANSWER, At(5), RELEASE],
        verdicts: &["refused escrow_aborted"],
    },
    Row {
        name: "the escrow is released in its last block",
        places: UNDISTURBED,
        bend: |deal, _| deal.purchase.time_outs[2] = 4,
        steps: &[CREATE, PAY, ANSWER, At(4), RELEASE],
        verdicts: &["admitted"],
    },
];
