//! Judge and resolver on a real chain and a real Postgres: what becomes of jobs when things come late, vanish, or are done twice.

mod again;
pub(crate) mod bench;
mod late;
mod opinions;
mod taking_in;
pub(crate) mod upgrades;

use std::sync::atomic::{AtomicBool, Ordering};

use alloy::primitives::{Address, Bytes};
use tidewatch::chain::Providers;
use tidewatch::follower::ActAt;
use tidewatch::ids::JobName;
use tidewatch::jobs::Footing;
use tidewatch::keeper::ContractCalls;
use tidewatch::worker::Worker;
use tidewatch::workflows::JobSpec;

use crate::support::keeper::Chain;
use bench::{Bench, Rules, default_workflow, document, exhaust, inline};

const OPEN: &str = "privacy: {allowRawAlgorithm: true}";

#[tokio::test]
async fn an_unpaid_job_waits_and_its_specification_is_frozen_once_it_is_paid() {
    let mut bench = Bench::start().await;
    let did = bench.chain.asset().await;
    bench.offer(&[(did, OPEN)]);
    let purchase = bench.chain.order(did);
    let said = document("python $ALGO");
    bench.chain.document(&purchase, &inline(&said)).await;
    bench.chain.consumer.send(purchase.create()).await.unwrap();
    bench.chain.fund(&purchase).await;
    bench.chain.provider.send(purchase.fulfil()).await.unwrap();
    bench.settle().await;
    assert_eq!(
        bench.job(purchase.agreement).await.status,
        "awaiting_payment"
    );

    // Said after the condition's event, but before the payment from which the job is owed.
    let later = document("python -u $ALGO");
    bench.chain.document(&purchase, &inline(&later)).await;
    bench.chain.consumer.send(purchase.lock()).await.unwrap();
    // Said too late.
    bench
        .chain
        .document(&purchase, &inline(&document("late")))
        .await;
    bench.settle().await;
    let job = bench.job(purchase.agreement).await;
    assert_eq!(job.status, "queued");
    assert!(job.owed_block > Some(job.block));
    assert_eq!(
        bench.path(job.id).await,
        ["awaiting_payment", "awaiting_document", "queued"]
    );
    assert_eq!(
        bench.verdicts(job.id).await,
        ["awaiting_payment", "admitted"]
    );

    let (body, sha256, source, kept): (Vec<u8>, Vec<u8>, String, Vec<u8>) = sqlx::query_as(
        "SELECT s.body, s.sha256, s.source, d.body FROM ledger.job_specs s JOIN ledger.documents d ON d.sha256 = s.document_sha256
         WHERE job_id = $1",
    )
    .bind(job.id)
    .fetch_one(&bench.pool)
    .await
    .unwrap();
    assert_eq!(JobSpec::digest(&body), sha256.as_slice());
    assert_eq!(
        (source.as_str(), kept),
        ("consumer", later.to_string().into_bytes())
    );
    let spec: JobSpec = serde_json::from_slice(&body).unwrap();
    assert_eq!(spec.algorithm.entrypoint, "python -u $ALGO");
    assert_eq!((spec.agreement, spec.did), (purchase.agreement, did));

    let (payment, provider): (String, Vec<u8>) =
        sqlx::query_as("SELECT payment::text, provider FROM ledger.job_state WHERE job_id = $1")
            .bind(job.id)
            .fetch_one(&bench.pool)
            .await
            .unwrap();
    assert_eq!(payment, "10");
    assert_eq!(provider, bench.chain.provider.address().as_slice());
    let roles: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT role FROM ledger.job_evidence WHERE job_id = $1 ORDER BY role",
    )
    .bind(job.id)
    .fetch_all(&bench.pool)
    .await
    .unwrap();
    assert_eq!(
        roles,
        ["creation", "execute", "lock", "registration", "workflow"]
    );
}

