//! A chain with the real contracts, a ledger, and the workers between them, ticked by hand.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::postgres::PgPool;
use tidewatch::chain::{Provider, Providers};
use tidewatch::documents::Documents;
use tidewatch::follower::{ActAt, Follower, Following, IrreversibleAt, Verifier};
use tidewatch::ids::{AgreementId, DeploymentId, Did, JobId};
use tidewatch::jobs::Footing;
use tidewatch::keeper::ContractCalls;
use tidewatch::ledger::{Ledger, footings};
use tidewatch::scheduler::{Judge, Resolver};
use tidewatch::worker::{Progress, Worker};
use tidewatch::workflows::Catalog;
use tokio::sync::watch;

use crate::support::database::Database;
use crate::support::documents::Web;
use crate::support::eventually;
use crate::support::keeper::Chain;

/// The pinned image of the tests' workflows. Nothing pulls it here.
pub(crate) const DIGEST: &str =
    "sha256:abababababababababababababababababababababababababababababababab";

/// When the bench acts, and from where it follows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) act_at: ActAt,
    pub(crate) irreversible: u64,
    pub(crate) start_block: Option<u64>,
    pub(crate) act_from: u64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            act_at: ActAt::Latest,
            irreversible: 5,
            start_block: None,
            act_from: 0,
        }
    }
}

pub(crate) struct Bench {
    pub(crate) chain: Arc<Chain>,
    pub(crate) pool: PgPool,
    pub(crate) ledger: Ledger,
    pub(crate) follower: Follower,
    pub(crate) id: DeploymentId,
    pub(crate) catalog: watch::Sender<Arc<Catalog>>,
    /// How the resolver fetches: the tests' own names only, so that nothing here depends on who is on line.
    pub(crate) documents: Documents,
    following: Following,
    pub(crate) database: Database,
}

/// A job as its rows have it.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Job {
    pub(crate) id: i64,
    /// Phase, outcome and reason, joined by blanks.
    pub(crate) status: String,
    pub(crate) canonical: bool,
    pub(crate) block: i64,
    pub(crate) owed_block: Option<i64>,
}

impl Bench {
    /// Follows a chain on which things may have happened already.
    pub(crate) async fn on(chain: impl Into<Arc<Chain>>, rules: Rules) -> Self {
        let chain: Arc<Chain> = chain.into();
        let provider = Provider::new(chain.node.url().as_str()).unwrap();
        Self::through(provider, chain, rules).await
    }

    /// Follows a chain through a provider that may not tell all of it.
    pub(crate) async fn through(
        provider: Provider,
        chain: impl Into<Arc<Chain>>,
        rules: Rules,
    ) -> Self {
        let chain: Arc<Chain> = chain.into();
        let database = Database::create().await;
        let (pool, ledger) = (database.pool.clone(), database.ledger.clone());
        let deployment = &chain.deployment;
        let following = Following {
            chain_id: deployment.chain_id,
            contracts_hash: deployment.contracts_hash(),
            contracts_json: json!({"ComputeExecutionCondition": deployment.contracts.compute_execution_condition}),
            addresses: deployment.addresses(),
            start_block: rules.start_block.unwrap_or(deployment.start_block),
            act_at: rules.act_at,
            irreversible_at: Some(IrreversibleAt::Depth(rules.irreversible)),
            act_from_block: Some(rules.act_from),
            filter_version: 1,
        };
        let mut follower = Follower::new(ledger.clone(), provider, following.clone());
        let id = follower.open().await.unwrap();
        Self {
            chain,
            pool,
            ledger,
            follower,
            id,
            catalog: watch::Sender::new(Arc::new(Catalog::empty())),
            documents: Web::new().documents(),
            following,
            database,
        }
    }

    pub(crate) async fn start() -> Self {
        Self::on(Chain::start().await, Rules::default()).await
    }

    /// Offers assets for 10, each with these further keys.
    pub(crate) fn offer(&self, assets: &[(Did, &str)]) {
        let assets = assets
            .iter()
            .map(|(did, more)| format!("  - {{did: \"{did}\", minimumPrice: 10, {more}}}\n"));
        let text = format!(
            "policy: {{images: [docker.io/library/python]}}\nassets:\n{}",
            assets.collect::<String>()
        );
        let catalog = Catalog::parse(text.as_bytes()).unwrap();
        self.catalog.send_replace(Arc::new(catalog));
    }

    /// The database's URL, as its owner.
    pub(crate) fn url(&self) -> &str {
        &self.database.url
    }

    /// A verifier that asks these providers, and the contracts for what they count.
    pub(crate) fn verifier(&self, providers: Vec<Provider>) -> Verifier {
        let keeper = Some(self.chain.deployment.clone());
        Verifier::new(
            self.ledger.clone(),
            providers,
            self.following.clone(),
            self.id,
            keeper,
        )
    }

