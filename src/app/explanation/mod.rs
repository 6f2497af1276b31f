//! Why an agreement, a job or a transaction has the job that it has, or none: in sentences, each with what decided it.
//!
//! `standing.rs` gathers what is known, `awaited.rs` what is missing, and `telling.rs` and `transaction.rs` put it into words without looking at
//! anything else.

mod awaited;
mod standing;
mod telling;
mod transaction;

pub(super) use awaited::find_awaited;
pub(super) use standing::{Looking, Standing};
pub(super) use telling::tell;
pub(super) use transaction::tell_transaction;
