//! The port between the schedulers and whatever runs jobs: what may be asked of any engine, not how it is done.
//!
//! It refuses to know the ledger, the chain and Kubernetes. Two adapters are meant: `cluster` (Kubernetes), and a development
//! engine of guarded child processes. Schedulers are generic over [`Engine`].
//!
//! Invariants that every engine keeps:
//! - [`Engine::ensure`] makes a workflow **inert**: it runs nothing until [`Engine::start`] names its uid. A dispatcher that was
//!   stalled inside `ensure` and lands late therefore starts nothing;
//! - [`Engine::start`] moves attempt n−1 to n with the uid as a precondition, so doing it twice, or on two replicas, is doing it once;
//! - a workflow that was told that its event is [`Footing::Withdrawn`] ends, lets no results out, and cannot be told otherwise;
//! - [`Engine::observe`] answers `Ok(None)` only when the engine truthfully says that there is no such workflow; whatever
//!   cannot be seen is an error, and errors change no job.

use std::fmt;
use std::future::Future;

use alloy::primitives::B256;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::ids::JobName;
use crate::jobs::{Footing, Status};
use crate::workflows::JobSpec;

/// Identity of a workflow that an engine gave it when it was made; another workflow under the same name has another one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WorkflowUid(pub String);

impl fmt::Display for WorkflowUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A workflow that an engine has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Present {
    /// The job whose name it has.
    pub job: JobName,
    /// Its identity.
    pub uid: WorkflowUid,
}

/// Everything an engine needs to run a job. Nothing else of the ledger reaches it.
#[derive(Clone, Debug)]
pub struct WorkflowPlan {
    /// The job, which names the workflow.
    pub job: JobName,
    /// The frozen specification.
    pub spec: JobSpec,
    /// SHA-256 of the frozen bytes, shown on the workflow so that anybody can compare.
    pub spec_digest: B256,
    /// Unix user that this job's stages run as: one of its own among live jobs, 10000 to 64999.
    pub run_as: u32,
    /// Attempts that earlier workflows of this job had; only its making looks at it.
    pub attempts_before: u32,
}

/// A workflow as an engine sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// Its identity.
    pub uid: WorkflowUid,
    /// Status as the engine last worked it out; `None` while the workflow is inert or has not been looked at.
    pub status: Option<Status>,
    /// The attempt that was started last; 0 while inert.
    pub attempt: u32,
    /// The stages of that attempt, in order.
    pub stages: Vec<StageObservation>,
    /// What publishing handed over, once it has.
    pub published: Option<Published>,
    /// Whether somebody asked the engine to delete it.
    pub deleting: bool,
    /// What it was last told of its event.
    pub footing: Footing,
}

/// One stage of an attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StageObservation {
    /// Which stage.
    pub stage: Stage,
    /// Identity of what runs it (a pod's uid); absent until there is one.
    pub runner: Option<String>,
    /// When its program started.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Its exit code, once it ended by itself. For the parties only: an algorithm can speak through it.
    pub exit_code: Option<i32>,
    /// What its isolation from the network rested on. Of the algorithm only, once that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation: Option<Isolation>,
}

/// What an algorithm's isolation from the network rested on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// On two walls: its own pod saw the network denied by the cluster, and the guard denies it besides.
    Proven,
    /// On the guard alone: the cluster was not seen to deny anything.
    Unproven,
    /// On nothing: the publisher lets this algorithm use the network.
    Open,
}

impl Isolation {
    /// The word that the ledger and people use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::Unproven => "unproven",
            Self::Open => "open",
        }
    }
}

/// The stages of a workflow (OEP-12 calls them by the same names).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Fetches inputs and the algorithm.
    Configure,
    /// Runs the consumer's code.
    Algorithm,
    /// Runs the publisher's filter over what would come out.
    Filter,
    /// Stores results and log.
    Publish,
}

impl Stage {
    /// The word that labels, paths and people use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Configure => "configure",
            Self::Algorithm => "algorithm",
            Self::Filter => "filter",
            Self::Publish => "publish",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What publishing hands over: it goes into the ledger, whose rows outlive the object store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Published {
    /// Where the manifest lies, relative to the results' URL: `<job>/<attempt>/manifest.json`.
    pub manifest_key: String,
    /// SHA-256 of the manifest's bytes.
    pub manifest_sha256: B256,
    /// Number of result files in it.
    pub files: u32,
    /// Their bytes in all.
    pub bytes: u64,
    /// The job log.
    pub log: LogSummary,
    /// What the publisher's filter left of it; absent where the parties get the log as it is, or none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filtered_log: Option<LogSummary>,
}

impl Published {
    /// What is known of the log of a stage, if that stage has one that was published.
    pub fn log_of(&self, stage: Stage) -> Option<LogSummary> {
        match stage {
            Stage::Algorithm => Some(self.log),
            Stage::Filter => self.filtered_log,
            Stage::Configure | Stage::Publish => None,
        }
    }
}

/// What is known of a job log as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogSummary {
    /// Bytes that were kept.
    pub bytes: u64,
    /// SHA-256 of the kept bytes, in order of arrival.
    pub sha256: B256,
    /// How far the kept bytes are the whole.
    pub completeness: Completeness,
}