#[tokio::test]
async fn a_purchase_that_is_reorganised_away_is_marked_then_withdrawn() {
    let rules = Rules {
        act_at: ActAt::Depth(3),
        irreversible: 6,
        ..Rules::default()
    };
    let mut bench = Bench::on(Chain::start().await, rules).await;
    let did = bench.chain.asset().await;
    bench.offer(&[(did, &default_workflow())]);
    let purchase = bench.chain.order(did);
    bench.chain.buy(&purchase).await;
    bench.settle().await;
    let job = bench.job(purchase.agreement).await;
    assert_eq!(
        job.status, "awaiting_document",
        "not deep enough to be frozen"
    );

    bench.chain.node.reorganise(1).await;
    bench.settle().await;
    let orphaned = bench.job(purchase.agreement).await;
    assert_eq!(
        (orphaned.status.as_str(), orphaned.canonical),
        ("awaiting_document", false)
    );

    bench.chain.node.mine(10).await;
    bench.settle().await;
    let gone = bench.job(purchase.agreement).await;
    assert_eq!(gone.status, "finished withdrawn event_withdrawn");
    let specs: i64 = sqlx::query_scalar("SELECT count(*) FROM ledger.job_specs")
        .fetch_one(&bench.pool)
        .await
        .unwrap();
    assert_eq!(specs, 0);
    let tombstones: i64 =
        sqlx::query_scalar("SELECT count(*) FROM ledger.logs WHERE NOT canonical")
            .fetch_one(&bench.pool)
            .await
            .unwrap();
    assert_eq!(tombstones, 2, "the condition's update and its event");
}

#[tokio::test]
async fn an_event_that_comes_again_in_another_block_is_the_same_job() {
    let mut bench = Bench::start().await;
    let did = bench.chain.asset().await;
    bench.offer(&[(did, &default_workflow())]);
    let purchase = bench.chain.order(did);
    bench.chain.buy(&purchase).await;
    bench.settle().await;
    let first = bench.job(purchase.agreement).await;
    assert_eq!(first.status, "queued");

    bench.chain.node.reorganise(1).await;
    bench.settle().await;
    assert!(!bench.job(purchase.agreement).await.canonical);
    bench.chain.provider.send(purchase.fulfil()).await.unwrap();
    bench.settle().await;
    let again = bench.job(purchase.agreement).await;
    assert_eq!(
        (again.id, again.status.as_str(), again.canonical),
        (first.id, "queued", true)
    );
    assert!(again.block > first.block);
}

#[tokio::test]
async fn a_payment_that_is_taken_back_puts_an_unstarted_job_back() {
    let mut bench = Bench::start().await;
    let did = bench.chain.asset().await;
    bench.offer(&[(did, &default_workflow())]);
    let purchase = bench.chain.order(did);
    bench.chain.consumer.send(purchase.create()).await.unwrap();
    bench.chain.fund(&purchase).await;
    bench.chain.provider.send(purchase.fulfil()).await.unwrap();
    bench.chain.consumer.send(purchase.lock()).await.unwrap();
    bench.settle().await;
    let job = bench.job(purchase.agreement).await;
    assert_eq!(job.status, "queued");

    bench.chain.node.reorganise(1).await;
    bench.settle().await;
    assert_eq!(
        bench.job(purchase.agreement).await.status,
        "awaiting_payment"
    );
    bench.chain.consumer.send(purchase.lock()).await.unwrap();
    bench.settle().await;
    assert_eq!(bench.job(purchase.agreement).await.status, "queued");

    // Once it is handed to an engine, no event moves it any more.
    sqlx::query("UPDATE ledger.job_state SET phase = 'running'")
        .execute(&bench.pool)
        .await
        .unwrap();
    bench.chain.node.reorganise(1).await;
    bench.chain.node.mine(10).await;
    bench.settle().await;
    let running = bench.job(purchase.agreement).await;
    assert_eq!(
        (running.status.as_str(), running.canonical),
        ("running", true)
    );
    assert_eq!(
        bench.footing(running.id).await,
        Footing::Orphaned,
        "its results wait for the payment"
    );
    bench.chain.consumer.send(purchase.lock()).await.unwrap();
    bench.settle().await;
    assert_eq!(bench.footing(running.id).await, Footing::Canonical);
}

