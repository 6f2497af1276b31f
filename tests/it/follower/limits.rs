//! History from services that refuse in every way that is known: nothing is lost, and nobody is asked without end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tidewatch::chain::Provider;
use tidewatch::follower::Follower;
use tidewatch::worker::{self, Pace, Wake};
use tokio_util::sync::CancellationToken;

use super::misbehaving::{Reaction, Service, asks, number, range, width};
use super::{Bench, PATIENCE};
use crate::support::eventually;

/// Retries come soon, so that a test ends soon.
const QUICK: Pace = Pace {
    interval: Duration::from_millis(10),
    first_retry: Duration::from_millis(5),
    longest_retry: Duration::from_millis(20),
};

/// Longest wait for an answer in these tests.
const ANSWER: Duration = Duration::from_secs(2);

/// A chain with thirty calls of the contract that are history, and a service in front of it.
async fn history() -> (Bench, Service) {
    let bench = Bench::start().await;
    bench.echo(0..30).await;
    bench.node.mine(30).await;
    let service = Service::before(bench.node.url()).await;
    (bench, service)
}

/// Follows through the service until the ledger holds what the chain holds.
async fn follow(bench: &Bench, service: &Service) {
    follow_under(bench, service, "no refusal").await;
}

async fn follow_under(bench: &Bench, service: &Service, refusal: &str) {
    let provider = Provider::with_timeout(&service.url, ANSWER).unwrap();
    let follower = Follower::new(bench.database.ledger.clone(), provider, bench.following());
    let stop = CancellationToken::new();
    let run = tokio::spawn(worker::run(follower, QUICK, Wake::default(), stop.clone()));
    let truth = bench.truth().await;
    let what = format!("every row is recorded under {refusal}");
    eventually(&what, PATIENCE, async || {
        (bench.rows(true).await == truth).then_some(())
    })
    .await;
    stop.cancel();
    run.await.unwrap().unwrap();
    assert_eq!(bench.rows(true).await, truth);
}

#[tokio::test]
async fn a_range_that_is_refused_shrinks_whatever_the_words_are() {
    let (bench, service) = history().await;
    let words = |code, words: &str| Reaction::Logs(code, words.to_owned());
    for reaction in [
        words(-32005, "limit exceeded"),
        words(-32005, "query returned more than 10000 results"),
        words(-32005, "block range is too wide"),
        words(-32602, "invalid params"),
        words(-32602, "query exceeds max block range 7"),
        words(-32000, "the archive is closed on Sundays"),
        words(-32614, "eth_getLogs is limited to a 7 blocks range"),
        Reaction::Status(413, None, ""),
        Reaction::Status(400, None, "block range too large"),
        Reaction::Whole(-32000, "query timeout exceeded"),
    ] {
        let (shown, before) = (format!("{reaction:?}"), service.requests());
        service.refuse(move |calls| (width(calls) > 7).then(|| reaction.clone()));
        let bench = bench.with_another_ledger().await;
        follow_under(&bench, &service, &shown).await;
        // Thirty blocks of history in sevens or fives, some twenty refusals, and the looks between.
        let requests = service.requests() - before;
        assert!(requests < 200, "{requests} requests under {shown}");
    }
}

#[tokio::test]
async fn answers_that_break_off_or_come_late_make_the_range_shrink() {
    let (bench, service) = history().await;
    for reaction in [Reaction::Cut, Reaction::Late(2 * ANSWER)] {
        let shown = format!("{reaction:?}");
        service.refuse(move |calls| (width(calls) > 7).then(|| reaction.clone()));
        let bench = bench.with_another_ledger().await;
        follow_under(&bench, &service, &shown).await;
    }
}

#[tokio::test]
async fn a_limit_that_counts_both_ends_and_one_that_changes_are_learned() {
    let (bench, service) = history().await;
    let limit = Arc::new(AtomicU64::new(8));
    let in_force = Arc::clone(&limit);
    service.refuse(move |calls| {
        let limit = in_force.load(Ordering::SeqCst);
        let refused = width(calls) >= limit;
        if refused && limit == 8 {
            in_force.store(5, Ordering::SeqCst);
        }
        refused.then(|| Reaction::Logs(-32000, format!("block range exceeds {limit}")))
    });
    follow(&bench, &service).await;
    assert_eq!(limit.load(Ordering::SeqCst), 5);
    assert!(service.refused() < 12, "{} refusals", service.refused());
}

