//! The API: how near it is to a handler that asks the database the same and does nothing else, what a thousand readers of a stream
//! cost, and what the process needs.

use std::net::{SocketAddr, TcpListener as StdListener};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use axum::Router;
use axum::http::header;
use axum::routing::get;
use sqlx::AssertSqlSafe;
use tidewatch::ids::{DeploymentId, JobName};
use tidewatch::ledger::reader::{self, JobFilter};
use tidewatch::ledger::{Ledger, Reader, roles};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::parts::{Database, Parts, Program};
use crate::source::{Chain, Kind};

const LEDGER: &str = include_str!("../it/api/filters.sql");
const JOBS: u64 = 100_000;
const PASSWORD: &str = "bench";
/// As many connections as a pool has, and half as many again that wait.
const CONNECTIONS: &str = "16";
const SECONDS: &str = "8s";
const READERS: usize = 1_000;
/// Transitions that are told in each of three rounds.
const TOLD: u64 = 500;

/// What was found.
pub(crate) struct Found {
    /// Path, requests a second of the bare handler and of the API.
    pub(crate) rates: Vec<(&'static str, f64, f64)>,
    /// Resident KiB after the requests, then with all readers after each round.
    pub(crate) resident: Vec<u64>,
    /// The most that it was, KiB.
    pub(crate) peak: u64,
}

/// Measures, on 100,000 jobs.
pub(crate) async fn measure(parts: &Parts) -> Result<Found> {
    let chain = Chain::new(Kind::Purchases, 1);
    let database = filled(parts, &chain).await?;
    let mut url: url::Url = database.url.parse()?;
    url.set_username("tidewatch_reader").ok();
    url.set_password(Some(PASSWORD)).ok();
    let bare = bare(&url).await?;
    let api = free_address()?;
    let mut program = start(parts, &chain, &url, api)?;
    let name = name(&database).await?;
    until_ready(&mut program, api).await?;

    let mut rates = Vec::new();
    for (path, asked) in [
        ("/v1/jobs/{id}", format!("/v1/jobs/{name}")),
        ("/v1/jobs", "/v1/jobs".to_owned()),
    ] {
        let alone = requests_per_second(bare, &asked).await?;
        rates.push((path, alone, requests_per_second(api, &asked).await?));
    }
    let mut resident = vec![program.memory()?];
    let mut readers = listen(api).await?;
    for round in 1..=3 {
        tell(&database, round).await?;
        tokio::time::sleep(Duration::from_secs(8)).await;
        resident.push(program.memory()?);
    }
    ensure!(readers.try_join_next().is_none(), "a reader was let go of");
    program.check()?;
    Ok(Found {
        rates,
        resident,
        peak: program.peak_memory()?,
    })
}

async fn filled(parts: &Parts, chain: &Chain) -> Result<Database> {
    let database = parts.database("bench_api").await?;
    let mut connection = database.pool.acquire().await?;
    let statements = LEDGER.replace("{jobs}", &JOBS.to_string());
    let followed = format!(
        "UPDATE ledger.deployments SET chain_id = {}, contracts_hash = '\\x{}' WHERE id = 1; RESET session_replication_role",
        chain.deployment.chain_id,
        alloy::hex::encode(chain.deployment.contracts_hash())
    );
    for statement in [&statements, &followed] {
        sqlx::raw_sql(AssertSqlSafe(statement.clone()))
            .execute(&mut *connection)
            .await?;
    }
    for table in ["jobs", "job_state", "logs", "transitions"] {
        let statement = format!("VACUUM (ANALYZE) ledger.{table}");
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut *connection)
            .await?;
    }
    drop(connection);
    let ledger = Ledger::over(database.pool.clone());
    roles::ensure(&ledger).await?;
    roles::set_password(&ledger, roles::Role::Reader, PASSWORD).await?;
    Ok(database)
}

async fn name(database: &Database) -> Result<String> {
    let statement = "SELECT name FROM ledger.jobs WHERE deployment_id = 1 ORDER BY id DESC LIMIT 1";
    Ok(sqlx::query_scalar(statement)
        .fetch_one(&database.pool)
        .await?)
}