    pub(crate) fn judge(&self) -> Judge<Providers> {
        self.judge_asking(Providers::new([self.chain.node.url().as_str()]).unwrap())
    }

    pub(crate) fn judge_asking<C: ContractCalls>(&self, calls: C) -> Judge<C> {
        Judge::new(
            self.ledger.clone(),
            self.id,
            self.chain.deployment.clone(),
            calls,
            self.catalog.subscribe(),
        )
        .retrying_after(std::time::Duration::ZERO)
    }

    pub(crate) fn resolver(&self) -> Resolver {
        Resolver::new(
            self.ledger.clone(),
            self.id,
            self.chain.deployment.clone(),
            self.catalog.subscribe(),
            self.documents.clone(),
        )
    }

    /// Lets the follower take in all there is.
    pub(crate) async fn follow(&mut self) {
        exhaust(&mut self.follower).await;
    }

    /// Lets all workers do all there is to do.
    pub(crate) async fn settle(&mut self) {
        self.follow().await;
        exhaust(&mut self.judge()).await;
        self.resolve().await;
    }

    /// Lets the resolver do all there is to do, and waits for what it has gone to ask registries.
    pub(crate) async fn resolve(&self) {
        let mut resolver = self.resolver();
        let resolver = tokio::sync::Mutex::new(&mut resolver);
        eventually(
            "nobody is asked any more",
            Duration::from_secs(120),
            || async {
                exhaust(*resolver.lock().await).await;
                let out = "SELECT count(*) FROM ledger.job_state WHERE lease_worker = 'resolver'";
                let out: i64 = sqlx::query_scalar(out).fetch_one(&self.pool).await.unwrap();
                (out == 0).then_some(())
            },
        )
        .await;
    }

    pub(crate) async fn jobs(&self, agreement: AgreementId) -> Vec<Job> {
        sqlx::query_as(
            "SELECT j.id, concat_ws(' ', phase, outcome, reason) AS status, block_canonical AS canonical,
                    block_number AS block, owed_block
             FROM ledger.jobs j JOIN ledger.job_state s ON s.job_id = j.id WHERE agreement_id = $1 ORDER BY j.id",
        )
        .bind(agreement.0.as_slice())
        .fetch_all(&self.pool)
        .await
        .unwrap()
    }

    /// The only job of an agreement.
    pub(crate) async fn job(&self, agreement: AgreementId) -> Job {
        let jobs = self.jobs(agreement).await;
        let [job] = <[Job; 1]>::try_from(jobs).unwrap();
        job
    }

    /// How what owes a job stands, as the dispatcher tells the engine.
    pub(crate) async fn footing(&self, job: i64) -> Footing {
        let mut connection = self.ledger.acquire().await.unwrap();
        footings::get(&mut connection, JobId(job)).await.unwrap()
    }

    /// Where a job has been, in order.
    pub(crate) async fn path(&self, job: i64) -> Vec<String> {
        sqlx::query_scalar(
            "SELECT concat_ws(' ', phase, outcome, reason) FROM ledger.transitions WHERE job_id = $1 ORDER BY number",
        )
        .bind(job)
        .fetch_all(&self.pool)
        .await
        .unwrap()
    }

    pub(crate) async fn verdicts(&self, job: i64) -> Vec<String> {
        sqlx::query_scalar("SELECT verdict FROM ledger.verdicts WHERE job_id = $1 ORDER BY number")
            .bind(job)
            .fetch_all(&self.pool)
            .await
            .unwrap()
    }
}

/// Ticks until there is nothing left to do. With a retry of nothing, what cannot be read comes back at once, hence the bound.
pub(crate) async fn exhaust(worker: &mut impl Worker) {
    for _ in 0..200 {
        if worker.tick().await.unwrap() == Progress::Idle {
            return;
        }
    }
}

/// The publisher's own workflow, as a key of an asset.
pub(crate) fn default_workflow() -> String {
    format!(
        "workflow: {{main: {{type: workflow, workflow: {{stages: [{{transformation: {{container: \
         {{image: python, checksum: '{DIGEST}', entrypoint: default}}}}}}]}}}}}}"
    )
}

/// A consumer's document.
pub(crate) fn document(entrypoint: &str) -> Value {
    json!({"main": {"type": "workflow", "workflow": {"stages": [{"transformation": {"rawcode": "print(1)",
        "container": {"image": "python", "tag": "3.12", "checksum": DIGEST, "entrypoint": entrypoint}}}]}}})
}

/// A document as a value for the registry.
pub(crate) fn inline(document: &Value) -> Vec<u8> {
    format!("data:application/json,{document}").into_bytes()
}
