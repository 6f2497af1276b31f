//! `tidewatch explain` answers a person who sent a transaction and got no job.

use std::process::Command;

use alloy::primitives::{B256, U256};
use tidewatch::keeper::purchase;

use super::bench::Post;
use crate::support::service::TIDEWATCH;

/// The program's answer about a subject, asked as an operator would.
async fn explain(post: &Post, subject: impl std::fmt::Display) -> String {
    let directory = tempfile::tempdir().unwrap();
    let keeper = directory.path().join("keeper.yaml");
    std::fs::write(&keeper, post.chain.deployment.to_yaml().unwrap()).unwrap();
    let mut command = Command::new(TIDEWATCH);
    command
        .args(["explain", &subject.to_string()])
        .env_clear()
        .env("DATABASE_URL", &post.database().url)
        .env("TIDEWATCH_KEEPER", &keeper)
        .env("TIDEWATCH_RPC_URLS", post.chain.node.url().as_str())
        .current_dir(directory.path());
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{told}");
    String::from_utf8(output.stdout).unwrap()
}

fn says(told: &str, words: &[&str]) {
    for words in words {
        assert!(told.contains(words), "{words:?} is missing in:\n{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_learns_for_whom_and_until_when_from_the_transaction_alone() {
    let mut post = Post::start().await;
    let purchase = post.chain.order(post.did);
    let created = post.chain.consumer.send(purchase.create()).await.unwrap();
    post.settle().await;
    let told = explain(&post, created.transaction_hash).await;
    says(
        &told,
        &["There is no job", "waits for the payment", "at any time"],
    );

    post.chain.fund(&purchase).await;
    let locked = post.chain.consumer.send(purchase.lock()).await.unwrap();
    post.settle().await;
    let last = created.block.number + 1000;
    let told = explain(&post, locked.transaction_hash).await;
    says(
        &told,
        &[
            &format!("was paid in block {}", locked.block.number),
            "waits for the publisher",
            &format!("up to block {last}"),
            &format!("From block {} on anybody can abort", last + 1),
            "send to 0x",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decline_and_a_job_are_told_rule_by_rule_with_what_decided() {
    let mut post = Post::start().await;
    let cheap = post
        .paid_as(|purchase| purchase.amount = U256::from(1))
        .await;
    let fine = post.paid().await;
    let mut agent = post.agent().await;
    post.run(&mut agent).await;
    post.run_until(&mut agent, fine.agreement, "done agent")
        .await;
    let told = explain(&post, cheap.agreement).await;
    says(
        &told,
        &[
            "approve: declined (underpaid)",
            "NO  price: 1 is less than the price of 10.",
            "[block ",
            "to refund, from block",
        ],
    );

    let job = post.job(fine.agreement).await;
    let name: String = sqlx::query_scalar("SELECT name FROM ledger.jobs WHERE id = $1")
        .bind(job.id)
        .fetch_one(&post.pool)
        .await
        .unwrap();
    let told = explain(&post, &name).await;
    says(
        &told,
        &[
            &format!("{name} is queued"),
            "verdict: admitted",
            "yes  payment: The lock paid 10 into the escrow. [block ",
            "[call AgreementStoreManager.getAgreement(",
            "approve: done",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_is_none_of_ours_is_told_why() {
    let mut post = Post::start().await;
    post.settle().await;
    let contracts = &post.chain.deployment.contracts;
    let minted = purchase::mint(contracts, post.chain.consumer.address(), U256::from(5));
    let too_new = post.chain.owner.send(minted).await.unwrap();
    let told = explain(&post, too_new.transaction_hash).await;
    says(&told, &["too new"]);
    post.settle().await;
    let told = explain(&post, too_new.transaction_hash).await;
    says(&told, &["none of its events is about an agreement"]);
    let told = explain(&post, B256::repeat_byte(7)).await;
    says(&told, &["the node knows no such transaction"]);
    let elsewhere = tidewatch::keeper::Call::to(post.chain.dispenser, Vec::new(), "say nothing");
    let reverted = post.chain.stranger.send(elsewhere).await;
    let hash = match reverted {
        Ok(mined) => mined.transaction_hash,
        Err(tidewatch::keeper::AccountError::Reverted { transaction, .. }) => transaction,
        Err(error) => panic!("{error}"),
    };
    let told = explain(&post, hash).await;
    says(&told, &["without effect"]);
}
