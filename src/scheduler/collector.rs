//! Brings logs and ends of jobs into the ledger, and lets go of their workflows.
//!
//! One task for each running job, under a lease that it renews: it copies the log as a preview while the algorithm runs, and
//! waits for the end. A job that ended while nobody followed it is found by its attempt's `finished_at`.
//!
//! # The end, and why nothing is lost
//!
//! 1. The engine says that the attempt ended, and what was published.
//! 2. The **record** of the log replaces the preview, in a transaction of its own that closes the log: piece by piece, however
//!    large it is, and compared at the end with the number of bytes and the hash that publishing announced. What differs is not
//!    accepted but asked for again, with growing delay; only after `TRIES` times is the preview kept instead, and called what it
//!    is, a gap. A preview that is the record already, which most are, is closed as it is. Nothing of the job's row is locked
//!    meanwhile, so that the lease can be renewed; a log that is closed is never touched again, so that a death after it costs nothing.
//! 3. One transaction, under the lease's token: the results' manifest is recorded, the attempt is closed, and the status becomes
//!    `finished` (or `awaiting_review`).
//! 4. `engine.release` drops the workflow's finalizer: from now on it may be deleted.
//! 5. `released` is set.
//!
//! The commit comes before the release: a death between 3 and 4 leaves a finished job that is not released, which is in the
//! queue again; between 4 and 5 as well, and releasing twice is releasing once. In the other order a death would leave a
//! workflow that anybody may delete with the only copy of a log. Before 3 nothing has happened but appending to a preview, which
//! resumes at its offset.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Error;
use super::ending::{FinalLog, record_end};
use super::holding::{settle, while_renewed};
use super::moves::{concerns, end_of};
use super::preview::{Copied, copy};
use crate::engine::{Completeness, Engine, LogStream, LogSummary, Observation, Stage, WorkflowUid};
use crate::ids::{DeploymentId, JobId, JobName};
use crate::ledger::job_logs::{self, LogKey, Replacement};
use crate::ledger::leases::{self, Lease};
use crate::ledger::upkeep::{self, Collectable, Held};
use crate::ledger::{self, Ledger, status};
use crate::worker::{Progress, Worker};
use crate::workflows::JobSpec;

/// Jobs that one replica follows side by side.
const FOLLOWED: usize = 64;

/// Tasks kept free for jobs that ended, so that long-running ones never hold up the end of others.
const RESERVED: usize = 8;

/// How long a job stays with a collector that died.
const LEASE: Duration = Duration::from_secs(15);

/// Wait between two looks for the end, while the algorithm runs and after it ended.
const LOOK_WHILE_RUNNING: Duration = Duration::from_secs(2);
const LOOK_WHILE_PUBLISHING: Duration = Duration::from_millis(400);

/// Wait before the preview is asked for again, when there was none or it broke off.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// How often a record that is not the announced one is asked for before the job ends with a gap in its log: about a minute,
/// with the delays of failed leases. In memory: a restart merely asks more often.
const TRIES: u32 = 7;

/// The worker that collects logs and ends.
#[derive(Debug)]
pub struct Collector<E> {
    shared: Arc<Shared<E>>,
    fatal: mpsc::UnboundedReceiver<Error>,
    stop: CancellationToken,
    /// Cancels the tasks when the worker is dropped.
    _stop_with_worker: DropGuard,
}

#[derive(Debug)]
struct Shared<E> {
    ledger: Ledger,
    deployment: DeploymentId,
    engine: E,
    permits: Arc<Semaphore>,
    mismatches: Mutex<HashMap<JobId, u32>>,
    fatal: mpsc::UnboundedSender<Error>,
}

impl<E: Engine> Worker for Collector<E> {
    type Error = Error;

    const NAME: &'static str = "collector";

