//! A purchase on the real contracts becomes a result with neither a cluster nor an object store, whatever is killed on the way.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::place::Place;
use crate::support::eventually;
use crate::support::service::TIDEWATCH;

const SUM: &str = "echo reading; awk -F, 'NR > 1 {s += $2} END {print s}' $INPUTS/*/0 > $OUTPUTS/sum; printf 'no line end \\000\\377'";

const SLOW: &str = "echo x >> $OUTPUTS/starts; for i in 1 2 3 4; do echo step $i; sleep 1; done";

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_becomes_a_result_and_everybody_is_told_that_there_is_no_wall() {
    let place = Place::start().await;
    let service = place.service("service").await;
    let purchase = place.buy(SUM).await;
    let job = place.finished(&service, &purchase).await;
    assert_eq!(job["outcome"], "succeeded", "{job:#}");
    let id = job["id"].as_str().unwrap();

    let log = place.get(&service, &format!("/v1/jobs/{id}/logs")).await;
    assert_eq!(
        log.bytes().await.unwrap(),
        &b"reading\nno line end \0\xff"[..]
    );
    let stored = |key: &str| std::fs::read(place.path(&format!("results/{id}/1/{key}"))).unwrap();
    let manifest = stored("manifest.json");
    let parsed: Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(stored("outputs/sum"), b"42\n");
    let digest = format!("0x{}", alloy::hex::encode(Sha256::digest("42\n")));
    assert_eq!(parsed["files"][0]["sha256"], digest);
    let recorded: Vec<u8> = sqlx::query_scalar("SELECT manifest_sha256 FROM ledger.results")
        .fetch_one(&place.database.pool)
        .await
        .unwrap();
    assert_eq!(recorded, Sha256::digest(&manifest).to_vec());

    let whole: Value = place
        .get(&service, &format!("/v1/jobs/{id}"))
        .await
        .json()
        .await
        .unwrap();
    let stages = whole["attempts"][0]["stages"].as_array().unwrap();
    let algorithm = stages
        .iter()
        .find(|stage| stage["stage"] == "algorithm")
        .unwrap();
    assert_eq!(algorithm["isolation"], "unproven", "{whole:#}");
    assert_eq!(algorithm["exitCode"], 0);
    assert!(
        algorithm["runner"]
            .as_str()
            .unwrap()
            .starts_with("process ")
    );
    assert_eq!(whole["workflow"]["digest"], "none", "no image was run");
    let sync: Value = place.get(&service, "/v1/sync").await.json().await.unwrap();
    assert_eq!(sync["isolation"]["state"], "unproven");
    assert!(
        sync["warning"].as_str().unwrap().contains("no wall"),
        "{sync:#}"
    );
    assert!(service.log().contains("the process engine is no wall"));
    assert!(!service.log().contains("ERROR"), "{}", service.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_the_algorithm_runs_the_next_service_finds_it_again() {
    let place = Place::start().await;
    let mut first = place.service("first").await;
    let purchase = place.buy(SLOW).await;
    let printing = |job: &Value| job["phase"] == "running";
    let job = place
        .job_when(&first, &purchase, "the job runs", printing)
        .await;
    let id = job["id"].as_str().unwrap().to_owned();
    eventually("it was started", Duration::from_secs(60), || async {
        (!place.starts(&id).is_empty()).then_some(())
    })
    .await;
    first.kill();
    let second = place.service("second").await;
    let job = place.finished(&second, &purchase).await;
    assert_eq!(job["outcome"], "succeeded", "{job:#}");
    assert_eq!(place.starts(&id), "x\n");
    let log = place.get(&second, &format!("/v1/jobs/{id}/logs")).await;
    let expected: String = (1..=4).map(|step| format!("step {step}\n")).collect();
    assert_eq!(log.text().await.unwrap(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_stopped_by_an_operator_and_its_log_kept() {
    let place = Place::start().await;
    let service = place.service("service").await;
    let purchase = place.buy("echo begun; sleep 300").await;
    let running = |job: &Value| job["phase"] == "running";
    let job = place
        .job_when(&service, &purchase, "the job runs", running)
        .await;
    let id = job["id"].as_str().unwrap();
    let variables = place.variables().iter().cloned();
    let stopped = Command::new(TIDEWATCH)
        .args(["jobs", "stop", id, "--reason", "a test"])
        .env_clear()
        .envs(variables)
        .current_dir("/")
        .output()
        .unwrap();
    assert!(
        stopped.status.success(),
        "{}",
        String::from_utf8_lossy(&stopped.stderr)
    );
    let job = place.finished(&service, &purchase).await;
    assert_eq!(job["outcome"], "stopped", "{job:#}");
    let log = place.get(&service, &format!("/v1/jobs/{id}/logs")).await;
    assert_eq!(log.text().await.unwrap(), "begun\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_that_it_is_no_wall() {
    let place = Place::start().await;
    let checked = Command::new(TIDEWATCH)
        .arg("check")
        .env_clear()
        .envs(place.variables().iter().cloned())
        .current_dir("/")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(
        said.contains("ok     engine: the process engine is no wall"),
        "{said}"
    );
    assert!(!said.contains("cluster:"), "{said}");
}
