//! What trying again means for each kind of thing that was parked.

use super::agent::failed;
use super::column::count;
use super::late_blocks::{self, Cause};
use super::parked::Parked;
use super::{Attempt, Error, Transaction, job_documents, status, verdicts};
use crate::ids::{DeploymentId, JobId};
use crate::jobs::{Outcome, Phase, Reason, Status};

/// Name that moves by an operator's command are signed with.
const OPERATOR: &str = "operator";

/// Makes what was parked somebody's work again. Jobs, workflows and blocks are: whoever works on them left them alone only because
/// they were parked.
pub(super) async fn try_again(
    transaction: &mut Transaction,
    deployment: DeploymentId,
    parked: &Parked,
) -> Result<(), Error> {
    match parked.kind.as_str() {
        "log" => log(transaction, deployment, &parked.key).await,
        "act" => failed::try_again(transaction, deployment, &parked.key).await,
        "document" => documents(transaction, deployment, &parked.key).await,
        _ => Ok(()),
    }
}

/// A log is the judge's, with its whole block.
async fn log(
    transaction: &mut Transaction,
    deployment: DeploymentId,
    key: &str,
) -> Result<(), Error> {
    let log: i64 = key.parse().map_err(Error::unreadable("parked"))?;
    let number = sqlx::query_scalar!("SELECT block_number FROM ledger.logs WHERE id = $1", log)
        .fetch_one(&mut **transaction)
        .await
        .attempt("find a parked log")?;
    let number = count("logs", number)?;
    late_blocks::queue(transaction, deployment, number, Cause::Replayed).await
}

/// What a job needed is looked for again. A job that was refused for the lack of it waits for it once more; one that went another
/// way meanwhile stays where it is.
async fn documents(
    transaction: &mut Transaction,
    deployment: DeploymentId,
    name: &str,
) -> Result<(), Error> {
    let jobs = sqlx::query_scalar!(
        "SELECT id FROM ledger.jobs WHERE deployment_id = $1 AND name = $2 ORDER BY id",
        deployment.0,
        name
    )
    .fetch_all(&mut **transaction)
    .await
    .attempt("find the job of a parked document")?;
    for job in jobs.into_iter().map(JobId) {
        // the lock comes first: a resolver that is about to refuse the job does so before, or not at all
        let mut locked = status::lock(transaction, job).await?;
        if !job_documents::look_again(transaction, job).await? {
            continue;
        }
        let attempt = locked.status.attempt;
        let refused = Some(Reason::DocumentUnavailable);
        if locked.status == Status::finished(Outcome::Refused, refused, attempt) {
            verdicts::repeat_judged(transaction, job).await?;
            let waits = Status::of_phase(Phase::AwaitingDocument, attempt);
            status::advance(transaction, &mut locked, waits, OPERATOR).await?;
        }
    }
    Ok(())
}
