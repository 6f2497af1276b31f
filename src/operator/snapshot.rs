use std::hash::{DefaultHasher, Hash, Hasher};

use chrono::{DateTime, Utc};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};

use crate::cluster::manifests::{JOB_LABEL, Subject};
use crate::cluster::state::{Answer, World};
use crate::cluster::{Attempt, ComputeWorkflow, Error};

/// A workflow and everything of it.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) workflow: ComputeWorkflow,
    pub(super) claim: Option<PersistentVolumeClaim>,
    pub(super) jobs: Vec<Job>,
    pub(super) pods: Vec<Pod>,
}

impl Snapshot {
    /// Reads them from the API server; `None` when there is no workflow of that name. The workflow first: what its status names was there
    /// before.
    pub(super) async fn read(
        client: &Client,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Self>, Error> {
        let workflows: Api<ComputeWorkflow> = Api::namespaced(client.clone(), namespace);
        let workflow = workflows.get_opt(name).await;
        let Some(workflow) = workflow.attempt(|| format!("read workflow {name}"))? else {
            return Ok(None);
        };
        let jobs: Api<Job> = Api::namespaced(client.clone(), namespace);
        let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
        let labelled = ListParams::default().labels(&format!("{JOB_LABEL}={name}"));
        let (claim, jobs, pods) = tokio::try_join!(
            claim(client, namespace, &workflow),
            async {
                jobs.list(&labelled)
                    .await
                    .attempt(|| format!("list the Jobs of {name}"))
            },
            async {
                pods.list(&labelled)
                    .await
                    .attempt(|| format!("list the pods of {name}"))
            },
        )?;
        Ok(Some(Self {
            workflow,
            claim,
            jobs: jobs.items,
            pods: pods.items,
        }))
    }

    pub(super) const fn world(&self, answer: Option<Answer>, now: DateTime<Utc>) -> World<'_> {
        World {
            workflow: &self.workflow,
            claim: self.claim.as_ref(),
            jobs: self.jobs.as_slice(),
            pods: self.pods.as_slice(),
            answer,
            now,
        }
    }

    /// A pod of it by its uid.
    pub(super) fn pod(&self, uid: &str) -> Option<&Pod> {
        let mut pods = self.pods.iter();
        pods.find(|pod| pod.uid().as_deref() == Some(uid))
    }

    /// Puts a pod in the place of an earlier version of itself.
    pub(super) fn put_pod(&mut self, pod: Pod) {
        self.pods.retain(|known| known.uid() != pod.uid());
        self.pods.push(pod);
    }

    /// Tells this state of the objects from every other one.
    pub(super) fn version(&self) -> u64 {
        let version =
            |metadata: &ObjectMeta| (metadata.uid.clone(), metadata.resource_version.clone());
        let jobs = self.jobs.iter().map(|job| version(&job.metadata));
        let pods = self.pods.iter().map(|pod| version(&pod.metadata));
        let mut children: Vec<_> = jobs.chain(pods).collect();
        children.sort_unstable();
        let mut hasher = DefaultHasher::new();
        version(&self.workflow.metadata).hash(&mut hasher);
        let claim = self.claim.as_ref();
        claim
            .map(|claim| version(&claim.metadata))
            .hash(&mut hasher);
        children.hash(&mut hasher);
        hasher.finish()
    }
}

/// The name of the claim of the attempt that the status speaks of.
pub(super) fn claim_name(workflow: &ComputeWorkflow) -> Option<String> {
    let attempt = workflow.status.as_ref().map_or(0, |status| status.attempt);
    Some(Subject::new(workflow, attempt)?.names().claim())
}

async fn claim(
    client: &Client,
    namespace: &str,
    workflow: &ComputeWorkflow,
) -> Result<Option<PersistentVolumeClaim>, Error> {
    let Some(name) = claim_name(workflow) else {
        return Ok(None);
    };
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), namespace);
    let claim = claims.get_opt(&name).await;
    claim.attempt(|| format!("read claim {name}"))
}
