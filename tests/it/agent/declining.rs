//! What is declined costs the consumer nothing but time: nothing is sent, the row says why, and the money comes back by the
//! transactions that the row names.

use alloy::primitives::{Address, U256};
use serde_json::Value;
use tidewatch::keeper::{Call, Purchase};

use super::bench::Post;
use crate::judging::bench::{document, inline};

/// What the row says about the refund.
async fn refund(post: &Post, purchase: &Purchase) -> Option<Value> {
    sqlx::query_scalar("SELECT refund FROM tidewatch.agent_acts WHERE agreement_id = $1")
        .bind(purchase.agreement.0.as_slice())
        .fetch_one(&post.pool)
        .await
        .unwrap()
}

async fn declined(post: &mut Post, purchase: &Purchase, reason: &str) -> String {
    let mut agent = post.agent().await;
    post.run(&mut agent).await;
    let row = post.act("approve", purchase.agreement).await.unwrap();
    assert_eq!(row.state, format!("declined {reason}"), "{row:?}");
    assert_eq!(post.sent_by_agent().await, 0);
    assert!(post.signed(purchase.agreement).await.is_empty());
    assert_eq!(post.compute_state(purchase).await, 1);
    row.detail.unwrap()
}

#[tokio::test]
async fn a_declined_consumer_gets_the_money_back_by_the_transactions_that_the_row_names() {
    let mut post = Post::start().await;
    let purchase = post
        .paid_as(|purchase| {
            purchase.amount = U256::from(9);
            purchase.time_outs = [12, 0, 0];
        })
        .await;
    let detail = declined(&mut post, &purchase, "underpaid").await;
    assert!(detail.contains("abort"), "{detail}");

    let refund = refund(&post, &purchase).await.unwrap();
    let from = refund["fromBlock"].as_u64().unwrap();
    let calls: Vec<Call> = refund["transactions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| {
            let to: Address = call["to"].as_str().unwrap().parse().unwrap();
            let data: alloy::primitives::Bytes = call["data"].as_str().unwrap().parse().unwrap();
            Call::to(to, data, call["what"].as_str().unwrap())
        })
        .collect();
    let consumer = post.chain.consumer.address();
    assert_eq!(post.tokens(consumer).await, U256::ZERO);

    // a block too early it is refused; from the named block on it works, and anybody may do it
    let head = post.chain.node.head().await;
    post.chain.node.mine(from - 2 - head).await;
    let early = post.chain.stranger.send(calls[0].clone()).await;
    assert!(early.unwrap_err().to_string().contains("timed out"));
    for call in calls {
        post.chain.stranger.send(call).await.unwrap();
    }
    assert_eq!(post.tokens(consumer).await, U256::from(9));
}

#[tokio::test]
async fn a_workflow_that_the_policy_forbids_is_declined_before_the_money_moves() {
    let mut post = Post::start().await;
    let purchase = post.chain.order(post.did);
    let asked = inline(&document("python $ALGO"));
    post.chain.document(&purchase, &asked).await;
    post.chain.pay(&purchase).await;
    declined(&mut post, &purchase, "raw_algorithm_not_allowed").await;
}

#[tokio::test]
async fn a_squatted_workflow_is_declined() {
    let mut post = Post::start().await;
    let purchase = post.chain.order(post.did);
    let id = tidewatch::ids::Did(purchase.agreement.0);
    let asked = inline(&document("python $ALGO"));
    post.chain.register(&post.chain.stranger, id, &asked).await;
    post.chain.pay(&purchase).await;
    declined(&mut post, &purchase, "workflow_did_taken").await;
}

#[tokio::test]
async fn money_for_somebody_else_is_declined() {
    let mut post = Post::start().await;
    let stranger = post.chain.stranger.address();
    let purchase = post.paid_as(|purchase| purchase.receiver = stranger).await;
    declined(&mut post, &purchase, "escrow_mismatch").await;
    let consumer = post.chain.consumer.address();
    let purchase = post
        .paid_as(|purchase| purchase.reward_address = consumer)
        .await;
    declined(&mut post, &purchase, "lock_mismatch").await;
}

#[tokio::test]
async fn an_agreement_that_never_times_out_is_declined_with_the_sad_truth() {
    let mut post = Post::start().await;
    let purchase = post
        .paid_as(|purchase| {
            purchase.amount = U256::from(1);
            purchase.time_outs = [0, 0, 0];
        })
        .await;
    let detail = declined(&mut post, &purchase, "underpaid").await;
    assert!(detail.contains("never times out"), "{detail}");
    assert_eq!(refund(&post, &purchase).await, None);
}

#[tokio::test]
async fn nothing_is_sent_when_the_window_would_be_over_before_it_is_mined() {
    let mut post = Post::start().await;
    // created in block n, funded in n + 1 and n + 2, paid in n + 3
    let purchase = post
        .paid_as(|purchase| purchase.time_outs = [4, 0, 0])
        .await;
    declined(&mut post, &purchase, "window_over").await;
}

#[tokio::test]
async fn a_condition_that_cannot_be_fulfilled_yet_waits() {
    let mut post = Post::start().await;
    let purchase = post
        .paid_as(|purchase| purchase.time_locks = [8, 0, 0])
        .await;
    let mut agent = post.agent().await;
    post.run(&mut agent).await;
    assert_eq!(post.state(purchase.agreement).await, "waiting too_early");
    post.run_until(&mut agent, purchase.agreement, "done agent")
        .await;
    assert_eq!(post.signed(purchase.agreement).await.len(), 1);
}

#[tokio::test]
async fn what_was_paid_before_the_operator_wanted_to_act_is_not_considered() {
    let chain = crate::support::keeper::Chain::start().await;
    let rules = crate::judging::bench::Rules {
        act_from: 1_000,
        ..crate::judging::bench::Rules::default()
    };
    let mut post = Post::over(crate::judging::bench::Bench::on(chain, rules).await).await;
    let purchase = post.paid().await;
    let mut agent = post.agent().await;
    post.run(&mut agent).await;
    assert_eq!(post.act("approve", purchase.agreement).await, None);
}