#[tokio::test]
async fn a_running_job_is_withdrawn_only_once_its_event_is_gone_for_good() {
    let mut bench = Bench::start().await;
    let did = bench.chain.asset().await;
    bench.offer(&[(did, &default_workflow())]);
    let purchase = bench.chain.order(did);
    bench.chain.buy(&purchase).await;
    bench.settle().await;
    let job = bench.job(purchase.agreement).await;
    // As a dispatcher leaves it.
    sqlx::query("UPDATE ledger.job_state SET phase = 'running', attempt = 1")
        .execute(&bench.pool)
        .await
        .unwrap();
    for _ in 0..2 {
        bench.chain.node.reorganise(1).await;
        bench.settle().await;
        let orphaned = bench.job(purchase.agreement).await;
        assert_eq!(
            (orphaned.status.as_str(), orphaned.canonical),
            ("running", false)
        );
        assert_eq!(bench.footing(job.id).await, Footing::Orphaned);
        bench.chain.provider.send(purchase.fulfil()).await.unwrap();
        bench.settle().await;
        let anchored = bench.job(purchase.agreement).await;
        assert_eq!((anchored.id, anchored.canonical), (job.id, true));
        assert_eq!(bench.footing(job.id).await, Footing::Canonical);
    }

    bench.chain.node.reorganise(1).await;
    bench.chain.node.mine(4).await;
    bench.settle().await;
    assert_eq!(
        bench.footing(job.id).await,
        Footing::Orphaned,
        "the fork may return"
    );
    bench.chain.node.mine(5).await;
    bench.settle().await;
    assert_eq!(bench.footing(job.id).await, Footing::Withdrawn);
    let withdrawn = bench.job(purchase.agreement).await;
    assert_eq!(withdrawn.status, "running", "until the engine has ended it");
    let said = bench.verdicts(job.id).await;
    assert_eq!(said.last().unwrap(), "withdrawn", "{said:?}");

    // Too late for this attempt, and it does not run again by itself.
    bench.chain.provider.send(purchase.fulfil()).await.unwrap();
    bench.settle().await;
    assert_eq!(bench.footing(job.id).await, Footing::Withdrawn);
    sqlx::query(
        "UPDATE ledger.job_state SET phase = 'finished', outcome = 'withdrawn', reason = 'event_withdrawn', finished_at = now()",
    )
    .execute(&bench.pool)
    .await
    .unwrap();
    bench.chain.node.reorganise(1).await;
    bench.settle().await;
    bench.chain.provider.send(purchase.fulfil()).await.unwrap();
    bench.settle().await;
    let over = bench.job(purchase.agreement).await;
    assert_eq!(over.status, "finished withdrawn event_withdrawn");
    assert!(over.canonical);
}

#[tokio::test]
async fn two_judges_and_two_resolvers_make_one_job_of_each_purchase() {
    let mut bench = Bench::start().await;
    let did = bench.chain.asset().await;
    bench.offer(&[(did, &default_workflow())]);
    let mut agreements = Vec::new();
    let mut judges = [bench.judge(), bench.judge()];
    let mut resolvers = [bench.resolver(), bench.resolver()];
    for _ in 0..6 {
        let purchase = bench.chain.order(did);
        bench.chain.buy(&purchase).await;
        agreements.push(purchase.agreement);
        bench.follow().await;
        let [one, other] = &mut judges;
        tokio::join!(exhaust(one), exhaust(other));
        let [one, other] = &mut resolvers;
        tokio::join!(exhaust(one), exhaust(other));
    }
    // A judge that was away finds nothing left to do.
    bench.settle().await;
    for agreement in agreements {
        let job = bench.job(agreement).await;
        assert_eq!(job.status, "queued");
        assert_eq!(bench.path(job.id).await, ["awaiting_document", "queued"]);
        assert_eq!(bench.verdicts(job.id).await, ["admitted"]);
    }
}

