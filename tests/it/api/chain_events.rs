//! Recorded events, from the real contracts.

use std::sync::Arc;

use serde_json::{Value, json};
use tidewatch::api::Settings;

use super::service::Endpoint;
use crate::judging::bench::Bench;

fn names(page: &Value) -> Vec<&str> {
    let events = page["events"].as_array().unwrap().iter();
    events
        .map(|event| event["name"].as_str().unwrap())
        .collect()
}

/// Page by page it is the same as at once, each event once.
async fn pages_are_the_whole(api: &Endpoint) {
    let whole = api.json("/v1/keeper-events?limit=500").await;
    assert_eq!(whole["nextCursor"], Value::Null);
    let (mut paged, mut path) = (Vec::new(), "/v1/keeper-events?limit=3".to_owned());
    loop {
        let page = api.json(&path).await;
        paged.extend(page["events"].as_array().unwrap().clone());
        let Some(cursor) = page["nextCursor"].as_str() else {
            break;
        };
        path = format!("/v1/keeper-events?limit=3&cursor={cursor}");
    }
    assert_eq!(json!(paged), whole["events"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_events_are_listed_newest_first_by_whatever_they_are_about() {
    let mut bench = Bench::start().await;
    let chain = Arc::clone(&bench.chain);
    let did = chain.asset().await;
    let bought = chain.order(did);
    let answered = chain.buy(&bought).await;
    bench.settle().await;
    let api = Endpoint::beside(&bench, Settings::default()).await;

    let page = api
        .json(&format!(
            "/v1/keeper-events?agreementId={}",
            bought.agreement
        ))
        .await;
    assert_eq!(page["chainId"], chain.deployment.chain_id);
    let newest = &page["events"][0];
    assert_eq!(newest["contract"], "ComputeExecutionCondition");
    assert_eq!(newest["name"], "Fulfilled");
    assert_eq!(
        newest["transactionHash"],
        format!("{:#x}", answered.transaction_hash)
    );
    assert_eq!(
        newest["arguments"]["agreementId"],
        bought.agreement.to_string()
    );
    assert_eq!(newest["canonical"], true);
    assert_eq!(newest["topics"].as_array().unwrap().len(), 4);

    let condition = api
        .json(&format!(
            "/v1/keeper-events?conditionId={}",
            bought.compute_id()
        ))
        .await;
    assert_eq!(
        names(&condition),
        ["Fulfilled", "ConditionUpdated", "ConditionCreated"]
    );
    let asset = api.json(&format!("/v1/keeper-events?did={did}")).await;
    assert_eq!(names(&asset).last(), Some(&"DIDAttributeRegistered"));
    let transaction = format!(
        "/v1/keeper-events?transactionHash={:#x}",
        answered.transaction_hash
    );
    assert_eq!(
        names(&api.json(&transaction).await),
        ["Fulfilled", "ConditionUpdated"]
    );
    let block = answered.block.number;
    let range = api
        .json(&format!(
            "/v1/keeper-events?fromBlock={block}&toBlock={block}"
        ))
        .await;
    assert_eq!(names(&range), ["Fulfilled", "ConditionUpdated"]);

    pages_are_the_whole(&api).await;
    assert_eq!(
        api.json("/v1/keeper-events?canonical=false").await["events"],
        json!([])
    );

    for query in [
        "fromBlock=-1",
        "canonical=yes",
        "contract=DIDRegistry",
        "cursor=01ff",
        "limit=501",
    ] {
        assert_eq!(
            api.get(&format!("/v1/keeper-events?{query}"))
                .await
                .status(),
            400,
            "{query}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_reorganisation_took_is_listed_apart() {
    let mut bench = Bench::start().await;
    let chain = Arc::clone(&bench.chain);
    let did = chain.asset().await;
    bench.settle().await;
    let api = Endpoint::beside(&bench, Settings::default()).await;
    let about = format!("/v1/keeper-events?did={did}");
    assert_eq!(names(&api.json(&about).await), ["DIDAttributeRegistered"]);
    chain.node.reorganise(1).await;
    chain.node.mine(1).await;
    bench.settle().await;
    assert_eq!(names(&api.json(&about).await), Vec::<&str>::new());
    let orphaned = api.json(&format!("{about}&canonical=false")).await;
    assert_eq!(names(&orphaned), ["DIDAttributeRegistered"]);
    assert_eq!(orphaned["events"][0]["canonical"], false);
}
