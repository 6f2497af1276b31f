//! Providers that are away, or can do little.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tidewatch::chain::{Provider, Providers};
use tidewatch::follower::{Follower, Following};
use tidewatch::worker::{self, Chain as Sentence, Pace, Wake};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::gate::Gate;
use super::{Bench, LOGS, PATIENCE, settle};
use crate::support::anvil::Node;
use crate::support::eventually;

#[tokio::test]
async fn without_the_node_the_follower_stands_still_and_goes_on_when_it_is_back() {
    let bench = Bench::start().await;
    bench.echo(0..10).await;
    let gate = Gate::before(bench.node.url().clone()).await;
    let provider = Providers::new([gate.url.as_str()]).unwrap();
    let follower = Follower::new(bench.database.ledger.clone(), provider, bench.following());
    let stop = CancellationToken::new();
    let pace = Pace {
        interval: Duration::from_millis(10),
        first_retry: Duration::from_millis(10),
        longest_retry: Duration::from_millis(50),
    };
    let run = tokio::spawn(worker::run(follower, pace, Wake::default(), stop.clone()));
    eventually("ten blocks are recorded", PATIENCE, async || {
        (bench.rows(true).await.len() == 10 * LOGS).then_some(())
    })
    .await;

    gate.close();
    eventually("a question meets the shut gate", PATIENCE, async || {
        gate.refused.load(Ordering::SeqCst).then_some(())
    })
    .await;
    bench.echo(10..20).await;
    assert_eq!(bench.rows(true).await.len(), 10 * LOGS);
    assert!(!run.is_finished());
    gate.open();
    let truth = bench.truth().await;
    eventually("every row is recorded", PATIENCE, async || {
        (bench.rows(true).await == truth).then_some(())
    })
    .await;
    stop.cancel();
    run.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_node_that_is_swapped_for_another_chain_ends_the_process_and_is_followed_again_once_it_is_back()
 {
    let bench = Bench::start().await;
    bench.echo(0..30).await;
    let gate = Gate::before(bench.node.url().clone()).await;
    let follow = |stop: &CancellationToken| {
        let provider = Provider::new(&gate.url).unwrap();
        let ledger = bench.database.ledger.clone();
        let follower = Follower::new(ledger, provider, bench.following());
        let pace = Pace::every(Duration::from_millis(10));
        tokio::spawn(worker::run(follower, pace, Wake::default(), stop.clone()))
    };
    let stop = CancellationToken::new();
    let run = follow(&stop);
    let truth = bench.truth().await;
    eventually("every row is recorded", PATIENCE, async || {
        (bench.rows(true).await == truth).then_some(())
    })
    .await;

    // Another chain under the same id, with the same contract at the same address, and longer.
    let other = Bench::start().await;
    assert_eq!(other.contract, bench.contract);
    other.echo(100..150).await;
    gate.lead_to(other.node.url());
    let ended = run.await.unwrap().unwrap_err();
    let sentence = Sentence(&ended).to_string();
    assert!(sentence.contains("chain 8996 is not the one"), "{sentence}");
    assert_eq!(bench.rows(true).await, truth);
    assert_eq!(bench.rows(false).await, []);

    gate.lead_to(bench.node.url());
    bench.echo(30..35).await;
    let run = follow(&stop);
    let truth = bench.truth().await;
    eventually("every row is recorded", PATIENCE, async || {
        (bench.rows(true).await == truth).then_some(())
    })
    .await;
    stop.cancel();
    run.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_node_that_was_restarted_and_lost_its_last_blocks_is_followed_on_the_blocks_it_made_anew()
{
    let mut bench = Bench::start().await;
    bench.echo(0..20).await;
    let gate = Gate::before(bench.node.url().clone()).await;
    let provider = Provider::new(&gate.url).unwrap();
    let follower = Follower::new(bench.database.ledger.clone(), provider, bench.following());
    let stop = CancellationToken::new();
    let pace = Pace::every(Duration::from_millis(10));
    let run = tokio::spawn(worker::run(follower, pace, Wake::default(), stop.clone()));
    let caught_up = async |bench: &Bench| {
        let truth = bench.truth().await;
        eventually("every row is recorded", PATIENCE, async || {
            (bench.rows(true).await == truth).then_some(truth.clone())
        })
        .await
    };
    let on_disk = bench.node.request("anvil_dumpState", json!([true])).await;
    let kept = caught_up(&bench).await;
    bench.echo(20..23).await;
    let lost = caught_up(&bench).await.split_off(kept.len());

    gate.close();
    // The old process ends with its last handle.
    bench.node = Arc::new(Node::start().await);
    bench
        .node
        .request("anvil_loadState", json!([on_disk]))
        .await;
    assert_eq!(
        bench.truth().await,
        kept,
        "anvil came back with another chain"
    );
    bench.echo(30..35).await;
    gate.lead_to(bench.node.url());
    gate.open();
    let rows = caught_up(&bench).await;
    assert_eq!(rows[..kept.len()], kept);
    assert_eq!(rows.len(), 25 * LOGS);
    assert_eq!(bench.rows(false).await, lost);
    stop.cancel();
    run.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_provider_of_few_abilities_is_followed_by_depth_narrow_ranges_and_single_reads() {
    let bench = Bench::start().await;
    bench.echo(0..20).await;
    bench.node.mine(70).await;
    bench.echo(20..25).await;
    let provider =
        Providers::new([old_and_small(bench.node.url().clone()).await.as_str()]).unwrap();
    let following = Following {
        irreversible_at: None,
        ..bench.following()
    };
    let mut follower = Follower::new(bench.database.ledger.clone(), provider, following);
    let deployment = follower.open().await.unwrap();
    settle(&mut follower).await.unwrap();
    assert_eq!(bench.rows(true).await, bench.truth().await);
    let cursor = bench.cursor(deployment).await;
    assert_eq!(cursor.position.recorded.number, bench.node.head().await);
    assert_eq!(cursor.irreversible.unwrap().number, 96 - 64);
    assert_eq!(cursor.act, Some(96));
    let rule: String = sqlx::query_scalar("SELECT irreversible_at FROM ledger.deployments")
        .fetch_one(&bench.database.pool)
        .await
        .unwrap();
    assert_eq!(rule, "64");
    let proofs: Vec<(String, i64)> =
        sqlx::query_as("SELECT proof, count(*) FROM ledger.blocks GROUP BY proof")
            .fetch_all(&bench.database.pool)
            .await
            .unwrap();
    // Blocks 33 to 96 by hash; block 0, which the first links to, and the twenty that hold logs by ranges. There is nobody else to
    // ask, and no time has passed.
    let expected = [("single_read".to_owned(), 85)];
    assert_eq!(BTreeMap::from_iter(proofs), BTreeMap::from_iter(expected));
}

/// A provider in front of a node that knows neither the tag `finalized` nor receipts of a block, and refuses ranges of more than
/// seven blocks with the code that others use for a rate limit. Answers its URL.
async fn old_and_small(node: url::Url) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let app = Router::new().route("/", post(forward)).with_state(node);
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

async fn forward(State(node): State<url::Url>, Json(asked): Json<Value>) -> Json<Value> {
    let Value::Array(batch) = asked else {
        return Json(answer(&node, asked).await);
    };
    let mut answers = Vec::new();
    for one in batch {
        answers.push(answer(&node, one).await);
    }
    Json(answers.into())
}

async fn answer(node: &url::Url, asked: Value) -> Value {
    let number = |value: &Value| {
        let digits = value.as_str().and_then(|text| text.strip_prefix("0x"))?;
        u64::from_str_radix(digits, 16).ok()
    };
    let filter = &asked["params"][0];
    let width = number(&filter["toBlock"])
        .zip(number(&filter["fromBlock"]))
        .map_or(1, |(to, from)| to - from + 1);
    let code = match asked["method"].as_str() {
        Some("eth_getBlockReceipts") => -32601,
        Some("eth_getBlockByNumber") if asked["params"][0] == "finalized" => -32602,
        Some("eth_getLogs") if width > 7 => -32005,
        _ => {
            let client = reqwest::Client::new();
            let answer = client.post(node.clone()).json(&asked).send().await.unwrap();
            return answer.json().await.unwrap();
        }
    };
    let error = json!({"code": code, "message": "not here"});
    json!({"jsonrpc": "2.0", "id": asked["id"], "error": error})
}
