//! The worker that carries workflows out: `ComputeWorkflow` → claim, Jobs → status.
//!
//! It refuses to know Postgres and the chain; it runs without both, and with both away it still stops what must be stopped. What to
//! do next is decided by [`crate::cluster::state`], which is pure; here is only the reading, the doing, and the waiting.
//!
//! Layout: `watched.rs` has what the watches brought of a workflow, `snapshot.rs` reads it and everything of it, `grounds.rs` says which
//! of the two a decision may rest on, `act.rs` does one decision, `reconcile.rs` repeats that until there is nothing left to do,
//! `report.rs` tells people by Kubernetes' events.
//!
//! Invariants:
//! - what watches brought may be old, and a watch that is dead looks like one that has nothing to tell. So good news is believed,
//!   bad news is read from the API server first, the workflow before everything else; and so is everything once a clock and no
//!   news asks for a look. A job that goes well needs no reading at all;
//! - every write names what it was decided from, by uid or resource version, so that two operators at once, or one that was stalled,
//!   change nothing that they have not seen;
//! - an error changes no workflow. It is tried again, later and later.

mod act;
mod grounds;
mod reconcile;
mod report;
mod snapshot;
mod watched;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, PodTemplateSpec};
use kube::core::NamespaceResourceScope;
use kube::runtime::controller::{Config, Controller, Error as ControllerError};
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::cluster::manifests::JOB_LABEL;
use crate::cluster::{ComputeWorkflow, Error, installed};
use crate::fault::Fault;
use crate::worker::Chain;
use reconcile::Context;
use watched::{Stores, Watched};

/// Workflows that are looked at at the same time. Each look is a handful of requests.
const AT_ONCE: u16 = 16;
/// Wait before the cluster is tried again when it could not be reached at the start.
const FIRST_CONTACT: Duration = Duration::from_secs(5);

/// What an operator has to know. Everything else is pinned in the workflows.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The namespace whose workflows it carries out.
    pub namespace: String,
}

/// An operator. Several may run at once.
#[derive(Clone)]
pub struct Operator {
    client: Client,
    settings: Settings,
}

impl Debug for Operator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operator")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Operator {
    /// An operator behind a client.
    pub const fn new(client: Client, settings: Settings) -> Self {
        Self { client, settings }
    }

    /// Carries workflows out until `stop` is cancelled; what is being looked at then is finished first.
    ///
    /// A cluster that cannot be reached is waited for.
    ///
    /// # Errors
    /// [`Error::NotInstalled`] when the cluster answers and does not know the custom resource.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Error> {
        if !self.first_contact(&stop).await? {
            return Ok(());
        }
        tracing::info!(
            namespace = self.settings.namespace,
            "operator carries out the workflows of {}",
            self.settings.namespace
        );
        let (controller, watched) = self.controller(stop);
        controller
            .run(
                reconcile::reconcile,
                reconcile::retry,
                Arc::new(Context::new(
                    self.client,
                    self.settings.namespace,
                    Watched::new(watched),
                )),
            )
            .for_each(|done| {
                if let Err(error) = done {
                    log(&error);
                }
                std::future::ready(())
            })
            .await;
        Ok(())
    }

    /// Waits for the cluster; `false` when `stop` came first.
    async fn first_contact(&self, stop: &CancellationToken) -> Result<bool, Error> {
        loop {
            match installed(&self.client).await {
                Ok(()) => return Ok(true),
                Err(error) if error.fault() == Fault::Fatal => return Err(error),
                Err(error) => {
                    tracing::warn!(error = %Chain(&error), "operator waits for the cluster");
                }
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(false),
                () = tokio::time::sleep(FIRST_CONTACT) => {}
            }
        }
    }

    fn controller(&self, stop: CancellationToken) -> (Controller<ComputeWorkflow>, Stores) {
        let namespace = &self.settings.namespace;
        let within = namespace.clone();
        let (claims, claims_seen) = watch::<PersistentVolumeClaim>(&self.client, namespace, |_| {});
        // What a Job makes its pods of is in their workflow as well.
        let (jobs, jobs_seen) = watch::<Job>(&self.client, namespace, |job| {
            if let Some(spec) = &mut job.spec {
                spec.template = PodTemplateSpec::default();
            }
        });
        let (pods, pods_seen) = watch::<Pod>(&self.client, namespace, |_| {});
        let controller = Controller::new(
            Api::namespaced(self.client.clone(), namespace),
            watcher::Config::default(),
        );
        let stores = Stores {
            workflows: controller.store(),
            claims,
            jobs,
            pods,
        };
        let controller = controller
            .with_config(Config::default().concurrency(AT_ONCE))
            .owns_stream(claims_seen)
            .owns_stream(jobs_seen)
            .watches_stream(pods_seen, move |pod| {
                let job = pod.labels().get(JOB_LABEL)?;
                Some(ObjectRef::new(job).within(&within))
            })
            .graceful_shutdown_on(stop.cancelled_owned());
        (controller, stores)
    }
}

/// Watches the objects of jobs, and keeps them without what nobody here looks at.
fn watch<K>(
    client: &Client,
    namespace: &str,
    lighten: fn(&mut K),
) -> (
    Store<K>,
    impl Stream<Item = Result<K, watcher::Error>> + Send + 'static + use<K>,
)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static,
{
    let objects: Api<K> = Api::namespaced(client.clone(), namespace);
    let labelled = watcher::Config::default().labels(JOB_LABEL);
    let (store, writer) = reflector::store();
    let seen = watcher(objects, labelled)
        .modify(move |object: &mut K| {
            object.managed_fields_mut().clear();
            lighten(object);
        })
        .reflect(writer)
        .touched_objects();
    (store, seen)
}

/// Says what went wrong, once. A workflow that is gone is nothing wrong.
fn log(error: &ControllerError<Error, watcher::Error>) {
    match error {
        ControllerError::ObjectNotFound(_) => {}
        ControllerError::ReconcilerFailed(error, workflow) => tracing::warn!(
            workflow = workflow.name,
            error = %Chain(error),
            "workflow {} stands still and will be tried again",
            workflow.name
        ),
        ControllerError::QueueError(error) => {
            tracing::warn!(error = %Chain(error), "a watch broke off and is taken up again");
        }
        ControllerError::RunnerError(error) => {
            tracing::warn!(error = %Chain(error), "the operator's queue failed");
        }
    }
}
