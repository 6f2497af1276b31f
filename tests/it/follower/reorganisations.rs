//! The chain changes its mind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::json;
use tidewatch::chain::Provider;
use tidewatch::fault::Fault;
use tidewatch::follower::{ActAt, Follower, Following, IrreversibleAt};
use tidewatch::ledger::{cursors, verification};

use super::misbehaving::{Service, asks, number};
use super::{Bench, LOGS, refused, settle};

#[tokio::test]
async fn a_reorganisation_in_the_window_leaves_tombstones_and_brings_the_new_rows() {
    let bench = Bench::start().await;
    bench.echo(0..30).await;
    let following = bench.following();
    let mut follower = bench.follower(&following);
    let deployment = follower.open().await.unwrap();
    settle(&mut follower).await.unwrap();
    bench.anchor_job(deployment).await;
    let before = bench.rows(true).await;

    let moved = json!([5, [[bench.call(100), 0], [bench.call(101), 3]]]);
    bench.node.request("anvil_reorg", moved).await;
    settle(&mut follower).await.unwrap();
    assert_eq!(bench.rows(true).await, bench.truth().await);
    let (kept, orphaned) = before.split_at(before.len() - 5 * LOGS);
    assert_eq!(bench.rows(false).await, orphaned);
    assert_eq!(bench.rows(true).await[..kept.len()], *kept);
    assert_eq!(bench.rows(true).await.len(), kept.len() + 2 * LOGS);
    assert_eq!(
        bench.consequences().await,
        (false, Some("orphaned".to_owned()))
    );
    let cursor = bench.cursor(deployment).await;
    assert_eq!(cursor.position.epoch, 1);
    assert_eq!(cursor.position.recorded.number, bench.node.head().await);
    assert_eq!(cursor.halt, None);
}

#[tokio::test]
async fn a_silent_rollback_is_noticed_by_the_next_block() {
    let bench = Bench::start().await;
    bench.echo(0..10).await;
    let snapshot = bench.node.snapshot().await;
    bench.echo(10..16).await;
    let following = bench.following();
    let mut follower = bench.follower(&following);
    settle(&mut follower).await.unwrap();
    assert_eq!(bench.rows(true).await.len(), 16 * LOGS);

    bench.node.revert(snapshot).await;
    settle(&mut follower).await.unwrap();
    // The chain is shorter and the same as far as it goes: that may be a node that lags, so nothing is orphaned yet.
    assert_eq!(bench.rows(true).await.len(), 16 * LOGS);
    bench.echo(50..51).await;
    settle(&mut follower).await.unwrap();
    assert_eq!(bench.rows(true).await, bench.truth().await);
    assert_eq!(bench.rows(true).await.len(), 11 * LOGS);
    assert_eq!(bench.rows(false).await.len(), 6 * LOGS);
}

#[tokio::test]
async fn a_reorganisation_neither_verifies_what_was_read_once_nor_lets_anything_act() {
    let bench = Bench::start().await;
    bench.echo(0..60).await;
    let service = Service::before(bench.node.url()).await;
    service.alter(|call, answer| {
        if call["params"][0] == "finalized" {
            answer["result"] = json!(null);
        }
    });
    for irreversible_at in [None, Some(IrreversibleAt::Depth(20))] {
        let bench = bench.with_another_ledger().await;
        // Work waits for a final block, and there is none that is known before history.
        let following = Following {
            act_at: ActAt::Finalized,
            irreversible_at,
            ..bench.following()
        };
        let provider = Provider::new(&service.url).unwrap();
        let ledger = bench.database.ledger.clone();
        let mut follower = Follower::new(ledger, provider, following);
        let deployment = follower.open().await.unwrap();
        settle(&mut follower).await.unwrap();
        let act = bench.cursor(deployment).await.act;
        assert_eq!(act.is_some(), irreversible_at.is_some());

        bench.node.reorganise(3).await;
        bench.echo(100..102).await;
        settle(&mut follower).await.unwrap();
        let cursor = bench.cursor(deployment).await;
        assert_eq!(cursor.position.epoch, 1, "it was rolled back");
        assert!(
            cursor.act <= act.map(|act| act + 2),
            "{:?} after {act:?}",
            cursor.act
        );
        let mut connection = bench.database.ledger.acquire().await.unwrap();
        let standing = verification::get(&mut connection, deployment)
            .await
            .unwrap();
        if irreversible_at.is_some() {
            assert_eq!(standing.reread, 0, "nobody has read history twice");
        }
    }
}

