//! Hands queued jobs to the engine.
//!
//! # The order, and why nothing runs twice
//!
//! For a leased job that may start:
//! 1. a Unix user is assigned;
//! 2. `engine.ensure` makes the workflow, **inert**;
//! 3. its uid is recorded by compare-and-set under the lease's token;
//! 4. one transaction asks again whether the job may start, its row locked, and commits it to its start: phase `configuring`,
//!    the attempt's number, the attempt's row;
//! 5. `engine.start(uid, attempt)`;
//! 6. `started_attempt` is raised to the attempt: the engine has acknowledged it.
//!
//! The commitment (4) comes before the start (5). Were it the other way round, the judge could still take a queued job back
//! while it is already running; and whatever runs has a row that says so. The price is that `configuring` may be true of the
//! ledger a moment before it is true of the engine; `started_attempt < attempt` says exactly that, and is the queue that heals it.
//!
//! What a death leaves, wherever it strikes, and what the next tick (here or on another replica, once the lease has run out) does:
//! - after 1: a user without a workflow. The user is kept, the rest follows;
//! - after 2: an inert workflow that nobody recorded. `ensure` answers the same one and its uid is recorded. Should the job be
//!   judged away instead, the reaper looks for it by the job's name and removes it;
//! - after 3: a recorded uid, nothing started. `ensure` is never called again for this job; 4 follows, if the job may still
//!   start. If the workflow is gone by then, `start` says so, the observer sees it too, and the job is lost: a second one is never made;
//! - after 4 or 5: the start is asked for again. Starting attempt n again is starting it once (the engine's promise);
//! - after 6: nothing is left to do.
//!
//! A dispatcher that is stalled inside a call while its lease runs out can still land that call. A late `ensure` after the whole
//! job was run and reaped makes an inert workflow, which runs nothing; its uid is not recorded, since the token has changed,
//! and it is removed again by its uid. A late `start` names a uid and an attempt that were committed before; it is the same start.
//! Late writes to the ledger name a token that is no longer there, and change nothing.
//!
//! After that it tells the engine what became of the events of jobs that run already (`telling.rs`).

use std::time::Duration;

use futures::StreamExt;

use super::Error;
use super::holding::{settle, within};
use super::stopping::tell_stops;
use super::telling::Telling;
use crate::engine::{Engine, WorkflowPlan, WorkflowUid};
use crate::ids::{DeploymentId, JobName};
use crate::jobs::{Phase, Status};
use crate::ledger::dispatch::{self, Caps, Dispatchable, Weights};
use crate::ledger::leases::{self, Lease};
use crate::ledger::{self, Ledger, attempts, status};
use crate::worker::{Chain, Progress, Worker};
use crate::workflows::JobSpec;

/// First Unix user of jobs, and how many there are: above the system's users, and low enough for every user namespace of 65536.
const FIRST_USER: u32 = 10_000;
const USERS: u32 = 55_000;

/// Users that are tried before a job waits for one: with some thousand jobs alive, as many in a row are never taken.
const USERS_TRIED: u32 = 256;

/// How much a dispatcher does at once.
#[derive(Clone, Debug)]
pub struct DispatcherSettings {
    /// Most jobs of the deployment that are in the engine at once, over all replicas: in all, of one payer, on one asset.
    pub caps: Caps,
    /// Whose turn comes more often than others'.
    pub weights: Weights,
    /// Most jobs that this replica starts at once.
    pub concurrency: u32,
    /// How long a step may take; after that another replica may try.
    pub lease: Duration,
}

impl Default for DispatcherSettings {
    fn default() -> Self {
        Self {
            caps: Caps {
                window: 50,
                of_payer: 25,
                of_asset: 50,
            },
            weights: Weights::default(),
            concurrency: 24,
            lease: Duration::from_secs(20),
        }
    }
}

/// The worker that hands queued jobs to the engine.
#[derive(Debug)]
pub struct Dispatcher<E> {
    ledger: Ledger,
    deployment: DeploymentId,
    engine: E,
    settings: DispatcherSettings,
    telling: Telling,
}

impl<E: Engine> Worker for Dispatcher<E> {
    type Error = Error;

    const NAME: &'static str = "dispatcher";

