//! An honest purchase is answered, once, and the row tells how.

use alloy::primitives::keccak256;
use alloy::signers::local::PrivateKeySigner;
use tidewatch::agent::Kind;
use tidewatch::app::anvil::Anvil;
use tidewatch::ids::Did;
use tidewatch::keeper::{Purchase, purchase};

use super::bench::Post;
use crate::judging::bench::{Bench, Rules, document};
use crate::support::documents::Web;

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

/// The consumer's document lies at an address; once the agent has approved, something else lies there.
#[tokio::test]
async fn what_was_approved_is_what_runs_whatever_the_server_says_by_then() {
    let mut post = Post::start().await;
    let web = Web::new();
    let server = web.server().await;
    post.documents = web.documents();
    let raw = "privacy: {allowRawAlgorithm: true}";
    post.offer(&[(post.did, raw)]);
    let body = document("approved").to_string();
    let address = server.serve("/document", body.clone());
    let register = |purchase: &Purchase| {
        let contracts = &post.chain.deployment.contracts;
        let own = Did(purchase.agreement.0);
        purchase::register_did(contracts, own, keccak256(&body), &[], address.as_bytes())
    };
    let (approved, other) = (post.chain.order(post.did), post.chain.order(post.did));
    for purchase in [&approved, &other] {
        post.chain.consumer.send(register(purchase)).await.unwrap();
    }
    post.chain.pay(&approved).await;
    let mut agent = post.agent().await;
    post.run(&mut agent).await;
    assert_eq!(post.state(approved.agreement).await, "mined agent");
    let asked = server.asked();
    server.serve("/document", "swapped");
    post.settle().await;
    assert_eq!(post.job(approved.agreement).await.status, "queued");
    let frozen = post.frozen(approved.agreement).await;
    assert_eq!(frozen.algorithm.entrypoint, "approved");
    assert_eq!(server.asked(), asked, "nobody asks again");

    // what nobody approved is looked for
    post.chain.buy(&other).await;
    post.settle().await;
    let status = post.job(other.agreement).await.status;
    assert_eq!(status, "finished refused document_invalid");
}

#[tokio::test]
async fn another_key_is_taken_over_while_the_agent_runs() {
    let mut post = Post::start().await;
    let first = post.paid().await;
    let mut agent = post.agent().await;
    post.run_until(&mut agent, first.agreement, "done agent")
        .await;

    let other = PrivateKeySigner::from_bytes(&Anvil::key(3).unwrap()).unwrap();
    let contracts = &post.chain.deployment.contracts;
    let call = purchase::add_did_provider(contracts, post.did, other.address());
    post.chain.provider.send(call).await.unwrap();
    post.keys.send_replace(other.clone());
    let second = post.paid().await;
    post.run_until(&mut agent, second.agreement, "done agent")
        .await;
    assert_eq!(post.sent_by_agent().await, 1);
    let account: Vec<u8> =
        sqlx::query_scalar("SELECT account FROM tidewatch.agent_acts WHERE agreement_id = $1")
            .bind(second.agreement.0.as_slice())
            .fetch_one(&post.pool)
            .await
            .unwrap();
    assert_eq!(account, other.address().as_slice());
    assert_eq!(post.fulfilments(&second).await, 1);
}
