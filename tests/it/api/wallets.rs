//! Signing in by contract wallets, on the chain or not yet there.

use std::sync::Arc;

use alloy::primitives::{Address, B256, Bytes, address, b256};
use alloy::sol_types::SolValue;
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::json;
use tidewatch::api::{Calls, CannotSee, Settings};

use super::node::Node;
use super::people::{Person, challenge, hand_in};
use super::service::{Endpoint, problem};
use crate::judging::bench::Bench;

/// A node that does not answer.
#[derive(Debug)]
struct Away;

impl Calls for Away {
    fn call(&self, _: Address, _: Bytes) -> BoxFuture<'_, Result<Bytes, CannotSee>> {
        async { Err(CannotSee) }.boxed()
    }

    fn run(&self, _: Bytes) -> BoxFuture<'_, Result<Bytes, CannotSee>> {
        async { Err(CannotSee) }.boxed()
    }
}

/// The precompiled contract that answers with its input.
const IDENTITY: Address = address!("0000000000000000000000000000000000000004");

const SUFFIX: B256 = b256!("6492649264926492649264926492649264926492649264926492649264926492");

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_signs_in_by_what_it_takes_for_its_signature() {
    let mut bench = Bench::start().await;
    bench.settle().await;
    let node = Settings {
        calls: Some(Arc::new(Node::of(&bench.chain))),
        ..Settings::default()
    };
    let api = Endpoint::beside(&bench, node).await;
    let owner = Person::new("owner");
    let wallet = Person::with_wallet("owner", &bench.chain).await;
    let future = Person::with_future_wallet("another owner");
    wallet.sign_in(&api).await;
    future.sign_in(&api).await;
    // Nothing of a sign-in stays on the chain.
    let code = bench
        .chain
        .node
        .request("eth_getCode", json!([future.address(), "latest"]))
        .await;
    assert_eq!(code, "0x");

    let invalid = (401, "invalid_signature".to_owned());
    let refused = async |person: &Person, sign: &dyn Fn(&str) -> Vec<u8>| {
        let message = person.challenge(&api).await;
        problem(hand_in(&api, &message, &sign(&message)).await).await
    };
    let mallory = Person::new("mallory");
    // The wallet reverts; and nothing, or too much, is no signature of it.
    assert_eq!(refused(&wallet, &|text| mallory.sign(text)).await, invalid);
    assert_eq!(refused(&wallet, &|_| vec![]).await, invalid);
    assert_eq!(refused(&wallet, &|_| vec![7; 16_000]).await, invalid);
    // A wallet that is not there does not sign by its owner's key alone, nor by a wrapped signature of somebody else's.
    assert_eq!(
        refused(&future, &|text| Person::new("another owner").sign(text)).await,
        invalid
    );
    let others = Person::with_future_wallet("mallory");
    assert_eq!(refused(&future, &|text| others.sign(text)).await, invalid);
    assert_eq!(refused(&future, &|_| SUFFIX.to_vec()).await, invalid);
    // An account with a key does not become a wallet by a factory that answers everything.
    let plain = Person::new("plain");
    let wrapped = |text: &str| {
        let inside = Bytes::from(mallory.sign(text));
        let wrapped = (IDENTITY, Bytes::from_static(b"anything"), inside).abi_encode_params();
        [&wrapped, SUFFIX.as_slice()].concat()
    };
    assert_eq!(refused(&plain, &wrapped).await, invalid);
    // A deployed wallet is asked as it is, and a signature that says how to deploy it is unwrapped.
    let unwrapped = |text: &str| {
        let inside = Bytes::from(owner.sign(text));
        let wrapped = (IDENTITY, Bytes::new(), inside).abi_encode_params();
        [&wrapped, SUFFIX.as_slice()].concat()
    };
    let message = wallet.challenge(&api).await;
    assert_eq!(
        hand_in(&api, &message, &unwrapped(&message)).await.status(),
        200
    );

    // A contract that answers with the question, which begins with the magic value's bytes, has not signed.
    let asked = json!({"address": IDENTITY, "contractWallet": true});
    let message = challenge(&api, &asked).await["message"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(problem(hand_in(&api, &message, b"").await).await, invalid);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_node_keys_sign_in_and_wallets_are_told_why_not() {
    let mut bench = Bench::start().await;
    bench.settle().await;
    let wallet = Person::with_wallet("owner", &bench.chain).await;
    let away = Settings {
        calls: Some(Arc::new(Away)),
        ..Settings::default()
    };
    let cases = [
        (away, "unavailable"),
        (Settings::default(), "not_configured"),
    ];
    for (settings, code) in cases {
        let api = Endpoint::beside(&bench, settings).await;
        Person::new("alice").sign_in(&api).await;
        let message = wallet.challenge(&api).await;
        let answer = hand_in(&api, &message, &wallet.sign(&message)).await;
        assert_eq!(problem(answer).await, (503, code.to_owned()));
        // What could not be looked at is not spent.
        let node = Settings {
            calls: Some(Arc::new(Node::of(&bench.chain))),
            ..Settings::default()
        };
        wallet.sign_in(&Endpoint::beside(&bench, node).await).await;
    }
}
