//! Second opinions: contracts and their events beside each other.

use std::sync::atomic::{AtomicBool, Ordering};

use alloy::primitives::{Address, Bytes};
use alloy::sol_types::SolCall;
use tidewatch::chain::Provider;
use tidewatch::ids::BlockRef;
use tidewatch::keeper::ContractCalls;
use tidewatch::keeper::abi::ConditionStoreManager::getConditionCall;

use super::bench::{Bench, default_workflow, exhaust};

/// A node that answers as it is told to: a real one never contradicts itself.
struct Witness(Provider, &'static Manner);

/// How a [`Witness`] answers what it is asked about the state after a certain block.
#[derive(Default)]
struct Manner {
    forgets: AtomicBool,
    lies: AtomicBool,
}

#[derive(Debug, thiserror::Error)]
#[error("missing trie node")]
struct Forgotten;

impl ContractCalls for Witness {
    type Error = Forgotten;

    async fn call(&self, to: Address, data: Bytes, at: Option<u64>) -> Result<Bytes, Forgotten> {
        ContractCalls::call(&self.0, to, data, at)
            .await
            .map_err(|_| Forgotten)
    }

    async fn call_at(&self, to: Address, data: Bytes, block: BlockRef) -> Result<Bytes, Forgotten> {
        if self.1.forgets.load(Ordering::Relaxed) {
            return Err(Forgotten);
        }
        let asked = data.starts_with(&getConditionCall::SELECTOR);
        let answer = ContractCalls::call_at(&self.0, to, data, block)
            .await
            .map_err(|_| Forgotten)?;
        if asked && self.1.lies.load(Ordering::Relaxed) {
            let mut words = answer.to_vec();
            // The second word is the state: unfulfilled.
            words[63] = 1;
            return Ok(words.into());
        }
        Ok(answer)
    }
}

async fn judge(bench: &mut Bench, manner: &'static Manner) {
    bench.follow().await;
    let provider = Provider::new(bench.chain.node.url().as_str()).unwrap();
    exhaust(&mut bench.judge_asking(Witness(provider, manner))).await;
}

async fn judge_again(bench: &mut Bench, manner: &'static Manner) {
    sqlx::query("INSERT INTO ledger.judge_queue (deployment_id, agreement_id, cause) SELECT deployment_id, agreement_id, 'asked again' FROM ledger.jobs
         ON CONFLICT (deployment_id, agreement_id) DO UPDATE SET due_at = now(), due_block = NULL")
        .execute(&bench.pool)
        .await
        .unwrap();
    judge(bench, manner).await;
}

/// The second opinions of a job, the parked rows of it, and how many of those are open.
async fn rows(bench: &Bench) -> (i64, i64, i64) {
    sqlx::query_as(
        "SELECT (SELECT count(*) FROM ledger.second_opinions), (SELECT count(*) FROM ledger.parked WHERE kind = 'job'),
                (SELECT count(*) FROM ledger.parked WHERE kind = 'job' AND replayed_at IS NULL)",
    )
    .fetch_one(&bench.pool)
    .await
    .unwrap()
}

async fn answer(bench: &Bench, job: i64) -> Option<String> {
    sqlx::query_scalar(
        "SELECT rule ->> 'answer' FROM ledger.verdicts, jsonb_array_elements(rules) AS rule
         WHERE job_id = $1 AND rule ->> 'rule' = 'second_opinion' ORDER BY number DESC LIMIT 1",
    )
    .bind(job)
    .fetch_optional(&bench.pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn an_opinion_that_agrees_is_recorded_and_outlives_the_nodes_memory() {
    static MANNER: Manner = Manner {
        forgets: AtomicBool::new(false),
        lies: AtomicBool::new(false),
    };
    let mut bench = Bench::start().await;
    let did = bench.chain.asset().await;
    bench.offer(&[(did, &default_workflow())]);
    let purchase = bench.chain.order(did);
    bench.chain.buy(&purchase).await;
    judge(&mut bench, &MANNER).await;
    let job = bench.job(purchase.agreement).await;
    assert_eq!(job.status, "awaiting_document");
    assert_eq!(answer(&bench, job.id).await.as_deref(), Some("holds"));
    assert_eq!(rows(&bench).await, (1, 0, 0));

    MANNER.forgets.store(true, Ordering::Relaxed);
    judge_again(&mut bench, &MANNER).await;
    assert_eq!(
        bench.verdicts(job.id).await,
        ["admitted"],
        "nothing is said anew"
    );
    assert_eq!(rows(&bench).await, (1, 0, 0));
}

#[tokio::test]
async fn a_node_that_has_forgotten_holds_nothing_up() {
    static MANNER: Manner = Manner {
        forgets: AtomicBool::new(true),
        lies: AtomicBool::new(false),
    };
    let mut bench = Bench::start().await;
    let did = bench.chain.asset().await;
    bench.offer(&[(did, &default_workflow())]);
    let purchase = bench.chain.order(did);
    bench.chain.buy(&purchase).await;
    judge(&mut bench, &MANNER).await;
    let job = bench.job(purchase.agreement).await;
    assert_eq!(job.status, "awaiting_document");
    assert_eq!(answer(&bench, job.id).await, None);
    assert_eq!(rows(&bench).await, (0, 0, 0));
}

#[tokio::test]
async fn a_contradiction_parks_the_job_until_a_replay_finds_that_it_is_none() {
    static MANNER: Manner = Manner {
        forgets: AtomicBool::new(false),
        lies: AtomicBool::new(true),
    };
    let mut bench = Bench::start().await;
    let did = bench.chain.asset().await;
    bench.offer(&[(did, &default_workflow())]);
    let purchase = bench.chain.order(did);
    bench.chain.buy(&purchase).await;
    judge(&mut bench, &MANNER).await;
    let job = bench.job(purchase.agreement).await;
    assert_eq!(job.status, "undecided");
    assert_eq!(answer(&bench, job.id).await.as_deref(), Some("unknown"));
    assert_eq!(rows(&bench).await, (1, 1, 1));

    judge_again(&mut bench, &MANNER).await;
    exhaust(&mut bench.resolver()).await;
    assert_eq!(bench.job(purchase.agreement).await.status, "undecided");
    assert_eq!(
        bench.verdicts(job.id).await,
        ["undecided"],
        "it is said once"
    );
    assert_eq!(rows(&bench).await, (1, 1, 1), "and asked once");

    // An operator replays it while the node still contradicts.
    replay(&bench).await;
    judge_again(&mut bench, &MANNER).await;
    assert_eq!(bench.job(purchase.agreement).await.status, "undecided");
    assert_eq!(rows(&bench).await, (2, 2, 1));

    MANNER.lies.store(false, Ordering::Relaxed);
    judge_again(&mut bench, &MANNER).await;
    assert_eq!(
        bench.job(purchase.agreement).await.status,
        "undecided",
        "only a replay asks anew"
    );
    replay(&bench).await;
    judge_again(&mut bench, &MANNER).await;
    exhaust(&mut bench.resolver()).await;
    assert_eq!(bench.job(purchase.agreement).await.status, "queued");
    assert_eq!(answer(&bench, job.id).await.as_deref(), Some("holds"));
    assert_eq!(rows(&bench).await, (3, 2, 0));
    assert_eq!(bench.verdicts(job.id).await, ["undecided", "admitted"]);
}

async fn replay(bench: &Bench) {
    sqlx::query("UPDATE ledger.parked SET replayed_at = now() WHERE replayed_at IS NULL")
        .execute(&bench.pool)
        .await
        .unwrap();
}
