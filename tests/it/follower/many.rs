//! Several deployments and chains in one database, each as if it were alone.

use tidewatch::app::anvil::Options;
use tidewatch::follower::{Follower, Following};

use super::{Bench, settle};
use crate::support::anvil::Node;

#[tokio::test]
async fn two_chains_in_one_database_do_not_know_each_other() {
    let one = Bench::start().await;
    let node = Node::with(Options {
        chain_id: 8997,
        ..Options::default()
    })
    .await;
    let other = Bench::on(node).await;
    one.echo(0..30).await;
    other.echo(100..140).await;
    // The same contract at the same address of another chain, in the first one's database.
    let elsewhere = Following {
        chain_id: 8997,
        ..other.following()
    };
    assert_eq!(one.contract, other.contract);
    let ledger = one.database.ledger.clone();
    let mut first = one.follower(&one.following());
    let mut second = Follower::new(ledger, other.provider(), elsewhere.clone());
    let first_id = first.open().await.unwrap();
    let second_id = second.open().await.unwrap();
    assert_ne!(first_id, second_id);
    let (both, also) = tokio::join!(settle(&mut first), settle(&mut second));
    both.unwrap();
    also.unwrap();
    assert_eq!(one.rows_of(first_id).await, one.truth().await);
    assert_eq!(one.rows_of(second_id).await, other.truth().await);

    // One reorganises, and nothing of the other changes.
    let before = one.cursor(second_id).await;
    one.node.reorganise(5).await;
    one.echo(200..203).await;
    settle(&mut first).await.unwrap();
    settle(&mut second).await.unwrap();
    assert_eq!(one.rows_of(first_id).await, one.truth().await);
    assert_eq!(one.rows_of(second_id).await, other.truth().await);
    assert_eq!(one.cursor(second_id).await.position, before.position);
    assert_eq!(one.cursor(first_id).await.position.epoch, 1);
}

#[tokio::test]
async fn two_contract_sets_on_one_chain_are_two_deployments() {
    let one = Bench::start().await;
    let other = one.second_contract().await;
    one.echo(0..10).await;
    other.echo(&one, 10..20).await;
    let mut following = one.following();
    let mut first = one.follower(&following);
    let first_id = first.open().await.unwrap();
    following.addresses = vec![other.address];
    following.contracts_hash = alloy::primitives::B256::repeat_byte(2);
    let mut second = one.follower(&following);
    let second_id = second.open().await.unwrap();
    settle(&mut first).await.unwrap();
    settle(&mut second).await.unwrap();
    let (ours, theirs) = (one.rows_of(first_id).await, one.rows_of(second_id).await);
    assert_eq!((ours.len(), theirs.len()), (20, 20));
    assert!(ours.iter().all(|row| row.address == one.contract));
    assert!(theirs.iter().all(|row| row.address == other.address));
}

/// Another contract of the same kind on the bench's chain.
struct Second {
    address: alloy::primitives::Address,
}

impl Second {
    async fn echo(&self, bench: &Bench, words: std::ops::Range<u64>) {
        for word in words {
            let mut call = bench.call(word);
            call["to"] = serde_json::json!(self.address);
            super::send(&bench.node, &call).await;
        }
    }
}

impl Bench {
    async fn second_contract(&self) -> Second {
        let deploy = serde_json::json!({"from": self.account, "data": super::ECHO});
        let receipt = super::send(&self.node, &deploy).await;
        Second {
            address: serde_json::from_value(receipt["contractAddress"].clone()).unwrap(),
        }
    }
}
