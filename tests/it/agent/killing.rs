//! Whatever dies where, and however many agents share a key: each act is on the chain once.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tidewatch::worker::{self, Pace, Wake, Worker};
use tokio_util::sync::CancellationToken;

use super::bench::Post;

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

#[tokio::test]
async fn an_agent_that_is_dropped_at_any_await_is_healed_by_the_next() {
    let mut post = Post::start().await;
    let mut acts = 0;
    for times in 0.. {
        let purchase = post.paid().await;
        post.settle().await;
        let mut first = post.agent().await;
        let mut ended = false;
        // as many ticks as the whole way takes, the last of them cut
        for tick in 0..3 {
            let waits = if tick == 0 { times } else { times / 2 };
            ended = cut_after(first.tick(), waits).await;
            post.make_due().await;
        }
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
        if ended && times > 20 {
            break;
        }
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
