//! The table. Prices are 10; who is not named does nothing.

mod code;
mod histories;
mod identities;
mod money;
mod owed;
pub(super) mod payees;
mod states;
mod templates;
mod times;

use super::market::{Cast, Deal};
use super::place::Place;
use super::step::Step;

/// What somebody does, and what becomes of it.
pub(super) struct Row {
    /// In words.
    pub(super) name: &'static str,
    /// In which deployments it can be done: in all in which it can exist.
    pub(super) places: &'static [Place],
    /// What is other than honest about the agreements.
    pub(super) bend: fn(&mut Deal, &Cast),
    /// What happens, in order.
    pub(super) steps: &'static [Step],
    /// The verdict on each job of the row's agreement, then of its other one, oldest event first.
    pub(super) verdicts: &'static [&'static str],
}

/// Everything about the agreement is honest.
const fn honest(_: &mut Deal, _: &Cast) {}

/// All rows. The last ones change the contracts for everybody and put them back.
pub(super) const ROWS: &[&[Row]] = &[
    histories::ROWS,
    owed::ROWS,
    times::ROWS,
    money::ROWS,
    identities::ROWS,
    templates::ROWS,
    states::ROWS,
    code::ROWS,
    templates::LAST,
];