#[tokio::test]
async fn judging_everything_again_from_the_start_changes_nothing() {
    let mut bench = Bench::start().await;
    let did = bench.chain.asset().await;
    let bare = bench.chain.asset().await;
    // The second is admitted, and then refused by the resolver: that must stand.
    bench.offer(&[(did, &default_workflow()), (bare, "")]);
    for did in [did, bare] {
        let purchase = bench.chain.order(did);
        bench.chain.buy(&purchase).await;
    }
    bench.settle().await;
    let count = async || -> (i64, i64, i64, i64) {
        sqlx::query_as(
            "SELECT (SELECT count(*) FROM ledger.jobs), (SELECT count(*) FROM ledger.transitions),
                    (SELECT count(*) FROM ledger.verdicts), (SELECT count(*) FROM ledger.log_subjects)",
        )
        .fetch_one(&bench.pool)
        .await
        .unwrap()
    };
    let before = count().await;
    assert_eq!((before.0, before.1, before.2), (2, 4, 3));
    sqlx::query("UPDATE ledger.cursors SET judged_number = 0, judged_hash = decode(repeat('00', 32), 'hex')")
        .execute(&bench.pool)
        .await
        .unwrap();
    exhaust(&mut bench.judge()).await;
    bench.resolve().await;
    assert_eq!(count().await, before);
}

/// A node that answers calls only when it is told to.
struct Moody(Providers, &'static AtomicBool);

#[derive(Debug, thiserror::Error)]
#[error("not now")]
struct NotNow;

impl ContractCalls for Moody {
    type Error = NotNow;

    async fn call(&self, to: Address, data: Bytes, at: Option<u64>) -> Result<Bytes, NotNow> {
        if !self.1.load(Ordering::Relaxed) {
            return Err(NotNow);
        }
        ContractCalls::call(&self.0, to, data, at)
            .await
            .map_err(|_| NotNow)
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_undecided_and_asked_for_again() {
    static ANSWERS: AtomicBool = AtomicBool::new(false);
    let mut bench = Bench::start().await;
    let did = bench.chain.asset().await;
    bench.offer(&[(did, &default_workflow())]);
    let purchase = bench.chain.order(did);
    bench.chain.buy(&purchase).await;
    bench.follow().await;
    let provider = Providers::new([bench.chain.node.url().as_str()]).unwrap();
    let mut judge = bench.judge_asking(Moody(provider, &ANSWERS));
    for _ in 0..3 {
        judge.tick().await.unwrap();
    }
    let job = bench.job(purchase.agreement).await;
    assert_eq!(job.status, "undecided");
    assert_eq!(
        bench.verdicts(job.id).await,
        ["undecided"],
        "the same verdict is said once"
    );

    ANSWERS.store(true, Ordering::Relaxed);
    exhaust(&mut judge).await;
    assert_eq!(
        bench.job(purchase.agreement).await.status,
        "awaiting_document"
    );
    assert_eq!(bench.verdicts(job.id).await, ["undecided", "admitted"]);
}

#[tokio::test]
async fn a_job_whose_name_is_taken_is_refused() {
    let mut bench = Bench::start().await;
    let did = bench.chain.asset().await;
    bench.offer(&[(did, &default_workflow())]);
    let purchase = bench.chain.order(did);
    let contracts = &bench.chain.deployment.contracts;
    let name = JobName::derive(
        bench.chain.deployment.chain_id,
        contracts.compute_execution_condition,
        purchase.compute_id().0,
    );
    // As a collision of the 128 bits would leave it: another contract and key, the same name.
    sqlx::query(
        "INSERT INTO ledger.jobs (deployment_id, trigger, contract, key, name, agreement_id, did, consumer)
         VALUES ($1, 'keeper', $2, $3, $4, $3, $3, $2)",
    )
    .bind(bench.id.0)
    .bind(Address::ZERO.as_slice())
    .bind([7_u8; 32].as_slice())
    .bind(name.as_str())
    .execute(&bench.pool)
    .await
    .unwrap();
    bench.chain.buy(&purchase).await;
    bench.settle().await;
    let job = bench.job(purchase.agreement).await;
    assert_eq!(job.status, "finished refused name_collision");
}