    async fn tick(&mut self) -> Result<Progress, Error> {
        tell_stops(&self.ledger, self.deployment, &self.engine).await?;
        let started = self.start_some().await;
        let told = self
            .telling
            .tell(&self.ledger, self.deployment, &self.engine)
            .await;
        let progress = started?;
        told.map(|()| progress)
    }
}

impl<E: Engine> Dispatcher<E> {
    /// Starts as many jobs as may be started at once.
    async fn start_some(&self) -> Result<Progress, Error> {
        let leases = self.acquire().await?;
        if leases.is_empty() {
            return Ok(Progress::Idle);
        }
        let mut steps = futures::stream::iter(leases)
            .map(|lease| async move { self.step(&lease).await })
            .buffer_unordered(
                usize::try_from(self.settings.concurrency)
                    .unwrap_or(1)
                    .max(1),
            );
        let mut outcome = Ok(Progress::More);
        while let Some(step) = steps.next().await {
            outcome = outcome.and_then(|progress| step.map(|()| progress));
        }
        outcome
    }

    /// A dispatcher for one deployment.
    pub fn new(
        ledger: Ledger,
        deployment: DeploymentId,
        engine: E,
        settings: DispatcherSettings,
    ) -> Self {
        Self {
            ledger,
            deployment,
            engine,
            settings,
            telling: Telling::default(),
        }
    }

    async fn acquire(&self) -> Result<Vec<Lease>, Error> {
        let DispatcherSettings {
            caps,
            weights,
            concurrency,
            lease,
        } = &self.settings;
        let mut transaction = self.ledger.begin().await?;
        let turns = (*caps, weights);
        let leases = dispatch::acquire(
            &mut transaction,
            self.deployment,
            turns,
            *concurrency,
            *lease,
        )
        .await?;
        ledger::commit(transaction).await?;
        Ok(leases)
    }

    /// One job's step, its failure settled; an error is one that concerns more than this job.
    async fn step(&self, lease: &Lease) -> Result<(), Error> {
        let mut connection = self.ledger.acquire().await?;
        let Some(job) = dispatch::find(&mut connection, lease).await? else {
            return Ok(());
        };
        drop(connection);
        match within(lease, &job.name, self.dispatch(lease, &job)).await {
            Ok(()) => Ok(()),
            Err(error) => settle(&self.ledger, self.deployment, lease, &job.name, error).await,
        }
    }

    async fn dispatch(&self, lease: &Lease, job: &Dispatchable) -> Result<(), Error> {
        let plan = self.plan(lease, job).await?;
        let uid = match &job.workflow_uid {
            Some(uid) => WorkflowUid(uid.clone()),
            None => self.make(lease, &plan).await?,
        };
        let attempt = if job.started_attempt < job.status.attempt && job.status.phase.is_live() {
            Some(job.status.attempt)
        } else {
            self.commit_to_start(lease).await?
        };
        if let Some(attempt) = attempt {
            self.start(lease, &plan, &uid, attempt).await?;
        }
        let mut connection = self.ledger.acquire().await?;
        Ok(leases::release(&mut connection, lease).await?)
    }

    /// Reads the frozen specification and makes sure that the job has a user.
    async fn plan(&self, lease: &Lease, job: &Dispatchable) -> Result<WorkflowPlan, Error> {
        if JobSpec::digest(&job.spec) != job.spec_digest {
            return Err(Error::SpecAltered {
                job: job.name.clone(),
            });
        }
        let spec = serde_json::from_slice(&job.spec).map_err(|source| Error::SpecUnreadable {
            job: job.name.clone(),
            source: source.into(),
        })?;
        let run_as = match job.run_as {
            Some(run_as) => run_as,
            None => self.assign_user(lease, &job.name).await?,
        };
        Ok(WorkflowPlan {
            job: job.name.clone(),
            spec,
            spec_digest: job.spec_digest,
            run_as,
            attempts_before: job.status.attempt,
        })
    }

    async fn assign_user(&self, lease: &Lease, job: &JobName) -> Result<u32, Error> {
        let mut connection = self.ledger.acquire().await?;
        for candidate in users(job).take(USERS_TRIED as usize) {
            if dispatch::assign_user(&mut connection, lease, candidate).await? {
                return Ok(candidate);
            }
        }
        Err(Error::NoUser { job: job.clone() })
    }

