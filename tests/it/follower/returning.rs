//! The chain leaves blocks and comes back to them.

use std::sync::atomic::Ordering;

use serde_json::json;
use tidewatch::follower::{Follower, Verifier};
use tidewatch::ids::DeploymentId;
use tidewatch::ledger::{self, logs};

use super::liar::{self, Lies};
use super::verifying::verify;
use super::{Bench, LOGS, Row, settle};

/// A chain with two forks of two blocks each, and a follower that has seen the first and then the second.
struct Forks {
    bench: Bench,
    follower: Follower,
    deployment: DeploymentId,
    /// When the blocks of both are made.
    time: u64,
    /// The rows with the first one.
    first: Vec<Row>,
    snapshot: serde_json::Value,
}

impl Forks {
    /// A job is anchored in the first fork. `meanwhile` happens while the chain is there.
    async fn seen(meanwhile: impl AsyncFnOnce(&Bench, DeploymentId)) -> Self {
        let bench = Bench::start().await;
        bench.echo(0..5).await;
        let newest = json!(["latest", false]);
        let head = bench.node.request("eth_getBlockByNumber", newest).await;
        let time =
            u64::from_str_radix(&head["timestamp"].as_str().unwrap()[2..], 16).unwrap() + 100;
        let mut follower = bench.follower(&bench.following());
        let deployment = follower.open().await.unwrap();

        let snapshot = bench.node.snapshot().await;
        bench.fork(time, 10).await;
        settle(&mut follower).await.unwrap();
        bench.anchor_job(deployment).await;
        let first = bench.rows(true).await;
        meanwhile(&bench, deployment).await;

        bench.node.revert(snapshot).await;
        let snapshot = bench.node.snapshot().await;
        bench.fork(time, 20).await;
        settle(&mut follower).await.unwrap();
        assert_eq!(bench.rows(true).await, bench.truth().await);
        assert!(!bench.consequences().await.0);
        Self {
            bench,
            follower,
            deployment,
            time,
            first,
            snapshot,
        }
    }

    /// The chain returns to the first fork.
    async fn go_back(&mut self) {
        self.bench.node.revert(self.snapshot.take()).await;
        self.bench.fork(self.time, 10).await;
        let truth = self.bench.truth().await;
        assert_eq!(truth, self.first, "anvil made other blocks");
    }
}

impl Bench {
    /// Two blocks that the chain leaves and comes back to: made of the same parent, time, fee and transaction they have the same hash.
    async fn fork(&self, time: u64, first: u64) {
        for (word, time) in [(first, time), (first + 1, time + 1)] {
            let node = &self.node;
            node.request("evm_setNextBlockTimestamp", json!([time]))
                .await;
            // anvil forgets the base fee when it goes back.
            let fee = json!(["0x3b9aca00"]);
            node.request("anvil_setNextBlockBaseFeePerGas", fee).await;
            self.echo(word..word + 1).await;
        }
    }
}

#[tokio::test]
async fn a_return_to_an_old_fork_revives_its_rows() {
    let mut forks = Forks::seen(async |_, _| ()).await;
    assert_eq!(forks.bench.rows(false).await.len(), 2 * LOGS);

    forks.go_back().await;
    settle(&mut forks.follower).await.unwrap();
    let bench = &forks.bench;
    assert_eq!(bench.rows(true).await, forks.first);
    assert_eq!(bench.rows(false).await.len(), 2 * LOGS);
    let revived = (true, Some("revived".to_owned()));
    assert_eq!(bench.consequences().await, revived);
    assert_eq!(bench.cursor(forks.deployment).await.position.epoch, 2);
}

/// The follower was away while the chain returned and went on, so the fork is history for it, and one provider leaves its logs out.
#[tokio::test]
async fn a_fork_that_became_history_and_was_left_out_gets_its_own_rows_back() {
    let mut forks = Forks::seen(async |_, _| ()).await;
    forks.go_back().await;
    let bench = &forks.bench;
    bench.echo(30..60).await;
    let lies = Lies::default();
    let left_out = forks.first.last().unwrap().number + 1;
    lies.logs_below.store(left_out, Ordering::SeqCst);
    let pruned = liar::before(bench.node.url(), "localhost", &lies).await;
    let (ledger, following) = (bench.database.ledger.clone(), bench.following());
    let mut follower = Follower::new(ledger.clone(), pruned.clone(), following.clone());
    settle(&mut follower).await.unwrap();
    assert!(bench.rows(true).await.len() < bench.truth().await.len());

    let providers = vec![pruned, bench.provider()];
    let mut verifier = Verifier::new(ledger, providers, following, forks.deployment, None);
    verify(&mut verifier).await;
    assert_eq!(bench.rows(true).await, bench.truth().await);
    let tombstones = bench.rows(false).await;
    assert_eq!(tombstones.len(), 2 * LOGS);
    assert!(
        tombstones.iter().all(|row| !forks.first.contains(row)),
        "none is there twice"
    );
    assert!(bench.consequences().await.0);
}

#[tokio::test]
async fn what_was_disproved_stays_a_tombstone_when_its_block_returns() {
    let mut forks = Forks::seen(async |bench, deployment| {
        // As a provider may have made it up: a log that the newest block does not hold, beside its own.
        let made_up: i64 = sqlx::query_scalar(
            "INSERT INTO ledger.logs (deployment_id, block_number, block_hash, log_index, transaction_hash, transaction_index, address, topics, data)
             SELECT deployment_id, block_number, block_hash, log_index + 1, transaction_hash, transaction_index, address, topics, data
             FROM ledger.logs WHERE canonical ORDER BY block_number DESC, log_index DESC LIMIT 1 RETURNING id",
        )
        .fetch_one(&bench.database.pool)
        .await
        .unwrap();
        let mut transaction = bench.database.ledger.begin().await.unwrap();
        logs::disprove(&mut transaction, deployment, &[made_up]).await.unwrap();
        ledger::commit(transaction).await.unwrap();
    })
    .await;
    assert_eq!(forks.bench.rows(false).await.len(), 2 * LOGS + 1);

    forks.go_back().await;
    settle(&mut forks.follower).await.unwrap();
    assert_eq!(forks.bench.rows(true).await, forks.first);
}
