//! The follower on a real chain and a real Postgres.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes};
use serde_json::{Value, json};
use tidewatch::chain::Provider;
use tidewatch::fault::Fault;
use tidewatch::follower::{
    self, ActAt, Error, Follower, Following, IrreversibleAt, check_contracts,
};
use tidewatch::ids::DeploymentId;
use tidewatch::ledger::cursors::{self, Cursor};
use tidewatch::worker::{self, Chain as Sentence, Pace, Progress, Wake, Worker};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::support::anvil::Node;
use crate::support::database::Database;
use crate::support::eventually;

/// Deploys a contract that answers any call with two logs of the call's data: one with its first word as topic, and one with no
/// topic at all. Disassembled: CALLDATASIZE PUSH0 PUSH0 CALLDATACOPY PUSH0 CALLDATALOAD CALLDATASIZE PUSH0 LOG1 CALLDATASIZE
/// PUSH0 LOG0 STOP, behind code that returns it.
const ECHO: &str = "0x6c365f5f375f35365fa1365fa0005f52600d6013f3";

/// Logs of one call of the contract.
const LOGS: usize = 2;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A row of `logs` in the order of the chain, or what the node says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    number: u64,
    hash: B256,
    index: u64,
    transaction: B256,
    address: Address,
    topics: Vec<B256>,
    data: Bytes,
}

/// A chain with the echoing contract, and a ledger.
struct Bench {
    node: Node,
    database: Database,
    contract: Address,
    account: Value,
}

impl Bench {
    async fn start() -> Self {
        Self::on(Node::start().await).await
    }

    async fn on(node: Node) -> Self {
        let database = Database::create().await;
        let account = node.request("eth_accounts", json!([])).await[0].clone();
        let deploy = json!({"from": account, "data": ECHO});
        let receipt = send(&node, &deploy).await;
        let contract = serde_json::from_value(receipt["contractAddress"].clone()).unwrap();
        Self {
            node,
            database,
            contract,
            account,
        }
    }

    fn following(&self) -> Following {
        Following {
            chain_id: 8996,
            contracts_hash: B256::repeat_byte(1),
            contracts_json: json!({"Echo": self.contract}),
            addresses: vec![self.contract],
            start_block: 1,
            act_at: ActAt::Latest,
            irreversible_at: Some(IrreversibleAt::Depth(20)),
            act_from_block: None,
            filter_version: 1,
        }
    }

    fn provider(&self) -> Provider {
        Provider::new(self.node.url().as_str()).unwrap()
    }

    fn follower(&self, following: &Following) -> Follower {
        let ledger = self.database.ledger.clone();
        Follower::new(ledger, self.provider(), following.clone())
    }

    /// A call that the contract echoes.
    fn call(&self, word: u64) -> Value {
        let data = B256::from(alloy::primitives::U256::from(word));
        // Gas and price given: estimates vary, and with them the transaction's hash.
        json!({"from": self.account, "to": self.contract, "data": data, "gas": "0x186a0", "gasPrice": "0x77359400"})
    }

    async fn echo(&self, words: std::ops::Range<u64>) {
        for word in words {
            send(&self.node, &self.call(word)).await;
        }
    }

    /// What the node says, from the first block to the last.
    async fn truth(&self) -> Vec<Row> {
        let filter = json!([{"fromBlock": "0x0", "toBlock": "latest", "address": self.contract}]);
        let logs = self.node.request("eth_getLogs", filter).await;
        let number = |value: &Value| {
            u64::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
        };
        let read = |log: &Value| Row {
            number: number(&log["blockNumber"]),
            hash: serde_json::from_value(log["blockHash"].clone()).unwrap(),
            index: number(&log["logIndex"]),
            transaction: serde_json::from_value(log["transactionHash"].clone()).unwrap(),
            address: serde_json::from_value(log["address"].clone()).unwrap(),
            topics: serde_json::from_value(log["topics"].clone()).unwrap(),
            data: serde_json::from_value(log["data"].clone()).unwrap(),
        };
        logs.as_array().unwrap().iter().map(read).collect()
    }

