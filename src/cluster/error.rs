use crate::engine::EngineError;
use crate::fault::Fault;
use crate::results;
use crate::stages::PlanError;
use crate::worker::TickError;

/// What went wrong between us and the cluster.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no way to the cluster: no kubeconfig, no service account, or one that cannot be read.
    #[error("could not find out how to reach the cluster")]
    Access(#[source] Box<kube::Error>),
    /// The kubeconfig file cannot be used.
    #[error("could not read the kubeconfig {path}")]
    Kubeconfig {
        /// The file.
        path: String,
        /// Why not.
        source: Box<kube::config::KubeconfigError>,
    },
    /// The API server does not answer, or refuses.
    #[error("could not {attempted}")]
    Request {
        /// What was attempted, with names, as the end of a sentence.
        attempted: String,
        /// Why not.
        source: Box<kube::Error>,
    },
    /// The custom resource is not installed.
    #[error(
        "the cluster does not know ComputeWorkflow: install what `tidewatch crd` prints (deploy/crd.yaml)"
    )]
    NotInstalled,
    /// A job cannot be handed over as it is.
    #[error("the plan of {job} cannot be handed over")]
    Plan {
        /// The job.
        job: String,
        /// Why not.
        source: PlanError,
    },
    /// An attempt was asked for that does not follow the last one.
    #[error("attempt {asked} of {job} was asked for, but its last is {last}")]
    AttemptOutOfOrder {
        /// The job.
        job: String,
        /// The attempt asked for.
        asked: u32,
        /// The last attempt.
        last: u32,
    },
    /// Somebody else changed the object since it was read; look again.
    #[error("{object} was changed by somebody else meanwhile")]
    Conflict {
        /// What was changed.
        object: String,
    },
    /// A log broke off.
    #[error("the log of {pod} broke off")]
    Log {
        /// The pod.
        pod: String,
        /// Why.
        source: std::io::Error,
    },
    /// The store that the records of logs lie in fails.
    #[error(transparent)]
    Results(#[from] results::Error),
    /// The record of a log was asked for where nobody said how to come by it.
    #[error(
        "this process was not told how to read the results store, where the records of logs lie"
    )]
    NoRecords,
    /// What was asked for is not in this version.
    #[error("{0}")]
    Unsupported(&'static str),
}

impl Error {
    /// What the error means for the worker that meets it.
    ///
    /// Only the API server's own word about one object (422, 400) rejects it; a right that is missing, an overload or silence may
    /// pass, and until then everything stands still.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Request { source, .. } => match source.as_ref() {
                kube::Error::Api(status) if matches!(status.code, 400 | 413 | 422) => {
                    Fault::Rejected
                }
                _ => Fault::Transient,
            },
            Self::Access(_) | Self::Kubeconfig { .. } => Fault::Fatal,
            Self::NotInstalled | Self::Unsupported(_) | Self::NoRecords => Fault::Fatal,
            Self::Results(error) => error.fault(),
            Self::Plan { .. } | Self::AttemptOutOfOrder { .. } => Fault::Rejected,
            Self::Conflict { .. } | Self::Log { .. } => Fault::Transient,
        }
    }
}

impl TickError for Error {
    fn fault(&self) -> Fault {
        self.fault()
    }
}

impl EngineError for Error {
    fn fault(&self) -> Fault {
        self.fault()
    }
}

/// Says what a request was for.
pub trait Attempt<T> {
    /// Turns the client's error into the room's, with `attempted` as the end of the sentence "could not …".
    ///
    /// # Errors
    /// The client's error, wrapped.
    fn attempt(self, attempted: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T> Attempt<T> for Result<T, kube::Error> {
    fn attempt(self, attempted: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|source| Error::Request {
            attempted: attempted(),
            source: Box::new(source),
        })
    }
}

/// Whether the API server said that the object is not there, is there already, or is not as the caller thought.
pub trait Verdict {
    /// 404.
    fn is_missing(&self) -> bool;
    /// 409 because of the name.
    fn is_taken(&self) -> bool;
    /// 409 because of a precondition, or a `test` of a JSON patch that does not hold (422).
    fn is_outdated(&self) -> bool;
}

/// A JSON patch whose `test` does not hold is answered 422 without causes (k8s.io/apiserver, handlers/patch.go); what is wrong with
/// an object itself is answered 422 with a cause for each field.
fn is_failed_test(status: &kube::core::Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    status.code == 422 && causes.count() == 0
}

impl Verdict for kube::Error {
    fn is_missing(&self) -> bool {
        matches!(self, Self::Api(status) if status.is_not_found())
    }

    fn is_taken(&self) -> bool {
        matches!(self, Self::Api(status) if status.is_already_exists())
    }

    fn is_outdated(&self) -> bool {
        matches!(self, Self::Api(status) if status.is_conflict() || is_failed_test(status))
    }
}
