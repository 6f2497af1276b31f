//! Other code that says what the genuine contracts say: at another address, or behind their own proxies.

use tidewatch::keeper::Contract::{ComputeExecutionCondition, ConditionStoreManager};

use super::{Row, honest};
use crate::admission::place::{BEHIND_PROXIES, EVERYWHERE};
use crate::admission::step::Code::{Announcer, Timeless};
use crate::admission::step::Step::{At, Replace, Restore, Send};
use crate::admission::step::Who::Stranger;
use crate::admission::step::{ANSWER, CREATE, PAY};

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "a contract of the same words at another address",
        places: EVERYWHERE,
        bend: honest,
        steps: &[
            CREATE,
            PAY,
            Send(Stranger, |deal, cast| {
                cast.announce(cast.announcer, deal, deal.purchase.compute_id())
            }),
        ],
        verdicts: &[],
    },
    Row {
        name: "the compute condition's proxy runs other code, which says that it was fulfilled",
        places: BEHIND_PROXIES,
        bend: honest,
        steps: &[
            CREATE,
            PAY,
            Replace(ComputeExecutionCondition, Announcer),
            Send(Stranger, |deal, cast| {
                let genuine = deal.purchase.contracts.compute_execution_condition;
                cast.announce(genuine, deal, deal.purchase.compute_id())
            }),
            Restore(ComputeExecutionCondition),
        ],
        verdicts: &["refused condition_state_unproven"],
    },
    Row {
        name: "the compute condition's proxy runs other code, which names another condition",
        places: BEHIND_PROXIES,
        bend: honest,
        steps: &[
            CREATE,
            PAY,
            Replace(ComputeExecutionCondition, Announcer),
            Send(Stranger, |deal, cast| {
                let genuine = deal.purchase.contracts.compute_execution_condition;
                cast.announce(genuine, deal, deal.purchase.lock_id())
            }),
            Restore(ComputeExecutionCondition),
        ],
        verdicts: &["refused condition_id_mismatch"],
    },
    Row {
        name: "the compute condition's proxy runs other code, whose words nobody can read: they hold nothing up",
        places: BEHIND_PROXIES,
        bend: honest,
        steps: &[
            CREATE,
            PAY,
            Replace(ComputeExecutionCondition, Announcer),
            Send(Stranger, |deal, cast| cast.mumble(deal)),
            Restore(ComputeExecutionCondition),
            ANSWER,
        ],
        verdicts: &["admitted"],
    },
    Row {
        name: "the condition store's proxy runs code without a sense of time: answered after the window",
        places: BEHIND_PROXIES,
        bend: |deal, _| deal.purchase.time_outs[0] = 4,
        steps: &[
            CREATE,
            PAY,
            Replace(ConditionStoreManager, Timeless),
            At(5),
            ANSWER,
            Restore(ConditionStoreManager),
        ],
        verdicts: &["refused outside_window"],
    },
    Row {
        name: "the condition store's proxy runs code without a sense of time: answered before the window",
        places: BEHIND_PROXIES,
        bend: |deal, _| {
            deal.purchase.time_locks[0] = 1_000_000;
            deal.purchase.time_outs[0] = 2_000_000;
        },
        steps: &[
            CREATE,
            PAY,
            Replace(ConditionStoreManager, Timeless),
            ANSWER,
            Restore(ConditionStoreManager),
        ],
        verdicts: &["refused outside_window"],
    },
];