/// How far a stored job log is what the algorithm printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Completeness {
    /// Every byte.
    Complete,
    /// The first bytes up to the limit.
    Truncated,
    /// Something in between is missing.
    Gap,
    /// Every byte as far as we know, but the algorithm could have altered it.
    Unverified,
}

impl Completeness {
    /// Every word.
    pub const ALL: [Self; 4] = [Self::Complete, Self::Truncated, Self::Gap, Self::Unverified];

    /// The word that the ledger and people use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Truncated => "truncated",
            Self::Gap => "gap",
            Self::Unverified => "unverified",
        }
    }
}

/// An engine's error.
pub trait EngineError: std::error::Error + Send + Sync + 'static {
    /// What it means for the worker that asked.
    fn fault(&self) -> Fault;
}

/// Pieces of a log, in order.
pub type LogStream<E> = BoxStream<'static, Result<Bytes, E>>;

/// What may be asked of an engine. Every call is safe to repeat, from any number of replicas.
pub trait Engine: Clone + Send + Sync + 'static {
    /// The engine's error. "Not there" is not an error.
    type Error: EngineError;

    /// The engine's name in the API and logs: `kubernetes` or `process`.
    fn name(&self) -> &'static str;

    /// Makes the inert workflow if there is none of that name, and answers what is there now.
    ///
    /// The caller compares the uid with the one it recorded: a foreign one under the same name must not be started.
    fn ensure(
        &self,
        plan: &WorkflowPlan,
    ) -> impl Future<Output = Result<Observation, Self::Error>> + Send;

    /// Starts `attempt` of the workflow with that uid, handing over what only `configure` may read. Done already: `Ok(true)`.
    /// `Ok(false)` when no workflow of that name has that uid any more.
    fn start(
        &self,
        plan: &WorkflowPlan,
        uid: &WorkflowUid,
        attempt: u32,
    ) -> impl Future<Output = Result<bool, Self::Error>> + Send;

    /// Tells the workflow with that uid how the event that owes its `attempt` stands: while it is [`Footing::Orphaned`] results are
    /// not published; one that is [`Footing::Withdrawn`] ends the attempt, and nothing but its log is kept. Told already, or no
    /// such workflow: nothing.
    fn set_footing(
        &self,
        job: &JobName,
        uid: &WorkflowUid,
        attempt: u32,
        footing: Footing,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// The workflow as it is now; `None` when there is none of that name.
    fn observe(
        &self,
        job: &JobName,
    ) -> impl Future<Output = Result<Option<Observation>, Self::Error>> + Send;

    /// Every workflow that the engine has, as it is now and not as it was a moment ago. One that is left out would not be found to be
    /// a stray; one that is long gone would be taken for one.
    fn list(&self) -> impl Future<Output = Result<Vec<Present>, Self::Error>> + Send;

    /// Tells when something about any workflow changed. A hint only: it may repeat, be late, or end and be asked for again.
    fn changes(&self) -> BoxStream<'static, ()>;

    /// The log of the algorithm while it runs, from its first byte, as far as the engine has it. A preview, not the record.
    /// `None` when there is nothing to read yet or any more.
    fn preview(
        &self,
        job: &JobName,
        attempt: u32,
    ) -> impl Future<Output = Result<Option<LogStream<Self::Error>>, Self::Error>> + Send;

    /// The record of the log that publishing stored, from its first byte: of the algorithm, or of the filter, which is what that
    /// left of the algorithm's. `None` when it cannot be had any more. It does not depend on what runs, or is left, in the engine.
    fn record(
        &self,
        job: &JobName,
        attempt: u32,
        stage: Stage,
    ) -> impl Future<Output = Result<Option<LogStream<Self::Error>>, Self::Error>> + Send;

    /// Ends what runs of that workflow. It cannot be taken back; done already, or no such workflow: `Ok`.
    fn stop(
        &self,
        job: &JobName,
        uid: &WorkflowUid,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Lets go of a workflow whose outcome and log are in the ledger: from now on it may be deleted.
    fn release(
        &self,
        job: &JobName,
        uid: &WorkflowUid,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Removes a workflow and all it owns. A workflow that is not released stays until it is.
    fn remove(
        &self,
        job: &JobName,
        uid: &WorkflowUid,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}
