//! What the watches have brought of a workflow, and what is remembered of it between two looks.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Resource, ResourceExt};
use tokio::time::Instant;

use super::snapshot::{Snapshot, claim_name};
use crate::cluster::ComputeWorkflow;
use crate::cluster::manifests::JOB_LABEL;

/// Waits after errors: from one second, doubling, to one minute.
const LONGEST_RETRY: Duration = Duration::from_secs(60);
/// How long the watch may take to bring back what was written. Then the API server is asked.
const PATIENCE: Duration = Duration::from_secs(1);
/// Workflows that are gone and may still be remembered, beyond as many as there are.
const SLACK: usize = 64;

/// The objects that the watches keep.
pub(super) struct Stores {
    pub(super) workflows: Store<ComputeWorkflow>,
    pub(super) claims: Store<PersistentVolumeClaim>,
    pub(super) jobs: Store<Job>,
    pub(super) pods: Store<Pod>,
}

/// The objects that the watches keep, and a word about each workflow. It saves requests and decides nothing: whoever knows nothing reads
/// everything.
pub(super) struct Watched {
    stores: Stores,
    /// By the workflow's name. Never held across an await.
    known: Mutex<HashMap<String, Known>>,
}

/// What is remembered of a workflow.
struct Known {
    /// The state of its objects that was looked at last, as [`Snapshot::version`].
    version: u64,
    /// When it is looked at although nothing is new.
    due: Instant,
    /// Resource version of the workflow at the end of the last look.
    seen: Option<u64>,
    /// Errors in a row.
    failures: u32,
}

/// What there is to look at.
pub(super) enum Brought {
    /// This is new.
    News(Box<Snapshot>),
    /// Nothing is new, and nothing is due before that time has passed.
    Nothing(Duration),
    /// The watches have not begun, or brought nothing until something was due: that may be a clock's work, or a watch that is dead.
    Silence,
}

impl Watched {
    /// Over what the watches keep.
    pub(super) fn new(stores: Stores) -> Self {
        Self {
            stores,
            known: Mutex::default(),
        }
    }

    /// What is new of a workflow since the last look.
    pub(super) fn brought(&self, workflow: &ComputeWorkflow) -> Brought {
        if !self.stores.are_ready() {
            return Brought::Silence;
        }
        let name = workflow.name_any();
        let snapshot = self.stores.snapshot(workflow, &name);
        let (version, now) = (snapshot.version(), Instant::now());
        let mut all = self.lock();
        let known = all.entry(name).or_insert_with(Known::nothing);
        if known.version == version {
            return match known.due.saturating_duration_since(now) {
                Duration::ZERO => Brought::Silence,
                left => Brought::Nothing(left),
            };
        }
        (known.version, known.due) = (version, now);
        if known.seen > resource_version(workflow) {
            known.due += PATIENCE;
            return Brought::Nothing(PATIENCE);
        }
        Brought::News(Box::new(snapshot))
    }

    /// A look has come to its end, with the workflow as it is now: nothing is to be done before that time has passed.
    pub(super) fn looked(&self, workflow: &ComputeWorkflow, wait: Duration) {
        if let Some(known) = self.lock().get_mut(&workflow.name_any()) {
            known.due = Instant::now() + wait;
            known.seen = resource_version(workflow);
            known.failures = 0;
        }
    }

    /// A look has failed. Answers when to try again: later and later.
    pub(super) fn failed(&self, name: &str) -> Duration {
        let mut all = self.lock();
        let known = all.entry(name.to_owned()).or_insert_with(Known::nothing);
        let wait = Duration::from_secs(1 << known.failures.min(10)).min(LONGEST_RETRY);
        known.failures += 1;
        known.due = Instant::now() + wait;
        wait
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() > 2 * self.stores.workflows.len() + SLACK {
            let workflows = self.stores.workflows.state();
            let there: HashSet<_> = workflows.iter().map(|it| it.name_any()).collect();
            known.retain(|name, _| there.contains(name));
        }
        known
    }
}

impl Known {
    fn nothing() -> Self {
        Self {
            version: 0,
            due: Instant::now(),
            seen: None,
            failures: 0,
        }
    }
}

impl Stores {
    /// Whether each of them was filled once.
    fn are_ready(&self) -> bool {
        fn is_ready<K>(store: &Store<K>) -> bool
        where
            K: Resource<DynamicType = ()> + Clone + 'static,
        {
            matches!(store.wait_until_ready().now_or_never(), Some(Ok(())))
        }
        is_ready(&self.workflows)
            && is_ready(&self.claims)
            && is_ready(&self.jobs)
            && is_ready(&self.pods)
    }

    fn snapshot(&self, workflow: &ComputeWorkflow, name: &str) -> Snapshot {
        fn labelled<K>(store: &Store<K>, name: &str) -> Vec<K>
        where
            K: Resource<DynamicType = ()> + Clone + 'static,
        {
            let is_of_it = |object: &K| {
                object
                    .labels()
                    .get(JOB_LABEL)
                    .is_some_and(|job| job == name)
            };
            let found = store.state_filter(is_of_it);
            found.iter().map(|object| K::clone(object)).collect()
        }
        let namespace = workflow.namespace().unwrap_or_default();
        let claim = claim_name(workflow).and_then(|claim| {
            let claim = ObjectRef::new(&claim).within(&namespace);
            self.claims.get(&claim)
        });
        Snapshot {
            workflow: workflow.clone(),
            claim: claim.map(|claim| PersistentVolumeClaim::clone(&claim)),
            jobs: labelled(&self.jobs, name),
            pods: labelled(&self.pods, name),
        }
    }
}

/// The number of a resource version: those of one kind of object grow (KEP-5504). `None` where it is no number; then nothing is known.
fn resource_version(workflow: &ComputeWorkflow) -> Option<u64> {
    workflow.metadata.resource_version.as_ref()?.parse().ok()
}
