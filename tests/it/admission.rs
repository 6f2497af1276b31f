//! Admission on the real contracts: every purchase is really made, in one chain, and judged from what the chain said.

use alloy::primitives::{U256, keccak256};
use tidewatch::ids::{AgreementId, Did};
use tidewatch::keeper::{Order, Purchase, purchase};

use crate::judging::bench::{Bench, Rules, default_workflow, document, inline};
use crate::support::keeper::Chain;

/// A purchase that was made, and the status that each of its jobs must get, oldest first.
struct Case {
    name: &'static str,
    agreement: AgreementId,
    expected: Vec<&'static str>,
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

    fn expect(&mut self, name: &'static str, purchase: &Purchase, expected: &[&'static str]) {
        self.cases.push(Case {
            name,
            agreement: purchase.agreement,
            expected: expected.to_vec(),
        });
    }

    /// Creates, pays and fulfils a purchase that was bent first.
    async fn buy(
        &mut self,
        name: &'static str,
        expected: &'static str,
        bend: impl FnOnce(&mut Purchase),
    ) {
        let mut purchase = self.order();
        bend(&mut purchase);
        self.chain().buy(&purchase).await;
        self.expect(name, &purchase, &[expected]);
    }

    async fn create(&self, purchase: &Purchase) {
        self.chain().consumer.send(purchase.create()).await.unwrap();
    }

    async fn fulfil(&self, purchase: &Purchase) {
        self.chain().provider.send(purchase.fulfil()).await.unwrap();
    }

    async fn lock(&self, purchase: &Purchase) {
        self.chain().fund(purchase).await;
        self.chain().consumer.send(purchase.lock()).await.unwrap();
    }
}

