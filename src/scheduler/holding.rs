use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::Error;
use crate::fault::Fault;
use crate::ids::{DeploymentId, JobName};
use crate::ledger::leases::{self, Lease};
use crate::ledger::{self, Ledger, parked};
use crate::worker::Chain;

/// How long before its lease ends a step is cut off: what it sent last has that long to arrive. It only keeps two holders from
/// working side by side; were it too short, tokens and uids would still make the late one harmless.
const ALLOWANCE: Duration = Duration::from_secs(2);

/// When a step under the lease is cut off.
fn cut(lease: &Lease) -> Instant {
    lease
        .ends
        .checked_sub(ALLOWANCE)
        .unwrap_or_else(Instant::now)
}

/// Does a step under a lease that is not renewed, and cuts it off before the lease ends.
pub(super) async fn within<T>(
    lease: &Lease,
    job: &JobName,
    step: impl Future<Output = Result<T, Error>> + Send,
) -> Result<T, Error> {
    timeout_at(cut(lease), step)
        .await
        .unwrap_or_else(|_| Err(Error::OutOfTime { job: job.clone() }))
}

/// Does a long step and renews its lease meanwhile, every third of `duration`. Ends it when the lease is lost, or when no
/// renewal succeeds in time because the ledger is away.
pub(super) async fn while_renewed<T>(
    ledger: &Ledger,
    lease: &Lease,
    job: &JobName,
    duration: Duration,
    step: impl Future<Output = Result<T, Error>> + Send,
) -> Result<T, Error> {
    let renewing = async {
        let mut held = *lease;
        loop {
            sleep(duration / 3).await;
            let renewal = async {
                let mut connection = ledger.acquire().await?;
                leases::renew(&mut connection, &held, duration).await
            };
            match timeout_at(cut(&held), renewal).await {
                Ok(Ok(renewed)) => held = renewed,
                Ok(Err(error)) if matches!(error, ledger::Error::Conflict { .. }) => {
                    return Error::from(error);
                }
                // The ledger is away: there is time for another try, or there is not.
                Ok(Err(_)) if Instant::now() < cut(&held) => {}
                _ => return Error::OutOfTime { job: job.clone() },
            }
        }
    };
    tokio::select! {
        biased;
        result = step => result,
        error = renewing => Err(error),
    }
}

/// What a failed step leads to: a job whose lease is lost is somebody else's; a fatal error goes on to the worker's loop; a
/// rejected job is parked; any other waits with growing delay. Logged here, once.
pub(super) async fn settle(
    ledger: &Ledger,
    deployment: DeploymentId,
    lease: &Lease,
    job: &JobName,
    error: Error,
) -> Result<(), Error> {
    if error.is_conflict() {
        tracing::debug!(%job, error = %Chain(&error), "{job} is in other hands");
        return Ok(());
    }
    let fault = error.fault();
    if fault == Fault::Fatal {
        return Err(error);
    }
    let mut connection = ledger.acquire().await?;
    if fault == Fault::Rejected {
        let reason = Chain(&error).to_string();
        parked::park_job(&mut connection, deployment, job, &reason).await?;
        tracing::error!(%job, error = %reason, "{job} is parked until an operator replays it");
    }
    match leases::fail(&mut connection, lease).await {
        Ok(failures) => {
            if fault == Fault::Transient {
                tracing::warn!(%job, failures, error = %Chain(&error), "{job} stands still and will be tried again");
            }
            Ok(())
        }
        Err(ledger::Error::Conflict { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
