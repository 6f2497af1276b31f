use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Resource;

use crate::cluster::workflow::{ComputeWorkflow, JobFacts};
use crate::engine::Stage;
use crate::ids::JobName;

/// Label with the job's name on everything that belongs to it. Network policies and the operator select by it.
pub const JOB_LABEL: &str = "compute.tidewatch.dev/job";
/// Label with the stage's name on a stage's Job and pods. Network policies select by it.
pub const STAGE_LABEL: &str = "compute.tidewatch.dev/stage";

/// Whose objects are rendered: a workflow that the cluster knows, and one of its attempts.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    workflow: &'a ComputeWorkflow,
    job_name: JobName,
    namespace: &'a str,
    uid: &'a str,
    attempt: u32,
}

impl<'a> Subject<'a> {
    /// The attempt of a workflow; `None` when the workflow did not come from a cluster, so that it has no uid to own anything, or
    /// does not have the name of a job.
    pub fn new(workflow: &'a ComputeWorkflow, attempt: u32) -> Option<Self> {
        Some(Self {
            workflow,
            job_name: workflow.metadata.name.as_deref()?.parse().ok()?,
            namespace: workflow.metadata.namespace.as_deref()?,
            uid: workflow.metadata.uid.as_deref()?,
            attempt,
        })
    }

    /// The job's facts.
    pub const fn job(&self) -> &'a JobFacts {
        &self.workflow.spec.job
    }

    /// The job's name, which is the workflow's.
    pub const fn job_name(&self) -> &JobName {
        &self.job_name
    }

    /// The workflow's uid.
    pub const fn uid(&self) -> &'a str {
        self.uid
    }

    /// The attempt.
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Names of the attempt's objects.
    pub fn names(&self) -> Names {
        Names::of(&self.job_name, self.attempt)
    }

    /// Metadata of an object that the workflow owns.
    pub(super) fn metadata(&self, name: String, stage: Option<Stage>) -> ObjectMeta {
        ObjectMeta {
            name: Some(name),
            namespace: Some(self.namespace.to_owned()),
            labels: Some(self.labels(stage)),
            owner_references: Some(vec![self.owner()]),
            ..ObjectMeta::default()
        }
    }

    /// The recommended labels of Kubernetes, our own, and those that OEP-12's users look for.
    pub(super) fn labels(&self, stage: Option<Stage>) -> BTreeMap<String, String> {
        let name = self.job_name.as_str();
        let mut labels = BTreeMap::from([
            ("app.kubernetes.io/name", "tidewatch"),
            ("app.kubernetes.io/instance", name),
            ("app.kubernetes.io/managed-by", "tidewatch"),
            ("app.kubernetes.io/part-of", "tidewatch"),
            (JOB_LABEL, name),
            ("workflow", name),
        ]);
        if let Some(stage) = stage {
            labels.insert("app.kubernetes.io/component", stage.as_str());
            labels.insert(STAGE_LABEL, stage.as_str());
            labels.insert("component", stage.as_str());
        }
        labels
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    }

    fn owner(&self) -> OwnerReference {
        OwnerReference {
            api_version: ComputeWorkflow::api_version(&()).into_owned(),
            kind: ComputeWorkflow::kind(&()).into_owned(),
            name: self.job_name.to_string(),
            uid: self.uid.to_owned(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        }
    }
}

/// Names of an attempt's objects. They follow from the job's name, so creating one twice is creating it once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    prefix: String,
}

impl Names {
    /// The names for an attempt of the job.
    pub fn of(job: &JobName, attempt: u32) -> Self {
        Self {
            prefix: format!("{job}-{attempt}"),
        }
    }

    /// The claim.
    pub fn claim(&self) -> String {
        self.prefix.clone()
    }

    /// The Secret with what only `configure` may read.
    pub fn plan(&self) -> String {
        format!("{}-plan", self.prefix)
    }

    /// The Job of a stage; of a repetition of it, if `repetition` is not 0.
    pub fn job(&self, stage: Stage, repetition: u32) -> String {
        match repetition {
            0 => format!("{}-{stage}", self.prefix),
            repetition => format!("{}-{stage}-{repetition}", self.prefix),
        }
    }
}