    /// Makes the inert workflow and records its uid.
    async fn make(&self, lease: &Lease, plan: &WorkflowPlan) -> Result<WorkflowUid, Error> {
        let made = self
            .engine
            .ensure(plan)
            .await
            .map_err(Error::engine("make the workflow", &plan.job))?;
        // Nothing that this ledger started has an unrecorded uid.
        if made.attempt > 0 {
            return Err(Error::ForeignWorkflow {
                job: plan.job.clone(),
            });
        }
        if made.deleting {
            return Err(Error::StillDeleting {
                job: plan.job.clone(),
            });
        }
        let mut connection = self.ledger.acquire().await?;
        match dispatch::record_uid(&mut connection, lease, &made.uid.0).await {
            Ok(()) => Ok(made.uid),
            Err(conflict @ ledger::Error::Conflict { .. }) => {
                let recorded = dispatch::recorded_uid(&mut connection, lease).await?;
                drop(connection);
                if recorded.is_some_and(|recorded| recorded != made.uid.0) {
                    self.remove_stray(&plan.job, &made.uid).await;
                }
                Err(conflict.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Removes an inert workflow that was made too late: the job has another one on record, so this one can never be started.
    async fn remove_stray(&self, job: &JobName, uid: &WorkflowUid) {
        let removed = async {
            self.engine.release(job, uid).await?;
            self.engine.remove(job, uid).await
        };
        match removed.await {
            Ok(()) => {
                tracing::info!(%job, %uid, "removed an inert workflow {job} that was made too late");
            }
            Err(error) => {
                tracing::warn!(%job, %uid, error = %Chain(&error), "an inert workflow {job} that was made too late stays behind");
            }
        }
    }

    /// Commits the job to its next attempt, if it may start at this moment.
    async fn commit_to_start(&self, lease: &Lease) -> Result<Option<u32>, Error> {
        let mut transaction = self.ledger.begin().await?;
        if !dispatch::may_start(&mut transaction, self.deployment, lease).await? {
            return Ok(None);
        }
        let mut locked = status::lock(&mut transaction, lease.job).await?;
        let attempt = locked.status.attempt + 1;
        let configuring = Status::of_phase(Phase::Configuring, attempt);
        status::advance(&mut transaction, &mut locked, configuring, Self::NAME).await?;
        attempts::begin(&mut transaction, lease.job, attempt).await?;
        ledger::commit(transaction).await?;
        Ok(Some(attempt))
    }

    async fn start(
        &self,
        lease: &Lease,
        plan: &WorkflowPlan,
        uid: &WorkflowUid,
        attempt: u32,
    ) -> Result<(), Error> {
        let started = self
            .engine
            .start(plan, uid, attempt)
            .await
            .map_err(Error::engine("start the workflow", &plan.job))?;
        if !started {
            return Err(Error::WorkflowGone {
                job: plan.job.clone(),
            });
        }
        let mut connection = self.ledger.acquire().await?;
        attempts::acknowledge(&mut connection, lease.job, attempt).await?;
        tracing::info!(job = %plan.job, %uid, attempt, "started {}", plan.job);
        Ok(())
    }
}

/// The users a job may have, the one that follows from its name first. A name is a hash already.
fn users(job: &JobName) -> impl Iterator<Item = u32> {
    let digits = job.as_str().trim_start_matches("job-");
    let hash = digits
        .get(..8)
        .and_then(|digits| u32::from_str_radix(digits, 16).ok())
        .unwrap_or_default();
    (0..USERS).map(move |step| FIRST_USER + (hash % USERS + step) % USERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_of_a_job_follow_from_its_name_and_stay_in_their_range() {
        let job: JobName = "job-ffffffff000000000000000000000000".parse().unwrap();
        let tried: Vec<u32> = users(&job).collect();
        assert_eq!(tried.first(), Some(&(10_000 + u32::MAX % 55_000)));
        assert_eq!(tried.len(), 55_000);
        assert!(tried.iter().all(|user| (10_000..65_000).contains(user)));
        let distinct: std::collections::HashSet<_> = tried.iter().collect();
        assert_eq!(distinct.len(), 55_000);
    }
}
