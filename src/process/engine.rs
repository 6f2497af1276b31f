use std::sync::Arc;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tokio::sync::watch;
use uuid::Uuid;

use super::shelf::{Held, Shelf};
use super::workflow::Workflow;
use super::{Error, Settings, preview};
use crate::engine::{Engine, LogStream, Observation, Present, Stage, WorkflowPlan, WorkflowUid};
use crate::ids::JobName;
use crate::jobs::{Footing, Phase};
use crate::results::{Store, keys};

/// The engine of this machine: workflows are files in a directory, and a [`super::Runner`] somewhere carries them out.
#[derive(Clone, Debug)]
pub struct ProcessEngine {
    settings: Arc<Settings>,
    shelf: Shelf,
    records: Option<Store>,
    changes: Arc<watch::Sender<()>>,
}

impl ProcessEngine {
    /// The engine in the directory of the settings, which is made.
    ///
    /// # Errors
    /// [`Error::File`]; [`Error::Closed`] where this is root and the users of jobs could not reach the directory.
    pub fn open(settings: Settings) -> Result<Self, Error> {
        let shelf = Shelf::open(&settings.directory)?;
        if rustix::process::geteuid().is_root()
            && let Some(closed) = shelf.closed()
        {
            return Err(Error::Closed(closed));
        }
        Ok(Self {
            settings: Arc::new(settings),
            shelf,
            records: None,
            changes: Arc::new(watch::Sender::new(())),
        })
    }

    /// The same engine, which takes the records of logs from that store; only the collector asks for any.
    #[must_use]
    pub fn with_records(self, store: Store) -> Self {
        Self {
            records: Some(store),
            ..self
        }
    }

    /// How often the algorithm of a job was begun in the attempt that is known, for whoever tells the story.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::State`].
    pub fn algorithm_starts(&self, job: &JobName) -> Result<usize, Error> {
        let workflow = self.shelf.find(job)?;
        let stages = workflow
            .and_then(|workflow| workflow.run)
            .map(|run| run.stages);
        let begun = stages
            .into_iter()
            .flatten()
            .filter(|stage| stage.stage == Stage::Algorithm);
        Ok(begun.count())
    }

    /// How many workflows there are.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn workflows(&self) -> Result<usize, Error> {
        Ok(self.shelf.list()?.len())
    }

    pub(super) fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Tells that something about a workflow changed.
    pub(super) fn changed(&self) {
        self.changes.send_replace(());
    }

    /// Does something with the shelf, where it may wait for locks and disks.
    async fn on_shelf<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Shelf) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let shelf = self.shelf.clone();
        let done = tokio::task::spawn_blocking(move || act(&shelf));
        done.await.map_err(Error::CutOff)?
    }

    /// Changes the workflow with that uid, if there is one and the change changes something.
    async fn change<T: Send + 'static>(
        &self,
        (job, uid): (&JobName, &WorkflowUid),
        change: impl FnOnce(&mut Workflow) -> Result<T, Error> + Send + 'static,
    ) -> Result<Option<T>, Error> {
        let (job, uid) = (job.clone(), uid.clone());
        let changed = self.on_shelf(move |shelf| {
            let Some((held, mut workflow)) = hold(shelf, &job, &uid)? else {
                return Ok(None);
            };
            let before = workflow.clone();
            let answer = change(&mut workflow)?;
            if workflow != before {
                held.write(&workflow)?;
            }
            Ok(Some(answer))
        });
        let answer = changed.await?;
        self.changed();
        Ok(answer)
    }
}

/// Locks the workflow with that uid.
fn hold(
    shelf: &Shelf,
    job: &JobName,
    uid: &WorkflowUid,
) -> Result<Option<(Held, Workflow)>, Error> {
    let Some(held) = shelf.hold(job)? else {
        return Ok(None);
    };
    let workflow = held.read()?.filter(|workflow| workflow.uid == uid.0);
    Ok(workflow.map(|workflow| (held, workflow)))
}

/// Asks for an attempt; asked already is done.
fn ask(workflow: &mut Workflow, attempt: u32) -> Result<(), Error> {
    let last = workflow.last_attempt();
    if last >= attempt && workflow.attempt > 0 {
        return Ok(());
    }
    if last + 1 != attempt {
        return Err(Error::AttemptOutOfOrder {
            job: workflow.job.to_string(),
            asked: attempt,
            last,
        });
    }
    workflow.attempt = attempt;
    Ok(())
}

impl Engine for ProcessEngine {
    type Error = Error;

