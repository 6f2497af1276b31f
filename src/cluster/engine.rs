use std::collections::HashMap;
use std::future::ready;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use futures::stream::BoxStream;
use k8s_openapi::api::core::v1::{Pod, Secret};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, CustomResourceExt, Resource};
use serde_json::json;

use super::error::{Attempt, Error, Verdict};
use super::inert::inert;
use super::manifests::{Subject, plan as render_plan};
use super::observation::{footing as told, observation};
use super::settings::Settings;
use super::workflow::{COLLECTED, ComputeWorkflow};
use super::{client, logs};
use crate::engine::{Engine, LogStream, Observation, Present, Stage, WorkflowPlan, WorkflowUid};
use crate::ids::JobName;
use crate::jobs::Footing;
use crate::results::{Store, keys};

/// How often a change is tried again because somebody else changed the object between our reading and our writing.
const TRIES: usize = 5;

/// Workflows that were made and not started yet, of which the engine keeps what it made.
const MADE: usize = 256;

/// The engine of a cluster: workflows are `ComputeWorkflow`s, and an operator somewhere carries them out.
#[derive(Clone)]
pub struct KubernetesEngine {
    client: Client,
    settings: Settings,
    records: Option<Store>,
    /// What was just made, for its start: reading it again would only show whether it changed, which starting it finds out by itself.
    made: Arc<Mutex<HashMap<JobName, ComputeWorkflow>>>,
}

impl std::fmt::Debug for KubernetesEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KubernetesEngine")
            .field("namespace", &self.settings.namespace)
            .finish_non_exhaustive()
    }
}

impl KubernetesEngine {
    /// The engine of the cluster that the kubeconfig names (without one: as kubectl finds it, or by the pod's service account).
    ///
    /// One request is made, so that an unreachable cluster and a missing definition are found now and not with the first job.
    ///
    /// # Errors
    /// [`Error::Access`], [`Error::Kubeconfig`], [`Error::NotInstalled`], [`Error::Request`]; [`Error::Unsupported`] for
    /// settings that this version cannot keep.
    pub async fn connect(kubeconfig: Option<&Path>, settings: Settings) -> Result<Self, Error> {
        let engine = Self::new(client::connect(kubeconfig).await?, settings)?;
        installed(&engine.client).await?;
        Ok(engine)
    }

    /// The engine behind a client.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for settings that this version cannot keep.
    pub fn new(client: Client, settings: Settings) -> Result<Self, Error> {
        if !settings.stage_image.contains("@sha256:") {
            return Err(Error::Unsupported(
                "the image of the stages must be pinned by its digest: name@sha256:…",
            ));
        }
        Ok(Self {
            client,
            settings,
            records: None,
            made: Arc::default(),
        })
    }

    /// The same engine, which takes the records of logs from that store; only the collector asks for any.
    #[must_use]
    pub fn with_records(self, store: Store) -> Self {
        Self {
            records: Some(store),
            ..self
        }
    }

    /// The client, for whoever runs the operator in the same process.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    fn workflows(&self) -> Api<ComputeWorkflow> {
        Api::namespaced(self.client.clone(), &self.settings.namespace)
    }

    async fn find(&self, job: &JobName) -> Result<Option<ComputeWorkflow>, Error> {
        self.workflows()
            .get_opt(job.as_str())
            .await
            .attempt(|| format!("read workflow {job}"))
    }

    fn keep(&self, job: &JobName, workflow: ComputeWorkflow) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if made.len() >= MADE {
            made.clear();
        }
        made.insert(job.clone(), workflow);
    }

    fn take(&self, job: &JobName) -> Option<ComputeWorkflow> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.remove(job)
    }

    /// Hands the plan over. One that is there already was made by an earlier try: it is immutable and the same.
    async fn hand_over(
        &self,
        plan: &WorkflowPlan,
        workflow: &ComputeWorkflow,
        attempt: u32,
    ) -> Result<(), Error> {
        let Some(subject) = Subject::new(workflow, attempt) else {
            return Ok(());
        };
        let secret = render_plan(&subject, &plan.spec, self.settings.ipfs_gateway.as_ref())
            .map_err(|source| Error::Plan {
                job: plan.job.to_string(),
                source,
            })?;
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.settings.namespace);
        match secrets.create(&PostParams::default(), &secret).await {
            Err(error) if error.is_taken() => Ok(()),
            made => made
                .map(drop)
                .attempt(|| format!("hand the plan of {} over", plan.job)),
        }
    }

    /// Patches a workflow as it was read: whoever changed it since, or made another one, prevents it.
    async fn patch_as_read(
        &self,
        workflow: &ComputeWorkflow,
        mut patch: serde_json::Value,
    ) -> Result<(), kube::Error> {
        let metadata = workflow.meta();
        patch["metadata"]["uid"] = json!(metadata.uid);
        patch["metadata"]["resourceVersion"] = json!(metadata.resource_version);
        let name = metadata.name.as_deref().unwrap_or_default();
        self.workflows()
            .patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .map(drop)
    }

    /// The pod of an attempt's stage that the operator recorded.
    async fn pod_of(
        &self,
        job: &JobName,
        attempt: u32,
        stage: Stage,
    ) -> Result<Option<logs::StagePod>, Error> {
        let workflow = self.find(job).await?;
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.settings.namespace);
        Ok(workflow.and_then(|workflow| {
            let attempt = attempt.checked_sub(workflow.spec.job.attempts_before)?;
            logs::StagePod::of(&workflow, attempt, stage, pods)
        }))
    }
}

