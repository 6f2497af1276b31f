use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::NamespaceResourceScope;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::reconcile::Context;
use super::snapshot::Snapshot;
use crate::cluster::gate::gate_index;
use crate::cluster::state::{Answer, Decision, ObjectRef};
use crate::cluster::{Attempt, ComputeWorkflow, ComputeWorkflowStatus, Error, Verdict};

/// What came of a decision.
#[derive(Debug)]
pub(super) enum Done {
    /// It was done, and the snapshot shows it.
    Step,
    /// The status was written, and the snapshot shows it: the workflow is as the snapshot has it.
    Recorded,
    /// Somebody else was quicker, or it shows later: everything is to be read.
    Outdated,
    /// There is nothing to do until then.
    Waiting(Option<Duration>),
    /// What admission said.
    Answered(Answer),
    /// The API server does not take an object as it is, and never will.
    Refused,
}

/// Does what was decided from a snapshot, and has the snapshot show what became of it.
pub(super) async fn act(
    context: &Context,
    snapshot: &mut Snapshot,
    decision: Decision,
) -> Result<Done, Error> {
    match decision {
        Decision::Wait(wait) => Ok(Done::Waiting(wait)),
        Decision::CreateClaim(claim) => {
            let made = create(api::<PersistentVolumeClaim>(context), &*claim).await?;
            Ok(made.into_done(|claim| snapshot.claim = Some(claim)))
        }
        Decision::CreateJob(job) => {
            let made = create(api::<Job>(context), &*job).await?;
            Ok(made.into_done(|job| snapshot.jobs.push(job)))
        }
        Decision::Record(status) => record(context, snapshot, &status).await,
        Decision::Forget(secret, status) => {
            forget(context, &secret).await?;
            record(context, snapshot, &status).await
        }
        Decision::Release(pod) => release(context, snapshot, &pod).await,
        Decision::Shorten(pod, seconds) => shorten(context, snapshot, &pod, seconds).await,
        Decision::DeleteJob(job) => delete(context, &job).await,
        Decision::Ask(job) => ask(context, &job).await,
    }
}

fn api<K>(context: &Context) -> Api<K>
where
    K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    Api::namespaced(context.client.clone(), &context.namespace)
}

/// What became of an object that was to be made.
enum Made<K> {
    /// This, as the API server keeps it.
    Object(K),
    /// There is one of that name.
    Taken,
    /// The API server does not take it, and never will.
    Refused,
}

impl<K> Made<K> {
    fn into_done(self, show: impl FnOnce(K)) -> Done {
        match self {
            Self::Object(object) => {
                show(object);
                Done::Step
            }
            Self::Taken => Done::Outdated,
            Self::Refused => Done::Refused,
        }
    }
}

/// Makes an object. One that is there already was made by another operator, or by us before a crash.
async fn create<K>(objects: Api<K>, object: &K) -> Result<Made<K>, Error>
where
    K: kube::Resource + Serialize + DeserializeOwned + Clone + std::fmt::Debug,
{
    let name = object.meta().name.clone().unwrap_or_default();
    match objects.create(&PostParams::default(), object).await {
        Err(error) if error.is_taken() => Ok(Made::Taken),
        Err(kube::Error::Api(status)) if is_final(&status) => {
            tracing::warn!(
                object = name,
                "the cluster does not take {name}: {}",
                status.message
            );
            Ok(Made::Refused)
        }
        made => made.map(Made::Object).attempt(|| format!("make {name}")),
    }
}

/// Whether an object will not be taken later either: it is not valid, or its namespace is going. A right that is missing, a quota and
/// an overload may pass.
fn is_final(status: &kube::core::Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let going = |reason: &str| reason == "NamespaceTerminating";
    matches!(status.code, 400 | 422) || causes.into_iter().any(|cause| going(&cause.reason))
}

/// Writes the status if the workflow is still as it was read. The resource version is the compare-and-set that keeps two operators
/// from recording two pods.
async fn record(
    context: &Context,
    snapshot: &mut Snapshot,
    status: &ComputeWorkflowStatus,
) -> Result<Done, Error> {
    let metadata = &snapshot.workflow.metadata;
    let name = metadata.name.as_deref().unwrap_or_default();
    let patch = json!({
        "metadata": {"uid": metadata.uid, "resourceVersion": metadata.resource_version},
        "status": status,
    });
    let workflows = api::<ComputeWorkflow>(context);
    let written = workflows
        .patch_status(name, &PatchParams::default(), &Patch::Merge(patch))
        .await;
    match written {
        Err(error) if error.is_outdated() || error.is_missing() => Ok(Done::Outdated),
        Err(error) => Err(error).attempt(|| format!("write the status of {name}")),
        Ok(written) => {
            context.reports.changed(&snapshot.workflow, status).await;
            snapshot.workflow = written;
            Ok(Done::Recorded)
        }
    }
}