    fn name(&self) -> &'static str {
        "process"
    }

    async fn ensure(&self, plan: &WorkflowPlan) -> Result<Observation, Error> {
        let (job, wanted) = (
            plan.job.clone(),
            Workflow::inert(plan, Uuid::new_v4().to_string()),
        );
        // Checked now and not with the first stage: a plan that cannot be followed is its job's fault.
        crate::stages::ConfigurePlan::of(&plan.spec, None).map_err(|source| Error::Plan {
            job: job.to_string(),
            source,
        })?;
        self.on_shelf(move |shelf| {
            loop {
                if let Some(known) = shelf.find(&job)? {
                    return Ok(known.observation());
                }
                shelf.create(&wanted)?;
            }
        })
        .await
    }

    async fn start(
        &self,
        plan: &WorkflowPlan,
        uid: &WorkflowUid,
        attempt: u32,
    ) -> Result<bool, Error> {
        let asked = self.change((&plan.job, uid), move |workflow| ask(workflow, attempt));
        Ok(asked.await?.is_some())
    }

    async fn set_footing(
        &self,
        job: &JobName,
        uid: &WorkflowUid,
        attempt: u32,
        footing: Footing,
    ) -> Result<(), Error> {
        let told = self.change((job, uid), move |workflow| {
            if workflow.footing(attempt) != Footing::Withdrawn {
                match footing {
                    Footing::Canonical => workflow.hold_publishing = false,
                    Footing::Orphaned => workflow.hold_publishing = true,
                    Footing::Withdrawn => workflow.withdrawn = attempt,
                }
            }
            Ok(())
        });
        told.await.map(drop)
    }

    async fn observe(&self, job: &JobName) -> Result<Option<Observation>, Error> {
        let job = job.clone();
        let found = self.on_shelf(move |shelf| shelf.find(&job));
        Ok(found.await?.map(|workflow| workflow.observation()))
    }

    async fn list(&self) -> Result<Vec<Present>, Error> {
        self.on_shelf(|shelf| {
            let mut present = Vec::new();
            for job in shelf.list()? {
                // One that is gone since it was listed is not there.
                present.extend(shelf.find(&job)?.map(|workflow| Present {
                    job,
                    uid: WorkflowUid(workflow.uid),
                }));
            }
            Ok(present)
        })
        .await
    }

    fn changes(&self) -> BoxStream<'static, ()> {
        let changes = self.changes.subscribe();
        stream::unfold(changes, |mut changes| async move {
            changes.changed().await.ok()?;
            Some(((), changes))
        })
        .boxed()
    }

    async fn preview(
        &self,
        job: &JobName,
        attempt: u32,
    ) -> Result<Option<LogStream<Error>>, Error> {
        preview::follow(self.shelf.clone(), job.clone(), attempt).await
    }

    async fn record(
        &self,
        job: &JobName,
        attempt: u32,
        stage: Stage,
    ) -> Result<Option<LogStream<Error>>, Error> {
        let store = self.records.as_ref().ok_or(Error::NoRecords)?;
        let found = store.stream(&keys::record(job, attempt, stage), 0).await?;
        Ok(found.map(|(_, pieces)| pieces.map(|piece| piece.map_err(Error::Results)).boxed()))
    }

    async fn stop(&self, job: &JobName, uid: &WorkflowUid) -> Result<(), Error> {
        let stopped = self.change((job, uid), |workflow| {
            workflow.stop = true;
            Ok(())
        });
        stopped.await.map(drop)
    }

    async fn release(&self, job: &JobName, uid: &WorkflowUid) -> Result<(), Error> {
        let released = self.change((job, uid), |workflow| {
            workflow.released = true;
            Ok(())
        });
        released.await.map(drop)
    }

    async fn remove(&self, job: &JobName, uid: &WorkflowUid) -> Result<(), Error> {
        let (job, uid) = (job.clone(), uid.clone());
        let removed = self.on_shelf(move |shelf| {
            let Some((held, mut workflow)) = hold(shelf, &job, &uid)? else {
                return Ok(());
            };
            if workflow.released && !workflow.is_busy() {
                return shelf.remove(held, &workflow.uid);
            }
            workflow.deleting = true;
            held.write(&workflow)
        });
        removed.await?;
        self.changed();
        Ok(())
    }
}

/// Whether an algorithm of that attempt can print nothing more.
pub(super) fn is_printed(workflow: Option<&Workflow>, attempt: u32) -> bool {
    let run = workflow.and_then(|workflow| workflow.run.as_ref());
    let Some(run) = run.filter(|run| run.attempt == attempt) else {
        return true;
    };
    let algorithm = run.stage(Stage::Algorithm);
    run.phase == Phase::Finished || algorithm.is_some_and(super::StageRun::is_over)
}
