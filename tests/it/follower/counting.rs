//! The contracts' own counters say whether anything is missing, and holes are found by them.

use std::sync::atomic::Ordering;

use tidewatch::chain::Provider;
use tidewatch::keeper::Purchase;
use tidewatch::worker::{Chain as Sentence, Progress, Worker};

use super::liar::{self, Lies};
use super::verifying::verify;
use crate::judging::bench::{Bench, Rules, default_workflow, exhaust};
use crate::support::keeper::Chain;

/// Two purchases, far below the head; the first is over before block `.1`.
async fn bought(chain: &Chain) -> (Purchase, u64, Purchase) {
    let did = chain.asset().await;
    let first = chain.order(did);
    chain.buy(&first).await;
    chain.node.mine(30).await;
    let between = chain.node.head().await;
    let second = chain.order(did);
    chain.buy(&second).await;
    chain.node.mine(30).await;
    (first, between, second)
}

async fn checks(bench: &Bench) -> Vec<(String, i64, i64, i64, String, bool)> {
    sqlx::query_as(
        "SELECT DISTINCT ON (counter) counter, counted, before_start, recorded, comparison, agrees FROM tidewatch.counter_checks
         ORDER BY counter, block_number DESC",
    )
    .fetch_all(&bench.pool)
    .await
    .unwrap()
}

async fn cursors(bench: &Bench) -> (i64, i64, Option<String>) {
    sqlx::query_as("SELECT recorded_number, verified_number, unverified FROM ledger.cursors")
        .fetch_one(&bench.pool)
        .await
        .unwrap()
}

fn agreed(counter: &str, counted: i64) -> (String, i64, i64, i64, String, bool) {
    let exact = "exact".to_owned();
    (counter.to_owned(), counted, 0, counted, exact, true)
}

#[tokio::test]
async fn on_an_honest_chain_every_counter_equals_its_events() {
    let chain = Chain::start().await;
    bought(&chain).await;
    let mut bench = Bench::on(chain, Rules::default()).await;
    bench.follow().await;
    let node = Provider::new(bench.chain.node.url().as_str()).unwrap();
    verify(&mut bench.verifier(vec![node])).await;
    let (recorded, verified, unverified) = cursors(&bench).await;
    assert_eq!((verified, unverified), (recorded, None));
    let expected = [
        agreed("agreements", 2),
        agreed("conditions", 6),
        agreed("dids", 1),
    ];
    assert_eq!(checks(&bench).await, expected);
}

/// What may never roll back ends below the start: there is nothing yet that a counter could be compared with.
#[tokio::test]
async fn nothing_is_counted_before_the_start_is_irreversible() {
    let chain = Chain::start().await;
    bought(&chain).await;
    let start_block = chain.node.head().await - 2;
    let rules = Rules {
        start_block: Some(start_block),
        ..Rules::default()
    };
    let mut bench = Bench::on(chain, rules).await;
    bench.follow().await;
    let node = Provider::new(bench.chain.node.url().as_str()).unwrap();
    verify(&mut bench.verifier(vec![node.clone()])).await;
    assert!(checks(&bench).await.is_empty());

    bench.chain.node.mine(20).await;
    bench.follow().await;
    verify(&mut bench.verifier(vec![node])).await;
    let (recorded, verified, unverified) = cursors(&bench).await;
    assert_eq!((verified, unverified), (recorded, None));
    let counted: Vec<_> = checks(&bench).await;
    assert!(counted.iter().all(|check| check.5), "{counted:?}");
    assert!(!counted.is_empty());
}

