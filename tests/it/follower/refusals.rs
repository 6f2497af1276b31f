//! What is not followed, and the sentence that says why.

use alloy::primitives::Address;
use tidewatch::chain::Providers;
use tidewatch::fault::Fault;
use tidewatch::follower::{self, Follower, Following, check_contracts};
use tidewatch::worker::Chain as Sentence;

use super::{Bench, refused, settle};
use crate::support::anvil::Node;

#[tokio::test]
async fn a_chain_restarted_under_the_same_id_is_refused() {
    let bench = Bench::start().await;
    bench.echo(0..30).await;
    let mut follower = bench.follower(&bench.following());
    settle(&mut follower).await.unwrap();

    let node = Node::start().await;
    let restarted = Bench::on(node).await;
    restarted.echo(50..90).await;
    assert_eq!(restarted.contract, bench.contract);
    let provider = restarted.provider();
    let mut follower = Follower::new(bench.database.ledger.clone(), provider, bench.following());
    let (fault, sentence) = refused(&mut follower).await;
    assert_eq!(fault, Fault::Fatal);
    assert!(
        sentence.starts_with("chain 8996 is not the one"),
        "{sentence}"
    );
    assert_eq!(bench.rows(true).await, bench.truth().await);
}

#[tokio::test]
async fn contracts_that_cannot_be_followed_are_refused_with_a_sentence() {
    let bench = Bench::start().await;
    let provider = Providers::from(bench.provider());
    let sentence = async |following: Following| {
        let error = check_contracts(&provider, &following).await.unwrap_err();
        assert_eq!(error.fault(), Fault::Fatal);
        Sentence(&error).to_string()
    };
    check_contracts(&provider, &bench.following())
        .await
        .unwrap();
    let other_chain = Following {
        chain_id: 1,
        ..bench.following()
    };
    assert!(
        sentence(other_chain)
            .await
            .ends_with("is on chain 8996, but the deployment file names chain 1")
    );
    let empty = Following {
        addresses: vec![bench.contract, Address::repeat_byte(9)],
        ..bench.following()
    };
    assert_eq!(
        sentence(empty).await,
        "address 0x0909090909090909090909090909090909090909 of the deployment file has no code on chain 8996"
    );
    let beyond = Following {
        start_block: 1_000,
        ..bench.following()
    };
    assert_eq!(
        sentence(beyond.clone()).await,
        "start block 1000 of the deployment file is beyond the newest block 1 of chain 8996"
    );
    let error = follower::open(&bench.database.ledger, &provider, &beyond)
        .await
        .unwrap_err();
    assert_eq!(error.fault(), Fault::Fatal);
}
