//! What whoever it concerns can do about a job that is not as they hoped. It follows from how the contracts pay: an escrow pays the
//! publisher once the compute condition is fulfilled, and the consumer once it is aborted.

use crate::jobs::{Outcome, Phase, Reason};
use crate::ledger::reader::JobRow;

/// In sentences; `None` when there is nothing to do.
pub(super) fn of(job: &JobRow) -> Option<&'static str> {
    let reason = job.reason.as_deref().and_then(|code| code.parse().ok());
    match (job.phase, job.outcome) {
        (Phase::AwaitingPayment, _) => Some(
            "The publisher answered before the payment came. The job is owed from the payment on: anybody can make it (LockRewardCondition.fulfill).",
        ),
        (Phase::Undecided, _) => Some(
            "Nothing to do: it is judged again as soon as what is missing can be read. It is not refused.",
        ),
        (Phase::AwaitingDocument, _) => Some(
            "Whoever keeps the document should make it available at the address that was registered; it is looked for again and again until the time below is over.",
        ),
        (Phase::AwaitingReview, _) => {
            Some("The publisher looks at what would come out before letting it out.")
        }
        (_, Some(outcome)) => ended(outcome, reason),
        _ => None,
    }
}

fn ended(outcome: Outcome, reason: Option<Reason>) -> Option<&'static str> {
    match (outcome, reason) {
        (Outcome::Refused, Some(Reason::ConditionNotFulfilled | Reason::OutsideWindow)) => Some(
            "The publisher's answer came when the condition's window was over, which ends the condition as aborted. Then anybody can release the escrow (EscrowReward.fulfill), and it pays the money back to the consumer.",
        ),
        (Outcome::Refused, Some(Reason::LockImpossible)) => Some(
            "The payment can no longer be made under this agreement; tokens that were sent too late stay in the escrow. Make a new agreement.",
        ),
        (Outcome::Refused, _) => Some(
            "Nothing ran. The condition is fulfilled on chain, so the contracts give no refund by themselves: ask the publisher to pay back. Before buying again, POST /v1/preflight tells the verdict that a purchase would get, and costs nothing.",
        ),
        (Outcome::Skipped, Some(Reason::NotOurAsset)) => Some(
            "The asset is another publisher's; whoever follows the contracts for that publisher runs it.",
        ),
        (Outcome::Skipped, _) => Some(
            "It is older than what this publisher acts on. If it was never run, ask the publisher.",
        ),
        (Outcome::Withdrawn, _) => Some(
            "The transaction left the chain for good. If the condition is fulfilled again, in another block, the job goes on from there.",
        ),
        (Outcome::Failed, Some(Reason::AlgorithmFailed)) => Some(
            "The parties find the algorithm's own words in the log below, as far as the publisher lets it out. An operator can have it run once more (tidewatch jobs retry).",
        ),
        (Outcome::TimedOut, Some(Reason::TimeExceeded))
        | (Outcome::Failed, Some(Reason::MemoryExceeded | Reason::DiskExceeded)) => Some(
            "The algorithm needs more than it may use. A workflow document can ask for more, up to the publisher's ceilings (GET /v1/assets/{did}).",
        ),
        (Outcome::Failed | Outcome::TimedOut | Outcome::Stopped | Outcome::Lost, _) => {
            Some("An operator can have it run once more (tidewatch jobs retry).")
        }
        (Outcome::Succeeded, _) => None,
    }
}