/// Whether the cluster answers and knows the custom resource. Reading its definition is a right that every role has.
///
/// # Errors
/// [`Error::NotInstalled`], [`Error::Request`].
pub(crate) async fn installed(client: &Client) -> Result<(), Error> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    match definitions.get(ComputeWorkflow::crd_name()).await {
        Err(error) if error.is_missing() => Err(Error::NotInstalled),
        answer => answer
            .map(drop)
            .attempt(|| "reach the cluster and read what it knows of ComputeWorkflow".to_owned()),
    }
}

impl Engine for KubernetesEngine {
    type Error = Error;

    fn name(&self) -> &'static str {
        "kubernetes"
    }

    async fn ensure(&self, plan: &WorkflowPlan) -> Result<Observation, Error> {
        let wanted = inert(plan, &self.settings);
        let made = self
            .workflows()
            .create(&PostParams::default(), &wanted)
            .await;
        match made {
            Err(error) if error.is_taken() => {
                let known = self.find(&plan.job).await?.ok_or_else(|| Error::Conflict {
                    object: format!("workflow {}", plan.job),
                })?;
                Ok(observation(&known))
            }
            made => {
                let made = made.attempt(|| format!("make workflow {}", plan.job))?;
                let seen = observation(&made);
                self.keep(&plan.job, made);
                Ok(seen)
            }
        }
    }

    async fn start(
        &self,
        plan: &WorkflowPlan,
        uid: &WorkflowUid,
        attempt: u32,
    ) -> Result<bool, Error> {
        // Only for the first attempt: of a later one the inert workflow knows nothing.
        let is_first = |made: &ComputeWorkflow| attempt == made.spec.job.attempts_before + 1;
        let mut made = self
            .take(&plan.job)
            .filter(|made| has_uid(made, uid) && is_first(made));
        for _ in 0..TRIES {
            let known = match made.take() {
                Some(made) => Some(made),
                None => self.find(&plan.job).await?,
            };
            let Some(workflow) = known.filter(|workflow| has_uid(workflow, uid)) else {
                return Ok(false);
            };
            let before = workflow.spec.job.attempts_before;
            let last = before + workflow.spec.attempt;
            if last >= attempt && workflow.spec.attempt > 0 {
                return Ok(true);
            }
            if last + 1 != attempt {
                return Err(Error::AttemptOutOfOrder {
                    job: plan.job.to_string(),
                    asked: attempt,
                    last,
                });
            }
            self.hand_over(plan, &workflow, attempt - before).await?;
            let patch = json!({"spec": {"attempt": attempt - before}});
            match self.patch_as_read(&workflow, patch).await {
                Err(error) if error.is_outdated() || error.is_missing() => {}
                done => {
                    done.attempt(|| format!("start attempt {attempt} of {}", plan.job))?;
                    return Ok(true);
                }
            }
        }
        Err(Error::Conflict {
            object: format!("workflow {}", plan.job),
        })
    }

    async fn set_footing(
        &self,
        job: &JobName,
        uid: &WorkflowUid,
        attempt: u32,
        footing: Footing,
    ) -> Result<(), Error> {
        let patch = match footing {
            Footing::Canonical => json!({"spec": {"holdPublishing": false}}),
            Footing::Orphaned => json!({"spec": {"holdPublishing": true}}),
            Footing::Withdrawn => json!({"spec": {"withdrawn": attempt}}),
        };
        for _ in 0..TRIES {
            let Some(workflow) = self.find(job).await?.filter(|w| has_uid(w, uid)) else {
                return Ok(());
            };
            let now = told(&workflow, attempt);
            if now == footing || now == Footing::Withdrawn {
                return Ok(());
            }
            match self.patch_as_read(&workflow, patch.clone()).await {
                Err(error) if error.is_missing() => return Ok(()),
                Err(error) if error.is_outdated() => {}
                done => return done.attempt(|| format!("tell workflow {job} of its event")),
            }
        }
        Err(Error::Conflict {
            object: format!("workflow {job}"),
        })
    }

    async fn observe(&self, job: &JobName) -> Result<Option<Observation>, Error> {
        Ok(self.find(job).await?.as_ref().map(observation))
    }

    async fn list(&self) -> Result<Vec<Present>, Error> {
        // Without a resource version the server answers from its store and not from its cache
        // (Kubernetes documentation, "Kubernetes API Concepts", the resourceVersion parameter).
        let ours = ListParams::default().labels("app.kubernetes.io/managed-by=tidewatch");
        let listed = self.workflows().list_metadata(&ours).await;
        let listed = listed.attempt(|| "list the workflows".to_owned())?;
        // Whatever has another name than a job's is not of our making.
        let present = listed.items.into_iter().filter_map(|workflow| {
            let (name, uid) = workflow.metadata.name.zip(workflow.metadata.uid)?;
            Some(Present {
                job: name.parse().ok()?,
                uid: WorkflowUid(uid),
            })
        });
        Ok(present.collect())
    }

    fn changes(&self) -> BoxStream<'static, ()> {
        watcher(self.workflows(), watcher::Config::default())
            .default_backoff()
            .filter_map(|event| ready(event.ok().map(drop)))
            .boxed()
    }

    async fn preview(
        &self,
        job: &JobName,
        attempt: u32,
    ) -> Result<Option<LogStream<Error>>, Error> {
        match self.pod_of(job, attempt, Stage::Algorithm).await? {
            Some(pod) => pod.follow().await,
            None => Ok(None),
        }
    }

    async fn record(
        &self,
        job: &JobName,
        attempt: u32,
        stage: Stage,
    ) -> Result<Option<LogStream<Error>>, Error> {
        let store = self.records.as_ref().ok_or(Error::NoRecords)?;
        let found = store.stream(&keys::record(job, attempt, stage), 0).await?;
        Ok(found.map(|(_, pieces)| pieces.map(|piece| piece.map_err(Error::Results)).boxed()))
    }

    async fn stop(&self, job: &JobName, uid: &WorkflowUid) -> Result<(), Error> {
        for _ in 0..TRIES {
            let Some(workflow) = self.find(job).await?.filter(|w| has_uid(w, uid)) else {
                return Ok(());
            };
            if workflow.spec.stop {
                return Ok(());
            }
            let patch = json!({"spec": {"stop": true}});
            match self.patch_as_read(&workflow, patch).await {
                Err(error) if error.is_missing() => return Ok(()),
                Err(error) if error.is_outdated() => {}
                done => return done.attempt(|| format!("stop workflow {job}")),
            }
        }
        Err(Error::Conflict {
            object: format!("workflow {job}"),
        })
    }

    async fn release(&self, job: &JobName, uid: &WorkflowUid) -> Result<(), Error> {
        for _ in 0..TRIES {
            let Some(workflow) = self.find(job).await?.filter(|w| has_uid(w, uid)) else {
                return Ok(());
            };
            let held = workflow.metadata.finalizers.clone().unwrap_or_default();
            if !held.iter().any(|name| name == COLLECTED) {
                return Ok(());
            }
            let others: Vec<_> = held.iter().filter(|name| *name != COLLECTED).collect();
            let patch = json!({"metadata": {"finalizers": others}});
            match self.patch_as_read(&workflow, patch).await {
                Err(error) if error.is_missing() => return Ok(()),
                Err(error) if error.is_outdated() => {}
                done => return done.attempt(|| format!("let go of workflow {job}")),
            }
        }
        Err(Error::Conflict {
            object: format!("workflow {job}"),
        })
    }

    async fn remove(&self, job: &JobName, uid: &WorkflowUid) -> Result<(), Error> {
        let only_this_one = DeleteParams::background().preconditions(Preconditions {
            uid: Some(uid.0.clone()),
            resource_version: None,
        });
        match self.workflows().delete(job.as_str(), &only_this_one).await {
            Err(error) if error.is_missing() || error.is_outdated() => Ok(()),
            done => done.map(drop).attempt(|| format!("remove workflow {job}")),
        }
    }
}

fn has_uid(workflow: &ComputeWorkflow, uid: &WorkflowUid) -> bool {
    workflow.metadata.uid.as_deref() == Some(uid.0.as_str())
}
