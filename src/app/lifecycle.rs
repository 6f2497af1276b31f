//! Starting and ending the workers of one process.
//!
//! The first SIGTERM or SIGINT stops softly: no new work, what is under way ends, leases are given back. A second signal, or
//! [`DRAIN`] gone by, stops hard: everything is dropped, and the next start heals it, since every worker can be dropped at
//! any await. A worker that ends with an error stops all others softly and makes the process fail. Workloads in the cluster
//! live on in any case.

use std::future::Future;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::worker::{self, Pace, Wake, Worker};

/// How long a soft stop may take: below Kubernetes' default `terminationGracePeriodSeconds` of 30 s.
pub(super) const DRAIN: Duration = Duration::from_secs(25);

/// The workers of this process.
#[derive(Debug, Default)]
pub(super) struct Supervisor {
    tasks: JoinSet<anyhow::Result<()>>,
    stop: CancellationToken,
}

impl Supervisor {
    /// A token that is cancelled when the process should stop.
    pub(super) fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Runs a worker until the process stops.
    pub(super) fn spawn_worker<W: Worker>(&mut self, worker: W, pace: Pace, wake: Wake) {
        let stop = self.stop();
        self.spawn(async move { Ok(worker::run(worker, pace, wake, stop).await?) });
    }

    /// Runs anything that ends by itself when [`Supervisor::stop`] is cancelled.
    pub(super) fn spawn(
        &mut self,
        task: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        self.tasks.spawn(task);
    }

    /// Waits for a signal or for a worker's end, and then for all workers.
    ///
    /// # Errors
    /// The error of the first worker that failed; whatever panicked counts as failed.
    pub(super) async fn run(mut self) -> anyhow::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut outcome = Ok(());
        let mut deadline = None;
        loop {
            let soft = deadline.is_some();
            tokio::select! {
                ended = self.tasks.join_next() => match ended {
                    None => return outcome,
                    Some(Ok(Ok(()))) if soft => {}
                    Some(Ok(Ok(()))) => outcome = outcome.and(Err(anyhow::anyhow!("a worker ended by itself"))),
                    Some(Ok(Err(error))) => outcome = outcome.and(Err(error)),
                    Some(Err(panic)) => outcome = outcome.and(Err(panic.into())),
                },
                _ = terminate.recv() => if soft { return hard(self.tasks, "second signal").await },
                _ = interrupt.recv() => if soft { return hard(self.tasks, "second signal").await },
                () = sleep_until(deadline) => return hard(self.tasks, "workers did not end in time").await,
            }
            if !soft {
                tracing::info!("stopping: work under way is ended first");
                self.stop.cancel();
                deadline = Some(tokio::time::Instant::now() + DRAIN);
            }
        }
    }
}

async fn sleep_until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

async fn hard(mut tasks: JoinSet<anyhow::Result<()>>, why: &'static str) -> anyhow::Result<()> {
    tasks.shutdown().await;
    anyhow::bail!("stopped hard: {why}")
}