#[tokio::test]
async fn a_reorganisation_below_the_irreversible_block_halts_until_it_is_released() {
    let bench = Bench::start().await;
    bench.echo(0..20).await;
    // anvil calls the block two below its head final.
    let following = Following {
        irreversible_at: None,
        ..bench.following()
    };
    let mut follower = bench.follower(&following);
    let deployment = follower.open().await.unwrap();
    settle(&mut follower).await.unwrap();
    let before = bench.rows(true).await;
    let recorded = bench.cursor(deployment).await.position;

    bench.node.reorganise(6).await;
    bench.echo(100..103).await;
    let truth = bench.truth().await;
    settle(&mut follower).await.unwrap();
    let cursor = bench.cursor(deployment).await;
    let reason = cursor.halt.expect("the deployment is halted");
    assert!(reason.contains("may never go away"), "{reason}");
    assert_eq!(cursor.position, recorded);
    assert_eq!(bench.rows(true).await, before);

    // The operator takes the chain as it is now: what it no longer has is rolled back, however final it was.
    let mut connection = bench.database.ledger.acquire().await.unwrap();
    assert!(
        cursors::release_halt(&mut connection, deployment)
            .await
            .unwrap()
    );
    settle(&mut follower).await.unwrap();
    let cursor = bench.cursor(deployment).await;
    assert_eq!(cursor.halt, None);
    assert_eq!(bench.rows(true).await, bench.truth().await);
    let gone: Vec<_> = before
        .into_iter()
        .filter(|row| !truth.contains(row))
        .collect();
    assert_eq!(gone.len(), 6 * LOGS);
    assert_eq!(bench.rows(false).await, gone);
    assert_eq!(cursor.position.recorded.number, bench.node.head().await);
    assert_eq!(
        cursor.irreversible.unwrap().number,
        bench.node.head().await - 2
    );
    assert!(cursor.verified <= cursor.position.recorded.number - 3);
    assert!(
        !cursors::release_halt(&mut connection, deployment)
            .await
            .unwrap()
    );
}

/// A provider that leaves blocks out of one answer seems to have another chain from before the start on.
#[tokio::test]
async fn one_damaged_answer_neither_begins_anew_nor_ends_the_process() {
    let bench = Bench::start().await;
    bench.echo(0..30).await;
    let service = Service::before(bench.node.url()).await;
    // In the first deployment the start block can never be another, in the second it can.
    for depth in [20, 1000] {
        let bench = bench.with_another_ledger().await;
        service.behave();
        let following = Following {
            start_block: 5,
            irreversible_at: Some(IrreversibleAt::Depth(depth)),
            ..bench.following()
        };
        let provider = Provider::new(&service.url).unwrap();
        let mut follower = Follower::new(bench.database.ledger.clone(), provider, following);
        let deployment = follower.open().await.unwrap();
        settle(&mut follower).await.unwrap();
        bench.anchor_job(deployment).await;

        let common = bench.node.head().await - 3;
        bench.node.reorganise(3).await;
        bench.echo(100..102).await;
        let left_out = Arc::new(AtomicU64::new(0));
        let is_damaged = Arc::new(AtomicBool::new(false));
        let (counted, damaged) = (Arc::clone(&left_out), Arc::clone(&is_damaged));
        service.refuse(move |calls| {
            let goes_down = asks(calls, "eth_getBlockByNumber") && calls.len() > 10;
            damaged.store(
                goes_down && counted.load(Ordering::SeqCst) == 0,
                Ordering::SeqCst,
            );
            None
        });
        let counted = Arc::clone(&left_out);
        service.alter(move |call, answer| {
            if is_damaged.load(Ordering::SeqCst) && number(&call["params"][0]) <= Some(common) {
                counted.fetch_add(1, Ordering::SeqCst);
                answer["result"] = json!(null);
            }
        });
        let (fault, told) = refused(&mut follower).await;
        assert_eq!(fault, Fault::Transient, "{told}");
        assert!(told.contains("contradicts itself"), "{told}");
        assert!(left_out.load(Ordering::SeqCst) > 10);
        settle(&mut follower).await.unwrap();
        let cursor = bench.cursor(deployment).await;
        assert_eq!(
            (cursor.position.epoch, cursor.halt),
            (1, None),
            "only what was replaced was rolled back"
        );
        let mut truth = bench.truth().await;
        truth.retain(|row| row.number >= 5);
        assert_eq!(bench.rows(true).await, truth);
    }
}

/// The chain really is another one from before the start on: nobody can say what becomes of the jobs that it gave.
#[tokio::test]
async fn a_chain_that_was_replaced_from_before_the_start_begins_anew_unless_there_are_jobs() {
    let bench = Bench::start().await;
    bench.echo(0..5).await;
    let (early, start_block) = (bench.node.snapshot().await, bench.node.head().await + 3);
    bench.echo(5..12).await;
    let following = Following {
        start_block,
        irreversible_at: Some(IrreversibleAt::Depth(1000)),
        ..bench.following()
    };
    let mut follower = bench.follower(&following);
    let deployment = follower.open().await.unwrap();
    settle(&mut follower).await.unwrap();
    let gone = bench.rows(true).await;
    assert_eq!(gone.len(), 5 * LOGS);

    bench.node.revert(early).await;
    let early = bench.node.snapshot().await;
    bench.echo(50..58).await;
    settle(&mut follower).await.unwrap();
    let mut truth = bench.truth().await;
    truth.retain(|row| row.number >= start_block);
    assert_eq!(bench.rows(true).await, truth);
    assert_eq!(bench.rows(false).await, gone);

    bench.anchor_job(deployment).await;
    bench.node.revert(early).await;
    bench.echo(70..78).await;
    let (fault, told) = refused(&mut follower).await;
    assert_eq!(fault, Fault::Fatal, "{told}");
    assert!(told.contains("there are jobs already"), "{told}");
    assert_eq!(bench.rows(true).await, truth, "nothing was touched");
}
