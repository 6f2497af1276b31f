use std::sync::Arc;
use std::time::Duration;

use kube::runtime::controller::Action;
use kube::{Client, ResourceExt};

use super::act::{Done, act};
use super::grounds::{Grounds, needed};
use super::report::Reports;
use super::snapshot::Snapshot;
use super::watched::{Brought, Watched};
use crate::clock::{Clock, SystemClock};
use crate::cluster::state::{decide, refused};
use crate::cluster::{ComputeWorkflow, Error, TEMPLATE_VERSION};

/// Steps that one look may take before others have their turn. A whole job has about twenty.
const STEPS: usize = 24;
/// How often a workflow is looked at without being told to.
const UNASKED: Duration = Duration::from_secs(300);
/// When a look is gone on with that took all of its steps.
const SOON: Duration = Duration::from_secs(1);

/// What every look needs.
pub(super) struct Context {
    pub(super) client: Client,
    pub(super) namespace: String,
    pub(super) reports: Reports,
    watched: Watched,
    clock: SystemClock,
}

impl Context {
    pub(super) fn new(client: Client, namespace: String, watched: Watched) -> Self {
        Self {
            reports: Reports::new(client.clone()),
            client,
            namespace,
            watched,
            clock: SystemClock,
        }
    }

    async fn read(&self, name: &str) -> Result<Option<Snapshot>, Error> {
        Snapshot::read(&self.client, &self.namespace, name).await
    }
}

/// Looks at a workflow and does what it needs, until it needs nothing.
pub(super) async fn reconcile(
    workflow: Arc<ComputeWorkflow>,
    context: Arc<Context>,
) -> Result<Action, Error> {
    let name = workflow.name_any();
    let (mut snapshot, mut grounds) = match context.watched.brought(&workflow) {
        Brought::Nothing(wait) => return Ok(Action::requeue(wait)),
        Brought::News(snapshot) => (*snapshot, Grounds::Watched),
        Brought::Silence => match context.read(&name).await? {
            Some(snapshot) => (snapshot, Grounds::Read),
            None => return Ok(Action::await_change()),
        },
    };
    say_if_unknown(&snapshot.workflow);
    let mut answer = None;
    for _ in 0..STEPS {
        let world = snapshot.world(answer.take(), context.clock.now());
        let decision = decide(&world);
        let done = if grounds < needed(&decision, &snapshot.workflow) {
            Done::Outdated
        } else {
            match act(&context, &mut snapshot, decision).await? {
                Done::Refused => {
                    let end = refused(&snapshot.world(None, context.clock.now()));
                    act(&context, &mut snapshot, end).await?
                }
                done => done,
            }
        };
        match done {
            Done::Waiting(wait) => {
                let wait = wait.unwrap_or(UNASKED).min(UNASKED);
                context.watched.looked(&snapshot.workflow, wait);
                return Ok(Action::requeue(wait));
            }
            Done::Answered(said) => answer = Some(said),
            Done::Recorded => grounds = grounds.max(Grounds::Confirmed),
            Done::Step => {}
            Done::Outdated | Done::Refused => match context.read(&name).await? {
                Some(read) => (snapshot, grounds) = (read, Grounds::Read),
                None => return Ok(Action::await_change()),
            },
        }
    }
    context.watched.looked(&snapshot.workflow, SOON);
    Ok(Action::requeue(SOON))
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
    Action::requeue(context.watched.failed(&workflow.name_any()))
}
