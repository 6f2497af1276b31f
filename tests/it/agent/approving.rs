//! An honest purchase is answered, once, and the row tells how.

use tidewatch::agent::Kind;

use super::bench::Post;
use crate::judging::bench::{Bench, Rules};

#[tokio::test]
async fn a_paid_agreement_is_answered_and_becomes_a_job() {
    let mut post = Post::start().await;
    let purchase = post.paid().await;
    let mut agent = post.agent().await;
    let row = post
        .run_until(&mut agent, purchase.agreement, "done agent")
        .await;

    let signed = post.signed(purchase.agreement).await;
    assert_eq!(signed.len(), 1);
    assert_eq!(
        row.transaction_hash.as_ref(),
        Some(&signed[0].transaction_hash)
    );
    assert_eq!((signed[0].nonce, signed[0].succeeded), (0, Some(true)));
    assert_eq!(post.compute_state(&purchase).await, 2);
    assert_eq!(post.fulfilments(&purchase).await, 1);
    assert_eq!(post.job(purchase.agreement).await.status, "queued");
    assert_eq!(post.sent_by_agent().await, 1);
}

#[tokio::test]
async fn the_row_holds_the_whole_judgement_rule_by_rule() {
    let mut post = Post::start().await;
    let purchase = post.paid().await;
    let mut agent = post.agent().await;
    post.run(&mut agent).await;
    let rules: serde_json::Value =
        sqlx::query_scalar("SELECT rules FROM tidewatch.agent_acts WHERE agreement_id = $1")
            .bind(purchase.agreement.0.as_slice())
            .fetch_one(&post.pool)
            .await
            .unwrap();
    let rules = rules.as_array().unwrap();
    for rule in rules {
        assert_eq!(rule["answer"], "holds", "{rule}");
        let log = &rule["evidence"]["log"];
        assert!(log.is_null() || log.as_i64().unwrap() > 0, "{rule}");
    }
    let supposed: Vec<_> = rules
        .iter()
        .filter(|rule| rule["detail"].as_str().unwrap().starts_with("Supposed"))
        .map(|rule| rule["rule"].as_str().unwrap())
        .collect();
    assert_eq!(supposed, ["condition_id", "condition_state"]);
    assert_eq!(rules.last().unwrap()["rule"], "workflow");
}

#[tokio::test]
async fn nothing_is_answered_before_the_payment_is_deep_enough() {
    let rules = Rules {
        act_at: tidewatch::follower::ActAt::Depth(3),
        ..Rules::default()
    };
    let chain = crate::support::keeper::Chain::start().await;
    let mut post = Post::over(Bench::on(chain, rules).await).await;
    let purchase = post.paid().await;
    let mut agent = post.agent().await;
    for _ in 0..2 {
        post.run(&mut agent).await;
        assert_eq!(post.act("approve", purchase.agreement).await, None);
        post.chain.node.mine(1).await;
    }
    post.chain.node.mine(1).await;
    post.run(&mut agent).await;
    assert_eq!(post.state(purchase.agreement).await, "mined agent");
}

#[tokio::test]
async fn an_unpaid_agreement_and_somebody_elses_asset_are_no_acts_at_all() {
    let mut post = Post::start().await;
    let unpaid = post.chain.order(post.did);
    post.chain.consumer.send(unpaid.create()).await.unwrap();
    let foreign = post.chain.order(post.chain.asset().await);
    post.chain.pay(&foreign).await;
    let mut agent = post.agent().await;
    post.run(&mut agent).await;
    assert_eq!(post.act("approve", unpaid.agreement).await, None);
    assert_eq!(post.act("approve", foreign.agreement).await, None);
    assert_eq!(post.sent_by_agent().await, 0);
}

#[tokio::test]
async fn several_purchases_are_answered_with_consecutive_nonces() {
    let mut post = Post::start().await;
    let mut agreements = Vec::new();
    for _ in 0..4 {
        agreements.push(post.paid().await.agreement);
    }
    let mut agent = post.agent().await;
    let mut nonces = Vec::new();
    for agreement in &agreements {
        post.run_until(&mut agent, *agreement, "done agent").await;
        nonces.extend(post.signed(*agreement).await.iter().map(|one| one.nonce));
    }
    nonces.sort_unstable();
    assert_eq!(nonces, [0, 1, 2, 3]);
    assert_eq!(post.sent_by_agent().await, 4);
}

#[tokio::test]
async fn an_agent_that_only_releases_answers_nothing() {
    let mut post = Post::start().await;
    let purchase = post.paid().await;
    let mut agent = post
        .agent_with(|settings| settings.kinds = vec![Kind::Release])
        .await;
    post.run(&mut agent).await;
    assert_eq!(post.act("approve", purchase.agreement).await, None);
}

#[tokio::test]
async fn an_account_that_is_no_provider_waits_and_says_how_to_mend_it() {
    let mut post = Post::start().await;
    let other = post.chain.asset().await;
    post.offer(&[(other, &crate::judging::bench::default_workflow())]);
    let purchase = post.chain.order(other);
    post.chain.pay(&purchase).await;
    let mut agent = post.agent().await;
    post.run(&mut agent).await;
    let row = post.act("approve", purchase.agreement).await.unwrap();
    assert_eq!(row.state, "waiting not_provider");
    assert!(row.detail.unwrap().contains("addDIDProvider"));

    let contracts = &post.chain.deployment.contracts;
    let call = tidewatch::keeper::purchase::add_did_provider(contracts, other, post.address());
    post.chain.provider.send(call).await.unwrap();
    post.make_due().await;
    post.run_until(&mut agent, purchase.agreement, "done agent")
        .await;
}
