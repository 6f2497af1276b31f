//! An engine that does what a test tells it, and remembers it: for failures at exact moments that no real cluster can be brought to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use alloy::primitives::B256;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use sha2::{Digest, Sha256};
use tidewatch::engine::{
    Completeness, Engine, EngineError, Isolation, LogStream, LogSummary, Observation, Present,
    Published, Stage, StageObservation, WorkflowPlan, WorkflowUid,
};
use tidewatch::fault::Fault;
use tidewatch::ids::JobName;
use tidewatch::jobs::{Footing, Outcome, Phase, Reason, Status};
use tokio::sync::{Notify, watch};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Ensure,
    Start,
    Footing,
    Observe,
    List,
    Preview,
    Record,
    Release,
    Remove,
    Stop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    Before,
    After,
}

#[derive(Debug, thiserror::Error)]
#[error("told to fail {when:?} {call:?}")]
pub(super) struct Told {
    call: Call,
    when: When,
    fault: Fault,
}

impl EngineError for Told {
    fn fault(&self) -> Fault {
        self.fault
    }
}

#[derive(Clone, Debug)]
pub(super) struct Workflow {
    pub(super) uid: String,
    pub(super) attempt: u32,
    pub(super) status: Option<Status>,
    pub(super) stages: Vec<StageObservation>,
    pub(super) published: Option<Published>,
    pub(super) footing: Footing,
    pub(super) released: bool,
    pub(super) stopped: bool,
    pub(super) plan: WorkflowPlan,
}

#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) workflows: HashMap<JobName, Workflow>,
    /// What algorithms have printed so far.
    pub(super) printed: HashMap<JobName, Vec<u8>>,
    /// What the engine answers as records.
    pub(super) records: HashMap<JobName, Option<Bytes>>,
    /// What the filter left of them.
    pub(super) filtered: HashMap<JobName, Option<Bytes>>,
    /// Effects, in order: made, started, told of the event, released, removed.
    pub(super) effects: Vec<(Call, JobName)>,
    pub(super) calls: Vec<Call>,
    faults: Vec<(Call, When, Fault)>,
    stalled: Option<Arc<Notify>>,
    made: u32,
}

#[derive(Clone, Debug)]
pub(super) struct ScriptedEngine {
    world: Arc<Mutex<World>>,
    changed: watch::Sender<u64>,
}

