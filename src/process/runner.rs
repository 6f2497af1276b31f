use std::fs;
use std::path::Path;
use std::process::Child;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::Signal;

use super::decide::{Seen, Step, decide, unstarted};
use super::engine::ProcessEngine;
use super::processes::{self, Mark};
use super::shelf::Held;
use super::stage_files::StageFiles;
use super::workflow::{StageRun, Workflow};
use super::{Error, launch};
use crate::clock::{Clock, SystemClock};
use crate::engine::Stage;
use crate::ids::JobName;
use crate::stages::Ending;
use crate::worker::{Chain, Progress, Worker};

/// Steps that one look may take before others have their turn. A whole job has about twelve.
const STEPS: usize = 16;

/// Carries out workflows, as the operator does in a cluster. It may be killed at any moment, and any number may share a directory.
#[derive(Debug)]
pub struct Runner {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    engine: ProcessEngine,
    clock: SystemClock,
    /// Programs that this process started, so that it takes note of their ends, as every parent must. Nothing is decided by them.
    children: Mutex<Vec<Child>>,
}

impl Worker for Runner {
    type Error = Error;

    const NAME: &'static str = "runner";

    async fn tick(&mut self) -> Result<Progress, Error> {
        let shared = Arc::clone(&self.shared);
        let ticked = tokio::task::spawn_blocking(move || shared.look_at_all());
        ticked.await.map_err(Error::CutOff)??;
        Ok(Progress::Idle)
    }
}

impl Runner {
    /// A runner of the workflows of an engine.
    ///
    /// # Errors
    /// What an earlier removal left cannot be deleted.
    pub fn new(engine: ProcessEngine) -> Result<Self, Error> {
        engine.shelf().sweep()?;
        let shared = Shared {
            engine,
            clock: SystemClock,
            children: Mutex::default(),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }
}

impl Shared {
    /// One workflow that cannot be looked at holds up no other; the first error is told at the end.
    fn look_at_all(&self) -> Result<(), Error> {
        self.reap();
        let looks = self.engine.shelf().list()?.into_iter();
        let errors = looks.filter_map(|job| self.look(&job).err());
        // All of them are looked at before the first error is answered.
        match errors.reduce(|first, _| first) {
            None => Ok(()),
            Some(error) => Err(error),
        }
    }

    fn look(&self, job: &JobName) -> Result<(), Error> {
        let shelf = self.engine.shelf();
        let idle = |workflow: &Workflow| !workflow.is_busy() && !workflow.deleting;
        if shelf.find(job)?.is_none_or(|workflow| idle(&workflow)) {
            return Ok(());
        }
        let Some(mut held) = shelf.hold(job)? else {
            return Ok(());
        };
        for _ in 0..STEPS {
            let Some(workflow) = held.read()? else {
                return Ok(());
            };
            match self.step(held, workflow)? {
                Some(again) => held = again,
                None => return Ok(()),
            }
        }
        Ok(())
    }

    /// Takes one step; `None` when there is nothing more to do now.
    fn step(&self, held: Held, mut workflow: Workflow) -> Result<Option<Held>, Error> {
        let stage = workflow
            .run
            .as_ref()
            .and_then(|run| run.unfinished().cloned());
        let files = stage
            .as_ref()
            .map(|stage| self.engine.shelf().files(&workflow, stage));
        let seen = match (&stage, &files) {
            (Some(stage), Some(files)) => see(stage, files)?,
            _ => Seen::default(),
        };
        match decide(&workflow, &seen, self.clock.now()) {
            Step::Wait => return Ok(None),
            Step::Remove => {
                self.engine.shelf().remove(held, &workflow.uid)?;
                self.engine.changed();
                return Ok(None);
            }
            Step::Record(run) => {
                if let (Some(stage), Some(files)) = (&stage, &files) {
                    forget_plan(&run.stages, stage, files)?;
                }
                workflow.run = Some(*run);
                held.write(&workflow)?;
            }
            Step::Begin(run) => {
                workflow.run = Some(*run);
                held.write(&workflow)?;
                self.start(&held, &mut workflow)?;
            }
            Step::Terminate => {
                if let Some(files) = &files {
                    processes::signal(Mark::Program(&files.message()), Signal::TERM);
                }
                return Ok(None);
            }
            Step::Kill => {
                if let Some((stage, files)) = stage.as_ref().zip(files.as_ref()) {
                    processes::signal(Mark::Program(&files.message()), Signal::KILL);
                    if let Some(outputs) = outputs_of(stage.stage, files) {
                        processes::signal(Mark::Offspring(&outputs), Signal::KILL);
                    }
                }
                return Ok(None);
            }
        }
        self.engine.changed();
        Ok(Some(held))
    }

    /// Starts the program of the stage that was just written down. One that cannot be started is over, and says why.
    fn start(&self, held: &Held, workflow: &mut Workflow) -> Result<(), Error> {
        let Some(run) = workflow.run.clone() else {
            return Ok(());
        };
        let Some(stage) = run.unfinished() else {
            return Ok(());
        };
        let shelf = self.engine.shelf();
        let files = shelf.files(workflow, stage);
        let secrets = shelf.root().join("secrets");
        let settings = self.engine.settings();
        match launch::start(settings, &secrets, (workflow, &run), (stage.stage, &files)) {
            Ok(child) => {
                self.children().push(child);
                Ok(())
            }
            Err(error) => {
                let why = Chain(&error).to_string();
                tracing::warn!(job = %workflow.job, stage = %stage.stage, "the stage {} of {} could not be started: {why}", stage.stage, workflow.job);
                workflow.run = Some(unstarted(&run, why, self.clock.now()));
                held.write(workflow)
            }
        }
    }

    fn reap(&self) {
        // One that cannot be waited for is no child any more.
        self.children()
            .retain_mut(|child| matches!(child.try_wait(), Ok(None)));
    }

    fn children(&self) -> std::sync::MutexGuard<'_, Vec<Child>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn see(stage: &StageRun, files: &StageFiles) -> Result<Seen, Error> {
    if files.is_alive()? {
        return Ok(Seen {
            is_alive: true,
            ..Seen::default()
        });
    }
    let outputs = outputs_of(stage.stage, files);
    let record = files.record(stage.stage);
    let is_guarded = outputs.is_some();
    let said =
        said(&files.message()).or_else(|| said(&record.join("ending.json")).filter(|_| is_guarded));
    Ok(Seen {
        is_alive: false,
        has_leftovers: outputs.is_some_and(|outputs| processes::exist(Mark::Offspring(&outputs))),
        has_record: is_guarded && record.join("log").exists(),
        said,
    })
}

/// Where a guarded program was told to write, by which what it started is found.
fn outputs_of(stage: Stage, files: &StageFiles) -> Option<std::path::PathBuf> {
    match stage {
        Stage::Algorithm => Some(files.data.join("outputs")),
        Stage::Filter => Some(files.data.join("filtered/outputs")),
        Stage::Configure | Stage::Publish => None,
    }
}

/// The ending that a program left. Half of one was written by a program that was killed, and is none.
fn said(path: &Path) -> Option<Ending> {
    let bytes = fs::read(path).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Deletes the plan with the source URLs, once its stage is over.
fn forget_plan(after: &[StageRun], stage: &StageRun, files: &StageFiles) -> Result<(), Error> {
    let is_over = after.last().is_some_and(StageRun::is_over);
    if stage.stage != Stage::Configure || !is_over {
        return Ok(());
    }
    match fs::remove_file(&files.plan) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::file("delete", &files.plan)(error))
        }
        _ => Ok(()),
    }
}
