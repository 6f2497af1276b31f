//! The clients of the services before us, from their registries and unchanged: they ask for a job by their own code.

use std::path::Path;

use serde_json::{Value, json};
use tokio::process::Command;

use super::rows;
use super::service::Service;

const POLL: &str = "tests/equipment/old-clients/poll";

/// What a client made of the answers about job 1.
async fn polled(client: &str, service: &Service) -> Value {
    let poll = Path::new(env!("CARGO_MANIFEST_DIR")).join(POLL);
    let output = Command::new(poll)
        .args([client, service.origin()])
        .args([rows::hash(0xa, 1).to_string(), rows::name(1).to_string()])
        .arg("0xABABABABABABABABABABABABABABABABABABABAB")
        .output()
        .await
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    // What stands before the last line is the client's own log.
    let said = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(said.lines().next_back().unwrap()).unwrap()
}

#[tokio::test]
async fn squid_js_polls_a_job_by_its_own_code_and_is_refused_what_is_done_on_chain() {
    let (service, mut connection) = Service::start().await;
    rows::job(&mut connection, 1).await;
    let told = polled("javascript", &service).await;
    for way in ["byJob", "byAgreement", "byConsumer"] {
        let jobs = told[way].as_array().unwrap();
        assert_eq!(jobs.len(), 1, "{way}: {told:#}");
        assert_eq!(jobs[0]["jobId"], json!(rows::name(1)), "{way}");
        assert_eq!(jobs[0]["status"], 1, "{way}");
        assert_eq!(jobs[0]["statusText"], "Warming up", "{way}");
    }
    for change in ["started", "stopped", "deleted"] {
        assert_eq!(told[change], 405, "{change}");
    }
}

#[tokio::test]
async fn squid_py_polls_a_job_by_its_own_code_and_is_refused_what_is_done_on_chain() {
    let (service, mut connection) = Service::start().await;
    rows::job(&mut connection, 1).await;
    let told = polled("python", &service).await;
    let status = json!({"ok": true, "status": 1, "statusText": "Warming up"});
    assert_eq!(told["byJob"], status);
    assert_eq!(told["byAgreement"], status);
    assert_eq!(told["result"]["urls"], json!([]));
    let log = format!("/v1/jobs/{}/logs?stage=algorithm", rows::name(1));
    assert_eq!(told["result"]["logs"], log);
    for change in ["started", "stopped", "deleted"] {
        assert_eq!(told[change], "done_on_chain", "{change}");
    }
}