impl ScriptedEngine {
    pub(super) fn new() -> Self {
        Self {
            world: Arc::default(),
            changed: watch::Sender::new(0),
        }
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// The next such call fails.
    pub(super) fn fail(&self, call: Call, when: When, fault: Fault) {
        self.world().faults.push((call, when, fault));
    }

    pub(super) fn mend(&self) {
        self.world().faults.clear();
    }

    /// Every call fails until `mend`.
    pub(super) fn go_away(&self) {
        for call in [
            Call::Ensure,
            Call::Start,
            Call::Footing,
            Call::Observe,
            Call::List,
            Call::Preview,
            Call::Record,
        ] {
            for _ in 0..100 {
                self.fail(call, When::Before, Fault::Transient);
            }
        }
    }

    /// From now on `ensure` takes effect only after the notification, even when whoever called it has given up.
    pub(super) fn stall_ensure(&self) -> Arc<Notify> {
        let gate = Arc::new(Notify::new());
        self.world().stalled = Some(Arc::clone(&gate));
        gate
    }

    pub(super) fn count(&self, call: Call, job: &JobName) -> usize {
        let effect = (call, job.clone());
        self.world()
            .effects
            .iter()
            .filter(|seen| **seen == effect)
            .count()
    }

    pub(super) fn change(&self, job: &JobName, change: impl FnOnce(&mut Workflow)) {
        change(self.world().workflows.get_mut(job).expect("the workflow"));
        self.changed.send_modify(|count| *count += 1);
    }

    pub(super) fn print(&self, job: &JobName, bytes: &[u8]) {
        self.world()
            .printed
            .entry(job.clone())
            .or_default()
            .extend_from_slice(bytes);
        self.changed.send_modify(|count| *count += 1);
    }

    /// The stage starts, as the operator would report it.
    pub(super) fn begin_stage(&self, job: &JobName, stage: Stage, phase: Phase) {
        self.change(job, |workflow| {
            for earlier in &mut workflow.stages {
                earlier.finished_at = chrono::DateTime::from_timestamp(2, 0);
                earlier.exit_code = Some(0);
                let is_algorithm = earlier.stage == Stage::Algorithm;
                earlier.isolation = is_algorithm.then_some(Isolation::Proven);
            }
            workflow.stages.push(StageObservation {
                stage,
                runner: Some(format!("pod-{stage}")),
                started_at: chrono::DateTime::from_timestamp(1, 0),
                finished_at: None,
                exit_code: None,
                isolation: None,
            });
            workflow.status = Some(Status::of_phase(phase, workflow.attempt));
        });
    }

    /// The workflow ends, with whatever was printed as the record if anything was published.
    pub(super) fn end(
        &self,
        job: &JobName,
        outcome: Outcome,
        reason: Option<Reason>,
        publishes: bool,
    ) {
        let printed = self.world().printed.get(job).cloned().unwrap_or_default();
        self.world()
            .records
            .insert(job.clone(), publishes.then(|| printed.clone().into()));
        self.change(job, |workflow| {
            for stage in &mut workflow.stages {
                stage.finished_at = chrono::DateTime::from_timestamp(3, 0);
            }
            workflow.status = Some(Status::finished(outcome, reason, workflow.attempt));
            workflow.published = publishes.then(|| Published {
                manifest_key: format!("{job}/{}/manifest.json", workflow.attempt),
                manifest_sha256: B256::repeat_byte(7),
                files: 1,
                bytes: 10,
                log: LogSummary {
                    bytes: printed.len() as u64,
                    sha256: B256::from_slice(&Sha256::digest(&printed)),
                    completeness: Completeness::Complete,
                },
                filtered_log: None,
            });
        });
    }

    /// The workflow ends well, and the filter left that of what was printed.
    pub(super) fn end_filtered(&self, job: &JobName, left: &'static [u8]) {
        self.end(job, Outcome::Succeeded, None, true);
        self.world()
            .filtered
            .insert(job.clone(), Some(Bytes::from_static(left)));
        self.change(job, |workflow| {
            if let Some(published) = &mut workflow.published {
                published.filtered_log = Some(LogSummary {
                    bytes: left.len() as u64,
                    sha256: B256::from_slice(&Sha256::digest(left)),
                    completeness: Completeness::Complete,
                });
            }
        });
    }

    fn told(&self, call: Call, when: When) -> Result<(), Told> {
        let mut world = self.world();
        if when == When::Before {
            world.calls.push(call);
        }
        let wanted = world
            .faults
            .iter()
            .position(|(c, w, _)| *c == call && *w == when);
        match wanted.map(|index| world.faults.remove(index)) {
            Some((call, when, fault)) => Err(Told { call, when, fault }),
            None => Ok(()),
        }
    }

    fn make(&self, plan: &WorkflowPlan) -> Observation {
        let mut world = self.world();
        if !world.workflows.contains_key(&plan.job) {
            world.made += 1;
            let workflow = Workflow {
                uid: format!("uid-{}", world.made),
                attempt: 0,
                status: None,
                stages: Vec::new(),
                published: None,
                footing: Footing::Canonical,
                released: false,
                stopped: false,
                plan: plan.clone(),
            };
            world.workflows.insert(plan.job.clone(), workflow);
            world.effects.push((Call::Ensure, plan.job.clone()));
        }
        observation(&world.workflows[&plan.job])
    }
}

fn observation(workflow: &Workflow) -> Observation {
    Observation {
        uid: WorkflowUid(workflow.uid.clone()),
        status: workflow.status,
        attempt: workflow.attempt,
        stages: workflow.stages.clone(),
        published: workflow.published.clone(),
        deleting: false,
        footing: workflow.footing,
    }
}

impl Engine for ScriptedEngine {
    type Error = Told;

    fn name(&self) -> &'static str {
        "scripted"
    }

    async fn ensure(&self, plan: &WorkflowPlan) -> Result<Observation, Told> {
        self.told(Call::Ensure, When::Before)?;
        let stalled = self.world().stalled.take();
        let made = match stalled {
            Some(gate) => {
                let (engine, plan) = (self.clone(), plan.clone());
                tokio::spawn(async move {
                    gate.notified().await;
                    engine.make(&plan)
                })
                .await
                .unwrap()
            }
            None => {
                tokio::task::yield_now().await;
                self.make(plan)
            }
        };
        tokio::task::yield_now().await;
        self.told(Call::Ensure, When::After)?;
        Ok(made)
    }

    async fn start(
        &self,
        plan: &WorkflowPlan,
        uid: &WorkflowUid,
        attempt: u32,
    ) -> Result<bool, Told> {
        self.told(Call::Start, When::Before)?;
        tokio::task::yield_now().await;
        let started = {
            let mut world = self.world();
            match world.workflows.get_mut(&plan.job) {
                Some(workflow) if workflow.uid == uid.0 => {
                    let first = workflow.plan.attempts_before + 1;
                    let next = if workflow.attempt == 0 {
                        first
                    } else {
                        workflow.attempt + 1
                    };
                    if next == attempt {
                        workflow.attempt = attempt;
                        world.effects.push((Call::Start, plan.job.clone()));
                    }
                    true
                }
                _ => false,
            }
        };
        tokio::task::yield_now().await;
        self.told(Call::Start, When::After)?;
        Ok(started)
    }

