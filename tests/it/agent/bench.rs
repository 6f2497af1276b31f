//! A chain, a ledger, and the workers between them, with an agent whose key is its own.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use alloy::primitives::{Address, B256, U256};
use alloy::providers::Provider as _;
use alloy::signers::local::PrivateKeySigner;
use serde_json::json;
use tidewatch::agent::{Agent, Kind, Node, Settings, Works};
use tidewatch::app::anvil::Anvil;
use tidewatch::chain::Provider;
use tidewatch::ids::{AgreementId, Did};
use tidewatch::keeper::{Facts, Purchase, purchase};
use tidewatch::worker::{Progress, Worker};
use tidewatch::workflows::JobSpec;
use tokio::sync::watch;

use crate::judging::bench::{Bench, default_workflow, exhaust};
use crate::support::database::Database;
use crate::support::eventually;

/// A gigawei.
pub(super) const GWEI: u128 = 1_000_000_000;

/// The agent as tests build it.
pub(super) type TestAgent = Agent<Provider, PrivateKeySigner>;

/// An act as its row has it.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub(super) struct Row {
    /// State, reason and who did it, joined by blanks.
    pub(super) state: String,
    pub(super) detail: Option<String>,
    pub(super) transaction_hash: Option<Vec<u8>>,
    pub(super) block_number: Option<i64>,
}

/// A signed transaction as its row has it.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub(super) struct Signed {
    pub(super) transaction_hash: Vec<u8>,
    pub(super) nonce: i64,
    pub(super) purpose: String,
    pub(super) succeeded: Option<bool>,
}

/// The bench of the judge's tests, with an asset that the agent may answer for.
pub(super) struct Post {
    bench: Bench,
    pub(super) did: Did,
    pub(super) key: PrivateKeySigner,
    /// Where agents see which key is theirs.
    pub(super) keys: watch::Sender<PrivateKeySigner>,
}

impl Deref for Post {
    type Target = Bench;

    fn deref(&self) -> &Bench {
        &self.bench
    }
}

impl DerefMut for Post {
    fn deref_mut(&mut self) -> &mut Bench {
        &mut self.bench
    }
}

impl Post {
    pub(super) async fn start() -> Self {
        Self::over(Bench::start().await).await
    }

    pub(super) async fn over(bench: Bench) -> Self {
        let did = bench.chain.asset().await;
        let key = PrivateKeySigner::from_bytes(&Anvil::key(5).unwrap()).unwrap();
        let call =
            purchase::add_did_provider(&bench.chain.deployment.contracts, did, key.address());
        bench.chain.provider.send(call).await.unwrap();
        bench.offer(&[(did, &default_workflow())]);
        let keys = watch::Sender::new(key.clone());
        Self {
            bench,
            did,
            key,
            keys,
        }
    }

    pub(super) fn database(&self) -> &Database {
        &self.bench.database
    }

    /// The agent's address.
    pub(super) fn address(&self) -> Address {
        self.key.address()
    }

    pub(super) async fn agent(&self) -> TestAgent {
        self.agent_with(|_| ()).await
    }

    pub(super) async fn agent_with(&self, change: impl FnOnce(&mut Settings)) -> TestAgent {
        self.agent_asking(self.chain.node.url().as_str(), change)
            .await
    }

    /// An agent that sends its transactions through the node at `url`.
    pub(super) async fn agent_asking(
        &self,
        url: &str,
        change: impl FnOnce(&mut Settings),
    ) -> TestAgent {
        let mut settings = Settings::new(Kind::ALL.to_vec(), 100 * GWEI, 20_000_000);
        settings.look_after = Duration::ZERO;
        settings.lease = Duration::from_secs(20);
        change(&mut settings);
        let calls = Provider::new(self.chain.node.url().as_str()).unwrap();
        let works = Works {
            deployment_id: self.id,
            deployment: self.chain.deployment.clone(),
            genesis_hash: calls.genesis_hash().await.unwrap(),
            calls,
            node: Node::new([url]).unwrap(),
            documents: self.documents.clone(),
        };
        let catalog = self.catalog.subscribe();
        Agent::new(
            self.ledger.clone(),
            works,
            self.keys.subscribe(),
            catalog,
            settings,
        )
    }

    /// An honest purchase of the asset, paid; nobody has answered.
    pub(super) async fn paid(&self) -> Purchase {
        self.paid_as(|_| ()).await
    }

    pub(super) async fn paid_as(&self, bend: impl FnOnce(&mut Purchase)) -> Purchase {
        let mut purchase = self.chain.order(self.did);
        bend(&mut purchase);
        self.chain.pay(&purchase).await;
        purchase
    }

    /// Lets follower, judge and resolver take in all there is, and the verifier read history a second time.
    pub(super) async fn settle(&mut self) {
        self.bench.settle().await;
        let provider = Provider::new(self.chain.node.url().as_str()).unwrap();
        exhaust(&mut self.bench.verifier(vec![provider])).await;
    }

    /// Lets all of them take in all there is, and the agent do all it can at once.
    pub(super) async fn run(&mut self, agent: &mut TestAgent) {
        self.settle().await;
        tick(agent).await;
    }