    async fn tick(&mut self) -> Result<Progress, Error> {
        if let Ok(error) = self.fatal.try_recv() {
            return Err(error);
        }
        let free = self.shared.permits.available_permits();
        // Permits are only taken here, so the number can only have grown meanwhile.
        let (wanted, limit) = if free > RESERVED {
            (Collectable::Any, free - RESERVED)
        } else {
            (Collectable::Ended, free)
        };
        if limit == 0 {
            return Ok(Progress::Idle);
        }
        let leases = self.shared.acquire(wanted, limit).await?;
        for lease in &leases {
            let Ok(permit) = Arc::clone(&self.shared.permits).try_acquire_owned() else {
                break;
            };
            let (shared, stop, lease) = (Arc::clone(&self.shared), self.stop.clone(), *lease);
            tokio::spawn(async move {
                if let Err(error) = shared.attend(&lease, &stop).await {
                    // Nobody listens only when the worker is gone, and its loop with it.
                    shared.fatal.send(error).ok();
                }
                drop(permit);
            });
        }
        Ok(Progress::Idle)
    }
}

impl<E: Engine> Collector<E> {
    /// A collector for one deployment. Its tasks run on the runtime that it is ticked on and end when it is dropped.
    pub fn new(ledger: Ledger, deployment: DeploymentId, engine: E) -> Self {
        let (send, receive) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        Self {
            shared: Arc::new(Shared {
                ledger,
                deployment,
                engine,
                permits: Arc::new(Semaphore::new(FOLLOWED + RESERVED)),
                mismatches: Mutex::default(),
                fatal: send,
            }),
            fatal: receive,
            _stop_with_worker: stop.clone().drop_guard(),
            stop,
        }
    }

    /// Whether no job is being followed or collected at this moment.
    pub fn is_quiet(&self) -> bool {
        self.shared.permits.available_permits() == FOLLOWED + RESERVED
    }
}

