//! A ledger of its own for a test, with a deployment and jobs that wait for their start.

use std::time::Duration;

use alloy::primitives::{Address, B256, keccak256};
use sqlx::PgPool;
use tidewatch::ids::{BlockRef, DeploymentId, JobId, JobName};
use tidewatch::jobs::{Phase, Status, Transition};
use tidewatch::ledger::jobs::{Anchor, Terms};
use tidewatch::ledger::openings::{self, Opening};
use tidewatch::ledger::{self, Ledger, status};
use tidewatch::worker::Worker;
use tidewatch::workflows::JobSpec;

use super::engine::ScriptedEngine;
use crate::support::database::Database;
use crate::support::job;

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(120);

/// Most bytes of log that the jobs of these tests may keep.
pub(super) const LOG_LIMIT: u64 = 1_000_000;

pub(super) struct Bench {
    pub(super) pool: PgPool,
    pub(super) ledger: Ledger,
    pub(super) deployment: DeploymentId,
    pub(super) engine: ScriptedEngine,
    /// Dropped with its test.
    database: Database,
}

impl Bench {
    /// An empty ledger whose cursors stand at block 100.
    pub(super) async fn new() -> Self {
        let database = Database::create().await;
        let pool = database.pool.clone();
        let zero = B256::ZERO;
        let deployment = sqlx::query_scalar(
            "INSERT INTO ledger.deployments (chain_id, genesis_hash, contracts_hash, contracts, start_block, start_hash, act_at, irreversible_at)
             VALUES (8996, $1, $1, '{}', 0, $1, 'finalized', 'finalized') RETURNING id",
        )
        .bind(zero.as_slice())
        .fetch_one(&pool)
        .await
        .unwrap();
        sqlx::query(
            "INSERT INTO ledger.cursors (deployment_id, filter_fingerprint, filter_version, act_number, recorded_number, recorded_hash,
                                         judged_number, judged_hash, verified_number)
             VALUES ($1, $2, 1, 100, 100, $2, 100, $2, 100)",
        )
        .bind(deployment)
        .bind(zero.as_slice())
        .execute(&pool)
        .await
        .unwrap();
        Self {
            ledger: database.ledger.clone(),
            pool,
            database,
            deployment: DeploymentId(deployment),
            engine: ScriptedEngine::new(),
        }
    }

    /// The database's address.
    pub(super) fn url(&self) -> &str {
        &self.database.url
    }

    /// A queued job of block `number` with a frozen specification.
    pub(super) async fn queue(&self, number: i64) -> Job {
        self.queue_with(number, spec()).await
    }

    pub(super) async fn queue_with(&self, number: i64, spec: JobSpec) -> Job {
        let job = self.insert_job(number).await;
        let body = spec.to_bytes().unwrap();
        sqlx::query("INSERT INTO ledger.policy_versions (sha256, body) VALUES ($1, '') ON CONFLICT DO NOTHING")
            .bind(B256::ZERO.as_slice())
            .execute(&self.pool)
            .await
            .unwrap();
        sqlx::query("INSERT INTO ledger.job_specs (job_id, body, sha256, source, policy_sha256) VALUES ($1, $2, $3, 'consumer', $4)")
            .bind(job.id.0)
            .bind(&body)
            .bind(JobSpec::digest(&body).as_slice())
            .bind(B256::ZERO.as_slice())
            .execute(&self.pool)
            .await
            .unwrap();
        job
    }

    /// A queued job without a specification.
    pub(super) async fn insert_job(&self, number: i64) -> Job {
        let key = keccak256(uuid::Uuid::new_v4().as_bytes());
        let contract = Address::repeat_byte(1);
        let name = JobName::derive(8996, contract, key);
        let log: i64 = sqlx::query_scalar(
            "INSERT INTO ledger.logs (deployment_id, block_number, block_hash, log_index, transaction_hash, transaction_index, address, topics, data)
             VALUES ($1, $2, $3, $4, $3, 0, $5, '{}', '') RETURNING id",
        )
        .bind(self.deployment.0)
        .bind(number)
        .bind(key.as_slice())
        .bind(i64::from(u32::from_be_bytes(key[..4].try_into().unwrap())))
        .bind(contract.as_slice())
        .fetch_one(&self.pool)
        .await
        .unwrap();
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO ledger.jobs (deployment_id, trigger, contract, key, name, agreement_id, did, consumer)
             VALUES ($1, 'keeper', $2, $3, $4, $3, $3, $2) RETURNING id",
        )
        .bind(self.deployment.0)
        .bind(contract.as_slice())
        .bind(key.as_slice())
        .bind(name.as_str())
        .fetch_one(&self.pool)
        .await
        .unwrap();
        let job = Job {
            id: JobId(id),
            name,
        };
        let block = BlockRef {
            number: u64::try_from(number).unwrap(),
            hash: key,
        };
        let opening = Opening {
            job: job.id,
            name: job.name.clone(),
            status: Status::of_phase(Phase::Queued, 0),
            anchor: Anchor { log, block },
            terms: Terms::default(),
        };
        let mut transaction = self.ledger.begin().await.unwrap();
        openings::record(&mut transaction, self.deployment, &[opening], "judge")
            .await
            .unwrap();
        ledger::commit(transaction).await.unwrap();
        job
    }

    /// A statement about one job, as an operator or another worker would make it.
    pub(super) async fn alter(&self, job: &Job, change: &str) {
        let statement = format!("UPDATE ledger.job_state SET {change} WHERE job_id = $1");
        sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(job.id.0)
            .execute(&self.pool)
            .await
            .unwrap();
    }

    pub(super) async fn execute(&self, statement: &'static str) {
        sqlx::query(statement).execute(&self.pool).await.unwrap();
    }

    /// Lets every lease run out and every delay be over, as time would.
    pub(super) async fn let_time_pass(&self) {
        sqlx::query(
            "UPDATE ledger.job_state SET not_before = '-infinity', lease_until = CASE WHEN lease_until IS NOT NULL THEN '-infinity'::timestamptz END",
        )
        .execute(&self.pool)
        .await
        .unwrap();
    }

    /// Lets every delay be over, but no lease.
    pub(super) async fn let_delays_pass(&self) {
        self.execute("UPDATE ledger.job_state SET not_before = '-infinity'")
            .await;
    }

    pub(super) async fn status(&self, job: &Job) -> Status {
        let mut transaction = self.ledger.begin().await.unwrap();
        status::lock(&mut transaction, job.id).await.unwrap().status
    }

    /// A column of `job_state`, as text.
    pub(super) async fn column(&self, job: &Job, column: &str) -> Option<String> {
        let statement = format!("SELECT ({column})::text FROM ledger.job_state WHERE job_id = $1");
        sqlx::query_scalar(sqlx::AssertSqlSafe(statement))
            .bind(job.id.0)
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    /// The bytes of the job's log, which must follow one another without gap or overlap, and its completeness.
    pub(super) async fn log(&self, job: &Job) -> (Vec<u8>, Option<String>) {
        // One snapshot, since the log may be growing.
        let mut snapshot = self
            .pool
            .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ")
            .await
            .unwrap();
        let chunks: Vec<(i64, Vec<u8>)> = sqlx::query_as(
            "SELECT start, body FROM ledger.job_log_chunks WHERE job_id = $1 ORDER BY start",
        )
        .bind(job.id.0)
        .fetch_all(&mut *snapshot)
        .await
        .unwrap();
        let state: Option<(Option<String>, i64)> =
            sqlx::query_as("SELECT completeness, bytes FROM ledger.job_logs WHERE job_id = $1")
                .bind(job.id.0)
                .fetch_optional(&mut *snapshot)
                .await
                .unwrap();
        drop(snapshot);
        let mut bytes = Vec::new();
        for (start, body) in chunks {
            assert_eq!(
                start,
                i64::try_from(bytes.len()).unwrap(),
                "chunks follow one another"
            );
            assert!(body.len() <= 64 * 1024);
            bytes.extend(body);
        }
        if let Some((_, count)) = &state {
            assert_eq!(
                *count,
                i64::try_from(bytes.len()).unwrap(),
                "the log's size is that of its chunks"
            );
        }
        (bytes, state.and_then(|(completeness, _)| completeness))
    }

    /// The job's transitions as words, with every hash recomputed and compared.
    pub(super) async fn history(&self, job: &Job) -> Vec<String> {
        type Row = (
            i32,
            String,
            Option<String>,
            Option<String>,
            i32,
            chrono::DateTime<chrono::Utc>,
            Vec<u8>,
            Vec<u8>,
        );
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT number, phase, outcome, reason, attempt, at, previous_hash, hash FROM ledger.transitions WHERE job_id = $1 ORDER BY number",
        )
        .bind(job.id.0)
        .fetch_all(&self.pool)
        .await
        .unwrap();
        let mut previous = B256::ZERO;
        let mut words = Vec::new();
        for (index, (number, phase, outcome, reason, attempt, at, before, hash)) in
            rows.into_iter().enumerate()
        {
            assert_eq!(usize::try_from(number).unwrap(), index + 1);
            assert_eq!(before, previous.as_slice());
            let transition = Transition {
                job: job.name.clone(),
                number: u32::try_from(number).unwrap(),
                status: status::read(&phase, outcome.as_deref(), reason.as_deref(), attempt)
                    .unwrap(),
                at,
                previous,
            };
            assert_eq!(hash, transition.hash().as_slice());
            previous = transition.hash();
            words.push(
                [Some(phase), outcome, reason]
                    .into_iter()
                    .flatten()
                    .collect::<Vec<_>>()
                    .join(" "),
            );
        }
        let last: Vec<u8> =
            sqlx::query_scalar("SELECT last_hash FROM ledger.job_state WHERE job_id = $1")
                .bind(job.id.0)
                .fetch_one(&self.pool)
                .await
                .unwrap();
        assert_eq!(last, previous.as_slice());
        words
    }

    pub(super) async fn parked(&self) -> Vec<(String, String)> {
        sqlx::query_as("SELECT key, reason FROM ledger.parked WHERE replayed_at IS NULL")
            .fetch_all(&self.pool)
            .await
            .unwrap()
    }
}

#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) id: JobId,
    pub(super) name: JobName,
}

pub(super) fn spec() -> JobSpec {
    let digest = format!("sha256:{}", "ab".repeat(32));
    let image = ("registry.example/python", digest.as_str());
    let mut spec = job::spec(keccak256("agreement"), image, "python $ALGO");
    spec.algorithm.code = Some("print('hello')".into());
    spec.release.log_bytes = LOG_LIMIT;
    spec
}

/// Ticks until `done` answers something.
pub(super) async fn tick_until<W: Worker, T>(
    worker: &mut W,
    mut done: impl AsyncFnMut() -> Option<T>,
) -> T {
    let waiting = async {
        loop {
            worker.tick().await.unwrap();
            if let Some(value) = done().await {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .expect("it did not come about in time")
}
