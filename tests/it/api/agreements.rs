//! Purchases before there is a job, on the real contracts: what they wait for, what they would get.

use std::sync::Arc;

use alloy::primitives::{Address, B256, Bytes, U256};
use reqwest::Method;
use serde_json::{Value, json};
use tidewatch::api::Settings;
use tidewatch::ids::AgreementId;
use tidewatch::keeper::{Account, Call, purchase};

use super::node::Node;
use super::service::{Endpoint, problem};
use crate::judging::bench::{Bench, default_workflow, document};

fn with_node(bench: &Bench) -> Settings {
    Settings {
        calls: Some(Arc::new(Node::of(&bench.chain))),
        ..Settings::default()
    }
}

/// Sends the transactions that an answer names.
async fn send_all(account: &Account, transactions: &Value) {
    for told in transactions.as_array().unwrap() {
        let part = |name: &str| told[name].as_str().unwrap();
        let data: Bytes = part("data").parse().unwrap();
        let call = Call::to(part("to").parse().unwrap(), data, part("what"));
        account.send(call).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agreement_says_what_is_awaited_from_whom_until_when_and_how_to_be_refunded() {
    let mut bench = Bench::start().await;
    let chain = Arc::clone(&bench.chain);
    let did = chain.asset().await;
    bench.offer(&[(did, &default_workflow())]);
    let purchase = chain.order(did);
    let path = format!("/v1/agreements/{}", purchase.agreement);
    bench.settle().await;
    let api = Endpoint::beside(&bench, with_node(&bench)).await;
    let unknown = api.problem(&path).await;
    assert_eq!(unknown, (404, "agreement_not_found".to_owned()));
    let malformed = api.problem("/v1/agreements/7").await;
    assert_eq!(malformed, (400, "invalid_parameter".to_owned()));

    let created = chain.consumer.send(purchase.create()).await.unwrap();
    bench.settle().await;
    let told = api.json(&path).await;
    assert_eq!(told["did"], did.to_string());
    assert_eq!(told["consumer"], chain.consumer.address().to_string());
    assert_eq!(told["conditions"]["lock"], purchase.lock_id().to_string());
    assert_eq!(told["payment"], Value::Null);
    let awaited = &told["awaited"];
    assert_eq!(
        (&awaited["what"], &awaited["from"]),
        (&json!("payment"), &json!("anybody"))
    );
    assert_eq!(awaited["until"], "ever");

    chain.fund(&purchase).await;
    let locked = chain.consumer.send(purchase.lock()).await.unwrap();
    bench.settle().await;
    let told = api.json(&path).await;
    let last = created.block.number + 1000;
    assert_eq!(
        told["payment"],
        json!({"amount": "10", "blockNumber": locked.block.number})
    );
    assert_eq!(told["awaited"]["what"], "answer");
    assert_eq!(told["awaited"]["from"], "publisher");
    assert_eq!(told["awaited"]["untilBlock"], last);
    assert_eq!(told["refund"]["fromBlock"], last + 1);
    assert_eq!(told["jobs"], json!([]));
    let names: Vec<_> = told["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["name"].as_str().unwrap())
        .collect();
    assert_eq!(names.first(), Some(&"ConditionCreated"));
    assert_eq!(names.last(), Some(&"Fulfilled"));

    // Without a node the rest is told all the same.
    let blind = Endpoint::beside(&bench, Settings::default()).await;
    let unseen = blind.json(&path).await;
    assert_eq!(unseen["awaited"]["until"], "unknown");
    assert_eq!(unseen["payment"], told["payment"]);

    // The refund does what it says.
    let balance = async || tokens(&bench, chain.consumer.address()).await;
    assert_eq!(balance().await, U256::ZERO);
    chain.node.mine(1001).await;
    send_all(&chain.stranger, &told["refund"]["transactions"]).await;
    assert_eq!(balance().await, U256::from(10));

    let answered = chain.order(did);
    chain.buy(&answered).await;
    bench.settle().await;
    let told = api
        .json(&format!("/v1/agreements/{}", answered.agreement))
        .await;
    assert_eq!(told["awaited"]["what"], "job");
    assert_eq!(told["jobs"][0]["phase"], "queued");
    let found = api
        .json(&format!("/v1/jobs?agreementId={}", answered.agreement))
        .await;
    assert_eq!(found["jobs"], told["jobs"]);
}

async fn tokens(bench: &Bench, account: Address) -> U256 {
    // balanceOf(address)
    let mut data = alloy::hex!("70a08231").to_vec();
    data.extend(B256::left_padding_from(account.as_slice()));
    let token = bench.chain.deployment.contracts.ocean_token;
    let asked = json!([{"to": token, "data": alloy::hex::encode_prefixed(data)}, "latest"]);
    let answer = bench.chain.node.request("eth_call", asked).await;
    answer.as_str().unwrap().parse().unwrap()
}

async fn preflight(api: &Endpoint, asked: &Value) -> reqwest::Response {
    let request = api.client.post(format!("{}/v1/preflight", api.origin()));
    request.json(asked).send().await.unwrap()
}

/// An intended purchase that says no more than it must.
fn intention(did: &str) -> Value {
    json!({"did": did, "consumer": "0x00000000000000000000000000000000000000c0"})
}

fn with(did: &str, name: &str, value: Value) -> Value {
    let mut asked = intention(did);
    asked[name] = value;
    asked
}

async fn what_would_be_refused_is_told(api: &Endpoint, open: &str, closed: &str) {
    let stranger = format!("did:op:{}", "7".repeat(64));
    let refusals = [
        (intention(&stranger), "not_our_asset"),
        (with(open, "amount", json!("9")), "underpaid"),
        (
            with(closed, "document", document("x")),
            "raw_algorithm_not_allowed",
        ),
    ];
    for (asked, reason) in refusals {
        let told: Value = preflight(api, &asked).await.json().await.unwrap();
        assert_eq!(told["verdict"], "refused", "{told:#}");
        assert_eq!(told["reason"]["code"], reason);
        assert_eq!(
            (&told["transactions"], &told["safeBatch"]),
            (&json!([]), &Value::Null)
        );
        let fails = |rule: &Value| rule["answer"] == "fails";
        assert!(
            told["rules"].as_array().unwrap().iter().any(fails),
            "{told:#}"
        );
    }
}

async fn what_cannot_be_judged_is_told(api: &Endpoint, open: &str) {
    // A stranger's address is not fetched for a stranger.
    let mut elsewhere = with(
        open,
        "document",
        json!("https://documents.example/workflow"),
    );
    let without_checksum = elsewhere.clone();
    elsewhere["documentChecksum"] = json!(format!("0x{}", "ab".repeat(32)));
    let told: Value = preflight(api, &elsewhere).await.json().await.unwrap();
    assert_eq!(told["verdict"], "unsettled");
    assert!(
        told["unsettled"]
            .as_str()
            .unwrap()
            .contains("workflow document"),
        "{told:#}"
    );

    let wrong = [
        json!({"did": open}),
        with(open, "speed", json!(1)),
        with("did:op:7", "amount", json!("1")),
        with(open, "amount", json!("ten")),
        with(open, "document", json!(7)),
        without_checksum,
        with(open, "document", json!("x".repeat(2049))),
    ];
    for asked in wrong {
        let refused = preflight(api, &asked).await;
        assert_eq!(
            problem(refused).await,
            (400, "invalid_body".to_owned()),
            "{asked}"
        );
    }
    let text = api
        .client
        .post(format!("{}/v1/preflight", api.origin()))
        .body("{}")
        .send()
        .await
        .unwrap();
    assert_eq!(
        problem(text).await,
        (415, "unsupported_media_type".to_owned())
    );
    let large = with(open, "document", json!("x".repeat(70_000)));
    assert_eq!(
        problem(preflight(api, &large).await).await,
        (413, "body_too_large".to_owned())
    );
    let read = api.request(Method::GET, "/v1/preflight", None).await;
    assert_eq!(read.headers()["allow"], "POST");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intended_purchase_is_judged_as_it_will_be_and_its_transactions_make_the_job() {
    let mut bench = Bench::start().await;
    let chain = Arc::clone(&bench.chain);
    let (open, closed) = (chain.asset().await, chain.asset().await);
    let raw = format!(
        "privacy: {{allowRawAlgorithm: true}}, {}",
        default_workflow()
    );
    bench.offer(&[(open, &raw), (closed, &default_workflow())]);
    bench.settle().await;
    let api = Endpoint::beside(&bench, Settings::default()).await;
    let consumer = chain.consumer.address();
    let mint = purchase::mint(&chain.deployment.contracts, consumer, U256::from(100));
    chain.owner.send(mint).await.unwrap();

    for workflow in [Value::Null, document("python $ALGO")] {
        let mut asked = json!({"did": open.to_string(), "consumer": consumer.to_string()});
        if !workflow.is_null() {
            asked["document"] = workflow.clone();
        }
        let told: Value = preflight(&api, &asked).await.json().await.unwrap();
        assert_eq!(told["verdict"], "admitted", "{told:#}");
        assert_eq!(told["price"], "10");
        let transactions = told["transactions"].as_array().unwrap();
        assert_eq!(transactions.len(), if workflow.is_null() { 3 } else { 4 });
        let batch = told["safeBatch"]["transactions"].as_array().unwrap();
        assert_eq!(batch.len(), transactions.len());
        assert_eq!(batch[0]["data"], transactions[0]["data"]);

        send_all(&chain.consumer, &told["transactions"]).await;
        let agreement: AgreementId = told["agreementId"].as_str().unwrap().parse().unwrap();
        let mut bought = chain.order(open);
        bought.agreement = agreement;
        chain.provider.send(bought.fulfil()).await.unwrap();
        bench.settle().await;
        assert_eq!(bench.job(agreement).await.status, "queued");
    }

    let (open, closed) = (open.to_string(), closed.to_string());
    what_would_be_refused_is_told(&api, &open, &closed).await;
    what_cannot_be_judged_is_told(&api, &open).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asset_is_shown_as_the_catalog_offers_it_and_not_where_its_data_lies() {
    let bench = Bench::start().await;
    let did = bench.chain.asset().await;
    let more = format!(
        "files: [{{url: 'https://secret.example/?key=hidden'}}], {}",
        default_workflow()
    );
    bench.offer(&[(did, &more)]);
    let api = Endpoint::beside(&bench, Settings::default()).await;
    let told = api.json(&format!("/v1/assets/{did}")).await;
    assert_eq!(
        (&told["price"], &told["enabled"]),
        (&json!("10"), &json!(true))
    );
    assert_eq!(told["images"], json!(["docker.io/library/python"]));
    assert_eq!(told["resources"]["maxExecutionSeconds"], 3600);
    assert_eq!(told["release"]["logs"], "vetted");
    assert_eq!(told["defaultWorkflow"]["entrypoint"], "default");
    assert_eq!(told["agent"], Value::Null);
    assert!(!told.to_string().contains("secret"), "{told:#}");
    let other = api
        .problem(&format!("/v1/assets/did:op:{}", "7".repeat(64)))
        .await;
    assert_eq!(other, (404, "asset_not_found".to_owned()));
    // A new version of the catalog counts from the moment it is there.
    bench.offer(&[(bench.chain.asset().await, &default_workflow())]);
    let gone = api.problem(&format!("/v1/assets/{did}")).await;
    assert_eq!(gone, (404, "asset_not_found".to_owned()));
}