    async fn rows(&self, canonical: bool) -> Vec<Row> {
        type Columns = (i64, Vec<u8>, i64, Vec<u8>, Vec<u8>, Vec<Vec<u8>>, Vec<u8>);
        let rows: Vec<Columns> = sqlx::query_as(
            "SELECT block_number, block_hash, log_index, transaction_hash, address, topics, data FROM ledger.logs
             WHERE canonical = $1 ORDER BY block_number, log_index",
        )
        .bind(canonical)
        .fetch_all(&self.database.pool)
        .await
        .unwrap();
        rows.into_iter()
            .map(
                |(number, hash, index, transaction, address, topics, data)| Row {
                    number: number.try_into().unwrap(),
                    hash: B256::from_slice(&hash),
                    index: index.try_into().unwrap(),
                    transaction: B256::from_slice(&transaction),
                    address: Address::from_slice(&address),
                    topics: topics.iter().map(|topic| B256::from_slice(topic)).collect(),
                    data: data.into(),
                },
            )
            .collect()
    }

    async fn cursor(&self, deployment: DeploymentId) -> Cursor {
        let mut connection = self.database.ledger.acquire().await.unwrap();
        cursors::get(&mut connection, deployment).await.unwrap()
    }

    async fn count(&self, statement: &'static str) -> i64 {
        sqlx::query_scalar(statement)
            .fetch_one(&self.database.pool)
            .await
            .unwrap()
    }

    /// Writes a job that is anchored in the last canonical log, as the judge does.
    async fn anchor_job(&self, deployment: DeploymentId) {
        let statement = "
            WITH log AS (SELECT id, block_number, block_hash FROM ledger.logs WHERE canonical ORDER BY id DESC LIMIT 1),
            subject AS (INSERT INTO ledger.log_subjects (deployment_id, kind, subject, log_id)
                        SELECT $1, 'agreement', decode(repeat('aa', 32), 'hex'), id FROM log),
            job AS (INSERT INTO ledger.jobs (deployment_id, trigger, contract, key, name, agreement_id, did, consumer)
                    VALUES ($1, 'keeper', decode(repeat('01', 20), 'hex'), decode(repeat('02', 32), 'hex'),
                            'job-' || repeat('0', 32), decode(repeat('aa', 32), 'hex'), decode(repeat('03', 32), 'hex'),
                            decode(repeat('04', 20), 'hex')) RETURNING id)
            INSERT INTO ledger.job_state (job_id, deployment_id, phase, block_number, block_hash, log_id, block_canonical)
            SELECT job.id, $1, 'queued', log.block_number, log.block_hash, log.id, true FROM job, log";
        sqlx::query(statement)
            .bind(deployment.0)
            .execute(&self.database.pool)
            .await
            .unwrap();
    }

    /// Whether the anchored job's block is canonical, and why its agreement is to be judged again.
    async fn consequences(&self) -> (bool, Option<String>) {
        let canonical = sqlx::query_scalar("SELECT block_canonical FROM ledger.job_state")
            .fetch_one(&self.database.pool)
            .await
            .unwrap();
        let cause = sqlx::query_scalar("SELECT cause FROM ledger.judge_queue")
            .fetch_optional(&self.database.pool)
            .await
            .unwrap();
        (canonical, cause)
    }
}

/// Sends a transaction from an account of the node's and answers its receipt, once it is in a block.
async fn send(node: &Node, transaction: &Value) -> Value {
    let hash = node
        .request("eth_sendTransaction", json!([transaction]))
        .await;
    eventually("a transaction is in a block", PATIENCE, async || {
        let receipt = node
            .request("eth_getTransactionReceipt", json!([hash]))
            .await;
        (!receipt.is_null()).then_some(receipt)
    })
    .await
}

/// Ticks until there is nothing more to do.
async fn settle(follower: &mut Follower) -> Result<(), Error> {
    for _ in 0..1_000 {
        if follower.tick().await? == Progress::Idle {
            return Ok(());
        }
    }
    panic!("the follower does not come to rest");
}

async fn refused(follower: &mut Follower) -> (Fault, String) {
    let error = settle(follower).await.unwrap_err();
    (error.fault(), Sentence(&error).to_string())
}

