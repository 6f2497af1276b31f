//! The equipment that other tests and the demo stand on.

use std::net::TcpStream;

use serde_json::json;
use tempfile::TempDir;
use tidewatch::app::anvil::{Mining, Options};
use tidewatch::app::packages::{self, KEEPER_CONTRACTS, Package};

use crate::support::anvil::Node;
use crate::support::keeper::Chain;

#[tokio::test]
async fn a_chain_ends_with_its_handle_and_two_do_not_meet() {
    let (one, other) = (Node::start().await, Node::start().await);
    assert_ne!(one.url(), other.url());
    let address = format!("127.0.0.1:{}", one.url().port().unwrap());
    assert!(TcpStream::connect(&address).is_ok());
    drop(one);
    assert!(TcpStream::connect(&address).is_err());
    other.mine(3).await;
    assert_eq!(other.head().await, 3);
}

#[tokio::test]
async fn a_chain_has_the_id_and_the_mining_that_were_asked_for() {
    let node = Node::with(Options {
        chain_id: 31_999,
        mining: Mining::OnDemand,
        port: 0,
    })
    .await;
    assert_eq!(
        node.request("eth_chainId", json!([])).await,
        json!("0x7cff")
    );
    node.mine(2).await;
    let finalized = node
        .request("eth_getBlockByNumber", json!(["finalized", false]))
        .await;
    assert_eq!(
        (node.head().await, &finalized["number"]),
        (2, &json!("0x0"))
    );
}

#[tokio::test]
async fn a_purchase_can_be_reorganised_away() {
    let chain = Chain::start().await;
    let purchase = chain.order(chain.asset().await);
    chain.document(&purchase, b"data:,{}").await;
    let before = chain.node.snapshot().await;
    let fulfilled = chain.buy(&purchase).await;
    let hash = |number: u64| {
        let node = &chain.node;
        async move {
            let parameters = json!([format!("{number:#x}"), false]);
            node.request("eth_getBlockByNumber", parameters).await["hash"].clone()
        }
    };
    let block = fulfilled.block;
    assert_eq!(hash(block.number).await, json!(block.hash));
    chain.node.reorganise(2).await;
    assert_eq!(chain.node.head().await, block.number);
    assert_ne!(hash(block.number).await, json!(block.hash));

    chain.node.revert(before).await;
    assert!(chain.node.head().await < block.number);
    chain.buy(&purchase).await;
}

#[test]
fn an_archive_that_is_not_the_pinned_one_is_refused_and_leaves_nothing() {
    let cache = TempDir::new().unwrap();
    let forged = Package {
        integrity: "sha512-AAAA",
        ..KEEPER_CONTRACTS
    };
    let told = format!("{:#}", packages::ensure(forged, cache.path()).unwrap_err());
    assert!(
        told.contains("@oceanprotocol/keeper-contracts 0.13.2"),
        "{told}"
    );
    assert!(told.contains("not the pinned sha512-AAAA"), "{told}");

    let unpacked = packages::ensure(KEEPER_CONTRACTS, cache.path()).unwrap();
    assert!(unpacked.join("artifacts").is_dir());
    let again = packages::ensure(KEEPER_CONTRACTS, cache.path()).unwrap();
    assert_eq!(again, unpacked);
    let unknown = Package {
        version: "0.0.0-none",
        ..KEEPER_CONTRACTS
    };
    let told = format!("{:#}", packages::ensure(unknown, cache.path()).unwrap_err());
    assert!(told.contains("npm pack ended with"), "{told}");
}
