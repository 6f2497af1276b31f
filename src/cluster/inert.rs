use kube::api::ObjectMeta;

use super::manifests::JOB_LABEL;
use super::settings::Settings;
use super::workflow::{
    AlgorithmFacts, COLLECTED, ComputeWorkflow, ComputeWorkflowSpec, FilterFacts, JobFacts,
    ReleaseFacts, ResourceFacts, ResultsFacts, StorageFacts, TEMPLATE_VERSION,
};
use crate::engine::WorkflowPlan;
use crate::stages::MOST_LOG_BYTES;
use crate::workflows::JobSpec;

/// The inert workflow of a job: everything pinned, nothing secret, and its finalizer already there.
pub(super) fn inert(plan: &WorkflowPlan, settings: &Settings) -> ComputeWorkflow {
    let labels = [
        ("app.kubernetes.io/name", "tidewatch"),
        ("app.kubernetes.io/managed-by", "tidewatch"),
        ("app.kubernetes.io/part-of", "tidewatch"),
        (JOB_LABEL, plan.job.as_str()),
        ("workflow", plan.job.as_str()),
    ];
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
    ComputeWorkflow {
        metadata: ObjectMeta {
            name: Some(plan.job.to_string()),
            namespace: Some(settings.namespace.clone()),
            finalizers: Some(vec![COLLECTED.to_owned()]),
            labels: Some(labels.into()),
            ..ObjectMeta::default()
        },
        spec: ComputeWorkflowSpec {
            attempt: 0,
            stop: false,
            suspend: false,
            hold_publishing: false,
            withdrawn: 0,
            job: facts(plan, settings),
        },
        status: None,
    }
}

fn facts(plan: &WorkflowPlan, settings: &Settings) -> JobFacts {
    let spec = &plan.spec;
    JobFacts {
        agreement_id: spec.agreement,
        did: spec.did,
        consumer: spec.consumer,
        spec_sha256: plan.spec_digest,
        attempts_before: plan.attempts_before,
        template_version: TEMPLATE_VERSION,
        stage_image: settings.stage_image.clone(),
        pull_policy: settings.pull_policy,
        algorithm: AlgorithmFacts {
            image: format!("{}@{}", spec.algorithm.image, spec.algorithm.digest),
            entrypoint: spec.algorithm.entrypoint.clone(),
            did: spec.algorithm.did,
        },
        resources: ResourceFacts {
            cpu: spec.resources.cpu.clone(),
            memory: spec.resources.memory.clone(),
            disk: spec.resources.disk.clone(),
            max_execution_seconds: spec.resources.max_execution_seconds,
        },
        run_as: plan.run_as,
        release: ReleaseFacts {
            results: spec.release.results,
            logs: spec.release.logs,
            result_bytes: spec.release.result_bytes,
            result_files: spec.release.result_files,
            log_bytes: spec.release.log_bytes.min(MOST_LOG_BYTES),
        },
        filter: spec.filter.as_ref().map(|filter| FilterFacts {
            image: filter.image.clone(),
            entrypoint: filter.entrypoint.clone(),
        }),
        input_secrets: input_secrets(spec),
        results: ResultsFacts {
            url: settings.results_url.clone(),
            secret_name: settings.results_secret.clone(),
        },
        allow_network: spec.allow_network,
        network_policy: settings.network_policy,
        storage: StorageFacts {
            class: settings.storage_class.clone(),
            access_mode: settings.access_mode,
        },
        start_deadline_seconds: u32::try_from(settings.start_deadline.as_secs())
            .unwrap_or(u32::MAX),
        runtime_class: settings.runtime_class.clone(),
        user_namespaces: settings.user_namespaces,
        kueue_queue: settings.kueue_queue.clone(),
    }
}

/// The Secrets that the inputs name, each once.
fn input_secrets(spec: &JobSpec) -> Vec<String> {
    let named: std::collections::BTreeSet<_> = spec
        .inputs
        .iter()
        .filter_map(|input| input.secret.clone())
        .collect();
    named.into_iter().collect()
}
