//! A job's specification, as small as one can be. The benchmarks include this file too.

use alloy::primitives::{Address, B256};
use tidewatch::ids::{AgreementId, Did};
use tidewatch::workflows::{AlgorithmSpec, JobSpec, Release, ReleaseRule, Resources};

/// A job of an agreement that runs a command line in an image, without inputs, and whose results and log go out as they are.
pub(crate) fn spec(agreement: B256, (image, digest): (&str, &str), entrypoint: &str) -> JobSpec {
    JobSpec {
        version: 1,
        agreement: AgreementId(agreement),
        did: Did(B256::repeat_byte(0xd1)),
        consumer: Address::repeat_byte(0xc1),
        algorithm: AlgorithmSpec {
            did: None,
            image: image.to_owned(),
            tag: None,
            digest: digest.to_owned(),
            entrypoint: entrypoint.to_owned(),
            code: None,
            vetted: true,
        },
        inputs: Vec::new(),
        resources: Resources {
            cpu: "100m".to_owned(),
            memory: "64Mi".to_owned(),
            disk: "32Mi".to_owned(),
            max_execution_seconds: 60,
        },
        allow_network: false,
        release: ReleaseRule {
            results: Release::Raw,
            logs: Release::Raw,
            review: false,
            result_bytes: 1 << 20,
            result_files: 10,
            log_bytes: 1 << 20,
        },
        filter: None,
    }
}
