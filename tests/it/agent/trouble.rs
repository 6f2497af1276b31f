//! What a chain does to transactions: reorganisations, rivals, dear gas, an empty purse, a key that somebody else uses too.

use std::time::Duration;

use alloy::eips::eip2718::Encodable2718;
use alloy::network::{EthereumWallet, NetworkTransactionBuilder, TransactionBuilder};
use alloy::primitives::{B256, U256};
use alloy::providers::Provider as _;
use alloy::rpc::types::TransactionRequest;

use serde_json::json;
use tidewatch::keeper;
use tidewatch::ledger::{self, parked};
use tidewatch::worker::Worker;

use super::bench::{GWEI, Post, tick};

#[tokio::test]
async fn a_transaction_that_a_reorganisation_drops_is_sent_again() {
    let mut post = Post::start().await;
    let purchase = post.paid().await;
    let mut agent = post.agent().await;
    post.run(&mut agent).await;
    assert_eq!(post.state(purchase.agreement).await, "mined agent");
    let before = post.act("approve", purchase.agreement).await.unwrap();

    post.chain.node.reorganise(1).await;
    assert_eq!(post.compute_state(&purchase).await, 1);
    let after = post
        .run_until(&mut agent, purchase.agreement, "done agent")
        .await;
    assert_eq!(after.transaction_hash, before.transaction_hash);
    assert_eq!(post.signed(purchase.agreement).await.len(), 1);
    assert_eq!(post.fulfilments(&purchase).await, 1);
    assert_eq!(post.sent_by_agent().await, 1);
}

#[tokio::test]
async fn nothing_is_sent_again_while_the_payment_is_gone() {
    let mut post = Post::start().await;
    let purchase = post.paid().await;
    let mut agent = post.agent().await;
    post.run(&mut agent).await;
    // the answer's block, and the payment's
    post.chain.node.reorganise(2).await;
    post.make_due().await;
    post.run(&mut agent).await;
    assert_eq!(post.state(purchase.agreement).await, "sent unpaid");
    assert_eq!(post.compute_state(&purchase).await, 1);

    post.chain.consumer.send(purchase.lock()).await.unwrap();
    post.run_until(&mut agent, purchase.agreement, "done agent")
        .await;
    assert_eq!(post.sent_by_agent().await, 1);
}

#[tokio::test]
async fn a_rival_who_is_faster_is_fine() {
    let mut post = Post::start().await;
    let purchase = post.paid().await;
    post.settle().await;
    let mut agent = post.agent().await;
    post.chain.node.automine(false).await;
    tick(&mut agent).await;
    assert_eq!(post.state(purchase.agreement).await, "sent");
    // offers more per gas, and so comes first in the block
    let rival = post
        .chain
        .provider
        .submit(vec![purchase.fulfil()])
        .await
        .unwrap();
    post.chain.node.mine(1).await;
    post.chain.node.automine(true).await;
    post.chain.provider.mined(rival).await.unwrap();

    let row = post
        .run_until(&mut agent, purchase.agreement, "done other")
        .await;
    assert_eq!(row.transaction_hash, None);
    let signed = post.signed(purchase.agreement).await;
    assert_eq!(signed[0].succeeded, Some(false));
    assert_eq!(post.fulfilments(&purchase).await, 1);
}

#[tokio::test]
async fn what_somebody_else_answered_before_we_looked_is_no_act() {
    let mut post = Post::start().await;
    let purchase = post.paid().await;
    post.chain.provider.send(purchase.fulfil()).await.unwrap();
    let mut agent = post.agent().await;
    post.run(&mut agent).await;
    assert_eq!(post.act("approve", purchase.agreement).await, None);
    assert_eq!(post.sent_by_agent().await, 0);
}

#[tokio::test]
async fn an_empty_purse_is_told_and_waited_for() {
    let mut post = Post::start().await;
    post.set_balance(1).await;
    let purchase = post.paid().await;
    let mut agent = post.agent().await;
    post.run(&mut agent).await;
    let row = post.act("approve", purchase.agreement).await.unwrap();
    assert_eq!(row.state, "waiting purse_empty");
    assert!(row.detail.unwrap().contains("has 1 wei"));
    let balance: String = sqlx::query_scalar("SELECT balance::text FROM tidewatch.agent_accounts")
        .fetch_one(&post.pool)
        .await
        .unwrap();
    assert_eq!(balance, "1");

    post.set_balance(10 * GWEI * GWEI).await;
    post.make_due().await;
    post.run_until(&mut agent, purchase.agreement, "done agent")
        .await;
}

