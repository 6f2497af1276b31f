use alloy::primitives::{Address, B256};

use chrono::{DateTime, Utc};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{OwnerReference, Time};

use super::inert::inert;
use super::settings::Settings;
use super::status::to_kubernetes;
use super::workflow::ComputeWorkflow;
use crate::engine::WorkflowPlan;
use crate::ids::{AgreementId, Did};
use crate::workflows::{AlgorithmSpec, InputSpec, JobSpec, Release, ReleaseRule, Resources};

/// A job as a resolver would freeze it.
pub(super) fn plan() -> WorkflowPlan {
    let digest = |byte: u8| B256::repeat_byte(byte);
    let spec = JobSpec {
        version: 1,
        agreement: AgreementId(digest(0xa1)),
        did: Did(digest(0xd1)),
        consumer: Address::repeat_byte(0xc1),
        algorithm: AlgorithmSpec {
            did: Some(Did(digest(0xa6))),
            image: "registry.test/algorithms/count".to_owned(),
            tag: Some("1".to_owned()),
            digest: format!("sha256:{}", "5".repeat(64)),
            entrypoint: "/bin/count $ALGO".to_owned(),
            code: Some("print(1)".into()),
            vetted: true,
        },
        inputs: vec![InputSpec {
            index: 0,
            url: "https://publisher.test/data?signature=secret".to_owned(),
            checksum: Some(format!("sha256:{}", "7".repeat(64))),
            content_type: None,
            secret: None,
        }],
        resources: Resources {
            cpu: "1".to_owned(),
            memory: "1Gi".to_owned(),
            disk: "2Gi".to_owned(),
            max_execution_seconds: 60,
        },
        allow_network: false,
        release: ReleaseRule {
            results: Release::Raw,
            logs: Release::Raw,
            review: false,
            result_bytes: 1 << 30,
            result_files: 1000,
            log_bytes: 1 << 20,
        },
        filter: None,
    };
    WorkflowPlan {
        job: "job-00112233445566778899aabbccddeeff".parse().unwrap(),
        spec,
        spec_digest: digest(0x5e),
        run_as: 12345,
        attempts_before: 0,
    }
}

/// Its workflow, as the cluster would give it back, started or not.
pub(crate) fn workflow(attempt: u32) -> ComputeWorkflow {
    let settings = Settings {
        results_secret: Some("results".to_owned()),
        ..Settings::new(
            "jobs".to_owned(),
            format!("registry.test/tidewatch@sha256:{}", "1".repeat(64)),
            "s3://results/prefix".to_owned(),
        )
    };
    let mut workflow = inert(&plan(), &settings);
    workflow.metadata.uid = Some("workflow-uid".to_owned());
    workflow.metadata.resource_version = Some("1".to_owned());
    workflow.metadata.generation = Some(i64::from(attempt) + 1);
    workflow.spec.attempt = attempt;
    workflow
}

/// The pod of a Job, as the cluster admits it when nobody interferes.
pub(super) fn admitted(job: &Job, uid: &str) -> Pod {
    let template = job.spec.as_ref().unwrap().template.clone();
    let mut metadata = template.metadata.unwrap();
    metadata.name = Some(uid.to_owned());
    metadata.uid = Some(uid.to_owned());
    metadata.creation_timestamp = Some(time(0));
    metadata.owner_references = Some(vec![OwnerReference {
        kind: "Job".to_owned(),
        uid: job.metadata.uid.clone().unwrap_or_default(),
        controller: Some(true),
        ..OwnerReference::default()
    }]);
    Pod {
        metadata,
        spec: template.spec,
        status: None,
    }
}

/// Seconds after the fixture's beginning.
pub(super) fn time(seconds: i64) -> Time {
    to_kubernetes(moment(seconds))
}

/// The same as our time.
pub(super) fn moment(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_000_000_000 + seconds, 0).unwrap()
}
