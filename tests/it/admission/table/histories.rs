//! What happened before the history that is followed, or before the operator wanted to act.

use super::{Row, honest};
use crate::admission::place::UNDISTURBED;
use crate::admission::step::Step::{ActingBegins, HistoryBegins};
use crate::admission::step::{ANSWER, CREATE, PAY};

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "an agreement that is older than the followed history",
        places: UNDISTURBED,
        bend: honest,
        steps: &[CREATE, PAY, HistoryBegins, ANSWER],
        verdicts: &["skipped before_history"],
    },
    Row {
        name: "all of it is older than the followed history",
        places: UNDISTURBED,
        bend: honest,
        steps: &[CREATE, PAY, ANSWER, HistoryBegins],
        verdicts: &[],
    },
    Row {
        name: "an asset that is older than the followed history: its owner is asked for",
        places: UNDISTURBED,
        bend: |deal, _| deal.register_first = true,
        steps: &[HistoryBegins, ActingBegins, CREATE, PAY, ANSWER],
        verdicts: &["admitted"],
    },
    Row {
        name: "paid and answered before the operator wanted to act",
        places: UNDISTURBED,
        bend: honest,
        steps: &[HistoryBegins, CREATE, PAY, ANSWER, ActingBegins],
        verdicts: &["skipped before_start"],
    },
    Row {
        name: "answered before the operator wanted to act, paid afterwards",
        places: UNDISTURBED,
        bend: honest,
        steps: &[HistoryBegins, CREATE, ANSWER, ActingBegins, PAY],
        verdicts: &["admitted"],
    },
    Row {
        name: "made and paid before the operator wanted to act, answered afterwards",
        places: UNDISTURBED,
        bend: honest,
        steps: &[HistoryBegins, CREATE, PAY, ActingBegins, ANSWER],
        verdicts: &["admitted"],
    },
];
