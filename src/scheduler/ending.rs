//! The end of a job in the ledger: log, results, attempt and status, in one transaction.

use super::Error;
use super::moves::{end_of, passed};
use crate::engine::{Completeness, Observation, Published};
use crate::jobs::{Footing, Outcome, Phase, Reason, Status};
use crate::ledger::job_logs::{self, LogKey};
use crate::ledger::status::Locked;
use crate::ledger::{Transaction, attempts, footings, results, status};

/// What the ledger keeps of the algorithm's log when a job ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum FinalLog {
    /// The log is closed already: the record is in the ledger.
    Closed,
    /// The preview as it is, of which only that much is known.
    Preview(Completeness),
}

impl FinalLog {
    /// What a preview is worth without a record. Without any byte it is the whole log if the algorithm never started; filled to
    /// the limit it is what the record would have been; otherwise something may be missing.
    pub(super) fn of_preview(bytes: u64, limit: u64, algorithm_started: bool) -> Self {
        Self::Preview(match bytes {
            0 if !algorithm_started => Completeness::Complete,
            bytes if bytes >= limit => Completeness::Truncated,
            _ => Completeness::Gap,
        })
    }
}

/// Brings a job whose workflow was seen to end to its end, with everything that must be in the ledger before the engine may
/// forget it. A job that is no longer live, or of another attempt, is left as it is: somebody else ended it.
///
/// Results are recorded, and so shown to anybody, only while what owes the job is on the chain. `false` when they wait for that:
/// nothing was written. Once the event is gone for good they are not recorded at all, and the job is withdrawn, however it went.
///
/// # Errors
/// [`Error::NothingPublished`] for a success without results; database errors.
pub(super) async fn record_end(
    transaction: &mut Transaction,
    locked: &mut Locked,
    seen: &Observation,
    review: bool,
    log: FinalLog,
    worker: &'static str,
) -> Result<bool, Error> {
    let (job, attempt) = (locked.job, seen.attempt);
    let Some(end) = end_of(seen) else {
        return Ok(true);
    };
    if !locked.status.phase.is_live() || locked.status.attempt != attempt {
        return Ok(true);
    }
    let footing = footings::get(transaction, job).await?;
    let Some(end) = end_on(footing, end) else {
        return Ok(false);
    };
    if end.outcome == Some(Outcome::Succeeded) && seen.published.is_none() {
        return Err(Error::NothingPublished {
            job: locked.name.clone(),
        });
    }
    keep_log(transaction, LogKey::algorithm(job, attempt), log).await?;
    let published = seen.published.as_ref();
    let published = published.filter(|_| end.outcome != Some(Outcome::Withdrawn));
    if let Some(published) = published {
        results::record(transaction, job, attempt, published).await?;
    }
    attempts::observe(transaction, job, attempt, &seen.stages, true).await?;
    for step in passed(locked.status, seen) {
        status::advance(transaction, locked, step, worker).await?;
    }
    let end = if review && published.is_some_and(holds_something) {
        // The reason says how it will have ended once it is released.
        Status {
            reason: end.reason,
            ..Status::of_phase(Phase::AwaitingReview, attempt)
        }
    } else {
        end
    };
    status::advance(transaction, locked, end, worker).await?;
    Ok(true)
}

/// How a job ends that the engine saw end so; `None` while that is not to be said yet. A run that failed has nothing to let out.
fn end_on(footing: Footing, end: Status) -> Option<Status> {
    match (footing, end.outcome) {
        (Footing::Orphaned, Some(Outcome::Succeeded)) => None,
        (Footing::Withdrawn, Some(Outcome::Succeeded)) => Some(Status::finished(
            Outcome::Withdrawn,
            Some(Reason::EventWithdrawn),
            end.attempt,
        )),
        _ => Some(end),
    }
}

/// Whether there is anything to review: without a result and without a word of the algorithm there is not.
fn holds_something(published: &Published) -> bool {
    published.files > 0 || published.log.bytes > 0
}

/// Ends a job whose workflow is gone. What was copied of its log is all there will ever be.
///
/// # Errors
/// Database errors.
pub(super) async fn record_loss(
    transaction: &mut Transaction,
    locked: &mut Locked,
    worker: &'static str,
) -> Result<(), Error> {
    let Status { phase, attempt, .. } = locked.status;
    if attempt > 0 {
        let key = LogKey::algorithm(locked.job, attempt);
        keep_log(transaction, key, FinalLog::Preview(Completeness::Gap)).await?;
        attempts::close(transaction, locked.job, attempt).await?;
    }
    tracing::warn!(job = %locked.name, %phase, attempt, "the workflow of {} is gone: the job is lost", locked.name);
    let lost = Status::finished(Outcome::Lost, Some(Reason::WorkflowMissing), attempt);
    status::advance(transaction, locked, lost, worker).await?;
    Ok(())
}

async fn keep_log(transaction: &mut Transaction, key: LogKey, log: FinalLog) -> Result<(), Error> {
    let FinalLog::Preview(completeness) = log else {
        return Ok(());
    };
    // Locked before it is summed up: a collector that does not know yet that its lease is lost may still append. One that is closed
    // holds the record, and stays as it is.
    if job_logs::open(transaction, key).await?.is_some() {
        let summary = job_logs::summarize(transaction, key, completeness).await?;
        job_logs::close(transaction, key, &summary).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_success_is_said_only_while_its_event_is_on_the_chain() {
        let well = Status::finished(Outcome::Succeeded, None, 2);
        let withdrawn = Status::finished(Outcome::Withdrawn, Some(Reason::EventWithdrawn), 2);
        let failed = Status::finished(Outcome::Failed, Some(Reason::AlgorithmFailed), 2);
        assert_eq!(end_on(Footing::Canonical, well), Some(well));
        assert_eq!(end_on(Footing::Orphaned, well), None);
        assert_eq!(end_on(Footing::Withdrawn, well), Some(withdrawn));
        for footing in [Footing::Canonical, Footing::Orphaned, Footing::Withdrawn] {
            assert_eq!(end_on(footing, failed), Some(failed));
        }
    }

    #[test]
    fn a_preview_is_never_called_more_than_it_is() {
        let worth = |bytes, started| match FinalLog::of_preview(bytes, 100, started) {
            FinalLog::Preview(completeness) => completeness,
            FinalLog::Closed => panic!("no record was given"),
        };
        assert_eq!(worth(0, false), Completeness::Complete);
        assert_eq!(worth(0, true), Completeness::Gap);
        assert_eq!(worth(99, true), Completeness::Gap);
        assert_eq!(worth(100, true), Completeness::Truncated);
    }
}