#[tokio::test]
async fn rows_equal_what_the_node_says_and_a_restart_continues() {
    let bench = Bench::start().await;
    bench.echo(0..40).await;
    let following = bench.following();
    let mut follower = bench.follower(&following);
    let deployment = follower.open().await.unwrap();
    settle(&mut follower).await.unwrap();
    let truth = bench.truth().await;
    assert_eq!(truth.len(), 40 * LOGS);
    assert_eq!(bench.rows(true).await, truth);

    bench.echo(40..70).await;
    bench.node.mine(3).await;
    let mut restarted = bench.follower(&following);
    assert_eq!(restarted.open().await.unwrap(), deployment);
    settle(&mut restarted).await.unwrap();
    assert_eq!(bench.rows(true).await, bench.truth().await);

    let head = bench.node.head().await;
    let cursor = bench.cursor(deployment).await;
    assert_eq!(cursor.position.recorded.number, head);
    assert_eq!(cursor.position.epoch, 0);
    assert_eq!(cursor.verified, head);
    assert_eq!(cursor.act, Some(head));
    assert_eq!(cursor.head.unwrap().number, head);
    assert_eq!(cursor.irreversible.unwrap().number, head - 20);
    assert_eq!(cursor.judged.number, 0);
    let by_root = bench
        .count("SELECT count(*) FROM ledger.blocks WHERE proof = 'root'")
        .await;
    assert!(
        by_root >= 20,
        "{by_root} blocks were proven by receipts root"
    );
    assert_eq!(
        bench
            .count("SELECT act_from_block FROM ledger.deployments WHERE start_fixed")
            .await,
        21
    );
}

#[tokio::test]
async fn two_followers_at_once_record_each_row_once() {
    let bench = Bench::start().await;
    let stop = CancellationToken::new();
    let following = bench.following();
    let mut running = Vec::new();
    for _ in 0..2 {
        let (follower, stop) = (bench.follower(&following), stop.clone());
        let pace = Pace::every(Duration::from_millis(5));
        running.push(tokio::spawn(worker::run(
            follower,
            pace,
            Wake::default(),
            stop,
        )));
    }
    bench.echo(0..60).await;
    let truth = bench.truth().await;
    eventually("every row is recorded", PATIENCE, async || {
        (bench.rows(true).await == truth).then_some(())
    })
    .await;
    stop.cancel();
    for run in running {
        run.await.unwrap().unwrap();
    }
    assert_eq!(bench.rows(true).await, truth);
    assert_eq!(bench.rows(false).await, []);
    assert_eq!(
        bench.count("SELECT count(*) FROM ledger.deployments").await,
        1
    );
}

#[tokio::test]
async fn a_reorganisation_in_the_window_leaves_tombstones_and_brings_the_new_rows() {
    let bench = Bench::start().await;
    bench.echo(0..30).await;
    let following = bench.following();
    let mut follower = bench.follower(&following);
    let deployment = follower.open().await.unwrap();
    settle(&mut follower).await.unwrap();
    bench.anchor_job(deployment).await;
    let before = bench.rows(true).await;

    let moved = json!([5, [[bench.call(100), 0], [bench.call(101), 3]]]);
    bench.node.request("anvil_reorg", moved).await;
    settle(&mut follower).await.unwrap();
    assert_eq!(bench.rows(true).await, bench.truth().await);
    let (kept, orphaned) = before.split_at(before.len() - 5 * LOGS);
    assert_eq!(bench.rows(false).await, orphaned);
    assert_eq!(bench.rows(true).await[..kept.len()], *kept);
    assert_eq!(bench.rows(true).await.len(), kept.len() + 2 * LOGS);
    assert_eq!(
        bench.consequences().await,
        (false, Some("orphaned".to_owned()))
    );
    let cursor = bench.cursor(deployment).await;
    assert_eq!(cursor.position.epoch, 1);
    assert_eq!(cursor.position.recorded.number, bench.node.head().await);
    assert_eq!(cursor.halt, None);
}

#[tokio::test]
async fn a_silent_rollback_is_noticed_by_the_next_block() {
    let bench = Bench::start().await;
    bench.echo(0..10).await;
    let snapshot = bench.node.snapshot().await;
    bench.echo(10..16).await;
    let following = bench.following();
    let mut follower = bench.follower(&following);
    settle(&mut follower).await.unwrap();
    assert_eq!(bench.rows(true).await.len(), 16 * LOGS);

    bench.node.revert(snapshot).await;
    settle(&mut follower).await.unwrap();
    // The chain is shorter and the same as far as it goes: that may be a node that lags, so nothing is orphaned yet.
    assert_eq!(bench.rows(true).await.len(), 16 * LOGS);
    bench.echo(50..51).await;
    settle(&mut follower).await.unwrap();
    assert_eq!(bench.rows(true).await, bench.truth().await);
    assert_eq!(bench.rows(true).await.len(), 11 * LOGS);
    assert_eq!(bench.rows(false).await.len(), 6 * LOGS);
}