/// The handlers that do nothing but ask: the same statements on a pool like the API's, answered with as many bytes.
async fn bare(url: &url::Url) -> Result<SocketAddr> {
    let reader = Reader::connect(url.as_str()).await?;
    let deployment = DeploymentId(1);
    let of_one = reader.clone();
    let one = move |axum::extract::Path(name): axum::extract::Path<String>| {
        let reader = of_one.clone();
        async move {
            let name: JobName = name.parse().ok()?;
            let mut connection = reader.acquire().await.ok()?;
            reader::find_details(&mut connection, deployment, &name)
                .await
                .ok()??;
            Some((
                [(header::CONTENT_TYPE, "application/json")],
                "x".repeat(1_800),
            ))
        }
    };
    let one = move |path| {
        let answer = one(path);
        async move { answer.await.ok_or(axum::http::StatusCode::NOT_FOUND) }
    };
    let many = move || {
        let reader = reader.clone();
        async move {
            let mut connection = reader.acquire().await.ok()?;
            let filter = JobFilter::default();
            reader::list_jobs(&mut connection, deployment, &filter, 51)
                .await
                .ok()?;
            Some((
                [(header::CONTENT_TYPE, "application/json")],
                "x".repeat(62_000),
            ))
        }
    };
    let many = move || {
        let answer = many();
        async move { answer.await.ok_or(axum::http::StatusCode::NOT_FOUND) }
    };
    let router = Router::new()
        .route("/v1/jobs/{id}", get(one))
        .route("/v1/jobs", get(many));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

fn free_address() -> Result<SocketAddr> {
    Ok(StdListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn start(parts: &Parts, chain: &Chain, url: &url::Url, listen: SocketAddr) -> Result<Program> {
    let keeper = parts.directory.join("api-keeper.yaml");
    std::fs::write(&keeper, chain.deployment.to_yaml()?)?;
    let variables = [
        ("TIDEWATCH_API_DATABASE_URL", url.to_string()),
        ("TIDEWATCH_API_LISTEN", listen.to_string()),
        ("TIDEWATCH_API_RATE", "0".to_owned()),
        ("TIDEWATCH_METRICS_LISTEN", free_address()?.to_string()),
        ("TIDEWATCH_KEEPER", keeper.to_string_lossy().into_owned()),
    ];
    Program::start(&parts.directory, "api", &variables)
}

async fn until_ready(program: &mut Program, api: SocketAddr) -> Result<()> {
    for _ in 0..200 {
        program.check()?;
        if TcpStream::connect(api).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("the API does not listen on {api}")
}

/// What wrk counts, after a moment in which caches fill.
async fn requests_per_second(address: SocketAddr, path: &str) -> Result<f64> {
    wrk(address, path, "2s").await?;
    wrk(address, path, SECONDS).await
}

async fn wrk(address: SocketAddr, path: &str, seconds: &'static str) -> Result<f64> {
    let url = format!("http://{address}{path}");
    let run = move || {
        Command::new("wrk")
            .args(["-t1", "-c", CONNECTIONS, "-d", seconds, &url])
            .output()
    };
    let output = tokio::task::spawn_blocking(run)
        .await?
        .context("wrk cannot be run: install Debian's package wrk")?;
    let told = String::from_utf8(output.stdout)?;
    ensure!(!told.contains("Non-2xx"), "answers were refused: {told}");
    let rate = told
        .lines()
        .find_map(|line| line.trim().strip_prefix("Requests/sec:"));
    Ok(rate.context("wrk told no rate")?.trim().parse()?)
}

/// Readers that take what they are told as fast as it comes. Each is somebody else, as behind a proxy on this machine: nobody may have
/// as many streams alone.
async fn listen(api: SocketAddr) -> Result<JoinSet<()>> {
    let mut readers = JoinSet::new();
    for reader in 0..READERS {
        let mut stream = TcpStream::connect(api).await?;
        let request = format!(
            "GET /v1/transitions HTTP/1.1\r\nhost: {api}\r\nx-forwarded-for: 10.0.{}.{}\r\naccept: text/event-stream\r\n\r\n",
            reader / 250,
            reader % 250 + 1
        );
        stream.write_all(request.as_bytes()).await?;
        let mut buffer = vec![0; 16 << 10];
        let read = stream.read(&mut buffer).await?;
        let answer = String::from_utf8_lossy(&buffer[..read]).into_owned();
        ensure!(
            answer.starts_with("HTTP/1.1 200"),
            "reader {reader}: {answer}"
        );
        readers.spawn(
            async move { while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {} },
        );
    }
    Ok(readers)
}

async fn tell(database: &Database, round: u64) -> Result<()> {
    let first = 1 + round * TOLD;
    let statement = format!(
        "INSERT INTO ledger.transitions (deployment_id, job_id, number, phase, attempt, at, previous_hash, hash, worker)
         SELECT 1, 1, n, 'running', 1, now(), sha256('p'), sha256('h'), 'observer' FROM generate_series({first}, {first} + {TOLD} - 1) AS n"
    );
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(&database.pool)
        .await?;
    Ok(())
}
