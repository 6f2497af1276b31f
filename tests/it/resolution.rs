//! What becomes of admitted jobs: whose asset it is, and which workflow runs. Every purchase is really made, in one chain.

use tidewatch::ids::{AgreementId, Did};
use tidewatch::keeper::Purchase;

use crate::judging::bench::{Bench, default_workflow, document, inline};
use crate::support::keeper::Chain;

/// A purchase that was made, and the status that its job must get.
struct Case {
    name: &'static str,
    agreement: AgreementId,
    expected: &'static str,
}

/// The world that the purchases are made in.
struct Market {
    bench: Bench,
    did: Did,
    cases: Vec<Case>,
}

impl Market {
    fn chain(&self) -> &Chain {
        &self.bench.chain
    }

    fn order(&self) -> Purchase {
        self.chain().order(self.did)
    }

    fn expect(&mut self, name: &'static str, purchase: &Purchase, expected: &'static str) {
        self.cases.push(Case {
            name,
            agreement: purchase.agreement,
            expected,
        });
    }
}

#[tokio::test]
async fn every_admitted_purchase_gets_the_workflow_it_deserves() {
    let bench = Bench::start().await;
    let did = bench.chain.asset().await;
    let mut market = Market {
        bench,
        did,
        cases: Vec::new(),
    };
    let [bare, disabled] = assets(&mut market).await;
    workflows(&mut market).await;

    let default = default_workflow();
    let open = format!("privacy: {{allowRawAlgorithm: true}}, {default}");
    let off = format!("enabled: false, {default}");
    market
        .bench
        .offer(&[(market.did, &open), (bare, ""), (disabled, &off)]);
    market.bench.chain.node.mine(10).await;
    market.bench.settle().await;
    let mut wrong = Vec::new();
    for case in &market.cases {
        let found = market.bench.job(case.agreement).await.status;
        if found != case.expected {
            wrong.push(format!(
                "{}: {found:?} instead of {:?}",
                case.name, case.expected
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Purchases of other assets: one without a workflow, and one that is disabled.
async fn assets(market: &mut Market) -> [Did; 2] {
    let chain = market.chain();
    let honest = market.order();
    chain.buy(&honest).await;
    let bare = chain.order(chain.asset().await);
    chain.buy(&bare).await;
    let disabled = chain.order(chain.asset().await);
    chain.buy(&disabled).await;
    market.expect("nothing but what the catalog names", &honest, "queued");
    market.expect(
        "an asset without a workflow",
        &bare,
        "finished refused no_algorithm",
    );
    market.expect(
        "a disabled asset",
        &disabled,
        "finished refused asset_disabled",
    );
    [bare.did, disabled.did]
}

async fn workflows(market: &mut Market) {
    let said = inline(&document("python $ALGO"));
    let chain = &market.bench.chain;
    let squatted = market.order();
    chain
        .register(&chain.stranger, Did(squatted.agreement.0), &said)
        .await;
    chain.buy(&squatted).await;
    let late_squatter = market.order();
    chain.pay(&late_squatter).await;
    chain
        .register(&chain.stranger, Did(late_squatter.agreement.0), &said)
        .await;
    chain.provider.send(late_squatter.fulfil()).await.unwrap();

    let elsewhere = market.order();
    chain
        .register(&chain.stranger, Did(elsewhere.agreement.0), &said)
        .await;
    let mut naming = document("python $ALGO");
    naming["agreementId"] = serde_json::json!(elsewhere.agreement);
    chain
        .register(&chain.consumer, Did(chain.fresh()), &inline(&naming))
        .await;
    chain.buy(&elsewhere).await;

    let nonsense = market.order();
    chain.document(&nonsense, b"a\0b\xff").await;
    chain.buy(&nonsense).await;

    market.expect(
        "a squatted id",
        &squatted,
        "finished refused workflow_did_taken",
    );
    market.expect("squatted after the creation", &late_squatter, "queued");
    market.expect(
        "a squatted id, and a document elsewhere",
        &elsewhere,
        "queued",
    );
    market.expect(
        "a value of nonsense",
        &nonsense,
        "finished refused document_invalid",
    );
}
