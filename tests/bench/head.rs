//! The head: how soon a row stands in the ledger after its block was announced, on a real node over WebSocket; and what a chain
//! that stands still costs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use alloy::primitives::U256;
use alloy::providers::{Provider, ProviderBuilder, WsConnect};
use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use sqlx::postgres::{PgListener, PgPool};
use tidewatch::app::anvil::{Anvil, Options};
use tidewatch::app::packages;
use tidewatch::ids::{AgreementId, Did};
use tidewatch::keeper::{self, Account, Blueprint, Deployment, KeeperVersion, Order, Purchase};
use tidewatch::ledger::listen;

use crate::history::{ended, variables};
use crate::parts::{Cursor, Database, Parts, Program};
use crate::source::{Counts, Source};

/// Blocks whose rows are timed: enough for a 99th percentile.
const BLOCKS: usize = 300;
/// Time between two of them, so that each comes to a follower at rest.
const APART: Duration = Duration::from_millis(40);
/// How long a chain stands still to be counted on.
const IDLE: Duration = Duration::from_secs(30);

/// When each block came.
type Times = Arc<Mutex<BTreeMap<u64, Instant>>>;

/// The delays from a block's announcement to the commit of its row, sorted.
pub(crate) async fn delays(parts: &Parts) -> Result<Vec<Duration>> {
    let cache = cache()?;
    let anvil = Anvil::start(&packages::anvil(&cache)?, Options::default()).await?;
    let owner = Account::connect(anvil.url(), &Anvil::key(0)?).await?;
    let version = KeeperVersion::V0_13_2;
    let artifacts = packages::keeper_artifacts(version, &cache)?;
    let deployed = keeper::deploy(&owner, &Blueprint::bare(version, artifacts)).await?;
    let mut url = anvil.url().clone();
    url.set_scheme("ws")
        .map_err(|()| anyhow::anyhow!("{url} cannot be a WebSocket's"))?;

    let database = parts.database("bench_head").await?;
    let mut program = start(parts, &database, url.as_str(), &deployed.deployment)?;
    let head = owner_head(&url).await?;
    tokio::select! {
        reached = database.reaches(Cursor::Recorded, head) => reached?,
        ended = ended(&mut program) => ended?,
    }

    let (announced, recorded) = (Times::default(), Times::default());
    let heads = tokio::spawn(note_heads(url.clone(), Arc::clone(&announced)));
    let commits = tokio::spawn(note_commits(
        database.url.clone(),
        database.pool.clone(),
        Arc::clone(&recorded),
    ));
    // Both listen before anything comes.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut last = head;
    for number in 0..BLOCKS {
        let approval = approval(&deployed.deployment, &owner, number);
        last = owner.send(approval.approve()).await?.block.number;
        tokio::time::sleep(APART).await;
    }
    tokio::select! {
        reached = database.reaches(Cursor::Recorded, last) => reached?,
        ended = ended(&mut program) => ended?,
    }
    tokio::time::sleep(APART).await;
    heads.abort();
    commits.abort();
    sorted_delays(&announced, &recorded, head)
}

/// What the source is asked while nothing happens, for [`IDLE`]; with how often that goes into an hour.
pub(crate) async fn idle(parts: &Parts, source: &Source) -> Result<(Counts, u64)> {
    let database = parts.database("bench_idle").await?;
    let its = variables(parts, source, &database)?;
    let mut program = Program::start(&parts.directory, "follower", &its)?;
    tokio::select! {
        reached = database.reaches(Cursor::Recorded, source.chain.head()) => reached?,
        ended = ended(&mut program) => ended?,
    }
    // Second readings of history are over by then as well, but for chains that nobody wants to wait for.
    tokio::time::sleep(Duration::from_secs(5)).await;
    source.take_counts();
    tokio::time::sleep(IDLE).await;
    Ok((source.take_counts(), 3_600 / IDLE.as_secs()))
}

fn start(
    parts: &Parts,
    database: &Database,
    url: &str,
    deployment: &Deployment,
) -> Result<Program> {
    let file = parts.directory.join("head.yaml");
    std::fs::write(&file, deployment.to_yaml()?)?;
    let variables = [
        ("DATABASE_URL", database.url.clone()),
        ("TIDEWATCH_RPC_URLS", url.to_owned()),
        ("TIDEWATCH_KEEPER", file.display().to_string()),
        ("TIDEWATCH_ACT_AT", "latest".to_owned()),
    ];
    Program::start(&parts.directory, "follower", &variables)
}

/// Notes when the node announces each block, as the follower itself is told.
async fn note_heads(url: url::Url, times: Times) -> Result<()> {
    let node = ProviderBuilder::new()
        .connect_ws(WsConnect::new(url.as_str()))
        .await?;
    let mut heads = node.subscribe_blocks().await?.into_stream();
    while let Some(head) = heads.next().await {
        note(&times, head.number);
    }
    Ok(())
}

/// Notes when the ledger first tells that it has each block. It tells when the transaction has been committed.
async fn note_commits(url: String, pool: PgPool, times: Times) -> Result<()> {
    let mut listener = PgListener::connect(&url).await?;
    listener.listen(listen::RECORDED).await?;
    let mut before = recorded(&pool).await?;
    loop {
        listener.recv().await?;
        let now = Instant::now();
        let reached = recorded(&pool).await?;
        let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
        for number in before + 1..=reached {
            times.entry(number).or_insert(now);
        }
        before = before.max(reached);
    }
}

async fn recorded(pool: &PgPool) -> Result<u64> {
    let number: i64 = sqlx::query_scalar("SELECT max(recorded_number) FROM ledger.cursors")
        .fetch_one(pool)
        .await?;
    Ok(u64::try_from(number)?)
}

fn note(times: &Times, number: u64) {
    let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
    times.entry(number).or_insert_with(Instant::now);
}

fn sorted_delays(announced: &Times, recorded: &Times, after: u64) -> Result<Vec<Duration>> {
    let announced = announced.lock().unwrap_or_else(PoisonError::into_inner);
    let recorded = recorded.lock().unwrap_or_else(PoisonError::into_inner);
    let mut delays: Vec<Duration> = announced
        .iter()
        .filter(|(number, _)| **number > after)
        // Told to the follower before it was told to us, a block can be in the ledger already: that is no delay.
        .filter_map(|(number, began)| Some(recorded.get(number)?.saturating_duration_since(*began)))
        .collect();
    ensure!(
        delays.len() >= BLOCKS * 9 / 10,
        "only {} of {BLOCKS} blocks could be timed",
        delays.len()
    );
    delays.sort();
    Ok(delays)
}

async fn owner_head(url: &url::Url) -> Result<u64> {
    let node = ProviderBuilder::new()
        .connect_ws(WsConnect::new(url.as_str()))
        .await?;
    Ok(node.get_block_number().await?)
}

/// Something that makes one log of a followed contract: an approval of the token.
fn approval(deployment: &Deployment, owner: &Account, number: usize) -> Purchase {
    let order = Order {
        agreement: AgreementId::default(),
        did: Did::default(),
        consumer: owner.address(),
        provider: owner.address(),
        amount: U256::from(number + 1),
    };
    Purchase::new(deployment, order)
}

/// Where downloaded packages are kept.
fn cache() -> Result<PathBuf> {
    let cache = std::env::var_os("TIDEWATCH_CACHE");
    cache.map(PathBuf::from).context(
        "TIDEWATCH_CACHE is not set: start the benchmarks by tests/bench/run, which says where anvil is kept",
    )
}
