//! Chain, ledger and resolver with documents that lie elsewhere.

use std::time::Duration;

use alloy::primitives::{B256, keccak256};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tidewatch::ids::Did;
use tidewatch::keeper::{Account, Purchase, purchase};
use tidewatch::ledger::{self, parked};
use tidewatch::scheduler::{Resolver, ResolverSettings};
use tidewatch::worker::Worker;
use tidewatch::workflows::{Code, JobSpec};

use crate::judging::bench::{Bench, DIGEST, default_workflow, document, exhaust, inline};
use crate::support::documents::{Reply, Server, Web};
use crate::support::eventually;

const OPEN: &str = "privacy: {allowRawAlgorithm: true}";
const QUICK: ResolverSettings = ResolverSettings {
    pause: Duration::from_millis(20),
    longest_pause: Duration::from_millis(100),
    patience: Duration::from_secs(3600),
};

/// A bench with a web, and an asset without a default workflow unless `more` brings one.
struct Scene {
    web: Web,
    server: Server,
    bench: Bench,
    did: Did,
}

impl Scene {
    async fn set(more: &str) -> Self {
        let web = Web::new();
        let server = web.server().await;
        let mut bench = Bench::start().await;
        bench.documents = web.documents();
        let did = bench.chain.asset().await;
        bench.offer(&[(did, more)]);
        Self {
            web,
            server,
            bench,
            did,
        }
    }

    /// Registers an address with the checksum of what should be there.
    async fn point(&self, by: &Account, did: Did, address: &str, checksum: B256) {
        let contracts = &self.bench.chain.deployment.contracts;
        let call = purchase::register_did(contracts, did, checksum, &[], address.as_bytes());
        by.send(call).await.unwrap();
    }

    /// A purchase with the consumer's document at an address, judged but not yet resolved.
    async fn buy(&mut self, address: &str, checksum: B256) -> Purchase {
        let purchase = self.bench.chain.order(self.did);
        let own = Did(purchase.agreement.0);
        self.point(&self.bench.chain.consumer, own, address, checksum)
            .await;
        self.judge(&purchase).await;
        purchase
    }

    async fn judge(&mut self, purchase: &Purchase) {
        self.bench.chain.buy(purchase).await;
        self.bench.follow().await;
        exhaust(&mut self.bench.judge()).await;
    }

    fn resolver(&self) -> Resolver {
        self.bench.resolver().waiting(QUICK)
    }

    async fn status(&self, purchase: &Purchase) -> String {
        self.bench.job(purchase.agreement).await.status
    }

    /// Ticks until the job is there.
    async fn until(&self, resolver: &mut Resolver, purchase: &Purchase, wanted: &str) {
        let resolver = tokio::sync::Mutex::new(resolver);
        eventually(wanted, Duration::from_secs(120), || async {
            resolver.lock().await.tick().await.unwrap();
            (self.status(purchase).await == wanted).then_some(())
        })
        .await;
    }

    async fn spec(&self, purchase: &Purchase) -> (String, JobSpec) {
        let job = self.bench.job(purchase.agreement).await;
        let (source, body): (String, Vec<u8>) =
            sqlx::query_as("SELECT source, body FROM ledger.job_specs WHERE job_id = $1")
                .bind(job.id)
                .fetch_one(&self.bench.pool)
                .await
                .unwrap();
        (source, serde_json::from_slice(&body).unwrap())
    }

    /// The sentence of the rule that failed.
    async fn sentence(&self, purchase: &Purchase) -> String {
        let job = self.bench.job(purchase.agreement).await;
        let rules: Value = sqlx::query_scalar(
            "SELECT rules FROM ledger.verdicts WHERE job_id = $1 ORDER BY number DESC LIMIT 1",
        )
        .bind(job.id)
        .fetch_one(&self.bench.pool)
        .await
        .unwrap();
        let failed = rules.as_array().unwrap().last().unwrap();
        failed["detail"].as_str().unwrap().to_owned()
    }