#[tokio::test]
async fn a_limit_on_logs_and_one_on_batches_are_met() {
    let (bench, service) = history().await;
    service.alter(|call, answer| {
        let too_many = answer["result"].as_array().is_some_and(|logs| logs.len() > 9);
        if call["method"] == "eth_getLogs" && too_many {
            let error = serde_json::json!({"code": -32005, "message": "query returned more than 9 results"});
            *answer = serde_json::json!({"jsonrpc": "2.0", "id": call["id"], "error": error});
        }
    });
    follow(&bench, &service).await;

    service.behave();
    service.refuse(|calls| {
        (calls.len() > 2).then_some(Reaction::Whole(-32600, "batch limit exceeded"))
    });
    let bench = bench.with_another_ledger().await;
    follow(&bench, &service).await;

    service
        .refuse(|calls| (calls.len() > 1).then_some(Reaction::Whole(-32600, "no batches, please")));
    let bench = bench.with_another_ledger().await;
    follow(&bench, &service).await;
}

#[tokio::test]
async fn a_service_that_is_ill_for_a_while_is_waited_for() {
    let (bench, service) = history().await;
    for reaction in [
        Reaction::Status(500, None, "oops"),
        Reaction::Status(502, None, "<html>"),
        Reaction::Status(503, None, ""),
        Reaction::Status(429, None, ""),
        Reaction::Status(429, Some(1), "slow down"),
        Reaction::Html,
        Reaction::Whole(-32005, "daily request count exceeded, request rate limited"),
        Reaction::Cut,
    ] {
        let left = AtomicU64::new(3);
        service.refuse(move |_| {
            let more = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
            more.is_ok().then(|| reaction.clone())
        });
        let bench = bench.with_another_ledger().await;
        follow(&bench, &service).await;
    }
}

