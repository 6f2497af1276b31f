//! The escrow pays after success, and only then.

use alloy::primitives::U256;
use tidewatch::ids::JobId;
use tidewatch::jobs::{Outcome, Phase, Reason, Status};
use tidewatch::keeper::Purchase;
use tidewatch::ledger::{self, status};

use super::bench::{Post, tick};

/// Brings a job to its end, by the moves that the workers make.
pub(super) async fn end(post: &Post, job: i64, outcome: Outcome, reason: Option<Reason>) {
    let steps = [
        Status::of_phase(Phase::Configuring, 1),
        Status::of_phase(Phase::Running, 1),
        Status::of_phase(Phase::Publishing, 1),
        Status::finished(outcome, reason, 1),
    ];
    for step in steps {
        let mut transaction = post.ledger.begin().await.unwrap();
        let mut locked = status::lock(&mut transaction, JobId(job)).await.unwrap();
        status::advance(&mut transaction, &mut locked, step, "observer")
            .await
            .unwrap();
        ledger::commit(transaction).await.unwrap();
    }
}

async fn approved(post: &mut Post) -> (Purchase, i64) {
    let purchase = post.paid().await;
    let mut agent = post.agent().await;
    post.run_until(&mut agent, purchase.agreement, "done agent")
        .await;
    let job = post.job(purchase.agreement).await;
    (purchase, job.id)
}

pub(super) async fn release(
    post: &mut Post,
    purchase: &Purchase,
    wanted: &str,
) -> super::bench::Row {
    let mut agent = post.agent().await;
    for _ in 0..20 {
        post.run(&mut agent).await;
        let row = post.act("release", purchase.agreement).await;
        if row.as_ref().is_some_and(|row| row.state == wanted) {
            return row.unwrap();
        }
        post.chain.node.mine(1).await;
        post.make_due().await;
    }
    let row = post.act("release", purchase.agreement).await;
    panic!("the release did not become {wanted}: {row:?}")
}

#[tokio::test]
async fn the_escrow_pays_the_publisher_once_the_job_has_succeeded() {
    let mut post = Post::start().await;
    let (purchase, job) = approved(&mut post).await;
    let mut agent = post.agent().await;
    tick(&mut agent).await;
    assert_eq!(post.act("release", purchase.agreement).await, None);

    let before = post.tokens(post.chain.provider.address()).await;
    end(&post, job, Outcome::Succeeded, None).await;
    release(&mut post, &purchase, "done agent").await;
    let after = post.tokens(post.chain.provider.address()).await;
    assert_eq!(after - before, U256::from(10));
    assert_eq!(post.sent_by_agent().await, 2);
}

#[tokio::test]
async fn a_job_that_failed_by_the_publishers_fault_is_not_released() {
    let mut post = Post::start().await;
    let (purchase, job) = approved(&mut post).await;
    let reason = Reason::DataProvisioningFailed;
    end(&post, job, Outcome::Failed, Some(reason)).await;
    let row = release(&mut post, &purchase, "declined data_provisioning_failed").await;
    assert!(row.detail.unwrap().contains("pay the consumer back"));
    assert_eq!(post.sent_by_agent().await, 1);
}

#[tokio::test]
async fn an_algorithm_that_failed_leaves_the_escrow_to_the_publishers_decision() {
    let mut post = Post::start().await;
    let (purchase, job) = approved(&mut post).await;
    let reason = Reason::AlgorithmFailed;
    end(&post, job, Outcome::Failed, Some(reason)).await;
    let row = release(&mut post, &purchase, "declined algorithm_failed").await;
    assert!(row.detail.unwrap().contains("publisher's decision"));
}

#[tokio::test]
async fn an_escrow_that_somebody_else_released_is_fine() {
    let mut post = Post::start().await;
    let (purchase, job) = approved(&mut post).await;
    post.chain.stranger.send(purchase.release()).await.unwrap();
    end(&post, job, Outcome::Succeeded, None).await;
    release(&mut post, &purchase, "done other").await;
    assert_eq!(post.sent_by_agent().await, 1);
}