async fn forget(context: &Context, secret: &str) -> Result<(), Error> {
    let secrets = api::<Secret>(context);
    match secrets.delete(secret, &DeleteParams::default()).await {
        Err(error) if error.is_missing() => Ok(()),
        done => done.map(drop).attempt(|| format!("delete Secret {secret}")),
    }
}

/// Lifts our gate, if the pod of that name is the very one that was compared with what was rendered: nobody changed it since.
async fn release(
    context: &Context,
    snapshot: &mut Snapshot,
    pod: &ObjectRef,
) -> Result<Done, Error> {
    let known = snapshot.pod(&pod.uid);
    let Some((known, index)) = known.and_then(|known| Some((known, gate_index(known)?))) else {
        return Ok(Done::Outdated);
    };
    let gate = format!("/spec/schedulingGates/{index}");
    let patch = json!([
        {"op": "test", "path": "/metadata/uid", "value": pod.uid},
        {"op": "test", "path": "/metadata/resourceVersion", "value": known.metadata.resource_version},
        {"op": "test", "path": format!("{gate}/name"), "value": crate::cluster::manifests::RELEASE_GATE},
        {"op": "remove", "path": gate},
    ]);
    patch_pod(context, snapshot, pod, (patch, "let go of")).await
}

async fn shorten(
    context: &Context,
    snapshot: &mut Snapshot,
    pod: &ObjectRef,
    seconds: i64,
) -> Result<Done, Error> {
    let patch = json!([
        {"op": "test", "path": "/metadata/uid", "value": pod.uid},
        {"op": "add", "path": "/spec/activeDeadlineSeconds", "value": seconds},
    ]);
    patch_pod(context, snapshot, pod, (patch, "set the deadline of")).await
}

async fn patch_pod(
    context: &Context,
    snapshot: &mut Snapshot,
    pod: &ObjectRef,
    (patch, verb): (Value, &str),
) -> Result<Done, Error> {
    let attempted = || format!("{verb} pod {}", pod.name);
    let patch = serde_json::from_value(patch).map_err(|source| Error::Request {
        attempted: attempted(),
        source: Box::new(kube::Error::SerdeError(source)),
    })?;
    let patch = Patch::Json::<()>(patch);
    let patched = api::<Pod>(context)
        .patch(&pod.name, &PatchParams::default(), &patch)
        .await;
    match patched {
        Err(error) if error.is_missing() || error.is_outdated() => Ok(Done::Outdated),
        Err(error) => Err(error).attempt(attempted),
        Ok(patched) => {
            snapshot.put_pod(patched);
            Ok(Done::Step)
        }
    }
}

async fn delete(context: &Context, job: &ObjectRef) -> Result<Done, Error> {
    let only_this_one = DeleteParams::background().preconditions(Preconditions {
        uid: Some(job.uid.clone()),
        resource_version: None,
    });
    match api::<Job>(context).delete(&job.name, &only_this_one).await {
        Err(error) if error.is_missing() || error.is_outdated() => Ok(Done::Outdated),
        done => done
            .map(|_| Done::Outdated)
            .attempt(|| format!("delete Job {}", job.name)),
    }
}

/// Asks admission, by a dry run, what it thinks of a Job's pod. The Job's controller only writes events about it, in words.
async fn ask(context: &Context, job: &Job) -> Result<Done, Error> {
    let name = job.metadata.name.clone().unwrap_or_default();
    let template = job.spec.as_ref().map(|spec| spec.template.clone());
    let template = template.unwrap_or_default();
    let mut metadata = template.metadata.unwrap_or_default();
    metadata.name = Some(format!("{name}-asked"));
    let pod = Pod {
        metadata,
        spec: template.spec,
        status: None,
    };
    let dry_run = PostParams {
        dry_run: true,
        field_manager: None,
    };
    match api::<Pod>(context).create(&dry_run, &pod).await {
        Ok(_) => Ok(Done::Answered(Answer::Admitted)),
        Err(kube::Error::Api(status)) if is_admissions_word(&status) => {
            if status.message.contains("exceeded quota") {
                return Ok(Done::Answered(Answer::NoRoom));
            }
            tracing::warn!(
                job = name,
                "the cluster refuses the pod of {name}: {}",
                status.message
            );
            Ok(Done::Answered(Answer::Refused))
        }
        Err(error) => Err(error).attempt(|| format!("ask what keeps the pod of {name}")),
    }
}

/// Whether a refusal is about the pod, and not about us: the authorizer says 403 as well, in these words.
fn is_admissions_word(status: &kube::core::Status) -> bool {
    let about_us = status.message.contains("cannot create resource");
    matches!(status.code, 400 | 403 | 422) && !about_us
}
