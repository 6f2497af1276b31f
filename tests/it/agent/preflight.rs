//! What an intended purchase is promised is what it gets, by exactly the transactions that were named.

use alloy::primitives::{B256, U256, keccak256};
use tidewatch::app::anvil::Options;
use tidewatch::ids::{AgreementId, Did};
use tidewatch::jobs::Reason;
use tidewatch::keeper::KeeperVersion;
use tidewatch::preflight::{Intention, Naming, Preflight, Present, preflight, safe_batch};
use tidewatch::workflows::{Catalog, Found, Want};

use super::bench::Post;
use crate::judging::bench::{Bench, Rules, default_workflow, document, inline};
use crate::support::documents::Web;
use crate::support::keeper::Chain;

fn intention(post: &Post) -> Intention {
    Intention {
        agreement: AgreementId(post.chain.fresh()),
        did: post.did,
        consumer: post.chain.consumer.address(),
        amount: None,
        document: None,
    }
}

async fn ask(post: &Post, intention: &Intention) -> Preflight {
    let catalog: std::sync::Arc<Catalog> = std::sync::Arc::clone(&post.catalog.borrow());
    let mut found = Found::default();
    loop {
        let present = Present {
            owner: Some(post.chain.provider.address()),
            head: post.chain.node.head().await,
            registrations: &[],
            found: &found,
        };
        let answer = preflight(&post.chain.deployment, &catalog, intention, &present);
        match answer.wants {
            None => return answer,
            Some(Want::Registrations { did }) => found.put_registrations(did, Vec::new()),
            Some(want) => {
                let finding = post.documents.find(&want).await.unwrap();
                found.put(want, finding);
            }
        }
    }
}

/// Purchases that name nothing, a document, and the address of one: each is promised, and its named transactions, sent in the named
/// order, make the promised job.
async fn promises_are_kept(mut post: Post) {
    let web = Web::new();
    let server = web.server().await;
    post.documents = web.documents();
    let raw = format!(
        "privacy: {{allowRawAlgorithm: true}}, {}",
        default_workflow()
    );
    post.offer(&[(post.did, &raw)]);
    let inline = Naming::inline(inline(&document("inline")));
    let body = document("elsewhere").to_string();
    let address = server.serve("/document", body.clone());
    let at = Naming::at(&address, keccak256(&body));
    let mut agent = post.agent().await;
    for (document, transactions, entrypoint) in [
        (None, 3, "default"),
        (Some(inline), 4, "inline"),
        (Some(at), 4, "elsewhere"),
    ] {
        let intention = Intention {
            document,
            ..intention(&post)
        };
        let answer = ask(&post, &intention).await;
        assert_eq!(answer.refused, None, "{:#?}", answer.rules);
        assert_eq!(answer.price, Some(U256::from(10)));
        assert_eq!(answer.calls.len(), transactions);
        let batch = safe_batch(8996, 0, "a purchase", &answer.calls);
        assert_eq!(
            batch["transactions"].as_array().unwrap().len(),
            transactions
        );

        let contracts = &post.chain.deployment.contracts;
        let tokens =
            tidewatch::keeper::purchase::mint(contracts, intention.consumer, answer.price.unwrap());
        post.chain.owner.send(tokens).await.unwrap();
        for call in answer.calls {
            post.chain.consumer.send(call).await.unwrap();
        }
        post.run(&mut agent).await;
        post.settle().await;
        assert_eq!(post.job(intention.agreement).await.status, "queued");
        assert_eq!(
            post.frozen(intention.agreement).await.algorithm.entrypoint,
            entrypoint
        );
    }
}

#[tokio::test]
async fn the_named_transactions_make_the_promised_job() {
    promises_are_kept(Post::start().await).await;
}

#[tokio::test]
async fn the_named_transactions_make_the_promised_job_where_a_template_contract_makes_agreements() {
    let chain = Chain::deployed(Options::default(), KeeperVersion::V0_12_7, false).await;
    let post = Post::over(Bench::on(chain, Rules::default()).await).await;
    assert_eq!(post.chain.deployment.template_ids, Vec::<B256>::new());
    promises_are_kept(post).await;
}

#[tokio::test]
async fn what_would_be_refused_is_told_before_anything_is_sent() {
    let post = Post::start().await;
    let cheap = Intention {
        amount: Some(U256::from(9)),
        ..intention(&post)
    };
    let raw = Intention {
        document: Some(Naming::inline(inline(&document("python $ALGO")))),
        ..intention(&post)
    };
    let foreign = Intention {
        did: Did(post.chain.fresh()),
        ..intention(&post)
    };
    for (intention, reason) in [
        (cheap, Reason::Underpaid),
        (raw, Reason::RawAlgorithmNotAllowed),
        (foreign, Reason::NotOurAsset),
    ] {
        let answer = ask(&post, &intention).await;
        assert_eq!(answer.refused, Some(reason));
        assert!(answer.calls.is_empty());
        let failed = answer
            .rules
            .iter()
            .any(|rule| rule.answer == tidewatch::admission::Answer::Fails);
        assert!(failed, "{:#?}", answer.rules);
    }
}
