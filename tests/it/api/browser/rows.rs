use std::sync::Arc;

use serde_json::{Value, json};
use tidewatch::clock::{Clock, SystemClock};
use tidewatch::ids::{AgreementId, JobId, JobName};
use tidewatch::jobs::{Outcome, Phase, Reason, Status};
use tidewatch::keeper::{Mined, Purchase};
use tidewatch::ledger::{commit, status};

use super::super::disk::Disk;
use super::super::results::record;
use crate::judging::bench::{Bench, default_workflow};

/// Jobs besides those that steps speak of: one more than a page holds, with them.
const MANY: usize = 20;

/// What an algorithm that means ill would register, to be shown to people.
const HOSTILE: &[u8] = b"https://x.example/\"><script>window.pwned = 1</script><img src=x onerror='window.pwned=1'>\xe2\x80\xae gnp.exe \0 end";

/// A chain on which much happened, and a ledger that knows it.
pub(super) struct Stage {
    pub(super) bench: Bench,
    /// The job that steps look at.
    job: (JobId, Purchase, Mined),
    /// One that is queued, too.
    other: JobId,
    /// A purchase that nobody answered.
    waiting: AgreementId,
    /// One whose job was refused.
    refused: Purchase,
    hostile: Mined,
    /// Where the results of the job that steps look at lie, once it has ended.
    pub(super) results: Arc<Disk>,
}

/// Result files, with a name that an algorithm chose to do harm by.
const FILES: [(&str, &[u8]); 2] = [
    ("answer/sum.txt", b"the sum is 471\n"),
    ("<img src=x onerror=alert(1)>.txt", b"x"),
];

impl Stage {
    pub(super) async fn set() -> Self {
        let mut bench = Bench::start().await;
        let chain = Arc::clone(&bench.chain);
        let (open, closed) = (chain.asset().await, chain.asset().await);
        let disabled = format!("enabled: false, {}", default_workflow());
        bench.offer(&[(open, &default_workflow()), (closed, &disabled)]);
        let hostile = chain
            .register(&chain.stranger, chain.fresh().into(), HOSTILE)
            .await;
        let mut bought = Vec::new();
        for _ in 0..MANY {
            let purchase = chain.order(open);
            chain.buy(&purchase).await;
            bought.push(purchase.agreement);
        }
        let refused = chain.order(closed);
        chain.buy(&refused).await;
        let waiting = chain.order(open);
        chain.pay(&waiting).await;
        let looked_at = chain.order(open);
        let answered = chain.buy(&looked_at).await;
        bench.settle().await;
        let job = async |agreement| JobId(bench.job(agreement).await.id);
        let (failed, succeeded) = (job(bought[0]).await, job(bought[1]).await);
        let stage = Self {
            job: (job(looked_at.agreement).await, looked_at, answered),
            other: job(bought[2]).await,
            waiting: waiting.agreement,
            refused,
            hostile,
            results: Arc::new(Disk::new()),
            bench,
        };
        stage
            .ran(failed, Outcome::Failed, Some(Reason::AlgorithmFailed))
            .await;
        stage.ran(succeeded, Outcome::Succeeded, None).await;
        stage
    }

    /// What the steps look for.
    pub(super) fn known(&self) -> Value {
        let (_, purchase, answered) = &self.job;
        let deployment = &self.bench.chain.deployment;
        let contract = deployment.contracts.compute_execution_condition;
        let name =
            |of: &Purchase| JobName::derive(deployment.chain_id, contract, of.compute_id().0);
        json!({
            "job": name(purchase),
            "agreement": purchase.agreement,
            "condition": purchase.compute_id(),
            "transaction": answered.transaction_hash,
            "did": purchase.did,
            "consumer": purchase.consumer.to_checksum(None),
            "waiting": self.waiting,
            "refused": name(&self.refused),
            "hostile": self.hostile.transaction_hash,
            "node": self.bench.chain.node.url().as_str(),
        })
    }