#[tokio::test]
async fn every_purchase_gets_the_verdict_it_deserves() {
    let bench = Bench::start().await;
    let did = bench.chain.asset().await;
    let mut market = Market {
        bench,
        did,
        cases: Vec::new(),
    };
    amounts_and_parties(&mut market).await;
    times(&mut market).await;
    releases(&mut market).await;
    identities(&mut market).await;
    templates(&mut market).await;
    in_one_block(&mut market).await;
    let others = assets(&mut market).await;
    workflows(&mut market).await;

    let default = default_workflow();
    let open = format!("privacy: {{allowRawAlgorithm: true}}, {default}");
    let disabled = format!("enabled: false, {default}");
    market.bench.offer(&[
        (market.did, &open),
        (others[0], ""),
        (others[1], &disabled),
        (others[2], &default),
    ]);
    market.bench.chain.node.mine(10).await;
    market.bench.settle().await;
    assert!(market.cases.len() >= 25);
    let mut wrong = Vec::new();
    for case in &market.cases {
        let jobs = market.bench.jobs(case.agreement).await;
        let found: Vec<_> = jobs.iter().map(|job| job.status.as_str()).collect();
        if found != case.expected {
            wrong.push(format!(
                "{}: {found:?} instead of {:?}",
                case.name, case.expected
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

async fn amounts_and_parties(market: &mut Market) {
    let (consumer, stranger) = (
        market.chain().consumer.address(),
        market.chain().stranger.address(),
    );
    market.buy("honest", "queued", |_| ()).await;
    market
        .buy("more than asked", "queued", |p| p.amount = U256::from(11))
        .await;
    market
        .buy("one too little", "finished refused underpaid", |p| {
            p.amount = U256::from(9);
        })
        .await;
    market
        .buy("a lock of nothing", "finished refused underpaid", |p| {
            p.amount = U256::ZERO;
        })
        .await;
    market
        .buy(
            "paid to the consumer",
            "finished refused lock_mismatch",
            |p| p.reward_address = consumer,
        )
        .await;
    market
        .buy(
            "escrow to an attacker",
            "finished refused escrow_mismatch",
            |p| p.receiver = stranger,
        )
        .await;
    market
        .buy(
            "refund to an attacker",
            "finished refused escrow_mismatch",
            |p| p.sender = stranger,
        )
        .await;

    let purchase = market.order();
    market.create(&purchase).await;
    market.fulfil(&purchase).await;
    market.expect("unpaid", &purchase, &["awaiting_payment"]);

    let purchase = market.order();
    market.create(&purchase).await;
    market.fulfil(&purchase).await;
    market.lock(&purchase).await;
    market.expect("fulfilled before it was paid", &purchase, &["queued"]);

    let purchase = market.order();
    market.create(&purchase).await;
    let chain = market.chain();
    let minted = purchase::mint(&purchase.contracts, stranger, purchase.amount);
    chain.owner.send(minted).await.unwrap();
    chain.stranger.send(purchase.approve()).await.unwrap();
    chain.stranger.send(purchase.lock()).await.unwrap();
    market.fulfil(&purchase).await;
    market.expect("paid by a stranger", &purchase, &["queued"]);
}

async fn times(market: &mut Market) {
    let purchase = Purchase {
        time_outs: [2, 0, 0],
        ..market.order()
    };
    market.chain().pay(&purchase).await;
    market.chain().node.mine(3).await;
    market.fulfil(&purchase).await;
    market.expect(
        "fulfilled too late",
        &purchase,
        &["finished refused condition_not_fulfilled"],
    );

    let purchase = Purchase {
        time_outs: [0, 1, 0],
        ..market.order()
    };
    market.chain().buy(&purchase).await;
    market.expect(
        "paid too late",
        &purchase,
        &["finished refused lock_impossible"],
    );

    let purchase = Purchase {
        time_outs: [0, 1, 0],
        ..market.order()
    };
    market.create(&purchase).await;
    market.fulfil(&purchase).await;
    market.chain().node.mine(2).await;
    market
        .chain()
        .stranger
        .send(purchase.abort_lock())
        .await
        .unwrap();
    market.expect(
        "lock aborted",
        &purchase,
        &["finished refused lock_impossible"],
    );

    let purchase = Purchase {
        time_outs: [0, 2, 0],
        ..market.order()
    };
    market.create(&purchase).await;
    market.fulfil(&purchase).await;
    market.expect(
        "can no longer be paid",
        &purchase,
        &["finished refused lock_impossible"],
    );
}

async fn releases(market: &mut Market) {
    let purchase = market.order();
    market.chain().buy(&purchase).await;
    market
        .chain()
        .stranger
        .send(purchase.release())
        .await
        .unwrap();
    market.expect("released", &purchase, &["queued"]);

    let purchase = Purchase {
        time_outs: [0, 0, 1],
        ..market.order()
    };
    market.chain().buy(&purchase).await;
    market
        .chain()
        .stranger
        .send(purchase.release())
        .await
        .unwrap();
    market.expect(
        "released too late",
        &purchase,
        &["finished refused escrow_aborted"],
    );

    let purchase = Purchase {
        time_outs: [4, 0, 0],
        ..market.order()
    };
    // Created in block n, funded in two, paid in the third, fulfilled in n + 4.
    market.chain().buy(&purchase).await;
    market.expect("in the window's last block", &purchase, &["queued"]);
}

async fn identities(market: &mut Market) {
    let stranger = market.chain().stranger.address();
    let own = Did(market.chain().fresh());
    market
        .chain()
        .register(&market.chain().stranger, own, b"mine")
        .await;
    let purchase = Purchase {
        condition_did: own,
        ..market.order()
    };
    market.chain().pay(&purchase).await;
    market
        .chain()
        .stranger
        .send(purchase.fulfil())
        .await
        .unwrap();
    market.expect(
        "an attacker's own asset",
        &purchase,
        &["finished refused wrong_did"],
    );

    let phantom = market.order();
    let host = Purchase {
        foreign_conditions: Some(phantom.condition_ids()),
        ..market.order()
    };
    market.create(&host).await;
    market.lock(&phantom).await;
    market.fulfil(&phantom).await;
    market.expect(
        "an agreement that was never created",
        &phantom,
        &["finished refused unknown_agreement"],
    );

    let honest = market.order();
    market.chain().buy(&honest).await;
    let second = Purchase {
        consumer: stranger,
        ..honest.clone()
    };
    let spare = market.order();
    let host = Purchase {
        foreign_conditions: Some(vec![
            second.compute_id(),
            spare.lock_id(),
            spare.escrow_id(),
        ]),
        ..spare
    };
    market.create(&host).await;
    market.fulfil(&second).await;
    market.expect(
        "a second event for another consumer",
        &honest,
        &["queued", "finished refused wrong_conditions"],
    );
}

async fn templates(market: &mut Market) {
    let name = "another template";
    let template = keccak256(name);
    let types = {
        let contracts = &market.chain().deployment.contracts;
        vec![
            contracts.compute_execution_condition,
            contracts.lock_reward_condition,
            contracts.escrow_reward,
        ]
    };
    let purchase = Purchase {
        template,
        ..market.order()
    };
    let proposed = purchase::propose_template(&purchase.contracts, template, types, name);
    market.chain().stranger.send(proposed).await.unwrap();
    let approved = purchase::approve_template(&purchase.contracts, template);
    market.chain().owner.send(approved).await.unwrap();
    market.chain().buy(&purchase).await;
    market.expect(
        "under another template",
        &purchase,
        &["finished refused template_not_approved"],
    );
}

/// Two purchases, all of whose transactions share a block.
async fn in_one_block(market: &mut Market) {
    let (one, other) = (market.order(), market.order());
    let chain = market.chain();
    chain.fund(&one).await;
    let minted = purchase::mint(&other.contracts, chain.consumer.address(), U256::from(20));
    chain.owner.send(minted).await.unwrap();
    let approval = Purchase {
        amount: U256::from(20),
        ..one.clone()
    };
    chain.consumer.send(approval.approve()).await.unwrap();
    chain
        .in_one_block(vec![
            (&chain.consumer, one.create()),
            (&chain.stranger, other.create()),
            (&chain.consumer, one.lock()),
            (&chain.consumer, other.lock()),
            (&chain.provider, one.fulfil()),
            (&chain.provider, other.fulfil()),
        ])
        .await;
    market.expect("all in one block, the first", &one, &["queued"]);
    market.expect("all in one block, the second", &other, &["queued"]);
}

/// Purchases of other assets; the assets are: one without a workflow, one that is disabled, one that was given away.
async fn assets(market: &mut Market) -> [Did; 3] {
    let chain = market.chain();
    let foreign = chain.order(chain.asset().await);
    chain.buy(&foreign).await;
    let bare = chain.order(chain.asset().await);
    chain.buy(&bare).await;
    let disabled = chain.order(chain.asset().await);
    chain.buy(&disabled).await;
    let given = chain.order(chain.asset().await);
    chain.pay(&given).await;
    let transfer = purchase::transfer_did(&given.contracts, given.did, chain.stranger.address());
    chain.provider.send(transfer).await.unwrap();
    chain.stranger.send(given.fulfil()).await.unwrap();
    let dids = [bare.did, disabled.did, given.did];
    market.expect(
        "an asset of somebody else",
        &foreign,
        &["finished skipped not_our_asset"],
    );
    market.expect(
        "an asset without a workflow",
        &bare,
        &["finished refused no_algorithm"],
    );
    market.expect(
        "a disabled asset",
        &disabled,
        &["finished refused asset_disabled"],
    );
    market.expect(
        "given away before the event",
        &given,
        &["finished refused escrow_mismatch"],
    );
    dids
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

    let by_url = market.order();
    chain
        .document(&by_url, b"http://documents.example/workflow.json")
        .await;
    chain.buy(&by_url).await;
    let nonsense = market.order();
    chain.document(&nonsense, b"a\0b\xff").await;
    chain.buy(&nonsense).await;

    market.expect(
        "a squatted id",
        &squatted,
        &["finished refused workflow_did_taken"],
    );
    market.expect("squatted after the creation", &late_squatter, &["queued"]);
    market.expect(
        "a squatted id, and a document elsewhere",
        &elsewhere,
        &["queued"],
    );
    market.expect(
        "a document at an address that is not fetched",
        &by_url,
        &["finished refused document_invalid"],
    );
    market.expect(
        "a value of nonsense",
        &nonsense,
        &["finished refused document_invalid"],
    );
}

#[tokio::test]
async fn what_is_older_than_history_or_than_the_start_is_skipped() {
    let chain = Chain::start().await;
    let did = chain.asset().await;
    let order = |agreement: AgreementId| {
        Purchase::new(
            &chain.deployment,
            Order {
                agreement,
                did,
                consumer: chain.consumer.address(),
                provider: chain.provider.address(),
                amount: U256::from(10),
            },
        )
    };
    let (old, early, owed_later, fine) = (
        order(AgreementId(chain.fresh())),
        order(AgreementId(chain.fresh())),
        order(AgreementId(chain.fresh())),
        order(AgreementId(chain.fresh())),
    );
    chain.pay(&old).await;
    let start_block = Some(chain.node.head().await + 1);
    chain.provider.send(old.fulfil()).await.unwrap();
    chain.buy(&early).await;
    chain.consumer.send(owed_later.create()).await.unwrap();
    chain.fund(&owed_later).await;
    chain.provider.send(owed_later.fulfil()).await.unwrap();
    let act_from = chain.node.head().await + 1;
    chain.consumer.send(owed_later.lock()).await.unwrap();
    chain.buy(&fine).await;
    // The asset was registered before the history, too: its owner has to be asked for at an irreversible block.
    chain.node.mine(10).await;

    let rules = Rules {
        start_block,
        act_from,
        ..Rules::default()
    };
    let agreements = [&old, &early, &owed_later, &fine].map(|purchase| purchase.agreement);
    let mut bench = Bench::on(chain, rules).await;
    bench.offer(&[(did, &default_workflow())]);
    bench.settle().await;
    let mut found = Vec::new();
    for agreement in agreements {
        found.push(bench.job(agreement).await.status);
    }
    let expected = [
        "finished skipped before_history",
        "finished skipped before_start",
        "queued",
        "queued",
    ];
    assert_eq!(found, expected);
}
