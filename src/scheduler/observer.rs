//! Notes what the engine says of jobs that were handed to it.
//!
//! Every tick looks at every job with a recorded workflow that is queued or live, and moves it forward, up to `publishing`. It
//! holds no lease: what it writes follows from what the engine says, forwards only and for the same workflow and attempt only,
//! with the job's row locked; two observers write the same, and a late one writes nothing.
//!
//! **It leaves the end to the collector.** A job is `finished` only together with its log and its results, and those are the
//! collector's to fetch; an end that was recorded before them would be a promise that a crash could break. What the observer
//! notes of an end is the attempt's `finished_at`, which is how the collector finds it.
//!
//! **One end is the observer's: `lost`.** A workflow with a recorded uid that the engine says is not there, or is another one, is
//! not made again, since nobody can know what it did. The engine must say so twice, some seconds apart, so that one answer from
//! a server that was just restored or lags behind ends nothing. The first sighting is kept in memory only: a restart forgets
//! it and merely looks twice again. Errors count as nothing seen.
//!
//! The other way round, workflows that no job has on record, is `sweeping.rs`.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures::StreamExt;
use tokio::time::{Instant, timeout};

use super::Error;
use super::ending::record_loss;
use super::moves::{concerns, end_of, passed};
use super::sweeping::Sweeping;
use crate::engine::{Engine, Observation};
use crate::fault::Fault;
use crate::ids::{DeploymentId, JobId};
use crate::ledger::upkeep::{self, Watched};
use crate::ledger::{self, Ledger, attempts, parked, status};
use crate::worker::{Chain, Progress, Worker};

/// Jobs that are looked at side by side.
const SIDE_BY_SIDE: usize = 8;

/// How far apart the engine's workflows are listed: longer than any call of a dispatcher that may still be under way.
const SWEEP: Duration = Duration::from_secs(5 * 60);

/// Longest wait for one answer of the engine.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// The worker that notes what the engine says.
#[derive(Debug)]
pub struct Observer<E> {
    ledger: Ledger,
    deployment: DeploymentId,
    engine: E,
    missing_for: Duration,
    missing_since: HashMap<JobId, Instant>,
    sweeping: Sweeping,
    noted: HashMap<JobId, (Watched, Observation)>,
}

impl<E: Engine> Worker for Observer<E> {
    type Error = Error;

    const NAME: &'static str = "observer";

    async fn tick(&mut self) -> Result<Progress, Error> {
        let mut connection = self.ledger.acquire().await?;
        let watched = upkeep::list_watched(&mut connection, self.deployment).await?;
        drop(connection);
        self.forget_all_but(&watched);
        let engine = self.engine.clone();
        let mut looks = futures::stream::iter(watched)
            .map(|job| look(&engine, job))
            .buffer_unordered(SIDE_BY_SIDE);
        let mut outcome = Ok(Progress::Idle);
        while let Some((job, seen)) = looks.next().await {
            let done = match seen {
                Ok(seen) => self.note(job, seen).await,
                Err(error) => self.stand_still(&job, error).await,
            };
            // The others are looked at all the same; one error is enough to say that something stands still.
            outcome = match (outcome, done) {
                (_, Err(error)) if error.fault() == Fault::Fatal => Err(error),
                (Ok(progress), done) => done.map(|()| progress),
                (error, _) => error,
            };
        }
        let swept = self
            .sweeping
            .sweep(&self.ledger, self.deployment, &self.engine)
            .await;
        outcome.and_then(|progress| swept.map(|()| progress))
    }
}

async fn look<E: Engine>(
    engine: &E,
    job: Watched,
) -> (Watched, Result<Option<Observation>, Error>) {
    let answer = timeout(ANSWER_WITHIN, engine.observe(&job.name)).await;
    let seen = match answer {
        Ok(seen) => seen.map_err(Error::engine("look at the workflow", &job.name)),
        Err(_) => Err(Error::OutOfTime {
            job: job.name.clone(),
        }),
    };
    (job, seen)
}

