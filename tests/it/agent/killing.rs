//! Whatever dies where, and however many agents share a key: each act is on the chain once.

use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use alloy::primitives::U256;
use tidewatch::worker::{self, Pace, Wake, Worker};
use tokio_util::sync::CancellationToken;

use super::bench::{Post, TestAgent, tick};
use crate::judging::bench::Rules;

/// Cuts over the ticks that take an act from nothing to mined. How often these have to wait is the machine's and the scheduler's
/// doing, so the cuts are spread over however many times an undisturbed agent waited.
const CUTS: usize = 40;
/// Rounds of cuts, each between those of the rounds before, at most: some states last for few waits only.
const ROUNDS: usize = 5;
/// The cuts have to fall before the act is known, before and after it is signed, and after the chain has the transaction.
const STATES: [&str; 4] = ["", "waiting", "sent", "mined agent"];

/// Polls a future until it has had to wait `times` times, and drops it there or where it ends. Answers how often it waited.
async fn cut_after(future: impl Future, times: usize) -> usize {
    let mut future = pin!(future);
    let mut waits = 0;
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Pending if waits < times => {
            waits += 1;
            Poll::Pending
        }
        Poll::Ready(_) | Poll::Pending => Poll::Ready(waits),
    })
    .await
}

async fn several(agent: &mut TestAgent) {
    for _ in 0..3 {
        agent.tick().await.unwrap();
    }
}

/// Makes a purchase, drops an agent that answers it after so many waits, and lets another one finish: the act is on the chain
/// once, by one transaction. Answers how often the first one waited, and where it left the act.
async fn answered_though_cut(post: &mut Post, times: usize) -> (usize, String) {
    let before = post.sent_by_agent().await;
    let purchase = post.chain.order(post.did);
    post.chain.consumer.send(purchase.create()).await.unwrap();
    post.chain.consumer.send(purchase.lock()).await.unwrap();
    post.settle().await;
    let mut first = post.agent().await;
    // one future over the ticks that take the act from nothing to mined, so that the cuts fall on all awaits of them
    let waits = cut_after(several(&mut first), times).await;
    drop(first);
    let left = post.state(purchase.agreement).await;
    post.end_leases().await;
    let mut second = post.agent().await;
    tick(&mut second).await;
    post.chain.node.mine(Rules::default().irreversible).await;
    post.run_until(&mut second, purchase.agreement, "done agent")
        .await;
    assert_eq!(post.fulfilments(&purchase).await, 1, "cut after {times}");
    assert_eq!(post.sent_by_agent().await, before + 1, "cut after {times}");
    let signed = post.signed(purchase.agreement).await;
    assert_eq!(signed.len(), 1, "cut after {times}: {signed:?}");
    (waits, left)
}

#[tokio::test]
async fn an_agent_that_is_dropped_at_any_await_is_healed_by_the_next() {
    let mut post = Post::start().await;
    let mut all = post.chain.order(post.did);
    all.amount *= U256::from(CUTS * ROUNDS + 1);
    post.chain.fund(&all).await;
    let (waits, left) = answered_though_cut(&mut post, usize::MAX).await;
    assert_eq!(left, "mined agent", "undisturbed, {waits} waits");
    let mut met = BTreeSet::new();
    for step in 0..CUTS * ROUNDS {
        let (round, cut) = (step / CUTS, step % CUTS);
        if round > 0 && STATES.iter().all(|state| met.contains(*state)) {
            break;
        }
        let times = waits * (cut * ROUNDS + round) / (CUTS * ROUNDS);
        met.insert(answered_though_cut(&mut post, times).await.1);
    }
    for state in STATES {
        assert!(met.contains(state), "{state:?} is not among {met:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_agents_with_one_key_do_each_act_once() {
    let mut post = Post::start().await;
    let stop = CancellationToken::new();
    let mut running = Vec::new();
    for _ in 0..2 {
        let agent = post
            .agent_with(|settings| settings.look_after = Duration::from_millis(100))
            .await;
        let pace = Pace::every(Duration::from_millis(20));
        running.push(tokio::spawn(worker::run(
            agent,
            pace,
            Wake::default(),
            stop.clone(),
        )));
    }
    let mut purchases = Vec::new();
    for _ in 0..6 {
        purchases.push(post.paid().await);
        post.settle().await;
    }
    for _ in 0..200 {
        post.chain.node.mine(1).await;
        post.settle().await;
        let mut done = 0;
        for purchase in &purchases {
            done += usize::from(post.state(purchase.agreement).await == "done agent");
        }
        if done == purchases.len() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stop.cancel();
    for one in running {
        one.await.unwrap().unwrap();
    }
    let mut nonces = Vec::new();
    for purchase in &purchases {
        assert_eq!(post.state(purchase.agreement).await, "done agent");
        assert_eq!(post.fulfilments(purchase).await, 1);
        let signed = post.signed(purchase.agreement).await;
        assert_eq!(signed.len(), 1, "{signed:?}");
        nonces.push(signed[0].nonce);
    }
    nonces.sort_unstable();
    assert_eq!(nonces, [0, 1, 2, 3, 4, 5]);
    assert_eq!(post.sent_by_agent().await, 6);
}
