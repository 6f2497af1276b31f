//! The follower on a real chain and a real Postgres.

mod agreeing;
mod announcing;
mod choosing;
mod counting;
mod database_away;
mod gate;
pub(crate) mod liar;
mod limits;
mod many;
mod misbehaving;
mod omitting;
mod providers;
mod reading_once;
mod recording;
mod refusals;
mod reorganisations;
mod returning;
mod verifying;

use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes};
use serde_json::{Value, json};
use tidewatch::chain::Provider;
use tidewatch::fault::Fault;
use tidewatch::follower::{ActAt, Error, Follower, Following, IrreversibleAt};
use tidewatch::ids::DeploymentId;
use tidewatch::ledger::cursors::{self, Cursor};
use tidewatch::worker::{Chain as Sentence, Progress, Worker};

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
const PATIENCE: Duration = Duration::from_secs(120);

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
    node: Arc<Node>,
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
            node: Arc::new(node),
            database,
            contract,
            account,
        }
    }

    /// The same chain with an empty ledger.
    async fn with_another_ledger(&self) -> Self {
        Self {
            node: Arc::clone(&self.node),
            database: Database::create().await,
            contract: self.contract,
            account: self.account.clone(),
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
        self.rows_where(canonical, None).await
    }

    /// The canonical rows of one of several deployments.
    async fn rows_of(&self, deployment: DeploymentId) -> Vec<Row> {
        self.rows_where(true, Some(deployment.0)).await
    }

    async fn rows_where(&self, canonical: bool, deployment: Option<i64>) -> Vec<Row> {
        type Columns = (i64, Vec<u8>, i64, Vec<u8>, Vec<u8>, Vec<Vec<u8>>, Vec<u8>);
        let rows: Vec<Columns> = sqlx::query_as(
            "SELECT block_number, block_hash, log_index, transaction_hash, address, topics, data FROM ledger.logs
             WHERE canonical = $1 AND ($2::bigint IS NULL OR deployment_id = $2) ORDER BY block_number, log_index",
        )
        .bind(canonical)
        .bind(deployment)
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
