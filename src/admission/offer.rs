//! The publisher's catalog.

use super::case::Case;
use super::question::Offer;
use super::verdict::{Finding, Outcome};
use crate::jobs::Reason;

/// The asset is one of this publisher's. One keeper serves many.
pub(super) fn our_asset(case: &Case<'_>) -> Finding {
    match case.question.offer {
        Offer::Ours { .. } => Finding::holds("The asset is in this publisher's catalog."),
        Offer::NotOurs => Finding::new(
            Outcome::Skips(Reason::NotOurAsset),
            Reason::NotOurAsset.sentence(),
        ),
    }
}