#[tokio::test]
async fn a_return_to_an_old_fork_revives_its_rows() {
    let bench = Bench::start().await;
    bench.echo(0..5).await;
    let head = bench
        .node
        .request("eth_getBlockByNumber", json!(["latest", false]))
        .await;
    let time = u64::from_str_radix(&head["timestamp"].as_str().unwrap()[2..], 16).unwrap() + 100;
    let following = bench.following();
    let mut follower = bench.follower(&following);
    let deployment = follower.open().await.unwrap();

    // Two blocks that the chain leaves and comes back to: made of the same parent, time, fee and transaction they have the same hash.
    let fork = async |first: u64| {
        for (word, time) in [(first, time), (first + 1, time + 1)] {
            bench
                .node
                .request("evm_setNextBlockTimestamp", json!([time]))
                .await;
            // anvil forgets the base fee when it goes back.
            let fee = json!(["0x3b9aca00"]);
            bench
                .node
                .request("anvil_setNextBlockBaseFeePerGas", fee)
                .await;
            bench.echo(word..word + 1).await;
        }
    };
    let snapshot = bench.node.snapshot().await;
    fork(10).await;
    settle(&mut follower).await.unwrap();
    bench.anchor_job(deployment).await;
    let old = bench.rows(true).await;

    bench.node.revert(snapshot).await;
    let snapshot = bench.node.snapshot().await;
    fork(20).await;
    settle(&mut follower).await.unwrap();
    assert_eq!(bench.rows(true).await, bench.truth().await);
    assert_eq!(bench.rows(false).await.len(), 2 * LOGS);
    assert!(!bench.consequences().await.0);

    bench.node.revert(snapshot).await;
    fork(10).await;
    assert_eq!(bench.truth().await, old, "anvil made other blocks");
    settle(&mut follower).await.unwrap();
    assert_eq!(bench.rows(true).await, old);
    assert_eq!(bench.rows(false).await.len(), 2 * LOGS);
    assert_eq!(
        bench.consequences().await,
        (true, Some("revived".to_owned()))
    );
    assert_eq!(bench.cursor(deployment).await.position.epoch, 2);
}

#[tokio::test]
async fn a_reorganisation_below_the_irreversible_block_halts_until_it_is_released() {
    let bench = Bench::start().await;
    bench.echo(0..20).await;
    // anvil calls the block two below its head final.
    let following = Following {
        irreversible_at: None,
        ..bench.following()
    };
    let mut follower = bench.follower(&following);
    let deployment = follower.open().await.unwrap();
    settle(&mut follower).await.unwrap();
    let before = bench.rows(true).await;
    let recorded = bench.cursor(deployment).await.position;

    bench.node.reorganise(6).await;
    bench.echo(100..103).await;
    settle(&mut follower).await.unwrap();
    let cursor = bench.cursor(deployment).await;
    let reason = cursor.halt.expect("the deployment is halted");
    assert!(reason.contains("may never go away"), "{reason}");
    assert_eq!(cursor.position, recorded);
    assert_eq!(bench.rows(true).await, before);

    let mut connection = bench.database.ledger.acquire().await.unwrap();
    assert!(
        cursors::release_halt(&mut connection, deployment)
            .await
            .unwrap()
    );
    settle(&mut follower).await.unwrap();
    assert!(bench.cursor(deployment).await.halt.is_some());
}

#[tokio::test]
async fn a_chain_restarted_under_the_same_id_is_refused() {
    let bench = Bench::start().await;
    bench.echo(0..30).await;
    let mut follower = bench.follower(&bench.following());
    settle(&mut follower).await.unwrap();

    let node = Node::start().await;
    let restarted = Bench::on(node).await;
    restarted.echo(50..90).await;
    assert_eq!(restarted.contract, bench.contract);
    let provider = restarted.provider();
    let mut follower = Follower::new(bench.database.ledger.clone(), provider, bench.following());
    let (fault, sentence) = refused(&mut follower).await;
    assert_eq!(fault, Fault::Fatal);
    assert!(
        sentence.starts_with("chain 8996 is not the one"),
        "{sentence}"
    );
    assert_eq!(bench.rows(true).await, bench.truth().await);
}