    async fn tries(&self, purchase: &Purchase) -> i32 {
        let job = self.bench.job(purchase.agreement).await;
        sqlx::query_scalar("SELECT coalesce(max(tries), 0) FROM ledger.job_documents WHERE job_id = $1 AND finding IS NULL")
            .bind(job.id)
            .fetch_one(&self.bench.pool)
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn a_consumers_document_is_fetched_checked_and_kept() {
    let mut scene = Scene::set(OPEN).await;
    let body = document("python $ALGO").to_string();
    let address = scene.server.serve("/document", body.clone());
    let purchase = scene.buy(&address, keccak256(&body)).await;
    scene
        .until(&mut scene.resolver(), &purchase, "queued")
        .await;
    let (source, spec) = scene.spec(&purchase).await;
    assert_eq!(source, "consumer");
    assert_eq!(spec.algorithm.entrypoint, "python $ALGO");
    let kept: Vec<u8> = sqlx::query_scalar(
        "SELECT d.body FROM ledger.job_specs s JOIN ledger.documents d ON d.sha256 = s.document_sha256",
    )
    .fetch_one(&scene.bench.pool)
    .await
    .unwrap();
    assert_eq!(kept, body.as_bytes());
    assert_eq!(scene.server.asked(), 1);

    // What is there later changes nothing that is frozen.
    scene.server.serve("/document", "another");
    exhaust(&mut scene.resolver()).await;
    assert_eq!(scene.spec(&purchase).await.1, spec);
}

#[tokio::test]
async fn a_document_that_is_away_is_waited_for_across_restarts() {
    let mut scene = Scene::set(OPEN).await;
    let body = document("python $ALGO").to_string();
    let address = scene.server.url("/late");
    let purchase = scene.buy(&address, keccak256(&body)).await;
    for restarts in 1..=3 {
        let mut resolver = scene.resolver();
        let scene = &scene;
        let resolver = tokio::sync::Mutex::new(&mut resolver);
        eventually("it is tried again", Duration::from_secs(120), || async {
            resolver.lock().await.tick().await.unwrap();
            (scene.tries(&purchase).await > restarts).then_some(())
        })
        .await;
        assert_eq!(scene.status(&purchase).await, "awaiting_document");
    }
    scene.server.serve("/late", body);
    scene
        .until(&mut scene.resolver(), &purchase, "queued")
        .await;
}

#[tokio::test]
async fn patience_ends_with_a_refusal_and_is_counted_by_the_ledger() {
    let mut scene = Scene::set(OPEN).await;
    let address = scene.server.url("/never");
    let purchase = scene.buy(&address, keccak256("never")).await;
    let mut resolver = scene.resolver().waiting(ResolverSettings {
        patience: Duration::ZERO,
        ..QUICK
    });
    scene
        .until(
            &mut resolver,
            &purchase,
            "finished refused document_unavailable",
        )
        .await;
    let sentence = scene.sentence(&purchase).await;
    assert_eq!(sentence, "The workflow document could not be had in time.");
    let problem: String = sqlx::query_scalar("SELECT problem FROM ledger.job_documents")
        .fetch_one(&scene.bench.pool)
        .await
        .unwrap();
    assert_eq!(problem, "the server answered 404 Not Found");

    // an operator sees it, and once the server is back has it looked for again
    let (bench, job) = (&scene.bench, scene.bench.job(purchase.agreement).await);
    let mut connection = bench.ledger.acquire().await.unwrap();
    let [entry] =
        <[_; 1]>::try_from(parked::list(&mut connection, bench.id, 10).await.unwrap()).unwrap();
    assert_eq!(entry.kind, "document");
    let why = "the workflow document could not be had in time: the server answered 404 Not Found";
    assert_eq!(entry.reason, why);
    scene.server.serve("/never", "never");
    let mut transaction = bench.ledger.begin().await.unwrap();
    let replayed = parked::replay(&mut transaction, bench.id, entry.id).await;
    assert_eq!(replayed.unwrap().unwrap().id, entry.id);
    ledger::commit(transaction).await.unwrap();
    assert_eq!(scene.status(&purchase).await, "awaiting_document");
    assert_eq!(
        bench.verdicts(job.id).await,
        ["admitted", "refused", "admitted"]
    );
    let wrong = "finished refused document_invalid";
    scene.until(&mut scene.resolver(), &purchase, wrong).await;
    let mut transaction = bench.ledger.begin().await.unwrap();
    let again = parked::replay(&mut transaction, bench.id, entry.id).await;
    assert_eq!(again.unwrap(), None, "it is replayed once");
}

#[tokio::test]
async fn a_wrong_document_is_refused_at_once_with_what_was_expected_and_what_came() {
    // The default would run if the consumer had said nothing.
    let mut scene = Scene::set(&format!("{OPEN}, {}", default_workflow())).await;
    let address = scene.server.serve("/wrong", "wrong");
    let purchase = scene.buy(&address, keccak256("right")).await;
    scene
        .until(
            &mut scene.resolver(),
            &purchase,
            "finished refused document_invalid",
        )
        .await;
    let sentence = scene.sentence(&purchase).await;
    for hash in [keccak256("right"), keccak256("wrong")] {
        assert!(sentence.contains(&format!("{hash:#x}")), "{sentence}");
    }
    let forbidden = scene
        .buy("https://169.254.169.254/latest", keccak256("x"))
        .await;
    scene
        .until(
            &mut scene.resolver(),
            &forbidden,
            "finished refused document_invalid",
        )
        .await;
    assert!(scene.sentence(&forbidden).await.contains("link-local"));
    assert_eq!(scene.server.asked(), 1);
}

#[tokio::test]
async fn a_document_under_another_did_is_found_by_the_agreement_in_its_address() {
    let mut scene = Scene::set(OPEN).await;
    let purchase = scene.bench.chain.order(scene.did);
    let mut body = document("python $ALGO");
    body["agreementId"] = json!(purchase.agreement);
    let body = body.to_string();
    let address = format!(
        "{}#{}",
        scene.server.serve("/d", body.clone()),
        purchase.agreement
    );
    // A stranger took the agreement's own id.
    let (own, other) = (Did(purchase.agreement.0), Did(scene.bench.chain.fresh()));
    scene
        .bench
        .chain
        .register(&scene.bench.chain.stranger, own, b"mine")
        .await;
    scene
        .point(
            &scene.bench.chain.consumer,
            other,
            &address,
            keccak256(&body),
        )
        .await;
    scene.judge(&purchase).await;
    scene
        .until(&mut scene.resolver(), &purchase, "queued")
        .await;
    assert_eq!(scene.spec(&purchase).await.0, "consumer");
}

fn algorithm_ddo(did: Did, file: &str, code: &[u8]) -> String {
    json!({"@context": "https://w3id.org/did/v1", "id": did, "service": [{"type": "metadata", "attributes": {"main": {
        "type": "algorithm",
        "algorithm": {"container": {"image": "python", "checksum": DIGEST, "entrypoint": "python $ALGO"}},
        "files": [{"index": 0, "url": file, "checksumType": "SHA-256", "checksum": alloy::hex::encode(Sha256::digest(code))}]}}}]})
    .to_string()
}

#[tokio::test]
async fn an_algorithm_by_did_brings_its_ddo_and_its_file() {
    let mut scene = Scene::set("privacy: {}").await;
    let (algorithm, code) = (Did(scene.bench.chain.fresh()), b"\x7fELF\xff\x00".to_vec());
    scene.bench.offer(&[(
        scene.did,
        &format!("privacy: {{trustedAlgorithms: ['{algorithm}']}}"),
    )]);
    let file = scene.server.serve("/code", code.clone());
    let ddo = algorithm_ddo(algorithm, &file, &code);
    let address = scene.server.serve("/ddo", ddo.clone());
    scene
        .point(
            &scene.bench.chain.stranger,
            algorithm,
            &address,
            keccak256(&ddo),
        )
        .await;

    let purchase = scene.bench.chain.order(scene.did);
    let wish = json!({"main": {"type": "workflow", "workflow": {"stages": [{"transformation": {"id": algorithm}}]}}});
    scene.bench.chain.document(&purchase, &inline(&wish)).await;
    scene.judge(&purchase).await;
    scene
        .until(&mut scene.resolver(), &purchase, "queued")
        .await;
    let (source, spec) = scene.spec(&purchase).await;
    assert_eq!(source, "consumer");
    assert_eq!(spec.algorithm.did, Some(algorithm));
    assert_eq!(spec.algorithm.code, Some(Code::new(code)));
    assert!(spec.algorithm.vetted);
    let evidence: i64 =
        sqlx::query_scalar("SELECT count(*) FROM ledger.job_evidence WHERE role = 'workflow'")
            .fetch_one(&scene.bench.pool)
            .await
            .unwrap();
    assert_eq!(
        evidence, 2,
        "the consumer's registration and the algorithm's"
    );

    // Its owner serves other code under the same DDO.
    scene.server.serve("/code", "other");
    let purchase = scene.bench.chain.order(scene.did);
    scene.bench.chain.document(&purchase, &inline(&wish)).await;
    scene.judge(&purchase).await;
    scene
        .until(
            &mut scene.resolver(),
            &purchase,
            "finished refused document_invalid",
        )
        .await;
    assert!(scene.sentence(&purchase).await.contains("SHA-256"));
    scene.server.serve("/code", vec![b'x'; 512 * 1024 + 1]);
    let purchase = scene.bench.chain.order(scene.did);
    scene.bench.chain.document(&purchase, &inline(&wish)).await;
    scene.judge(&purchase).await;
    scene
        .until(
            &mut scene.resolver(),
            &purchase,
            "finished refused algorithm_too_large",
        )
        .await;
}

#[tokio::test]
async fn the_assets_own_ddo_names_the_algorithm() {
    let mut scene = Scene::set(OPEN).await;
    let given =
        json!({"container": {"image": "python", "checksum": DIGEST, "entrypoint": "service"}});
    let service = json!({"type": "compute", "attributes": {"main": {"algorithm": given}}});
    let ddo = json!({"id": scene.did, "service": [service]}).to_string();
    let address = scene.server.serve("/ddo", ddo.clone());
    scene
        .point(
            &scene.bench.chain.provider,
            scene.did,
            &address,
            keccak256(&ddo),
        )
        .await;
    let purchase = scene.bench.chain.order(scene.did);
    scene.judge(&purchase).await;
    scene
        .until(&mut scene.resolver(), &purchase, "queued")
        .await;
    let (source, spec) = scene.spec(&purchase).await;
    assert_eq!(
        (source.as_str(), spec.algorithm.entrypoint.as_str()),
        ("service", "service")
    );

    let mut workflow = document("asset");
    workflow["id"] = json!(scene.did);
    let workflow = workflow.to_string();
    let address = scene.server.serve("/workflow", workflow.clone());
    scene
        .point(
            &scene.bench.chain.provider,
            scene.did,
            &address,
            keccak256(&workflow),
        )
        .await;
    let purchase = scene.bench.chain.order(scene.did);
    scene.judge(&purchase).await;
    scene
        .until(&mut scene.resolver(), &purchase, "queued")
        .await;
    let (source, spec) = scene.spec(&purchase).await;
    assert_eq!(
        (source.as_str(), spec.algorithm.entrypoint.as_str()),
        ("asset", "asset")
    );
}

#[tokio::test]
async fn two_resolvers_fetch_once_and_one_takes_over_what_the_other_left() {
    let mut scene = Scene::set(OPEN).await;
    let body = document("python $ALGO").to_string();
    let address = scene.server.put("/slow", Reply::Silence);
    let purchase = scene.buy(&address, keccak256(&body)).await;
    let (mut one, mut other) = (scene.resolver(), scene.resolver());
    for _ in 0..3 {
        one.tick().await.unwrap();
        other.tick().await.unwrap();
    }
    assert_eq!(scene.server.asked(), 1, "whoever has the lease asks");
    scene.server.serve("/slow", body);
    drop(one);
    let release =
        "UPDATE ledger.job_state SET lease_until = clock_timestamp() WHERE lease_token IS NOT NULL";
    let ended = sqlx::query(release)
        .execute(&scene.bench.pool)
        .await
        .unwrap();
    assert_eq!(
        ended.rows_affected(),
        1,
        "a holder that died gives nothing back"
    );
    scene.until(&mut other, &purchase, "queued").await;
    assert_eq!(scene.server.asked(), 2);
    let specs: i64 = sqlx::query_scalar("SELECT count(*) FROM ledger.job_specs")
        .fetch_one(&scene.bench.pool)
        .await
        .unwrap();
    assert_eq!(specs, 1);
    drop(scene.web);
}

#[tokio::test]
async fn slow_servers_hold_up_nobody_who_needs_none() {
    let mut scene = Scene::set(OPEN).await;
    let ready = scene.bench.chain.asset().await;
    scene
        .bench
        .offer(&[(scene.did, OPEN), (ready, &default_workflow())]);
    let slow = scene.server.put("/slow", Reply::Silence);
    for _ in 0..18 {
        scene.buy(&slow, keccak256("x")).await;
    }
    let purchase = scene.bench.chain.order(ready);
    scene.judge(&purchase).await;
    let mut resolver = scene.resolver();
    for _ in 0..30 {
        resolver.tick().await.unwrap();
    }
    assert_eq!(scene.status(&purchase).await, "queued");
    assert_eq!(scene.server.asked(), 16, "so many are waited for at once");
}