impl<E: Engine> Observer<E> {
    /// An observer for one deployment.
    pub fn new(ledger: Ledger, deployment: DeploymentId, engine: E) -> Self {
        Self {
            ledger,
            deployment,
            engine,
            missing_for: Duration::from_secs(5),
            missing_since: HashMap::new(),
            sweeping: Sweeping::every(SWEEP),
            noted: HashMap::new(),
        }
    }

    /// Sets how long a workflow must be missing, from the first sighting to another, before its job is lost; 5 s if not set.
    #[must_use]
    pub const fn lost_after(mut self, missing_for: Duration) -> Self {
        self.missing_for = missing_for;
        self
    }

    /// Sets how far apart the workflows of the engine are listed, to find those that no job has on record; 5 min if not set.
    #[must_use]
    pub const fn sweeping_every(mut self, apart: Duration) -> Self {
        self.sweeping = Sweeping::every(apart);
        self
    }

    fn forget_all_but(&mut self, watched: &[Watched]) {
        let jobs: HashSet<JobId> = watched.iter().map(|job| job.job).collect();
        self.missing_since.retain(|job, _| jobs.contains(job));
        self.noted.retain(|job, _| jobs.contains(job));
    }

    async fn note(&mut self, job: Watched, seen: Option<Observation>) -> Result<(), Error> {
        match seen {
            Some(seen) if seen.uid.0 == job.workflow_uid => {
                self.missing_since.remove(&job.job);
                self.note_seen(job, seen).await
            }
            _ => self.note_missing(&job).await,
        }
    }

    async fn note_seen(&mut self, job: Watched, seen: Observation) -> Result<(), Error> {
        if !concerns(&seen, &job.workflow_uid, job.status.attempt) || seen.attempt == 0 {
            return Ok(());
        }
        let unchanged = |(earlier, then): &(Watched, Observation)| *earlier == job && *then == seen;
        if self.noted.get(&job.job).is_some_and(unchanged) {
            return Ok(());
        }
        let mut transaction = self.ledger.begin().await?;
        let mut locked = status::lock(&mut transaction, job.job).await?;
        let attempt = seen.attempt;
        if locked.status.phase.is_live() && locked.status.attempt == attempt {
            for step in passed(locked.status, &seen) {
                status::advance(&mut transaction, &mut locked, step, Self::NAME).await?;
            }
            let ended = end_of(&seen).is_some();
            attempts::observe(&mut transaction, job.job, attempt, &seen.stages, ended).await?;
            attempts::acknowledge(&mut transaction, job.job, attempt).await?;
        }
        ledger::commit(transaction).await?;
        self.noted.insert(job.job, (job, seen));
        Ok(())
    }

    async fn note_missing(&mut self, job: &Watched) -> Result<(), Error> {
        let since = *self
            .missing_since
            .entry(job.job)
            .or_insert_with(Instant::now);
        // At once only if the time is zero: even then this is a look after the one that set `since`.
        if since.elapsed() < self.missing_for {
            tracing::info!(job = %job.name, "the workflow of {} is not in the engine; looking again", job.name);
            return Ok(());
        }
        let mut transaction = self.ledger.begin().await?;
        let mut locked = status::lock(&mut transaction, job.job).await?;
        // Somebody may have ended or judged the job since it was listed; then its workflow may well be gone.
        if locked.status == job.status {
            record_loss(&mut transaction, &mut locked, Self::NAME).await?;
        }
        ledger::commit(transaction).await?;
        self.missing_since.remove(&job.job);
        Ok(())
    }

    /// The engine's error moves nothing. One that will never pass is shown to operators, and the job looked at again all the same.
    async fn stand_still(&self, job: &Watched, error: Error) -> Result<(), Error> {
        if error.fault() != Fault::Rejected {
            return Err(error);
        }
        let mut connection = self.ledger.acquire().await?;
        let reason = Chain(&error).to_string();
        parked::park_job(&mut connection, self.deployment, &job.name, &reason).await?;
        Ok(())
    }
}
