//! What is on the chain is in the ledger, once.

use std::time::Duration;

use alloy::primitives::Address;
use tidewatch::fault::Fault;
use tidewatch::follower::Following;
use tidewatch::worker::{self, Pace, Wake};
use tokio_util::sync::CancellationToken;

use super::{Bench, LOGS, PATIENCE, refused, settle};
use crate::support::eventually;

#[tokio::test]
async fn rows_equal_what_the_node_says_and_a_restart_continues() {
    let bench = Bench::start().await;
    bench.echo(0..40).await;
    let following = bench.following();
    let mut follower = bench.follower(&following);
    let deployment = follower.open().await.unwrap();
    settle(&mut follower).await.unwrap();
    let truth = bench.truth().await;
    assert_eq!(truth.len(), 40 * LOGS);
    assert_eq!(bench.rows(true).await, truth);

    bench.echo(40..70).await;
    bench.node.mine(3).await;
    let mut restarted = bench.follower(&following);
    assert_eq!(restarted.open().await.unwrap(), deployment);
    settle(&mut restarted).await.unwrap();
    assert_eq!(bench.rows(true).await, bench.truth().await);

    let head = bench.node.head().await;
    let cursor = bench.cursor(deployment).await;
    assert_eq!(cursor.position.recorded.number, head);
    assert_eq!(cursor.position.epoch, 0);
    // One reading of history verifies nothing.
    assert_eq!(cursor.verified, 0);
    assert_eq!(cursor.act, Some(head));
    assert_eq!(cursor.head.unwrap().number, head);
    assert_eq!(cursor.irreversible.unwrap().number, head - 20);
    assert_eq!(cursor.judged.number, 0);
    let by_root = bench
        .count("SELECT count(*) FROM ledger.blocks WHERE proof = 'root'")
        .await;
    assert!(
        by_root >= 20,
        "{by_root} blocks were proven by receipts root"
    );
    assert_eq!(
        bench
            .count("SELECT act_from_block FROM ledger.deployments WHERE start_fixed")
            .await,
        21
    );
}

#[tokio::test]
async fn two_followers_at_once_record_each_row_once() {
    let bench = Bench::start().await;
    let stop = CancellationToken::new();
    let following = bench.following();
    let mut running = Vec::new();
    for _ in 0..2 {
        let (follower, stop) = (bench.follower(&following), stop.clone());
        let pace = Pace::every(Duration::from_millis(5));
        running.push(tokio::spawn(worker::run(
            follower,
            pace,
            Wake::default(),
            stop,
        )));
    }
    bench.echo(0..60).await;
    let truth = bench.truth().await;
    eventually("every row is recorded", PATIENCE, async || {
        (bench.rows(true).await == truth).then_some(())
    })
    .await;
    stop.cancel();
    for run in running {
        run.await.unwrap().unwrap();
    }
    assert_eq!(bench.rows(true).await, truth);
    assert_eq!(bench.rows(false).await, []);
    assert_eq!(
        bench.count("SELECT count(*) FROM ledger.deployments").await,
        1
    );
}

#[tokio::test]
async fn a_newer_filter_takes_over_and_an_older_one_is_refused() {
    let bench = Bench::start().await;
    bench.echo(0..30).await;
    let older = bench.following();
    let mut old = bench.follower(&older);
    let deployment = old.open().await.unwrap();
    settle(&mut old).await.unwrap();
    let truth = bench.truth().await;

    let newer = Following {
        addresses: vec![bench.contract, Address::repeat_byte(9)],
        filter_version: 2,
        ..bench.following()
    };
    let mut new = bench.follower(&newer);
    settle(&mut new).await.unwrap();
    // Everything was read once more, and found in place.
    assert_eq!(bench.rows(true).await, truth);
    assert_eq!(bench.rows(false).await, []);
    assert_eq!(bench.cursor(deployment).await.position.epoch, 1);
    bench.echo(30..32).await;
    let (fault, sentence) = refused(&mut old).await;
    assert_eq!(fault, Fault::Fatal);
    assert!(sentence.contains("run the newer one"), "{sentence}");
    settle(&mut new).await.unwrap();
    assert_eq!(bench.rows(true).await, bench.truth().await);
}