    async fn set_footing(
        &self,
        job: &JobName,
        uid: &WorkflowUid,
        _attempt: u32,
        footing: Footing,
    ) -> Result<(), Told> {
        self.told(Call::Footing, When::Before)?;
        tokio::task::yield_now().await;
        {
            let mut world = self.world();
            let workflow = world.workflows.get_mut(job);
            if let Some(workflow) = workflow.filter(|found| found.uid == uid.0)
                && workflow.footing != footing
                && workflow.footing != Footing::Withdrawn
            {
                workflow.footing = footing;
                world.effects.push((Call::Footing, job.clone()));
            }
        }
        tokio::task::yield_now().await;
        self.told(Call::Footing, When::After)
    }

    async fn observe(&self, job: &JobName) -> Result<Option<Observation>, Told> {
        self.told(Call::Observe, When::Before)?;
        tokio::task::yield_now().await;
        Ok(self.world().workflows.get(job).map(observation))
    }

    async fn list(&self) -> Result<Vec<Present>, Told> {
        self.told(Call::List, When::Before)?;
        let world = self.world();
        let listed = world.workflows.iter().map(|(job, workflow)| Present {
            job: job.clone(),
            uid: WorkflowUid(workflow.uid.clone()),
        });
        Ok(listed.collect())
    }

    fn changes(&self) -> BoxStream<'static, ()> {
        let receiver = self.changed.subscribe();
        stream::unfold(receiver, |mut receiver| async {
            receiver.changed().await.ok()?;
            Some(((), receiver))
        })
        .boxed()
    }

    async fn preview(&self, job: &JobName, _attempt: u32) -> Result<Option<LogStream<Told>>, Told> {
        self.told(Call::Preview, When::Before)?;
        if !self.world().printed.contains_key(job) {
            return Ok(None);
        }
        let state = (self.clone(), job.clone(), 0, self.changed.subscribe());
        let pieces = stream::unfold(state, |(engine, job, at, mut changed)| async move {
            loop {
                changed.mark_unchanged();
                let (printed, running) = {
                    let world = engine.world();
                    let running = world.workflows.get(&job).is_some_and(|workflow| {
                        workflow
                            .status
                            .is_some_and(|status| status.phase == Phase::Running)
                    });
                    (world.printed[&job].clone(), running)
                };
                if at < printed.len() {
                    let end = printed.len().min(at + 1000);
                    let piece = Bytes::copy_from_slice(&printed[at..end]);
                    return Some((Ok(piece), (engine, job, end, changed)));
                }
                if !running {
                    return None;
                }
                changed.changed().await.ok()?;
            }
        });
        Ok(Some(pieces.boxed()))
    }

    async fn record(
        &self,
        job: &JobName,
        _attempt: u32,
        stage: Stage,
    ) -> Result<Option<LogStream<Told>>, Told> {
        self.told(Call::Record, When::Before)?;
        tokio::task::yield_now().await;
        let world = self.world();
        let records = match stage {
            Stage::Filter => &world.filtered,
            _ => &world.records,
        };
        let record = records.get(job).cloned().flatten();
        Ok(record.map(|record| {
            let pieces: Vec<_> = record.chunks(777).map(Bytes::copy_from_slice).collect();
            stream::iter(pieces).map(Ok).boxed()
        }))
    }

    async fn stop(&self, job: &JobName, uid: &WorkflowUid) -> Result<(), Told> {
        self.told(Call::Stop, When::Before)?;
        {
            let mut world = self.world();
            if let Some(workflow) = world
                .workflows
                .get_mut(job)
                .filter(|found| found.uid == uid.0 && !found.stopped)
            {
                workflow.stopped = true;
                world.effects.push((Call::Stop, job.clone()));
            }
        }
        tokio::task::yield_now().await;
        self.told(Call::Stop, When::After)
    }

    async fn release(&self, job: &JobName, uid: &WorkflowUid) -> Result<(), Told> {
        self.told(Call::Release, When::Before)?;
        {
            let mut world = self.world();
            if let Some(workflow) = world
                .workflows
                .get_mut(job)
                .filter(|found| found.uid == uid.0)
            {
                workflow.released = true;
                world.effects.push((Call::Release, job.clone()));
            }
        }
        tokio::task::yield_now().await;
        self.told(Call::Release, When::After)
    }

    async fn remove(&self, job: &JobName, uid: &WorkflowUid) -> Result<(), Told> {
        self.told(Call::Remove, When::Before)?;
        {
            let mut world = self.world();
            let removable = |found: &Workflow| found.uid == uid.0 && found.released;
            if world.workflows.get(job).is_some_and(removable) {
                world.workflows.remove(job);
                world.effects.push((Call::Remove, job.clone()));
            }
        }
        tokio::task::yield_now().await;
        self.told(Call::Remove, When::After)
    }
}
