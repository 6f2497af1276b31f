//! The catalog changes between the agent's approval and the job: what was approved stands, unless the operator stopped the asset in
//! so many words.

use std::sync::Arc;

use alloy::primitives::B256;
use tidewatch::jobs::Outcome;
use tidewatch::keeper::Purchase;
use tidewatch::workflows::Catalog;

use super::bench::{Post, tick};
use super::releasing::{end, release};
use crate::judging::bench::default_workflow;

/// Under which version of the catalog a job was judged last, and under which it was frozen.
async fn versions(post: &Post, purchase: &Purchase) -> (Option<B256>, Option<B256>) {
    let row: (Vec<u8>, Option<Vec<u8>>) = sqlx::query_as(
        "SELECT (SELECT v.policy_sha256::bytea FROM ledger.verdicts v WHERE v.job_id = j.id ORDER BY number DESC LIMIT 1),
                (SELECT s.policy_sha256::bytea FROM ledger.job_specs s WHERE s.job_id = j.id)
         FROM ledger.jobs j WHERE j.agreement_id = $1",
    )
    .bind(purchase.agreement.0.as_slice())
    .fetch_one(&post.pool)
    .await
    .unwrap();
    (
        Some(B256::from_slice(&row.0)),
        row.1.map(|bytes| B256::from_slice(&bytes)),
    )
}

fn version(post: &Post) -> Option<B256> {
    Some(post.catalog.borrow().sha256)
}

/// A paid purchase that the agent has approved; the judge has not seen the answer.
async fn approved(post: &mut Post) -> Purchase {
    let purchase = post.paid().await;
    post.settle().await;
    tick(&mut post.agent().await).await;
    assert_eq!(post.compute_state(&purchase).await, 2);
    assert!(post.jobs(purchase.agreement).await.is_empty());
    purchase
}

/// The same asset, dearer, for somebody else's account, and without a workflow: nothing that was sold would be owed or run.
fn pay_others_from_now_on(post: &Post) {
    let payee = post.chain.owner.address();
    let text = format!(
        "policy: {{payees: [\"{payee}\"]}}\nassets: [{{did: \"{}\", minimumPrice: 99}}]\n",
        post.did
    );
    reload(post, &text);
}

fn reload(post: &Post, text: &str) {
    let catalog = Catalog::parse(text.as_bytes()).unwrap();
    post.catalog.send_replace(Arc::new(catalog));
}

#[tokio::test]
async fn what_was_approved_is_owed_and_runs_under_the_catalog_of_the_approval() {
    let mut post = Post::start().await;
    let sold = version(&post);
    let purchase = approved(&mut post).await;
    pay_others_from_now_on(&post);
    post.settle().await;
    assert_eq!(post.job(purchase.agreement).await.status, "queued");
    assert_eq!(versions(&post, &purchase).await, (sold, sold));
    assert_eq!(
        post.frozen(purchase.agreement).await.algorithm.entrypoint,
        "default"
    );

    // judged again when something happens to the agreement, it stays what it is
    post.chain.stranger.send(purchase.release()).await.unwrap();
    post.settle().await;
    assert_eq!(post.job(purchase.agreement).await.status, "queued");
    assert_eq!(versions(&post, &purchase).await, (sold, sold));
}

#[tokio::test]
async fn an_asset_that_left_the_catalog_is_still_owed_to_whom_it_was_approved() {
    let mut post = Post::start().await;
    let sold = version(&post);
    let purchase = approved(&mut post).await;
    reload(&post, "assets: []\n");
    post.settle().await;
    assert_eq!(post.job(purchase.agreement).await.status, "queued");
    assert_eq!(versions(&post, &purchase).await, (sold, sold));
}

#[tokio::test]
async fn an_operator_who_disables_an_asset_stops_what_was_approved_too() {
    let mut post = Post::start().await;
    let purchase = approved(&mut post).await;
    let off = format!("enabled: false, {}", default_workflow());
    post.offer(&[(post.did, &off)]);
    post.settle().await;
    let status = post.job(purchase.agreement).await.status;
    assert_eq!(status, "finished refused asset_disabled");
    assert_eq!(versions(&post, &purchase).await, (version(&post), None));
}

/// The agent has approved too, but the owner was faster: that hand saw no catalog.
#[tokio::test]
async fn what_somebody_else_fulfilled_is_judged_by_the_newest_catalog() {
    let mut post = Post::start().await;
    let purchase = post.paid().await;
    post.settle().await;
    post.chain.node.automine(false).await;
    tick(&mut post.agent().await).await;
    assert_eq!(post.state(purchase.agreement).await, "sent");
    // offers more per gas, and so comes first in the block
    let owners = post.chain.provider.submit(vec![purchase.fulfil()]).await;
    post.chain.node.mine(1).await;
    post.chain.node.automine(true).await;
    post.chain.provider.mined(owners.unwrap()).await.unwrap();
    pay_others_from_now_on(&post);
    post.settle().await;
    let status = post.job(purchase.agreement).await.status;
    assert_eq!(status, "finished refused underpaid");
    assert_eq!(versions(&post, &purchase).await, (version(&post), None));
}

/// Whom the escrow pays stands in the escrow's own terms; the catalog names somebody else by the time the job has succeeded.
#[tokio::test]
async fn the_escrow_still_pays_whom_the_approving_catalog_named() {
    let mut post = Post::start().await;
    let payee = post.chain.stranger.address();
    let text = format!(
        "policy: {{payees: [\"{payee}\"], images: [python]}}\nassets: [{{did: \"{}\", minimumPrice: 10, {}}}]\n",
        post.did,
        default_workflow()
    );
    reload(&post, &text);
    let purchase = post.paid_as(|purchase| purchase.receiver = payee).await;
    let mut agent = post.agent().await;
    post.run_until(&mut agent, purchase.agreement, "done agent")
        .await;
    pay_others_from_now_on(&post);
    let before = post.tokens(payee).await;
    let job = post.job(purchase.agreement).await.id;
    end(&post, job, Outcome::Succeeded, None).await;
    release(&mut post, &purchase, "done agent").await;
    assert_eq!(post.tokens(payee).await, before + purchase.amount);
}