#[tokio::test]
async fn a_hole_in_every_reading_is_found_by_the_counters_and_the_job_in_it_is_judged() {
    let chain = Chain::start().await;
    let (first, between, second) = bought(&chain).await;
    let lies = Lies::default();
    lies.logs_below.store(between, Ordering::SeqCst);
    let pruned = liar::before(chain.node.url(), "localhost", &lies).await;
    let mut bench = Bench::through(pruned.clone(), chain, Rules::default()).await;
    bench.offer(&[(second.did, &default_workflow())]);
    bench.follow().await;
    exhaust(&mut bench.judge()).await;
    assert!(bench.jobs(first.agreement).await.is_empty());

    let mut verifier = bench.verifier(vec![pruned]);
    let mut steps = 0;
    while verifier.tick().await.unwrap() == Progress::More {
        let (_, verified, _) = cursors(&bench).await;
        let missing: i64 = sqlx::query_scalar("SELECT count(*) FROM tidewatch.repairs")
            .fetch_one(&bench.pool)
            .await
            .unwrap();
        assert!(
            verified < i64::try_from(between).unwrap() || missing > 3,
            "verified up to {verified} before the hole was mended"
        );
        steps += 1;
        assert!(steps < 200);
    }
    let (recorded, verified, unverified) = cursors(&bench).await;
    assert_eq!((verified, unverified), (recorded, None));
    let expected = [
        agreed("agreements", 2),
        agreed("conditions", 6),
        agreed("dids", 1),
    ];
    assert_eq!(checks(&bench).await, expected);
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM ledger.logs WHERE canonical")
        .fetch_one(&bench.pool)
        .await
        .unwrap();
    assert_eq!(rows, truth(&bench).await);

    // What was mended lies below the judged block, and is judged all the same.
    exhaust(&mut bench.judge()).await;
    bench.resolve().await;
    assert_eq!(bench.job(first.agreement).await.status, "queued");
    assert_eq!(bench.job(second.agreement).await.status, "queued");
    let late: i64 = sqlx::query_scalar("SELECT count(*) FROM ledger.late_blocks")
        .fetch_one(&bench.pool)
        .await
        .unwrap();
    assert_eq!(late, 0);
}

#[tokio::test]
async fn a_hole_that_nobody_fills_holds_verification_with_a_sentence_until_somebody_does() {
    let chain = Chain::start().await;
    let (_, between, _) = bought(&chain).await;
    let lies = Lies::default();
    lies.logs_below.store(between, Ordering::SeqCst);
    lies.receipts.store(true, Ordering::SeqCst);
    lies.state_below.store(between + 5, Ordering::SeqCst);
    let pruned = liar::before(chain.node.url(), "localhost", &lies).await;
    let mut bench = Bench::through(pruned.clone(), chain, Rules::default()).await;
    bench.follow().await;
    let mut verifier = bench.verifier(vec![pruned.clone()]);
    let error = loop {
        match verifier.tick().await {
            Ok(Progress::More) => {}
            Ok(Progress::Idle) => panic!("the hole was not noticed"),
            Err(error) => break error,
        }
    };
    let sentence = Sentence(&error).to_string();
    assert!(
        sentence.contains("the contracts count 6 conditions"),
        "{sentence}"
    );
    assert!(sentence.contains("the ledger 3"), "{sentence}");
    assert!(
        sentence.contains("no provider has the state of block"),
        "{sentence}"
    );
    let (_, verified, unverified) = cursors(&bench).await;
    assert_eq!((verified, unverified), (0, Some(sentence)));

    let whole = Provider::new(bench.chain.node.url().as_str()).unwrap();
    verify(&mut bench.verifier(vec![pruned, whole])).await;
    let (recorded, verified, unverified) = cursors(&bench).await;
    assert_eq!((verified, unverified), (recorded, None));
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM ledger.logs WHERE canonical")
        .fetch_one(&bench.pool)
        .await
        .unwrap();
    assert_eq!(rows, truth(&bench).await);
}

/// How many logs the chain holds of the followed contracts.
async fn truth(bench: &Bench) -> i64 {
    let start = format!("{:#x}", bench.chain.deployment.start_block);
    let filter = serde_json::json!([{"fromBlock": start, "toBlock": "latest", "address": bench.chain.deployment.addresses()}]);
    let logs = bench.chain.node.request("eth_getLogs", filter).await;
    i64::try_from(logs.as_array().unwrap().len()).unwrap()
}
