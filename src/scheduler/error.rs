use crate::engine::EngineError;
use crate::fault::Fault;
use crate::ids::JobName;
use crate::ledger;
use crate::worker::TickError;

/// What went wrong between ledger and engine.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The ledger failed; its own words say at what.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    /// The engine failed.
    #[error("could not {attempted} {job}")]
    Engine {
        /// What was attempted, up to the name of the job.
        attempted: &'static str,
        /// The job.
        job: JobName,
        /// What the engine says it means.
        fault: Fault,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The engine did not answer while the lease lasted, or the lease could not be renewed in time.
    #[error("the lease on {job} was about to end before its step did")]
    OutOfTime {
        /// The job.
        job: JobName,
    },
    /// The engine's workflows could not be listed.
    #[error("could not list the engine's workflows")]
    List {
        /// What the engine says it means.
        fault: Fault,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The engine did not list its workflows in time.
    #[error("the engine did not list its workflows in time")]
    ListOutOfTime,
    /// The frozen specification is not what was frozen, or this version cannot read it.
    #[error("the frozen specification of {job} cannot be read")]
    SpecUnreadable {
        /// The job.
        job: JobName,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The frozen specification's bytes do not have their recorded hash.
    #[error("the frozen specification of {job} does not have its recorded hash")]
    SpecAltered {
        /// The job.
        job: JobName,
    },
    /// A workflow of the job's name has run without having been started from this ledger.
    #[error("a workflow {job} that this ledger never started has run in the engine")]
    ForeignWorkflow {
        /// The job.
        job: JobName,
    },
    /// A workflow of the job's name is being deleted; the job starts once it is gone.
    #[error("an earlier workflow {job} is still being deleted")]
    StillDeleting {
        /// The job.
        job: JobName,
    },
    /// The workflow that is recorded for the job could not be started, since the engine has none of that uid.
    #[error("the recorded workflow {job} is not in the engine")]
    WorkflowGone {
        /// The job.
        job: JobName,
    },
    /// Every user that was tried belongs to another live job.
    #[error("no user is free for {job}")]
    NoUser {
        /// The job.
        job: JobName,
    },
    /// The record of the log is not the one that publishing announced.
    #[error(
        "the log of {job} has {found} bytes or another hash than the {announced} that were announced"
    )]
    RecordMismatch {
        /// The job.
        job: JobName,
        /// Bytes that the engine gave.
        found: u64,
        /// Bytes that were announced.
        announced: u64,
    },
    /// The engine says that the job succeeded but not what was published.
    #[error("{job} is said to have succeeded without anything published")]
    NothingPublished {
        /// The job.
        job: JobName,
    },
}

impl Error {
    /// What the error means for the worker that meets it.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Ledger(error) => error.fault(),
            Self::Engine { fault, .. } | Self::List { fault, .. } => *fault,
            Self::OutOfTime { .. }
            | Self::ListOutOfTime
            | Self::StillDeleting { .. }
            | Self::WorkflowGone { .. }
            | Self::NoUser { .. }
            | Self::RecordMismatch { .. }
            | Self::NothingPublished { .. } => Fault::Transient,
            Self::SpecUnreadable { .. }
            | Self::SpecAltered { .. }
            | Self::ForeignWorkflow { .. } => Fault::Rejected,
        }
    }

    /// Wraps an engine's error with what was attempted, up to the name of the job.
    pub(super) fn engine<E: EngineError>(
        attempted: &'static str,
        job: &JobName,
    ) -> impl FnOnce(E) -> Self {
        let job = job.clone();
        move |source| Self::Engine {
            attempted,
            job,
            fault: source.fault(),
            source: Box::new(source),
        }
    }

    /// Wraps an engine's error about all workflows.
    pub(super) fn list<E: EngineError>(source: E) -> Self {
        Self::List {
            fault: source.fault(),
            source: Box::new(source),
        }
    }

    /// Whether somebody else has the job now, so that there is nothing left to settle.
    pub(super) fn is_conflict(&self) -> bool {
        matches!(self, Self::Ledger(ledger::Error::Conflict { .. }))
    }
}

impl TickError for Error {
    fn fault(&self) -> Fault {
        self.fault()
    }
}
