//! The whole line on real parts: a purchase on the real contracts becomes a pod in a real Kubernetes, and its log is read over
//! HTTP. Nobody but consumer and provider sends transactions, nothing is called by hand.

use std::cell::RefCell;
use std::time::Duration;

use alloy::primitives::U256;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::eventually;
use crate::support::world::{PRICE, World, register_asset, workflow};

/// Prints to both streams, and computes a sum from the publisher's file.
const SUM: &str = "echo reading $INPUTS; echo a warning >&2; printf 'no line end \\000\\377'; \
    awk -F, 'NR > 1 {sum += $2} END {print sum}' $INPUTS/*/0 > $OUTPUTS/sum; sleep 2";

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_becomes_a_result() {
    let world = World::start().await;
    let service = world.service("service").await;
    let purchase = world.buy(Some(&workflow(world.did, SUM))).await;
    let agreement = purchase.agreement;

    let codes = RefCell::new(Vec::new());
    let job = world
        .job_when(&service, agreement, |job| {
            let code = job["oep12"]["status"].as_u64().unwrap();
            let mut codes = codes.borrow_mut();
            if codes.last() != Some(&code) {
                codes.push(code);
            }
            job["phase"] == "finished"
        })
        .await;
    assert_eq!(job["outcome"], "succeeded", "{job:#}");
    let codes = codes.into_inner();
    assert_eq!(codes.last(), Some(&70));
    assert!(
        codes.is_sorted() && codes.contains(&40),
        "codes only grow: {codes:?}"
    );

    let id = job["id"].as_str().unwrap();
    let log = world
        .get(&service, &format!("/v1/jobs/{id}/logs"))
        .await
        .bytes()
        .await
        .unwrap();
    let mut printed = [
        &b"reading /data/inputs\n"[..],
        b"a warning\n",
        b"no line end \0\xff",
    ];
    assert_eq!(
        log.len(),
        printed.iter().map(|part| part.len()).sum::<usize>(),
        "{log:?}"
    );
    // the two streams arrive in any order, each whole
    let at = |part: &&[u8]| log.windows(part.len()).position(|window| window == *part);
    printed.sort_by_key(at);
    assert_eq!(log, printed.concat());

    let manifest = world.result(&format!("{id}/1/manifest.json")).await;
    let parsed: Value = serde_json::from_slice(&manifest).unwrap();
    let sum = world.result(&format!("{id}/1/outputs/sum")).await;
    assert_eq!(sum, "100\n");
    let digest = format!("0x{}", alloy::hex::encode(Sha256::digest(&sum)));
    assert_eq!(parsed["files"][0]["path"], "sum");
    assert_eq!(parsed["files"][0]["sha256"], digest);
    let recorded = world.manifest_sha256(id).await;
    assert_eq!(recorded, Sha256::digest(&manifest).to_vec());

    // The API hands out the same, from the same store.
    let results = format!("/v1/jobs/{id}/results");
    let listed: Value = world.get(&service, &results).await.json().await.unwrap();
    assert_eq!(listed["files"][0]["sha256"], digest);
    let address = listed["files"][0]["url"].as_str().unwrap();
    let handed = world.get(&service, address).await;
    assert_eq!(handed.bytes().await.unwrap(), sum);

    let shown = world.kubectl(&["get", "cw", id]).await;
    assert!(shown.contains("finished"), "{shown}");
    world
        .kubectl(&["delete", "cw", id, "--wait=true", "--timeout=60s"])
        .await;
    eventually(
        "nothing of the job is left in the cluster",
        Duration::from_secs(120),
        || async {
            let left = world
                .kubectl(&["get", "cw,jobs,pods,pvc", "-o", "name"])
                .await;
            left.trim().is_empty().then_some(())
        },
    )
    .await;
    assert_eq!(world.starts.pods().len(), 1);
    assert!(!service.log().contains("ERROR"), "{}", service.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_algorithm_that_fails_is_told_as_failed_and_its_log_is_kept() {
    let world = World::start().await;
    let service = world.service("service").await;
    let document = workflow(world.did, "echo this will not do; exit 7");
    let purchase = world.buy(Some(&document)).await;
    let job = world.finished(&service, purchase.agreement).await;
    assert_eq!(
        (&job["outcome"], &job["reason"]["code"]),
        (&"failed".into(), &"algorithm_failed".into())
    );
    assert_eq!(job["oep12"]["status"], 41);
    let id = job["id"].as_str().unwrap();
    let whole: Value = world
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
    assert_eq!(algorithm["exitCode"], 7, "{whole:#}");
    let public: Value = reqwest::get(format!("{}/v1/jobs/{id}", service.api))
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert!(
        !public.to_string().contains("exitCode"),
        "exit codes are for the parties: {public:#}"
    );
    let log = world
        .get(&service, &format!("/v1/jobs/{id}/logs"))
        .await
        .text()
        .await
        .unwrap();
    assert_eq!(log, "this will not do\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unpaid_agreement_waits_for_its_payment_and_then_runs() {
    let world = World::start().await;
    let service = world.service("service").await;
    let purchase = world.order(world.did, None).await;
    world.answer(&purchase).await;
    let waiting = world
        .job_when(&service, purchase.agreement, |job| {
            job["phase"] == "awaiting_payment"
        })
        .await;
    world.chain.node.mine(5).await;
    assert_eq!(waiting["oep12"]["status"], 1);
    assert_eq!(world.kubectl(&["get", "cw,pods", "-o", "name"]).await, "");

    world.pay(&purchase).await;
    let job = world.finished(&service, purchase.agreement).await;
    assert_eq!(job["outcome"], "succeeded", "{job:#}");
    // nobody registered a workflow for this agreement, so the catalog's ran
    let id = job["id"].as_str().unwrap();
    assert_eq!(world.result(&format!("{id}/1/outputs/lines")).await, "4\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asset_of_somebody_else_starts_nothing() {
    let world = World::start().await;
    let service = world.service("service").await;
    let other = register_asset(&world.chain).await;
    let purchase = world.order(other, None).await;
    world.pay(&purchase).await;
    world.answer(&purchase).await;
    let job = world.finished(&service, purchase.agreement).await;
    assert_eq!(
        (&job["outcome"], &job["reason"]["code"]),
        (&"skipped".into(), &"not_our_asset".into())
    );
    assert_eq!(world.kubectl(&["get", "cw,pods", "-o", "name"]).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_that_a_reorganisation_removes_leaves_a_tombstone_and_no_workflow() {
    let mut world = World::start().await;
    world.set("TIDEWATCH_ACT_AT", "4");
    world.set("TIDEWATCH_IRREVERSIBLE_AT", "20");
    let service = world.service("service").await;
    world.chain.node.mine(25).await;
    let before = world.chain.node.head().await;
    let purchase = world.buy(None).await;
    let blocks = world.chain.node.head().await - before;
    eventually("the job is known", Duration::from_secs(120), || async {
        world.jobs(&service, purchase.agreement).await.pop()
    })
    .await;
    world.chain.node.reorganise(blocks).await;
    let gone = eventually(
        "the job's block is no longer canonical",
        Duration::from_secs(120),
        || async {
            let job = world.jobs(&service, purchase.agreement).await.pop()?;
            (job["block"]["canonical"] == false).then_some(job)
        },
    )
    .await;
    let withdrawn = world.finished(&service, purchase.agreement).await;
    assert_eq!(withdrawn["outcome"], "withdrawn", "{withdrawn:#}");
    assert_eq!(withdrawn["id"], gone["id"]);
    assert_eq!(world.kubectl(&["get", "cw,pods", "-o", "name"]).await, "");
    assert!(
        world.tombstones().await > 0,
        "orphaned logs stay as tombstones"
    );
}

/// With `latest` work starts on a block that may still go: then it goes on, whatever becomes of the block, until the chain has decided.
#[tokio::test(flavor = "multi_thread")]
async fn a_running_job_whose_event_moves_returns_and_goes_for_good_is_one_job_and_withdrawn_at_the_end()
 {
    const DEPTH: u64 = 30;
    let mut world = World::start().await;
    world.set("TIDEWATCH_ACT_AT", "latest");
    world.set("TIDEWATCH_IRREVERSIBLE_AT", &DEPTH.to_string());
    let service = world.service("service").await;
    let node = &world.chain.node;
    node.mine(DEPTH + 5).await;
    let slow = workflow(world.did, "echo begun; touch $OUTPUTS/half; sleep 90");
    let purchase = world.order(world.did, Some(&slow)).await;
    world.pay(&purchase).await;
    let answer = world.answer(&purchase).await;
    let raw = node.raw(answer).await;
    let agreement = purchase.agreement;
    let running = world
        .job_after(0, &service, agreement, |job| job["phase"] == "running")
        .await;
    let first = running["block"]["hash"].clone();
    let is_on =
        |on: bool| move |job: &Value| job["phase"] == "running" && job["block"]["canonical"] == on;

    // the same transaction in another block
    node.mine(1).await;
    node.reorganise_with(2, json!([[raw, 1]])).await;
    let moved = world
        .job_after(0, &service, agreement, |job| {
            is_on(true)(job) && job["block"]["hash"] != first
        })
        .await;
    // gone, and back
    node.reorganise(1).await;
    world.job_after(0, &service, agreement, is_on(false)).await;
    eventually("the engine was told", Duration::from_secs(120), || async {
        let path = "jsonpath={.items[*].spec.holdPublishing}";
        let told = world.kubectl(&["get", "cw", "-o", path]).await;
        (told == "true").then_some(())
    })
    .await;
    node.request("eth_sendRawTransaction", json!([raw])).await;
    let back = world.job_after(0, &service, agreement, is_on(true)).await;
    // gone for good
    node.reorganise(node.head().await - height(&back) + 1).await;
    world.job_after(0, &service, agreement, is_on(false)).await;
    node.mine(DEPTH + 5).await;
    let gone = world.finished(&service, agreement).await;
    assert_eq!(
        (&gone["outcome"], &gone["reason"]["code"]),
        (&"withdrawn".into(), &"event_withdrawn".into()),
        "{gone:#}"
    );
    for seen in [&running, &moved, &back] {
        assert_eq!(seen["id"], gone["id"]);
    }
    assert_eq!(world.starts.pods().len(), 1, "one algorithm pod");
    let id = gone["id"].as_str().unwrap();
    let log = world.get(&service, &format!("/v1/jobs/{id}/logs")).await;
    assert_eq!(log.text().await.unwrap(), "begun\n");
    let results: i64 = sqlx::query_scalar("SELECT count(*) FROM ledger.results")
        .fetch_one(&world.database.pool)
        .await
        .unwrap();
    assert_eq!(results, 0);
    let manifest: Value =
        serde_json::from_slice(&world.result(&format!("{id}/1/manifest.json")).await).unwrap();
    assert_eq!(
        manifest["files"],
        json!([]),
        "nothing but the log is stored"
    );
    let sync: Value = world.get(&service, "/v1/sync").await.json().await.unwrap();
    assert_eq!(sync["halt"], Value::Null);
}

fn height(job: &Value) -> u64 {
    job["block"]["number"].as_u64().unwrap()
}

/// The whole story with nobody but the consumer sending transactions: four of them, then job, result, released escrow.
#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_who_only_sends_transactions_gets_a_result_and_the_publisher_the_money() {
    let mut world = World::start().await;
    world.employ_agent().await;
    let service = world.service("service").await;
    let (publisher, consumer) = (&world.chain.provider, &world.chain.consumer);
    let before = world.tokens(publisher.address()).await;
    let had = world.tokens(consumer.address()).await;

    let purchase = world
        .order(world.did, Some(&workflow(world.did, SUM)))
        .await;
    world.pay(&purchase).await;
    let job = world.finished(&service, purchase.agreement).await;
    assert_eq!(job["outcome"], "succeeded", "{job:#}");
    let id = job["id"].as_str().unwrap();
    assert_eq!(world.result(&format!("{id}/1/outputs/sum")).await, "100\n");

    for kind in ["approve", "release"] {
        eventually(
            &format!("the agent is done with {kind}"),
            Duration::from_secs(120),
            || async {
                world.chain.node.mine(1).await;
                let act = world.act(kind, purchase.agreement).await?;
                (act == "done agent").then_some(())
            },
        )
        .await;
    }
    let price = U256::from(PRICE);
    assert_eq!(world.tokens(publisher.address()).await - before, price);
    assert_eq!(had - world.tokens(consumer.address()).await, price);
    assert_eq!(world.starts.pods().len(), 1);
    assert!(!service.log().contains("ERROR"), "{}", service.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_who_asks_for_what_is_not_allowed_is_declined_before_the_money_moves() {
    let mut world = World::start().await;
    world.employ_agent().await;
    let service = world.service("service").await;
    let mut document = workflow(world.did, SUM);
    let stage = &mut document["main"]["workflow"]["stages"][0];
    stage["requirements"]["memory"] = "64Gi".into();
    let purchase = world.order(world.did, Some(&document)).await;
    world.pay(&purchase).await;
    eventually("the agent declined", Duration::from_secs(120), || async {
        world.chain.node.mine(1).await;
        let act = world.act("approve", purchase.agreement).await?;
        (act == "declined resources_exceeded").then_some(())
    })
    .await;
    assert_eq!(
        world.jobs(&service, purchase.agreement).await,
        [] as [Value; 0]
    );

    // a thousand blocks later anybody may abort, and the consumer has the money again
    let had = world.tokens(world.chain.consumer.address()).await;
    world.chain.node.mine(1001).await;
    for call in [purchase.abort_compute(), purchase.release()] {
        world.chain.stranger.send(call).await.unwrap();
    }
    let has = world.tokens(world.chain.consumer.address()).await;
    assert_eq!(has - had, U256::from(PRICE));
}