    /// Mines until the act is final, whatever it takes.
    pub(super) async fn run_until(
        &mut self,
        agent: &mut TestAgent,
        agreement: AgreementId,
        wanted: &str,
    ) -> Row {
        for _ in 0..60 {
            self.run(agent).await;
            let row = self.act("approve", agreement).await;
            if row.as_ref().is_some_and(|row| row.state == wanted) {
                return row.unwrap();
            }
            self.chain.node.mine(1).await;
            // A commit of an agent that was dropped can arrive after it, and its lease with it.
            self.end_leases().await;
            self.make_due().await;
        }
        let row = self.act("approve", agreement).await;
        panic!("the act did not become {wanted}: {row:?}")
    }

    /// What waits for a moment is due now.
    pub(super) async fn make_due(&self) {
        sqlx::query("UPDATE ledger.agent_acts SET not_before = now() - interval '1 second'")
            .execute(&self.pool)
            .await
            .unwrap();
    }

    /// Leases of replicas that died are over.
    pub(super) async fn end_leases(&self) {
        sqlx::query(
            "UPDATE ledger.agent_acts SET lease_until = now() - interval '1 second', not_before = now() - interval '1 second'
             WHERE lease_until IS NOT NULL",
        )
        .execute(&self.pool)
        .await
        .unwrap();
    }

    pub(super) async fn act(&self, kind: &str, agreement: AgreementId) -> Option<Row> {
        sqlx::query_as(
            "SELECT concat_ws(' ', state, reason, done_by) AS state, detail, transaction_hash, block_number
             FROM tidewatch.agent_acts WHERE act = $1 AND agreement_id = $2",
        )
        .bind(kind)
        .bind(agreement.0.as_slice())
        .fetch_optional(&self.pool)
        .await
        .unwrap()
    }

    pub(super) async fn state(&self, agreement: AgreementId) -> String {
        let row = self.act("approve", agreement).await;
        row.map(|row| row.state).unwrap_or_default()
    }

    /// Every transaction that was signed for an agreement, oldest first.
    pub(super) async fn signed(&self, agreement: AgreementId) -> Vec<Signed> {
        sqlx::query_as(
            "SELECT transaction_hash, nonce, purpose, succeeded FROM tidewatch.agent_transactions
             WHERE agreement_id = $1 ORDER BY signed_at",
        )
        .bind(agreement.0.as_slice())
        .fetch_all(&self.pool)
        .await
        .unwrap()
    }

    /// How many transactions of the agent are on the chain.
    pub(super) async fn sent_by_agent(&self) -> u64 {
        let provider = self.chain.node.provider();
        provider
            .get_transaction_count(self.address())
            .await
            .unwrap()
    }

    /// The compute condition's state on the chain.
    pub(super) async fn compute_state(&self, purchase: &Purchase) -> u8 {
        let calls = Provider::new(self.chain.node.url().as_str()).unwrap();
        let facts = Facts::new(&calls, &self.chain.deployment.contracts);
        let found = facts.condition(purchase.compute_id(), None).await.unwrap();
        found.unwrap().state
    }

    /// What the chain itself says of how often the compute condition was fulfilled.
    pub(super) async fn fulfilments(&self, purchase: &Purchase) -> usize {
        let events: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM tidewatch.keeper_events
             WHERE canonical AND contract = 'ComputeExecutionCondition' AND name = 'Fulfilled'
               AND topics[2] = $1",
        )
        .bind(purchase.agreement.0.as_slice())
        .fetch_one(&self.pool)
        .await
        .unwrap();
        usize::try_from(events).unwrap()
    }

    pub(super) async fn set_balance(&self, wei: u128) {
        let parameters = json!([self.address(), format!("{wei:#x}")]);
        self.chain
            .node
            .request("anvil_setBalance", parameters)
            .await;
    }

    /// The next block's base fee.
    pub(super) async fn set_base_fee(&self, wei: u128) {
        let parameters = json!([format!("{wei:#x}")]);
        self.chain
            .node
            .request("anvil_setNextBlockBaseFeePerGas", parameters)
            .await;
    }

    /// What an agreement's only job runs.
    pub(super) async fn frozen(&self, agreement: AgreementId) -> JobSpec {
        let body: Vec<u8> =
            sqlx::query_scalar("SELECT body FROM ledger.job_specs WHERE job_id = $1")
                .bind(self.job(agreement).await.id)
                .fetch_one(&self.pool)
                .await
                .unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    /// How many tokens an account has.
    pub(super) async fn tokens(&self, account: Address) -> U256 {
        let mut data = alloy::hex!("70a08231").to_vec();
        data.extend(B256::left_padding_from(account.as_slice()));
        let calls = Provider::new(self.chain.node.url().as_str()).unwrap();
        let token = self.chain.deployment.contracts.ocean_token;
        let answer = calls
            .call(token, data.into(), tidewatch::chain::BlockId::latest())
            .await
            .unwrap();
        U256::from_be_slice(&answer)
    }
}

/// Ticks until there is nothing left to do at this moment.
pub(super) async fn tick(agent: &mut TestAgent) {
    for _ in 0..6 {
        if agent.tick().await.unwrap() == Progress::Idle {
            return;
        }
    }
}

/// Waits until a row of the ledger says what is wanted.
pub(super) async fn until(post: &Post, agreement: AgreementId, wanted: &str) -> Row {
    eventually(
        &format!("the act is {wanted}"),
        Duration::from_secs(120),
        || async {
            post.chain.node.mine(1).await;
            let row = post.act("approve", agreement).await?;
            (row.state == wanted).then_some(row)
        },
    )
    .await
}