#[tokio::test]
async fn contracts_that_cannot_be_followed_are_refused_with_a_sentence() {
    let bench = Bench::start().await;
    let provider = bench.provider();
    let sentence = async |following: Following| {
        let error = check_contracts(&provider, &following).await.unwrap_err();
        assert_eq!(error.fault(), Fault::Fatal);
        Sentence(&error).to_string()
    };
    check_contracts(&provider, &bench.following())
        .await
        .unwrap();
    let other_chain = Following {
        chain_id: 1,
        ..bench.following()
    };
    assert!(
        sentence(other_chain)
            .await
            .ends_with("is on chain 8996, but the deployment file names chain 1")
    );
    let empty = Following {
        addresses: vec![bench.contract, Address::repeat_byte(9)],
        ..bench.following()
    };
    assert_eq!(
        sentence(empty).await,
        "address 0x0909090909090909090909090909090909090909 of the deployment file has no code on chain 8996"
    );
    let beyond = Following {
        start_block: 1_000,
        ..bench.following()
    };
    assert_eq!(
        sentence(beyond.clone()).await,
        "start block 1000 of the deployment file is beyond the newest block 1 of chain 8996"
    );
    let error = follower::open(&bench.database.ledger, &provider, &beyond)
        .await
        .unwrap_err();
    assert_eq!(error.fault(), Fault::Fatal);
}

#[tokio::test]
async fn a_newer_filter_takes_over_and_an_older_one_is_refused() {
    let bench = Bench::start().await;
    bench.echo(0..30).await;
    let older = bench.following();
    let mut old = bench.follower(&older);
    let deployment = old.open().await.unwrap();
    settle(&mut old).await.unwrap();
    let truth = bench.truth().await;

    let newer = Following {
        addresses: vec![bench.contract, Address::repeat_byte(9)],
        filter_version: 2,
        ..bench.following()
    };
    let mut new = bench.follower(&newer);
    settle(&mut new).await.unwrap();
    // Everything was read once more, and found in place.
    assert_eq!(bench.rows(true).await, truth);
    assert_eq!(bench.rows(false).await, []);
    assert_eq!(bench.cursor(deployment).await.position.epoch, 1);
    bench.echo(30..32).await;
    let (fault, sentence) = refused(&mut old).await;
    assert_eq!(fault, Fault::Fatal);
    assert!(sentence.contains("run the newer one"), "{sentence}");
    settle(&mut new).await.unwrap();
    assert_eq!(bench.rows(true).await, bench.truth().await);
}

#[tokio::test]
async fn without_the_node_the_follower_stands_still_and_goes_on_when_it_is_back() {
    let bench = Bench::start().await;
    bench.echo(0..10).await;
    let gate = Gate::before(bench.node.url().clone()).await;
    let provider = Provider::new(&gate.url).unwrap();
    let follower = Follower::new(bench.database.ledger.clone(), provider, bench.following());
    let stop = CancellationToken::new();
    let pace = Pace {
        interval: Duration::from_millis(10),
        first_retry: Duration::from_millis(10),
        longest_retry: Duration::from_millis(50),
    };
    let run = tokio::spawn(worker::run(follower, pace, Wake::default(), stop.clone()));
    eventually("ten blocks are recorded", PATIENCE, async || {
        (bench.rows(true).await.len() == 10 * LOGS).then_some(())
    })
    .await;

    gate.close();
    eventually("a question meets the shut gate", PATIENCE, async || {
        gate.refused.load(Ordering::SeqCst).then_some(())
    })
    .await;
    bench.echo(10..20).await;
    assert_eq!(bench.rows(true).await.len(), 10 * LOGS);
    assert!(!run.is_finished());
    gate.open();
    let truth = bench.truth().await;
    eventually("every row is recorded", PATIENCE, async || {
        (bench.rows(true).await == truth).then_some(())
    })
    .await;
    stop.cancel();
    run.await.unwrap().unwrap();
}

/// A door in front of a node that can be shut: connections then end at once.
struct Gate {
    url: String,
    shut: Arc<AtomicBool>,
    refused: Arc<AtomicBool>,
    broken: Arc<tokio::sync::Notify>,
}

impl Gate {
    async fn before(node: url::Url) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gate = Self {
            url: format!("http://{}/", listener.local_addr().unwrap()),
            shut: Arc::default(),
            refused: Arc::default(),
            broken: Arc::default(),
        };
        let (shut, refused) = (Arc::clone(&gate.shut), Arc::clone(&gate.refused));
        let broken = Arc::clone(&gate.broken);
        tokio::spawn(async move {
            let port = node.port().unwrap();
            while let Ok((mut near, _)) = listener.accept().await {
                if shut.load(Ordering::SeqCst) {
                    refused.store(true, Ordering::SeqCst);
                    continue;
                }
                let broken = Arc::clone(&broken);
                tokio::spawn(async move {
                    let mut far = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        () = broken.notified() => {}
                    }
                });
            }
        });
        gate
    }

    fn close(&self) {
        self.shut.store(true, Ordering::SeqCst);
        self.broken.notify_waiters();
    }

    fn open(&self) {
        self.shut.store(false, Ordering::SeqCst);
    }
}