impl<E: Engine> Shared<E> {
    async fn acquire(&self, wanted: Collectable, limit: usize) -> Result<Vec<Lease>, Error> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut transaction = self.ledger.begin().await?;
        let leases =
            upkeep::acquire_collectable(&mut transaction, self.deployment, wanted, limit, LEASE)
                .await?;
        ledger::commit(transaction).await?;
        Ok(leases)
    }

    /// Attends to one job until it is collected, `stop` is cancelled, or something fails; failures are settled here.
    async fn attend(&self, lease: &Lease, stop: &CancellationToken) -> Result<(), Error> {
        let mut connection = self.ledger.acquire().await?;
        let Some(job) = upkeep::find_held(&mut connection, lease).await? else {
            return Ok(());
        };
        drop(connection);
        let collecting = self.collect(lease, &job);
        let collecting = while_renewed(&self.ledger, lease, &job.name, LEASE, collecting);
        let result = tokio::select! {
            result = collecting => result,
            () = stop.cancelled() => self.hand_over(lease).await,
        };
        match result {
            Ok(()) => Ok(()),
            Err(error) if error.is_conflict() || error.fault() != crate::fault::Fault::Fatal => {
                settle(&self.ledger, self.deployment, lease, &job.name, error).await
            }
            Err(error) => Err(error),
        }
    }

    /// Gives the job back, so that another collector need not wait for the lease to run out.
    async fn hand_over(&self, lease: &Lease) -> Result<(), Error> {
        let mut connection = self.ledger.acquire().await?;
        Ok(leases::yield_for(&mut connection, lease, Duration::ZERO).await?)
    }

    async fn collect(&self, lease: &Lease, job: &Held) -> Result<(), Error> {
        let Some(uid) = job.workflow_uid.clone().map(WorkflowUid) else {
            return self.hand_over(lease).await;
        };
        if job.status.phase.is_live() {
            let following = Following::of(lease, job, &uid)?;
            let seen = self.follow(&following).await?;
            if !self.end(lease, &following, &seen).await? {
                let mut connection = self.ledger.acquire().await?;
                return Ok(leases::yield_for(&mut connection, lease, LOOK_WHILE_RUNNING).await?);
            }
        }
        self.engine
            .release(&job.name, &uid)
            .await
            .map_err(Error::engine("let go of the workflow", &job.name))?;
        let mut connection = self.ledger.acquire().await?;
        upkeep::mark_released(&mut connection, lease).await?;
        leases::release(&mut connection, lease).await?;
        self.mismatches().remove(&lease.job);
        Ok(())
    }

    /// Copies the log until the engine says that the attempt ended; answers what it said.
    async fn follow(&self, job: &Following<'_>) -> Result<Observation, Error> {
        let algorithm_ended = AtomicBool::new(false);
        let look_now = Notify::new();
        let looking = async {
            loop {
                let seen = self.look(job).await?;
                if let Some(seen) = seen.as_ref().filter(|seen| end_of(seen).is_some()) {
                    return Ok(seen.clone());
                }
                let ended = seen.as_ref().is_some_and(has_algorithm_ended);
                algorithm_ended.store(ended, Ordering::Relaxed);
                let publishes = seen.as_ref().is_some_and(|seen| seen.footing.lets_out());
                let wait = if ended && publishes {
                    LOOK_WHILE_PUBLISHING
                } else {
                    LOOK_WHILE_RUNNING
                };
                tokio::select! {
                    () = sleep(wait) => {}
                    () = look_now.notified() => {}
                }
            }
        };
        let copying = async {
            loop {
                let over = algorithm_ended.load(Ordering::Relaxed);
                let copied = self.copy(job).await?;
                look_now.notify_one();
                // The last copy must have begun after the algorithm ended, or it may have ended before it.
                if copied == Copied::Full || over {
                    return Ok(());
                }
                sleep(ASK_AGAIN).await;
            }
        };
        let copying = async {
            match copying.await {
                Ok(()) => std::future::pending().await,
                Err(error) => error,
            }
        };
        tokio::select! {
            biased;
            seen = looking => seen,
            error = copying => Err(error),
        }
    }

    async fn copy(&self, job: &Following<'_>) -> Result<Copied, Error> {
        copy(&self.ledger, &self.engine, job.name, job.key, job.log_limit).await
    }

    /// The workflow, if it is the recorded one in the recorded attempt. One that is gone is the observer's to judge.
    async fn look(&self, job: &Following<'_>) -> Result<Option<Observation>, Error> {
        let seen = self
            .engine
            .observe(job.name)
            .await
            .map_err(Error::engine("look at the workflow", job.name))?;
        Ok(seen.filter(|seen| concerns(seen, &job.uid.0, job.key.attempt)))
    }

    /// Brings the end into the ledger; `false` when it has to wait for the chain.
    async fn end(
        &self,
        lease: &Lease,
        job: &Following<'_>,
        seen: &Observation,
    ) -> Result<bool, Error> {
        let log = self.final_log(job, seen).await?;
        let mut transaction = self.ledger.begin().await?;
        leases::confirm(&mut transaction, lease).await?;
        let mut locked = status::lock(&mut transaction, lease.job).await?;
        let is_recorded = record_end(
            &mut transaction,
            &mut locked,
            seen,
            job.review,
            log,
            "collector",
        )
        .await?;
        if !is_recorded {
            tracing::debug!(job = %job.name, "the results of {} wait for its event to be on the chain again", job.name);
            return Ok(false);
        }
        ledger::commit(transaction).await?;
        tracing::info!(job = %job.name, attempt = seen.attempt, "collected the end of {}", job.name);
        Ok(true)
    }

    /// What is to be kept of the logs. The records where there are some; otherwise what the preview is worth.
    async fn final_log(&self, job: &Following<'_>, seen: &Observation) -> Result<FinalLog, Error> {
        let Some(published) = &seen.published else {
            // Nothing was published, so this is the last chance to copy what is still there.
            self.copy(job).await?;
            let started = has_algorithm_started(seen);
            let preview = self.preview(job, Completeness::Gap).await?;
            return Ok(FinalLog::of_preview(preview, job.log_limit, started));
        };
        for stage in [Stage::Algorithm, Stage::Filter] {
            if let Some(announced) = published.log_of(stage) {
                self.bring_in(job, stage, announced).await?;
            }
        }
        Ok(FinalLog::Closed)
    }

    /// Closes a log with the record that was announced, or with what is left of it.
    async fn bring_in(
        &self,
        job: &Following<'_>,
        stage: Stage,
        announced: LogSummary,
    ) -> Result<(), Error> {
        let key = LogKey { stage, ..job.key };
        let mut connection = self.ledger.acquire().await?;
        if job_logs::find_closed(&mut connection, key).await?.is_some() {
            return Ok(());
        }
        let preview = job_logs::summarize(&mut connection, key, announced.completeness).await?;
        drop(connection);
        if preview == announced {
            return self.close(key, Some(announced)).await;
        }
        let record = self
            .engine
            .record(job.name, key.attempt, stage)
            .await
            .map_err(Error::engine("take the record of the log of", job.name))?;
        let Some(record) = record else {
            tracing::error!(job = %job.name, %stage, "the record of the log of {} is gone; what was copied of it is kept", job.name);
            return self.close(key, None).await;
        };
        let Some(found) = self.replace(job, key, record, announced).await? else {
            return Ok(());
        };
        if self.count_mismatch(key.job) >= TRIES {
            tracing::error!(job = %job.name, %stage, "the record of the log of {} cannot be had; it ends with a gap", job.name);
            return self.close(key, None).await;
        }
        Err(Error::RecordMismatch {
            job: job.name.clone(),
            found,
            announced: announced.bytes,
        })
    }

    /// Replaces the preview by the record and closes the log; answers the number of bytes when they are not the announced ones,
    /// and then has changed nothing.
    async fn replace(
        &self,
        job: &Following<'_>,
        key: LogKey,
        mut record: LogStream<E::Error>,
        announced: LogSummary,
    ) -> Result<Option<u64>, Error> {
        let mut transaction = self.ledger.begin().await?;
        let Some(mut replacement) = Replacement::begin(&mut transaction, key).await? else {
            return Ok(None);
        };
        while let Some(piece) = record.next().await {
            let piece = piece.map_err(Error::engine("take the record of the log of", job.name))?;
            replacement.append(&piece).await?;
        }
        let (bytes, sha256) = replacement.finish().await?;
        if (bytes, sha256) != (announced.bytes, announced.sha256) {
            return Ok(Some(bytes));
        }
        job_logs::close(&mut transaction, key, &announced).await?;
        ledger::commit(transaction).await?;
        Ok(None)
    }

    /// Closes a log as it stands in the ledger: as the announced one, or else with a gap.
    async fn close(&self, key: LogKey, announced: Option<LogSummary>) -> Result<(), Error> {
        let mut transaction = self.ledger.begin().await?;
        if job_logs::open(&mut transaction, key).await?.is_some() {
            // Summed up again behind the lock: another collector may have appended.
            let stands = job_logs::summarize(&mut transaction, key, Completeness::Gap).await?;
            let summary = announced.filter(|announced| announced.sha256 == stands.sha256);
            job_logs::close(&mut transaction, key, &summary.unwrap_or(stands)).await?;
        }
        ledger::commit(transaction).await?;
        Ok(())
    }

    async fn preview(&self, job: &Following<'_>, called: Completeness) -> Result<u64, Error> {
        let mut connection = self.ledger.acquire().await?;
        let summary = job_logs::summarize(&mut connection, job.key, called).await?;
        Ok(summary.bytes)
    }

    fn count_mismatch(&self, job: JobId) -> u32 {
        let mut mismatches = self.mismatches();
        let count = mismatches.entry(job).or_default();
        *count += 1;
        *count
    }

    fn mismatches(&self) -> std::sync::MutexGuard<'_, HashMap<JobId, u32>> {
        self.mismatches
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A live job that is followed.
struct Following<'a> {
    name: &'a JobName,
    uid: &'a WorkflowUid,
    key: LogKey,
    /// Most bytes of log that are kept, by the frozen specification.
    log_limit: u64,
    /// Whether an operator must release what came out.
    review: bool,
}

impl<'a> Following<'a> {
    fn of(lease: &Lease, job: &'a Held, uid: &'a WorkflowUid) -> Result<Self, Error> {
        let body = job.spec.as_deref().unwrap_or_default();
        let spec: JobSpec =
            serde_json::from_slice(body).map_err(|source| Error::SpecUnreadable {
                job: job.name.clone(),
                source: source.into(),
            })?;
        Ok(Self {
            name: &job.name,
            uid,
            key: LogKey::algorithm(lease.job, job.status.attempt),
            log_limit: spec.release.log_bytes,
            review: spec.release.review,
        })
    }
}

fn has_algorithm_started(seen: &Observation) -> bool {
    seen.stages
        .iter()
        .any(|stage| stage.stage == Stage::Algorithm && stage.started_at.is_some())
}

fn has_algorithm_ended(seen: &Observation) -> bool {
    seen.stages
        .iter()
        .any(|stage| stage.stage == Stage::Algorithm && stage.finished_at.is_some())
}
