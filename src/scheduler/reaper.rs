//! Removes from the engine what is over and collected. The ledger is the history.
//!
//! A workflow stays for a while after its end, for people who look with the cluster's own tools. Then it is removed by its
//! uid, and the job marked `removed` only when the engine says that nothing of that name is left: until then its Unix user
//! belongs to it, since pods of it may still be ending.
//!
//! Workflows that no job has on record, which the observer finds (`sweeping.rs`), are removed as well.
//!
//! Jobs that never came near the engine are marked at once. A job that was judged away while a dispatcher was about to record
//! its workflow has a user but no uid on record; it is looked for by name, and what is found there is inert and removed.

use std::time::Duration;

use super::Error;
use super::holding::{settle, within};
use crate::engine::{Engine, WorkflowUid};
use crate::ids::DeploymentId;
use crate::ledger::leases::{self, Lease};
use crate::ledger::upkeep::{self, Held};
use crate::ledger::{self, Ledger, interventions, status, strays};
use crate::worker::{Progress, Worker};

/// Jobs of one tick.
const BATCH: i64 = 16;

/// Unmade jobs of one tick.
const UNMADE_BATCH: i64 = 1000;

/// How long a step may take.
const LEASE: Duration = Duration::from_secs(20);

/// Wait before a workflow that is still being deleted is looked for again.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// When a reaper acts.
#[derive(Clone, Copy, Debug)]
pub struct ReaperSettings {
    /// How long a workflow stays in the engine after its end.
    pub delay: Duration,
}

impl Default for ReaperSettings {
    fn default() -> Self {
        Self {
            delay: Duration::from_secs(5 * 60),
        }
    }
}

/// The worker that removes what is over.
#[derive(Debug)]
pub struct Reaper<E> {
    ledger: Ledger,
    deployment: DeploymentId,
    engine: E,
    settings: ReaperSettings,
}

impl<E: Engine> Worker for Reaper<E> {
    type Error = Error;

    const NAME: &'static str = "reaper";

    async fn tick(&mut self) -> Result<Progress, Error> {
        let mut transaction = self.ledger.begin().await?;
        let unmade = upkeep::remove_unmade(&mut transaction, self.deployment, UNMADE_BATCH).await?;
        let leases = upkeep::acquire_removable(
            &mut transaction,
            self.deployment,
            self.settings.delay,
            BATCH,
            LEASE,
        )
        .await?;
        ledger::commit(transaction).await?;
        for lease in &leases {
            self.step(lease).await?;
        }
        self.remove_strays().await?;
        // A job that is left is not due again before its delay, so this does not spin.
        let more = unmade > 0 || !leases.is_empty();
        Ok(if more { Progress::More } else { Progress::Idle })
    }
}

impl<E: Engine> Reaper<E> {
    /// A reaper for one deployment.
    pub fn new(
        ledger: Ledger,
        deployment: DeploymentId,
        engine: E,
        settings: ReaperSettings,
    ) -> Self {
        Self {
            ledger,
            deployment,
            engine,
            settings,
        }
    }

    async fn step(&self, lease: &Lease) -> Result<(), Error> {
        let mut connection = self.ledger.acquire().await?;
        let Some(job) = upkeep::find_held(&mut connection, lease).await? else {
            return Ok(());
        };
        drop(connection);
        match within(lease, &job.name, self.remove(lease, &job)).await {
            Ok(()) => Ok(()),
            Err(error) => settle(&self.ledger, self.deployment, lease, &job.name, error).await,
        }
    }

    async fn remove(&self, lease: &Lease, job: &Held) -> Result<(), Error> {
        let recorded = job.workflow_uid.clone().map(WorkflowUid);
        if let Some(uid) = &recorded {
            self.remove_uid(job, uid).await?;
        }
        let left = self
            .engine
            .observe(&job.name)
            .await
            .map_err(Error::engine("look at the workflow", &job.name))?;
        // What another ledger started under this name is not ours to touch, and ours is gone.
        let ours = left.filter(|left| left.attempt == 0 || recorded.as_ref() == Some(&left.uid));
        let Some(left) = ours else {
            return self.removed(lease).await;
        };
        // An inert one that is not on record was made by a dispatcher that came too late.
        if recorded.as_ref() != Some(&left.uid) {
            self.engine
                .release(&job.name, &left.uid)
                .await
                .map_err(Error::engine("let go of the stray workflow", &job.name))?;
            self.remove_uid(job, &left.uid).await?;
        }
        let mut connection = self.ledger.acquire().await?;
        Ok(leases::yield_for(&mut connection, lease, LOOK_AGAIN).await?)
    }

    /// Notes that nothing is left; a job that shall be tried again is queued in the same transaction.
    async fn removed(&self, lease: &Lease) -> Result<(), Error> {
        let mut transaction = self.ledger.begin().await?;
        upkeep::mark_removed(&mut transaction, lease).await?;
        leases::release(&mut transaction, lease).await?;
        let mut locked = status::lock(&mut transaction, lease.job).await?;
        interventions::queue_again(&mut transaction, &mut locked, Self::NAME).await?;
        Ok(ledger::commit(transaction).await?)
    }

    /// Removes the workflows that were found twice and that no job has on record, if they are inert still: one that runs was started
    /// by another ledger, whose it is.
    async fn remove_strays(&self) -> Result<(), Error> {
        let mut connection = self.ledger.acquire().await?;
        let strays = strays::list_confirmed(&mut connection, self.deployment, BATCH).await?;
        drop(connection);
        for stray in strays {
            let (job, uid) = (&stray.name, WorkflowUid(stray.uid.clone()));
            let there = self.engine.observe(job).await;
            let there = there.map_err(Error::engine("look at the stray workflow", job))?;
            match there.filter(|there| there.uid == uid) {
                None => {
                    let mut connection = self.ledger.acquire().await?;
                    strays::mark_removed(&mut connection, self.deployment, &stray.uid).await?;
                    tracing::info!(%job, %uid, "the workflow {uid} that {job} has not on record is gone");
                }
                Some(inert) if inert.attempt == 0 => {
                    let released = self.engine.release(job, &uid).await;
                    released.map_err(Error::engine("let go of the stray workflow", job))?;
                    let removed = self.engine.remove(job, &uid).await;
                    removed.map_err(Error::engine("remove the stray workflow", job))?;
                }
                Some(_) => {
                    let mut connection = self.ledger.acquire().await?;
                    strays::put_back(&mut connection, self.deployment, &stray.uid).await?;
                    tracing::warn!(%job, %uid, "a workflow {job} runs that this ledger never started; it is left alone");
                }
            }
        }
        Ok(())
    }

    async fn remove_uid(&self, job: &Held, uid: &WorkflowUid) -> Result<(), Error> {
        self.engine
            .remove(&job.name, uid)
            .await
            .map_err(Error::engine("remove the workflow", &job.name))
    }
}