    /// Does what a step asks for.
    pub(super) async fn change(&self, what: &str) {
        let job = self.job.0;
        match what {
            "run" => {
                self.attempt(job, &stages(false)).await;
                self.print(job, b"the algorithm reads its input\n").await;
                self.advance(job, Status::of_phase(Phase::Configuring, 1))
                    .await;
                self.advance(job, Status::of_phase(Phase::Running, 1)).await;
            }
            "start another" => {
                let next = Status::of_phase(Phase::Configuring, 1);
                self.advance(self.other, next).await;
            }
            "print" => {
                let words = "\u{1b}[1;31mred words\u{1b}[0m <script>window.pwned = 1</script> \u{1b}[2J \u{202e}turned\r\nprogress 1\rprogress 2\n";
                self.print(job, words.as_bytes()).await;
            }
            "end" => {
                self.sql("UPDATE ledger.job_logs SET completeness = 'complete', sha256 = sha256('') WHERE job_id = $1", job).await;
                self.attempt(job, &stages(true)).await;
                self.publish(job).await;
                self.advance(job, Status::of_phase(Phase::Publishing, 1))
                    .await;
                self.advance(job, Status::finished(Outcome::Succeeded, None, 1))
                    .await;
            }
            other => panic!("no step may ask for {other:?}"),
        }
    }

    async fn publish(&self, job: JobId) {
        let name: String = sqlx::query_scalar("SELECT name FROM ledger.jobs WHERE id = $1")
            .bind(job.0)
            .fetch_one(&self.bench.pool)
            .await
            .unwrap();
        let (key, hash) = self.results.publish(&name.parse().unwrap(), &FILES).await;
        record(
            &mut self.bench.pool.acquire().await.unwrap(),
            job,
            (key, hash),
        )
        .await;
    }

    /// Lets a job have run.
    async fn ran(&self, job: JobId, outcome: Outcome, reason: Option<Reason>) {
        self.attempt(job, &stages(true)).await;
        self.advance(job, Status::of_phase(Phase::Configuring, 1))
            .await;
        self.advance(job, Status::of_phase(Phase::Running, 1)).await;
        self.advance(job, Status::finished(outcome, reason, 1))
            .await;
    }

    async fn advance(&self, job: JobId, next: Status) {
        let mut transaction = self.bench.ledger.begin().await.unwrap();
        let mut locked = status::lock(&mut transaction, job).await.unwrap();
        status::advance(&mut transaction, &mut locked, next, "observer")
            .await
            .unwrap();
        commit(transaction).await.unwrap();
    }

    async fn attempt(&self, job: JobId, stages: &Value) {
        let is_over = stages.as_array().unwrap().len() == 3;
        sqlx::query(
            "INSERT INTO ledger.job_attempts (job_id, attempt, started_at, finished_at, stages)
             VALUES ($1, 1, now(), CASE WHEN $3 THEN now() END, $2)
             ON CONFLICT (job_id, attempt) DO UPDATE SET finished_at = excluded.finished_at, stages = excluded.stages",
        )
        .bind(job.0)
        .bind(stages)
        .bind(is_over)
        .execute(&self.bench.pool)
        .await
        .unwrap();
    }

    /// Lets the algorithm print.
    async fn print(&self, job: JobId, words: &[u8]) {
        self.sql("INSERT INTO ledger.job_logs (job_id, attempt, stage, bytes) VALUES ($1, 1, 'algorithm', 0) ON CONFLICT DO NOTHING", job)
            .await;
        sqlx::query(
            "WITH whole AS (UPDATE ledger.job_logs SET bytes = bytes + length($2) WHERE job_id = $1 RETURNING bytes)
             INSERT INTO ledger.job_log_chunks (job_id, attempt, stage, start, body)
             SELECT $1, 1, 'algorithm', bytes - length($2), $2 FROM whole",
        )
        .bind(job.0)
        .bind(words)
        .execute(&self.bench.pool)
        .await
        .unwrap();
    }

    async fn sql(&self, statement: &'static str, job: JobId) {
        sqlx::query(statement)
            .bind(job.0)
            .execute(&self.bench.pool)
            .await
            .unwrap();
    }
}

/// The stages of an attempt whose algorithm runs, or is over.
fn stages(is_over: bool) -> Value {
    let now = SystemClock.now();
    let ago = |seconds| (now - chrono::Duration::seconds(seconds)).to_rfc3339();
    let stage = |name: &str, begun: Option<i64>, over: Option<i64>| json!({"stage": name, "runner": "uid", "startedAt": begun.map(ago), "finishedAt": over.map(ago), "exitCode": over.map(|_| 0)});
    let mut algorithm = stage("algorithm", Some(12), is_over.then_some(5));
    algorithm["isolation"] = json!("proven");
    let mut all = vec![stage("configure", Some(15), Some(13)), algorithm];
    if is_over {
        all.push(stage("publish", Some(3), Some(1)));
    }
    Value::Array(all)
}