#[tokio::test]
async fn a_fee_above_the_limit_is_waited_out() {
    let mut post = Post::start().await;
    let purchase = post.paid().await;
    post.settle().await;
    post.set_base_fee(500 * GWEI).await;
    post.chain.node.mine(1).await;
    let mut agent = post.agent().await;
    post.run(&mut agent).await;
    assert_eq!(post.state(purchase.agreement).await, "waiting fee_too_high");
    assert!(post.signed(purchase.agreement).await.is_empty());

    post.set_base_fee(GWEI).await;
    post.chain.node.mine(1).await;
    post.make_due().await;
    post.run_until(&mut agent, purchase.agreement, "done agent")
        .await;
}

#[tokio::test]
async fn a_stuck_transaction_is_replaced_under_its_nonce_up_to_the_limit() {
    let mut post = Post::start().await;
    let purchase = post.paid().await;
    post.settle().await;
    post.chain.node.automine(false).await;
    let mut agent = post
        .agent_with(|settings| settings.patience = Duration::ZERO)
        .await;
    post.set_base_fee(GWEI).await;
    post.chain.node.mine(1).await;
    tick(&mut agent).await;
    let first = post.signed(purchase.agreement).await;
    // dearer than the first offer, and then dearer than the limit
    for (base, is_limit) in [(40 * GWEI, false), (300 * GWEI, true)] {
        post.set_base_fee(base).await;
        post.chain.node.mine(1).await;
        post.make_due().await;
        let before = post.signed(purchase.agreement).await.len();
        tick(&mut agent).await;
        let after = post.signed(purchase.agreement).await.len();
        assert_eq!(is_limit, after == before, "at {base}");
    }
    post.set_base_fee(30 * GWEI).await;
    post.chain.node.mine(1).await;
    post.chain.node.automine(true).await;
    post.run_until(&mut agent, purchase.agreement, "done agent")
        .await;
    let signed = post.signed(purchase.agreement).await;
    assert!(signed.len() > first.len());
    assert!(signed.iter().all(|one| one.nonce == 0), "{signed:?}");
    let mined = signed.iter().filter(|one| one.succeeded == Some(true));
    assert_eq!(mined.count(), 1);
    assert_eq!(post.sent_by_agent().await, 1);
    assert_eq!(post.fulfilments(&purchase).await, 1);
}

#[tokio::test]
async fn a_transaction_that_would_be_late_is_cancelled_under_its_nonce() {
    let mut post = Post::start().await;
    let purchase = post
        .paid_as(|purchase| purchase.time_outs = [14, 0, 0])
        .await;
    post.settle().await;
    post.chain.node.automine(false).await;
    post.set_base_fee(GWEI).await;
    post.chain.node.mine(1).await;
    let mut agent = post.agent().await;
    tick(&mut agent).await;
    assert_eq!(post.state(purchase.agreement).await, "sent");
    // too dear for the offer until the window is over
    for _ in 0..10 {
        post.set_base_fee(20 * GWEI).await;
        post.chain.node.mine(1).await;
        post.make_due().await;
        post.settle().await;
        tick(&mut agent).await;
    }
    post.set_base_fee(GWEI).await;
    post.chain.node.automine(true).await;
    post.run_until(&mut agent, purchase.agreement, "declined outside_window")
        .await;
    let signed = post.signed(purchase.agreement).await;
    let last = signed.last().unwrap();
    assert_eq!((last.purpose.as_str(), last.nonce), ("cancel", 0));
    assert_eq!(post.compute_state(&purchase).await, 1);
    assert_eq!(post.sent_by_agent().await, 1);
}

#[tokio::test]
async fn the_day_s_gas_is_a_limit() {
    let mut post = Post::start().await;
    let (one, other) = (post.paid().await, post.paid().await);
    let mut agent = post
        .agent_with(|settings| settings.daily_gas = 150_000)
        .await;
    for _ in 0..3 {
        post.run(&mut agent).await;
        post.make_due().await;
    }
    let states = [
        post.state(one.agreement).await,
        post.state(other.agreement).await,
    ];
    assert!(
        states.contains(&"waiting daily_gas".to_owned()),
        "{states:?}"
    );
    assert_eq!(post.sent_by_agent().await, 1);
}

/// A transaction of the agent's key that is none of the agent's; answers its hash.
async fn foreign(post: &Post, nonce: u64, price: u128) -> B256 {
    let request = TransactionRequest::default()
        .with_to(post.chain.stranger.address())
        .with_value(U256::from(1))
        .with_nonce(nonce)
        .with_gas_limit(21_000)
        .with_gas_price(price)
        .with_chain_id(post.chain.deployment.chain_id);
    let wallet = EthereumWallet::from(post.key.clone());
    let signed = request.build(&wallet).await.unwrap().encoded_2718();
    let provider = post.chain.node.provider();
    *provider
        .send_raw_transaction(&signed)
        .await
        .unwrap()
        .tx_hash()
}