/// However quick the follower's retries are, a service that refuses everything is asked at the pace of its refusals.
#[tokio::test]
async fn calls_are_bounded_under_any_refusal() {
    let (bench, service) = history().await;
    for (reaction, requests, least) in [
        (
            Reaction::Status(429, Some(1), ""),
            3,
            Duration::from_secs(2),
        ),
        (Reaction::Status(429, None, ""), 4, Duration::from_secs(3)),
        (Reaction::Status(500, None, ""), 5, Duration::from_secs(3)),
        (Reaction::Html, 5, Duration::from_secs(3)),
        (
            Reaction::Logs(-32000, "never".to_owned()),
            60,
            Duration::from_secs(2),
        ),
    ] {
        let bench = bench.with_another_ledger().await;
        service.behave();
        let provider = Provider::with_timeout(&service.url, ANSWER).unwrap();
        let mut follower =
            Follower::new(bench.database.ledger.clone(), provider, bench.following());
        follower.open().await.unwrap();
        let (before, begin) = (service.refused(), Instant::now());
        let shown = format!("{reaction:?}");
        service.refuse(move |calls| match &reaction {
            Reaction::Logs(..) => asks(calls, "eth_getLogs").then(|| reaction.clone()),
            _ => Some(reaction.clone()),
        });
        let stop = CancellationToken::new();
        let run = tokio::spawn(worker::run(follower, QUICK, Wake::default(), stop.clone()));
        eventually("it was refused often enough", PATIENCE, async || {
            (service.refused() - before >= requests).then_some(())
        })
        .await;
        let took = begin.elapsed();
        assert!(
            took >= least,
            "{requests} requests in {took:?} under {shown}"
        );
        stop.cancel();
        run.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_block_that_is_refused_by_itself_is_read_in_parts_or_by_receipts() {
    let (bench, service) = history().await;
    let holds_ten =
        |calls: &[Value]| range(calls).is_some_and(|(from, to)| (from..=to).contains(&10));
    let refusal = || Reaction::Logs(-32000, "response too large".to_owned());
    service.refuse(move |calls| holds_ten(calls).then(refusal));
    follow(&bench, &service).await;

    // Not by its hash either.
    service.refuse(move |calls| {
        let by_hash = calls
            .iter()
            .any(|call| call["params"][0]["blockHash"].is_string());
        (holds_ten(calls) || by_hash && asks(calls, "eth_getLogs")).then(refusal)
    });
    let bench = bench.with_another_ledger().await;
    follow(&bench, &service).await;
}

#[tokio::test]
async fn a_block_that_nobody_gives_is_parked_by_name_and_held_before_until_somebody_does() {
    let (bench, service) = history().await;
    service.refuse(|calls| {
        let at_ten = range(calls).is_some_and(|(from, to)| (from..=to).contains(&10));
        let other_ways = calls
            .iter()
            .any(|call| call["params"][0]["blockHash"].is_string())
            || asks(calls, "eth_getBlockReceipts");
        (at_ten || other_ways).then_some(Reaction::Status(413, None, ""))
    });
    let provider = Provider::with_timeout(&service.url, ANSWER).unwrap();
    let follower = Follower::new(bench.database.ledger.clone(), provider, bench.following());
    let stop = CancellationToken::new();
    let run = tokio::spawn(worker::run(follower, QUICK, Wake::default(), stop.clone()));
    let parked = async || {
        let row: Option<(String, String, bool)> = sqlx::query_as(
            "SELECT key, reason, replayed_at IS NULL FROM ledger.parked WHERE kind = 'block'",
        )
        .fetch_optional(&bench.database.pool)
        .await
        .unwrap();
        row
    };
    let (key, reason, is_open) = eventually("the block is parked", PATIENCE, parked).await;
    assert_eq!((key.as_str(), is_open), ("10", true));
    assert!(
        reason.starts_with("no provider gives the logs of block 10"),
        "{reason}"
    );
    let recorded = "SELECT recorded_number FROM ledger.cursors";
    assert_eq!(bench.count(recorded).await, 9);

    service.behave();
    let truth = bench.truth().await;
    eventually("every row is recorded", PATIENCE, async || {
        (bench.rows(true).await == truth).then_some(())
    })
    .await;
    eventually("the parked block is closed", PATIENCE, async || {
        parked().await.filter(|(_, _, is_open)| !is_open)
    })
    .await;
    stop.cancel();
    run.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_tag_that_is_answered_with_null_or_an_error_for_a_while_is_waited_for() {
    let (bench, service) = history().await;
    for lie in [
        serde_json::json!({"result": null}),
        serde_json::json!({"error": {"code": -32000, "message": "finalized block not found"}}),
        serde_json::json!({"error": {"code": -39001, "message": "Unknown block"}}),
    ] {
        let bench = bench.with_another_ledger().await;
        service.alter(move |call, answer| {
            if call["params"][0] == "finalized" {
                *answer = lie.clone();
                answer["id"] = call["id"].clone();
                answer["jsonrpc"] = "2.0".into();
            }
        });
        let mut following = bench.following();
        following.irreversible_at = None;
        let provider = Provider::with_timeout(&service.url, ANSWER).unwrap();
        let mut follower = Follower::new(bench.database.ledger.clone(), provider, following);
        let deployment = follower.open().await.unwrap();
        super::settle(&mut follower).await.unwrap();
        assert_eq!(bench.rows(true).await, bench.truth().await);
        assert_eq!(bench.cursor(deployment).await.irreversible, None);
        service.behave();
        bench.node.mine(1).await;
        super::settle(&mut follower).await.unwrap();
        let cursor = bench.cursor(deployment).await;
        // anvil calls the block two below its head final.
        assert_eq!(
            cursor.irreversible.unwrap().number,
            bench.node.head().await - 2
        );
    }
}

/// Bloom filters that are zero or all ones cost the short cut, and nothing else.
#[tokio::test]
async fn filters_that_lie_cost_no_log_and_no_proof() {
    let (bench, service) = history().await;
    bench.echo(30..40).await;
    bench.node.mine(5).await;
    bench.echo(40..42).await;
    for lie in ["00", "ff"] {
        service.alter(move |_, answer| {
            if number(&answer["result"]["number"]).is_some()
                && answer["result"]["logsBloom"].is_string()
            {
                answer["result"]["logsBloom"] = format!("0x{}", lie.repeat(256)).into();
            }
        });
        let bench = bench.with_another_ledger().await;
        follow(&bench, &service).await;
        let by = async |proof: &str| {
            let count: i64 =
                sqlx::query_scalar("SELECT count(*) FROM ledger.blocks WHERE proof = $1")
                    .bind(proof)
                    .fetch_one(&bench.database.pool)
                    .await
                    .unwrap();
            count
        };
        assert_eq!(
            (by("root").await, by("bloom").await),
            (20, 0),
            "filters of {lie}"
        );
    }
    service.behave();
    let bench = bench.with_another_ledger().await;
    follow(&bench, &service).await;
    let by_bloom = bench
        .count("SELECT count(*) FROM ledger.blocks WHERE proof = 'bloom'")
        .await;
    assert!(
        by_bloom >= 5,
        "{by_bloom} empty blocks were told by true filters"
    );
}
