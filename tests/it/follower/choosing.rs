//! Several providers: who is asked, and who is passed over.

use std::time::Duration;

use alloy::primitives::B256;
use serde_json::json;
use tidewatch::chain::{Provider, Providers};
use tidewatch::follower::{Follower, Following};
use tidewatch::worker::{self, Pace, Wake};
use tokio_util::sync::CancellationToken;

use super::misbehaving::{Reaction, Service, asks, number, width};
use super::{Bench, PATIENCE, settle};
use crate::support::anvil::Node;
use crate::support::eventually;

fn providers(urls: &[&str]) -> Providers {
    Providers::new(urls.iter().copied()).unwrap()
}

async fn follow(bench: &Bench, providers: &Providers) {
    let mut follower = Follower::new(
        bench.database.ledger.clone(),
        providers.clone(),
        bench.following(),
    );
    settle(&mut follower).await.unwrap();
    assert_eq!(bench.rows(true).await, bench.truth().await);
}

#[tokio::test]
async fn one_that_is_away_one_on_another_chain_and_one_that_refuses_stop_nothing() {
    let bench = Bench::start().await;
    bench.echo(0..30).await;
    // Until the ledger knows its chain, every chain with the id would do.
    follow(&bench, &providers(&[bench.node.url().as_str()])).await;
    bench.echo(30..40).await;
    bench.node.mine(30).await;
    let service = Service::before(bench.node.url()).await;
    service.refuse(|calls| (width(calls) > 0).then_some(Reaction::Status(503, None, "")));
    let stranger = Node::start().await;
    stranger.mine(100).await;
    let urls = [
        "http://127.0.0.1:1/",
        stranger.url().as_str(),
        service.url.as_str(),
        bench.node.url().as_str(),
    ];
    let pool = providers(&urls);
    let follower = Follower::new(
        bench.database.ledger.clone(),
        pool.clone(),
        bench.following(),
    );
    let stop = CancellationToken::new();
    let pace = Pace::every(Duration::from_millis(10));
    let run = tokio::spawn(worker::run(follower, pace, Wake::default(), stop.clone()));
    let truth = bench.truth().await;
    eventually("every row is recorded", PATIENCE, async || {
        (bench.rows(true).await == truth).then_some(())
    })
    .await;
    stop.cancel();
    run.await.unwrap().unwrap();
    let sick: Vec<_> = pool
        .status()
        .into_iter()
        .map(|status| status.sick)
        .collect();
    assert!(!sick[3] && sick[1], "{sick:?}");
}

#[tokio::test]
async fn one_whose_head_is_below_the_irreversible_block_is_sick_and_no_reason_to_halt() {
    let bench = Bench::start().await;
    bench.echo(0..30).await;
    let service = Service::before(bench.node.url()).await;
    let pool = providers(&[service.url.as_str(), bench.node.url().as_str()]);
    let mut follower = Follower::new(
        bench.database.ledger.clone(),
        pool.clone(),
        bench.following(),
    );
    let deployment = follower.open().await.unwrap();
    settle(&mut follower).await.unwrap();

    // The first provider loses all but three blocks.
    let third = bench
        .node
        .request("eth_getBlockByNumber", json!(["0x3", false]))
        .await;
    service.alter(move |call, answer| {
        let at = &call["params"][0];
        if call["method"] == "eth_getBlockByNumber" && at == "latest" {
            answer["result"] = third.clone();
        } else if number(at).is_some_and(|number| number > 3) {
            answer["result"] = json!(null);
        }
    });
    bench.echo(30..40).await;
    let stop = CancellationToken::new();
    let pace = Pace::every(Duration::from_millis(10));
    let run = tokio::spawn(worker::run(follower, pace, Wake::default(), stop.clone()));
    let truth = bench.truth().await;
    eventually("every row is recorded", PATIENCE, async || {
        (bench.rows(true).await == truth).then_some(())
    })
    .await;
    stop.cancel();
    run.await.unwrap().unwrap();
    assert_eq!(bench.cursor(deployment).await.halt, None);
}

#[tokio::test]
async fn one_that_names_a_head_without_the_blocks_below_it_holds_nothing_up() {
    let bench = Bench::start().await;
    bench.echo(0..30).await;
    let service = Service::before(bench.node.url()).await;
    let pool = providers(&[service.url.as_str(), bench.node.url().as_str()]);
    follow(&bench, &pool).await;
    service.alter(|call, answer| {
        if call["method"] == "eth_getBlockByNumber" && call["params"][0] == "latest" {
            answer["result"]["number"] = json!("0xffff");
            answer["result"]["hash"] = json!(B256::repeat_byte(9));
        }
    });
    bench.echo(30..40).await;
    let ledger = bench.database.ledger.clone();
    let follower = Follower::new(ledger, pool.clone(), bench.following());
    let stop = CancellationToken::new();
    let pace = Pace::every(Duration::from_millis(10));
    let run = tokio::spawn(worker::run(follower, pace, Wake::default(), stop.clone()));
    let truth = bench.truth().await;
    eventually("every row is recorded", PATIENCE, async || {
        (bench.rows(true).await == truth).then_some(())
    })
    .await;
    stop.cancel();
    run.await.unwrap().unwrap();
}

#[tokio::test]
async fn one_that_is_slow_is_asked_beside_another() {
    let bench = Bench::start().await;
    bench.echo(0..30).await;
    let (service, other) = (
        Service::before(bench.node.url()).await,
        Service::before(bench.node.url()).await,
    );
    other.refuse(|_| Some(Reaction::Late(Duration::from_millis(30))));
    let pool = providers(&[service.url.as_str(), other.url.as_str()]);
    follow(&bench, &pool).await;
    // An answer to these comes only after the time that any question may take.
    service.refuse(|calls| {
        let is_slow = asks(calls, "eth_getLogs") || calls[0]["params"][0] == "latest";
        is_slow.then_some(Reaction::Late(2 * PATIENCE))
    });
    let bench = bench.with_another_ledger().await;
    follow(&bench, &pool).await;
    assert_eq!(service.refused(), 1, "once slow, it is asked last");
}

#[tokio::test]
async fn announcements_wake_and_looks_decide() {
    let bench = Bench::start().await;
    let url = bench.node.url().as_str().replace("http://", "ws://");
    let pool = Providers::from(Provider::new(&url).unwrap());
    let following = Following {
        act_from_block: Some(0),
        ..bench.following()
    };
    let follower = Follower::new(bench.database.ledger.clone(), pool.clone(), following);
    let (stop, wake) = (CancellationToken::new(), Wake::default());
    // By itself it would look once in an hour.
    let pace = Pace::every(Duration::from_secs(3_600));
    let run = tokio::spawn(worker::run(follower, pace, wake.clone(), stop.clone()));
    let (announcing, stopped) = (pool.clone(), stop.clone());
    let listen = tokio::spawn(async move { announcing.announce(|| wake.wake(), stopped).await });
    bench.echo(0..1).await;
    eventually("blocks are announced", PATIENCE, async || {
        bench.node.mine(1).await;
        pool.announced()
    })
    .await;
    for round in 1..4 {
        bench.echo(10 * round..10 * round + 3).await;
        let truth = bench.truth().await;
        eventually("every row is recorded", PATIENCE, async || {
            (bench.rows(true).await == truth).then_some(())
        })
        .await;
    }
    stop.cancel();
    run.await.unwrap().unwrap();
    listen.await.unwrap();
}