#[tokio::test]
async fn a_nonce_that_somebody_else_used_with_our_key_is_survived() {
    let mut post = Post::start().await;
    let purchase = post.paid().await;
    post.settle().await;
    let mut agent = post.agent().await;
    post.chain.node.automine(false).await;
    tick(&mut agent).await;
    foreign(&post, 0, 50 * GWEI).await;
    post.chain.node.mine(1).await;
    post.chain.node.automine(true).await;
    assert_eq!(post.compute_state(&purchase).await, 1);

    post.run_until(&mut agent, purchase.agreement, "done agent")
        .await;
    let signed = post.signed(purchase.agreement).await;
    let nonces: Vec<_> = signed.iter().map(|one| one.nonce).collect();
    assert_eq!(
        nonces,
        [0, 1],
        "the lost nonce, and a new one once the loss is irreversible"
    );
    assert_eq!(post.fulfilments(&purchase).await, 1);
}

#[tokio::test]
async fn nonces_go_on_behind_what_somebody_else_sent_with_our_key() {
    let mut post = Post::start().await;
    foreign(&post, 0, 50 * GWEI).await;
    let purchase = post.paid().await;
    let mut agent = post.agent().await;
    post.run_until(&mut agent, purchase.agreement, "done agent")
        .await;
    assert_eq!(post.signed(purchase.agreement).await[0].nonce, 1);
}

#[tokio::test]
async fn a_gap_that_somebody_else_leaves_with_our_key_is_filled() {
    let mut post = Post::start().await;
    let purchase = post.paid().await;
    post.settle().await;
    post.chain.node.automine(false).await;
    let theirs = foreign(&post, 0, 50 * GWEI).await;
    let mut agent = post
        .agent_with(|settings| settings.patience = Duration::ZERO)
        .await;
    agent.tick().await.unwrap();
    assert_eq!(post.signed(purchase.agreement).await[0].nonce, 1);
    let dropped = json!([theirs]);
    post.chain
        .node
        .request("anvil_dropTransaction", dropped)
        .await;
    post.chain.node.automine(true).await;

    post.run_until(&mut agent, purchase.agreement, "done agent")
        .await;
    assert_eq!(post.sent_by_agent().await, 2);
    assert_eq!(post.fulfilments(&purchase).await, 1);
    let signed = post.signed(purchase.agreement).await;
    let filler = signed.iter().find(|one| one.nonce == 0).unwrap();
    assert_eq!(filler.purpose, "cancel");
}

#[tokio::test]
async fn an_act_that_reverts_is_parked_and_tried_again_when_an_operator_says_so() {
    let mut post = Post::start().await;
    let purchase = post.paid().await;
    post.settle().await;
    let mut agent = post.agent().await;
    post.chain.node.automine(false).await;
    tick(&mut agent).await;
    assert_eq!(post.state(purchase.agreement).await, "sent");
    // comes first in the block, and the agent is no provider any more
    let contracts = post.chain.deployment.contracts.clone();
    let removal = keeper::purchase::remove_did_provider(&contracts, post.did, post.address());
    let removal = post.chain.provider.submit(vec![removal]).await.unwrap();
    post.chain.node.mine(1).await;
    post.chain.node.automine(true).await;
    post.chain.provider.mined(removal).await.unwrap();
    let row = post
        .run_until(&mut agent, purchase.agreement, "failed reverted")
        .await;
    assert!(row.detail.unwrap().contains("without effect"));

    let mut connection = post.ledger.acquire().await.unwrap();
    let [entry] =
        <[_; 1]>::try_from(parked::list(&mut connection, post.id, 10).await.unwrap()).unwrap();
    let key = format!("approve {}", purchase.agreement);
    assert_eq!((entry.kind.as_str(), entry.key), ("act", key));
    let back = keeper::purchase::add_did_provider(&contracts, post.did, post.address());
    post.chain.provider.send(back).await.unwrap();
    post.run(&mut agent).await;
    assert_eq!(
        post.state(purchase.agreement).await,
        "failed reverted",
        "nobody said so yet"
    );
    let mut transaction = post.ledger.begin().await.unwrap();
    let replayed = parked::replay(&mut transaction, post.id, entry.id).await;
    assert!(replayed.unwrap().is_some());
    ledger::commit(transaction).await.unwrap();
    post.run_until(&mut agent, purchase.agreement, "done agent")
        .await;
    assert_eq!(post.fulfilments(&purchase).await, 1);
    assert_eq!(post.sent_by_agent().await, 2);
}
