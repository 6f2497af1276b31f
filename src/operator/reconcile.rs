use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::runtime::controller::Action;
use kube::{Client, ResourceExt};

use super::act::{Done, act};
use super::report::Reports;
use super::snapshot::Snapshot;
use crate::clock::{Clock, SystemClock};
use crate::cluster::state::{decide, refused};
use crate::cluster::{ComputeWorkflow, Error, TEMPLATE_VERSION};

/// Steps that one look may take before others have their turn. A whole job has about twenty.
const STEPS: usize = 24;
/// How often a workflow is looked at without being told to.
const UNASKED: Duration = Duration::from_secs(300);
/// Waits after errors: from one second, doubling, to one minute.
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// What every look needs.
pub(super) struct Context {
    pub(super) client: Client,
    pub(super) namespace: String,
    pub(super) reports: Reports,
    clock: SystemClock,
    /// Errors in a row, by workflow. Never held across an await.
    failures: Mutex<HashMap<String, u32>>,
}

impl Context {
    pub(super) fn new(client: Client, namespace: String) -> Self {
        Self {
            reports: Reports::new(client.clone()),
            client,
            namespace,
            clock: SystemClock,
            failures: Mutex::default(),
        }
    }

    /// Counts an error and answers how long to wait.
    fn failed(&self, workflow: &str) -> Duration {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(workflow.to_owned()).or_default();
        *count += 1;
        Duration::from_secs(1 << (*count - 1).min(10)).min(LONGEST_RETRY)
    }

    fn succeeded(&self, workflow: &str) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.remove(workflow);
    }
}

/// Looks at a workflow and does what it needs, until it needs nothing.
pub(super) async fn reconcile(
    workflow: Arc<ComputeWorkflow>,
    context: Arc<Context>,
) -> Result<Action, Error> {
    let name = workflow.name_any();
    let mut answer = None;
    for _ in 0..STEPS {
        let Some(snapshot) = Snapshot::read(&context.client, &context.namespace, &name).await?
        else {
            return Ok(Action::await_change());
        };
        say_if_unknown(&snapshot.workflow);
        let world = snapshot.world(answer.take(), context.clock.now());
        let mut done = act(&context, &snapshot, decide(&world)).await?;
        if matches!(done, Done::Refused) {
            done = act(&context, &snapshot, refused(&world)).await?;
        }
        match done {
            Done::Waiting(wait) => {
                context.succeeded(&name);
                return Ok(Action::requeue(wait.unwrap_or(UNASKED).min(UNASKED)));
            }
            Done::Answered(said) => answer = Some(said),
            Done::Step | Done::Refused => {}
        }
    }
    Ok(Action::requeue(Duration::from_secs(1)))
}

fn say_if_unknown(workflow: &ComputeWorkflow) {
    let version = workflow.spec.job.template_version;
    if version != TEMPLATE_VERSION {
        tracing::warn!(
            workflow = workflow.metadata.name,
            version,
            "workflow {} was made for manifests of version {version}, which this operator does not know",
            workflow.name_any()
        );
    }
}

/// When to look again after an error.
#[expect(clippy::needless_pass_by_value, reason = "the controller's signature")]
pub(super) fn retry(workflow: Arc<ComputeWorkflow>, _: &Error, context: Arc<Context>) -> Action {
    Action::requeue(context.failed(&workflow.name_any()))
}
