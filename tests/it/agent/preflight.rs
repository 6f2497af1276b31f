//! What an intended purchase is promised is what it gets, by exactly the transactions that were named.

use alloy::primitives::U256;
use tidewatch::ids::{AgreementId, Did};
use tidewatch::jobs::Reason;
use tidewatch::preflight::{Intention, Preflight, Present, preflight, safe_batch};
use tidewatch::workflows::{Catalog, Found, Want};

use crate::support::documents::Web;

use super::bench::Post;
use crate::judging::bench::{default_workflow, document, inline};

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
    let documents = Web::new().documents();
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
                let finding = documents.find(&want).await.unwrap();
                found.put(want, finding);
            }
        }
    }
}

#[tokio::test]
async fn the_named_transactions_make_the_promised_job() {
    let mut post = Post::start().await;
    let raw = format!(
        "privacy: {{allowRawAlgorithm: true}}, {}",
        default_workflow()
    );
    post.offer(&[(post.did, &raw)]);
    let with_document = Intention {
        document: Some(inline(&document("python $ALGO"))),
        ..intention(&post)
    };
    let mut agent = post.agent().await;
    for (intention, transactions) in [(intention(&post), 3), (with_document, 4)] {
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
        post.run_until(&mut agent, intention.agreement, "done agent")
            .await;
        assert_eq!(post.job(intention.agreement).await.status, "queued");
    }
}

#[tokio::test]
async fn what_would_be_refused_is_told_before_anything_is_sent() {
    let post = Post::start().await;
    let cheap = Intention {
        amount: Some(U256::from(9)),
        ..intention(&post)
    };
    let raw = Intention {
        document: Some(inline(&document("python $ALGO"))),
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
