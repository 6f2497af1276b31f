//! Workflows that the dispatcher starts, and how fast.

use std::time::{Duration, Instant};

use alloy::primitives::{Address, B256, keccak256};
use anyhow::{Context, Result};
use sqlx::AssertSqlSafe;
use tidewatch::engine::WorkflowPlan;
use tidewatch::ids::{BlockRef, DeploymentId, JobId, JobName};
use tidewatch::jobs::{Phase, Status};
use tidewatch::ledger::dispatch::Caps;
use tidewatch::ledger::jobs::{Anchor, Terms};
use tidewatch::ledger::openings::{self, Opening};
use tidewatch::ledger::{self, Ledger};
use tidewatch::scheduler::{Dispatcher, DispatcherSettings};
use tidewatch::worker::{self, Pace, Wake};
use tidewatch::workflows::JobSpec;
use tokio_util::sync::CancellationToken;

use super::{Cluster, job, until};
use crate::parts::{Database, Parts};

/// Workflows that are dispatched.
const WORKFLOWS: u32 = 1_000;
/// Of all jobs of the queue.
const DEPLOYMENT: DeploymentId = DeploymentId(1);

/// Dispatches a queue into the cluster, in which nobody carries anything out; workflows per second.
pub(super) async fn measure(cluster: &Cluster, parts: &Parts) -> Result<f64> {
    let database = parts.database("bench_cluster").await?;
    fill(cluster, &database).await?;
    let most = WORKFLOWS;
    let settings = DispatcherSettings {
        caps: Caps {
            window: most,
            of_payer: most,
            of_asset: most,
        },
        ..DispatcherSettings::default()
    };
    let ledger = Ledger::connect(&database.url, 10).await?;
    let engine = cluster.engine("dispatcher").await?;
    let dispatcher = Dispatcher::new(ledger, DEPLOYMENT, engine, settings);
    let stop = CancellationToken::new();
    let pace = Pace::every(Duration::from_millis(100));
    let began = Instant::now();
    let working = tokio::spawn(worker::run(dispatcher, pace, Wake::default(), stop.clone()));
    let started =
        "SELECT count(*) FROM ledger.job_state WHERE phase = 'configuring' AND started_attempt = 1";
    until("all are started", async || {
        Ok(database.count(started).await? == u64::from(most))
    })
    .await?;
    let took = began.elapsed();
    stop.cancel();
    working.await??;
    Ok(f64::from(most) / took.as_secs_f64())
}

/// Queued jobs, all of one payer and one asset.
async fn fill(cluster: &Cluster, database: &Database) -> Result<()> {
    let statements = format!(
        "INSERT INTO ledger.deployments (chain_id, genesis_hash, contracts_hash, contracts, start_block, start_hash, act_at, irreversible_at)
         VALUES (8996, '{zero}', '{zero}', '{{}}', 0, '{zero}', 'finalized', 'finalized');
         INSERT INTO ledger.cursors (deployment_id, filter_fingerprint, filter_version, act_number, recorded_number, recorded_hash,
                                     judged_number, judged_hash, verified_number)
         VALUES (1, '{zero}', 1, 100, 100, '{zero}', 100, '{zero}', 100);
         INSERT INTO ledger.policy_versions (sha256, body) VALUES ('{zero}', '')",
        zero = format_args!("\\x{}", "00".repeat(32))
    );
    sqlx::raw_sql(AssertSqlSafe(statements))
        .execute(&database.pool)
        .await?;
    let mut opened = Vec::new();
    let mut specs = Vec::new();
    for number in 0..WORKFLOWS {
        let plan = plan(cluster, number, "true")?;
        let opening = insert(database, number, &plan).await?;
        specs.push((opening.job, plan.spec.to_bytes()?, plan.spec_digest));
        opened.push(opening);
    }
    let ledger = Ledger::over(database.pool.clone());
    let mut transaction = ledger.begin().await?;
    openings::record(&mut transaction, DEPLOYMENT, &opened, "judge").await?;
    ledger::commit(transaction).await?;
    for (job, body, digest) in specs {
        sqlx::query("INSERT INTO ledger.job_specs (job_id, body, sha256, source, policy_sha256) VALUES ($1, $2, $3, 'consumer', $4)")
            .bind(job.0)
            .bind(body)
            .bind(digest.as_slice())
            .bind(B256::ZERO.as_slice())
            .execute(&database.pool)
            .await?;
    }
    Ok(())
}

async fn insert(database: &Database, number: u32, plan: &WorkflowPlan) -> Result<Opening> {
    let key = plan.spec.agreement.0;
    let log: i64 = sqlx::query_scalar(
        "INSERT INTO ledger.logs (deployment_id, block_number, block_hash, log_index, transaction_hash, transaction_index, address, topics, data)
         VALUES (1, 1, $1, $3, $1, 0, $2, '{}', '') RETURNING id",
    )
    .bind(key.as_slice())
    .bind(Address::ZERO.as_slice())
    .bind(i64::from(number))
    .fetch_one(&database.pool)
    .await?;
    let id: i64 = sqlx::query_scalar(
        "INSERT INTO ledger.jobs (deployment_id, trigger, contract, key, name, agreement_id, did, consumer)
         VALUES (1, 'keeper', $2, $1, $3, $1, $1, $2) RETURNING id",
    )
    .bind(key.as_slice())
    .bind(Address::ZERO.as_slice())
    .bind(plan.job.as_str())
    .fetch_one(&database.pool)
    .await?;
    let block = BlockRef {
        number: 1,
        hash: key,
    };
    Ok(Opening {
        job: JobId(id),
        name: plan.job.clone(),
        status: Status::of_phase(Phase::Queued, 0),
        anchor: Anchor { log, block },
        terms: Terms::default(),
    })
}

/// A job that runs a command line, without inputs; each number is another one.
pub(super) fn plan(cluster: &Cluster, number: u32, entrypoint: &str) -> Result<WorkflowPlan> {
    let image = &cluster.algorithm_image;
    let (image, digest) = image.split_once('@').context("an image with a digest")?;
    let key = keccak256(number.to_be_bytes());
    let spec = job::spec(key, (image, digest), entrypoint);
    Ok(WorkflowPlan {
        job: JobName::derive(8996, Address::ZERO, key),
        spec_digest: JobSpec::digest(&spec.to_bytes()?),
        spec,
        run_as: 10_000 + number,
        attempts_before: 0,
    })
}
