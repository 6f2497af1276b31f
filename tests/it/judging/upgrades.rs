//! A followed proxy is given other code: what was said since waits until somebody vouches for it.

use std::sync::Arc;

use alloy::primitives::{Address, B256, address};
use alloy::sol_types::SolEvent;
use serde_json::json;
use tidewatch::keeper::abi::Proxy;
use tidewatch::ledger::upgrades;

use super::bench::{Bench, Rules, default_workflow};
use crate::support::eventually;
use crate::support::keeper::Chain;

/// Deploys a contract that answers any call with a log of two topics, the first words of the call's data. Disassembled: PUSH1 32
/// CALLDATALOAD PUSH0 CALLDATALOAD PUSH0 PUSH0 LOG2 STOP, behind code that returns it.
const EMITTER: &str = "0x686020355f355f5fa2005f5260096017f3";

/// What the proxy runs from then on.
const OTHER: Address = address!("0x00000000000000000000000000000000000000c0");

/// A chain with the real contracts, where a contract of one followed address can say that it was upgraded. No purchase needs it.
pub(crate) async fn chain() -> Chain {
    let mut chain = Chain::start().await;
    let receipt = send(&chain, json!({"data": EMITTER})).await;
    chain.deployment.contracts.template_store_manager =
        serde_json::from_value(receipt["contractAddress"].clone()).unwrap();
    chain
}

pub(crate) async fn upgrade(chain: &Chain) {
    let topics = [Proxy::Upgraded::SIGNATURE_HASH, OTHER.into_word()];
    let data = format!("{}{:x}", topics[0], topics[1]);
    let proxy = chain.deployment.contracts.template_store_manager;
    send(chain, json!({"to": proxy, "data": data})).await;
}

async fn send(chain: &Chain, mut transaction: serde_json::Value) -> serde_json::Value {
    let accounts = chain.node.request("eth_accounts", json!([])).await;
    transaction["from"] = accounts[9].clone();
    let hash = chain
        .node
        .request("eth_sendTransaction", json!([transaction]))
        .await;
    let patience = std::time::Duration::from_secs(120);
    eventually("a transaction is in a block", patience, async || {
        let receipt = chain
            .node
            .request("eth_getTransactionReceipt", json!([hash]))
            .await;
        (!receipt.is_null()).then_some(receipt)
    })
    .await
}

impl Bench {
    async fn recorded(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM ledger.logs WHERE canonical AND topics[1] = $1")
            .bind(Proxy::Upgraded::SIGNATURE_HASH.as_slice())
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn an_unlisted_upgrade_holds_admission_and_not_recording_until_it_is_released() {
    let mut bench = Bench::on(chain().await, Rules::default()).await;
    let did = bench.chain.asset().await;
    bench.offer(&[(did, &default_workflow())]);
    let before = bench.chain.order(did);
    bench.chain.buy(&before).await;
    bench.settle().await;
    assert_eq!(bench.job(before.agreement).await.status, "queued");

    upgrade(&bench.chain).await;
    let after = bench.chain.order(did);
    bench.chain.buy(&after).await;
    bench.settle().await;
    assert_eq!(bench.recorded().await, 1);
    assert_eq!(bench.job(before.agreement).await.status, "queued");
    let held = bench.job(after.agreement).await;
    assert_eq!(held.status, "undecided");
    let why: String = sqlx::query_scalar(
        "SELECT r ->> 'detail' FROM ledger.verdicts v, jsonb_array_elements(v.rules) r
         WHERE v.job_id = $1 AND r ->> 'rule' = 'known_code'",
    )
    .bind(held.id)
    .fetch_one(&bench.pool)
    .await
    .unwrap();
    assert!(why.contains("an operator has to release it"), "{why}");

    let mut connection = bench.ledger.acquire().await.unwrap();
    let released = upgrades::release(&mut connection, bench.id).await.unwrap();
    assert_eq!(released, 1);
    bench.settle().await;
    assert_eq!(bench.job(after.agreement).await.status, "queued");
    assert_eq!(bench.verdicts(held.id).await, ["undecided", "admitted"]);
}

#[tokio::test]
async fn a_listed_upgrade_holds_nothing() {
    let mut chain = chain().await;
    chain.deployment.implementations = vec![OTHER];
    let mut bench = Bench::on(chain, Rules::default()).await;
    let did = bench.chain.asset().await;
    bench.offer(&[(did, &default_workflow())]);
    upgrade(&bench.chain).await;
    let purchase = bench.chain.order(did);
    bench.chain.buy(&purchase).await;
    bench.settle().await;
    assert_eq!(bench.job(purchase.agreement).await.status, "queued");
}

#[tokio::test]
async fn what_was_upgraded_before_following_began_counts_unless_the_file_lists_others() {
    let chain = chain().await;
    upgrade(&chain).await;
    let mut bench = Bench::on(chain, Rules::default()).await;
    let did = bench.chain.asset().await;
    bench.offer(&[(did, &default_workflow())]);
    let purchase = bench.chain.order(did);
    bench.chain.buy(&purchase).await;
    bench.settle().await;
    assert_eq!(bench.job(purchase.agreement).await.status, "queued");

    let mut chain = Arc::into_inner(bench.chain).expect("nobody else uses the chain");
    chain.deployment.implementations = vec![Address::from_word(B256::repeat_byte(1))];
    let mut strict = Bench::on(chain, Rules::default()).await;
    strict.offer(&[(did, &default_workflow())]);
    strict.settle().await;
    assert_eq!(strict.job(purchase.agreement).await.status, "undecided");
}
