//! The served description against the service that serves it: whatever it allows is answered as it says, whatever it forbids is
//! refused.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use tempfile::tempdir;
use tidewatch::api::Settings;
use tokio::process::Command;

use super::disk::Disk;
use super::node::Node;
use super::service::{Endpoint, TOKEN};
use crate::judging::bench::{Bench, default_workflow};

const SCHEMATHESIS: &str = "tests/equipment/schemathesis";
const SETTINGS: &str = "tests/equipment/schemathesis.toml";

/// The same requests every time: what is found can be found again. Seconds and counts keep it under a minute.
const BOUNDS: [&str; 9] = [
    "--seed=1",
    "--max-time=30",
    "--max-examples=25",
    "--checks=all",
    "--workers=1",
    "--request-timeout=20",
    "--continue-on-failure",
    "--no-color",
    "--suppress-health-check=all",
];

#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_nothing_with_all_its_checks() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut bench = Bench::start().await;
    let chain = Arc::clone(&bench.chain);
    let did = chain.asset().await;
    bench.offer(&[(did, &default_workflow())]);
    let bought = chain.order(did);
    chain.buy(&bought).await;
    // Not offered, so its job is over at once, and whoever follows its log is not kept waiting.
    chain.buy(&chain.order(chain.asset().await)).await;
    bench.settle().await;
    // With everything that an API may be given, so that nothing is answered by saying that it was not.
    let given = Settings {
        calls: Some(Arc::new(Node::of(&chain))),
        files: Some(Arc::new(Disk::new())),
        ..Settings::default()
    };
    let api = Endpoint::beside(&bench, given).await;
    let [queued, over] = [job(&api, "queued").await, job(&api, "finished").await];
    let known = [
        ("/v1/jobs/{id}", "id", queued.clone()),
        ("/v1/jobs/{id}/transitions", "id", queued),
        ("/v1/jobs/{id}/logs", "id", over),
        ("/v1/agreements/{id}", "id", bought.agreement.to_string()),
        ("/v1/assets/{did}", "did", did.to_string()),
    ];
    let known = known.map(|(path, name, value)| {
        format!(
            "\n[[operations]]\ninclude-path = \"{path}\"\nparameters = {{ {name} = \"{value}\" }}\n"
        )
    });
    let directory = tempdir().unwrap();
    let settings = fs::read_to_string(root.join(SETTINGS)).unwrap() + &known.concat();
    fs::write(directory.path().join("schemathesis.toml"), settings).unwrap();
    let output = Command::new(root.join(SCHEMATHESIS))
        .args(["run", &format!("{}/openapi.json", api.origin())])
        .args(BOUNDS)
        .args(["--header", &format!("Authorization: Bearer {TOKEN}")])
        .current_dir(directory.path())
        .output()
        .await
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}\n{failed}");
}

/// The id of a job in that phase.
async fn job(api: &Endpoint, phase: &str) -> String {
    let page = api.json(&format!("/v1/jobs?phase={phase}")).await;
    page["jobs"][0]["id"].as_str().unwrap().to_owned()
}
