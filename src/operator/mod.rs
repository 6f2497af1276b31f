//! The worker that carries workflows out: `ComputeWorkflow` → claim, Jobs → status.
//!
//! It refuses to know Postgres and the chain; it runs without both, and with both away it still stops what must be stopped. What to
//! do next is decided by [`crate::cluster::state`], which is pure; here is only the reading, the doing, and the waiting.
//!
//! Layout: `snapshot.rs` reads a workflow and everything of it, `act.rs` does one decision, `reconcile.rs` repeats the two until
//! there is nothing left to do, `report.rs` tells people by Kubernetes' events.
//!
//! Invariants:
//! - everything is read from the API server at each look, the workflow first. Watches only say when to look: a stale cache would
//!   make an object that was just recorded seem to be lost;
//! - every write names what it was decided from, by uid or resource version, so that two operators at once, or one that was stalled,
//!   change nothing that they have not seen;
//! - an error changes no workflow. It is tried again, later and later.

mod act;
mod reconcile;
mod report;
mod snapshot;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::runtime::controller::{Config, Controller, Error as ControllerError};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt};
use tokio_util::sync::CancellationToken;

use crate::cluster::manifests::JOB_LABEL;
use crate::cluster::{ComputeWorkflow, Error, installed};
use crate::fault::Fault;
use crate::worker::Chain;
use reconcile::Context;

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

impl std::fmt::Debug for Operator {
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
        self.controller(stop)
            .run(
                reconcile::reconcile,
                reconcile::retry,
                Arc::new(Context::new(self.client, self.settings.namespace)),
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

    fn controller(&self, stop: CancellationToken) -> Controller<ComputeWorkflow> {
        let namespace = &self.settings.namespace;
        let jobs: Api<Job> = Api::namespaced(self.client.clone(), namespace);
        let claims: Api<PersistentVolumeClaim> = Api::namespaced(self.client.clone(), namespace);
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let labelled = || watcher::Config::default().labels(JOB_LABEL);
        let within = namespace.clone();
        Controller::new(
            Api::namespaced(self.client.clone(), namespace),
            watcher::Config::default(),
        )
        .with_config(Config::default().concurrency(AT_ONCE))
        .owns(jobs, labelled())
        .owns(claims, labelled())
        .watches(pods, labelled(), move |pod| {
            let job = pod.labels().get(JOB_LABEL)?;
            Some(ObjectRef::new(job).within(&within))
        })
        .graceful_shutdown_on(stop.cancelled_owned())
    }
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
