//! What becomes of admitted jobs: whose asset it is, and which workflow runs. `table.rs` is its documentation; every purchase is
//! really made, on one chain.

mod table;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tidewatch::ids::Did;
use tidewatch::jobs::Reason;
use tidewatch::keeper::Purchase;
use tidewatch::workflows::LARGEST_CODE;

use crate::judging::bench::{Bench, DIGEST, document, inline};
use crate::support::documents::{Server, Web};
use crate::support::keeper::Chain;
use table::{LARGE, MEAN, ROWS, Row, Said};

#[tokio::test]
async fn every_admitted_purchase_gets_the_workflow_it_deserves() {
    let web = Web::new();
    let server = web.server().await;
    let mut bench = Bench::start().await;
    bench.documents = web.documents();
    register_algorithms(&bench.chain, &server).await;
    let mut purchases = Vec::new();
    for row in ROWS {
        let purchase = bench.chain.order(bench.chain.asset().await);
        buy(&bench.chain, row, &purchase).await;
        purchases.push(purchase);
    }
    let texts: Vec<String> = ROWS.iter().map(|row| (row.asset)()).collect();
    let assets = purchases.iter().zip(&texts);
    let assets: Vec<_> = assets
        .map(|(purchase, text)| (purchase.did, text.as_str()))
        .collect();
    bench.offer(&assets);
    bench.chain.node.mine(10).await;
    bench.settle().await;
    let mut wrong = Vec::new();
    for (row, purchase) in ROWS.iter().zip(&purchases) {
        let found = bench.job(purchase.agreement).await.status;
        if found != row.status {
            wrong.push(format!(
                "{}: {found:?} instead of {:?}",
                row.name, row.status
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Makes a row's agreement, pays it and has it answered, and says what is said about it.
async fn buy(chain: &Chain, row: &Row, purchase: &Purchase) {
    let own = Did(purchase.agreement.0);
    let said = inline(&document("python $ALGO"));
    match row.said {
        Said::Nothing => chain.buy(purchase).await,
        Said::Document(change) => {
            let mut document = document("python $ALGO");
            change(&mut document["main"]["workflow"]["stages"][0]);
            chain.document(purchase, &inline(&document)).await;
            chain.buy(purchase).await
        }
        Said::Value(value) => {
            chain.document(purchase, value).await;
            chain.buy(purchase).await
        }
        Said::Taken => {
            chain.register(&chain.stranger, own, &said).await;
            chain.buy(purchase).await
        }
        Said::TakenAndSaidElsewhere => {
            chain.register(&chain.stranger, own, &said).await;
            let mut naming = document("python $ALGO");
            naming["agreementId"] = json!(purchase.agreement);
            let elsewhere = Did(chain.fresh());
            chain
                .register(&chain.consumer, elsewhere, &inline(&naming))
                .await;
            chain.buy(purchase).await
        }
        Said::TakenLate => {
            chain.pay(purchase).await;
            chain.register(&chain.stranger, own, &said).await;
            chain.provider.send(purchase.fulfil()).await.unwrap()
        }
    };
}

/// The algorithms that rows name, with their DDOs in the registry and their files on a server.
async fn register_algorithms(chain: &Chain, server: &Server) {
    for (did, path, file) in [
        (MEAN, "/mean", b"print(1)".to_vec()),
        (LARGE, "/large", vec![b'#'; LARGEST_CODE + 1]),
    ] {
        let sum = alloy::primitives::keccak256(&file);
        let url = server.serve(path, file);
        let container = json!({"image": "python", "tag": "3.12", "checksum": DIGEST, "entrypoint": "python $ALGO"});
        let ddo: Value = json!({"id": did, "service": [{"type": "metadata", "attributes": {"main": {"type": "algorithm",
            "algorithm": {"container": container},
            "files": [{"index": 0, "url": url, "checksumType": "Keccak256", "checksum": sum}]}}}]});
        chain.register(&chain.stranger, did, &inline(&ddo)).await;
    }
}

fn reached() -> BTreeSet<&'static str> {
    let words = ROWS.iter().map(|row| row.status);
    words
        .filter_map(|status| status.strip_prefix("finished refused "))
        .collect()
}

/// The rows reach every reason that a resolution can give, and no other; what they say is what the test above finds.
#[test]
fn the_table_reaches_every_reason_of_a_resolution() {
    let known: BTreeSet<&str> = tidewatch::workflows::REASONS
        .iter()
        .map(|reason| reason.as_str())
        .collect();
    assert_eq!(reached(), known);
}

/// Whatever a job can be refused or skipped for is in the table of admission or in this one, but for a collision of names, which no
/// chain can be made to show; a reason that belongs to neither is one of jobs that ran.
#[test]
fn every_reason_of_a_refusal_has_its_scenario() {
    let admission = tidewatch::admission::REASONS;
    let resolution = tidewatch::workflows::REASONS;
    let of_judging = |reason: &&Reason| admission.contains(reason) || resolution.contains(reason);
    assert!(admission.iter().all(|reason| !resolution.contains(reason)));
    let first_of_runs = Reason::ALL
        .iter()
        .position(|it| *it == Reason::DataProvisioningFailed);
    let (before, of_runs) = Reason::ALL.split_at(first_of_runs.unwrap());
    let other: Vec<_> = before.iter().filter(|it| !of_judging(it)).collect();
    assert_eq!(other, [&Reason::NameCollision]);
    assert_eq!(of_runs.iter().find(of_judging), None);
}
