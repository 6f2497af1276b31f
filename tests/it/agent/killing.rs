//! Whatever dies where, and however many agents share a key: each act is on the chain once.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tidewatch::worker::{self, Pace, Wake, Worker};
use tokio_util::sync::CancellationToken;

use super::bench::{Post, TestAgent};

/// More awaits than three ticks of one act have.
const MOST_WAITS: usize = 400;
/// How many awaits lie between two cuts.
const STRIDE: usize = 2;

/// Polls a future until it has had to wait `times` times, and drops it there. Answers whether it ended before.
async fn cut_after(future: impl Future, times: usize) -> bool {
    let mut future = pin!(future);
    let mut waits = 0;
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(_) => Poll::Ready(true),
        Poll::Pending if waits == times => Poll::Ready(false),
        Poll::Pending => {
            waits += 1;
            Poll::Pending
        }
    })
    .await
}

async fn several(agent: &mut TestAgent) {
    for _ in 0..3 {
        agent.tick().await.unwrap();
    }
}

#[tokio::test]
async fn an_agent_that_is_dropped_at_any_await_is_healed_by_the_next() {
    let mut post = Post::start().await;
    let mut acts = 0;
    for times in 0..MOST_WAITS {
        let purchase = post.paid().await;
        post.settle().await;
        let mut first = post.agent().await;
        // one future over the ticks that take the act from nothing to mined, so that every await of them is met once
        let ended = cut_after(several(&mut first), times * STRIDE).await;
        drop(first);
        post.end_leases().await;
        let mut second = post.agent().await;
        post.run_until(&mut second, purchase.agreement, "done agent")
            .await;
        acts += 1;
        assert_eq!(post.fulfilments(&purchase).await, 1, "cut after {times}");
        assert_eq!(post.sent_by_agent().await, acts, "cut after {times}");
        let signed = post.signed(purchase.agreement).await;
        assert_eq!(signed.len(), 1, "cut after {times}: {signed:?}");
        if ended {
            // nothing was left to cut off
            return;
        }
    }
    panic!("a tick waits more than {MOST_WAITS} times")
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
