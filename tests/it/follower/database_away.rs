//! The database goes away, fails over, kills connections, refuses to serialise: the workers stand still and go on by themselves.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::{AssertSqlSafe, PgPool};
use tidewatch::follower::{Follower, Verifier};
use tidewatch::ledger::{Ledger, MIGRATIONS};
use tidewatch::worker::{self, Pace, Wake};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Bench, PATIENCE};
use crate::support::eventually;

/// A Postgres of one's own, that can be stopped without hurting other tests.
struct Server {
    directory: PathBuf,
    url: String,
}

impl Server {
    fn start() -> Self {
        let directory =
            std::env::temp_dir().join(format!("tidewatch-away-{}", uuid::Uuid::new_v4().simple()));
        let url = equipment("start", &directory);
        Self { directory, url }
    }

    fn down(&self) {
        equipment("down", &self.directory);
    }

    fn up(&self) {
        equipment("up", &self.directory);
    }

    /// Runs a statement over a connection of its own.
    async fn execute(&self, statement: &str) {
        let pool = PgPool::connect(&self.url).await.unwrap();
        let mut connection = pool.acquire().await.unwrap();
        sqlx::query("SET default_transaction_read_only = off")
            .execute(&mut *connection)
            .await
            .unwrap();
        sqlx::query(AssertSqlSafe(statement.to_owned()))
            .execute(&mut *connection)
            .await
            .unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        equipment("stop", &self.directory);
    }
}

fn equipment(action: &str, directory: &Path) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/equipment/postgres");
    let output = std::process::Command::new(script)
        .arg(action)
        .arg(directory)
        .output()
        .unwrap();
    assert!(output.status.success(), "{action}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Follower and verifier at work on a server.
struct Work {
    running: JoinSet<Result<(), worker::Ended>>,
    stop: CancellationToken,
}

impl Work {
    async fn begin(bench: &Bench, server: &Server) -> Self {
        let ledger = Ledger::connect(&server.url, 8).await.unwrap();
        let following = bench.following();
        let mut follower = Follower::new(ledger.clone(), bench.provider(), following.clone());
        let deployment = follower.open().await.unwrap();
        let verifier = Verifier::new(ledger, vec![bench.provider()], following, deployment, None);
        let pace = Pace {
            interval: Duration::from_millis(20),
            first_retry: Duration::from_millis(20),
            longest_retry: Duration::from_millis(200),
        };
        let stop = CancellationToken::new();
        let mut running = JoinSet::new();
        running.spawn(worker::run(follower, pace, Wake::default(), stop.clone()));
        running.spawn(worker::run(verifier, pace, Wake::default(), stop.clone()));
        Self { running, stop }
    }

    /// Nobody may have given up.
    async fn end(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.running.join_next().await {
            ended.unwrap().unwrap();
        }
    }
}

/// What is recorded and verified on the server, or nothing while it cannot be asked.
async fn progress(server: &Server) -> Option<(i64, i64, i64)> {
    let pool = sqlx::postgres::PgPoolOptions::new()
        .acquire_timeout(Duration::from_secs(2))
        .connect(&server.url)
        .await
        .ok()?;
    let found = sqlx::query_as(
        "SELECT recorded_number, verified_number, (SELECT count(*) FROM ledger.logs WHERE canonical) FROM ledger.cursors",
    )
    .fetch_optional(&pool)
    .await
    .ok()
    .flatten();
    pool.close().await;
    found
}

/// Waits until everything on the chain is recorded and verified.
async fn caught_up(bench: &Bench, server: &Server, what: &str) {
    let head = i64::try_from(bench.node.head().await).unwrap();
    let logs = i64::try_from(bench.truth().await.len()).unwrap();
    eventually(what, PATIENCE, async || {
        (progress(server).await == Some((head, head, logs))).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_database_does_the_workers_stand_still_and_go_on_by_themselves() {
    let bench = Bench::start().await;
    bench.echo(0..30).await;
    let server = Server::start();
    let pool = PgPool::connect(&server.url).await.unwrap();
    MIGRATIONS.run(&pool).await.unwrap();
    pool.close().await;
    let work = Work::begin(&bench, &server).await;
    caught_up(&bench, &server, "the chain is recorded and verified").await;

    server.down();
    bench.echo(30..35).await;
    assert_eq!(progress(&server).await, None);
    server.up();
    caught_up(&bench, &server, "it goes on after a crash of the server").await;

    // As after a failover to a replica that is not promoted yet.
    let read_only = |on| format!("ALTER SYSTEM SET default_transaction_read_only = {on}");
    server.execute(&read_only("on")).await;
    server.execute("SELECT pg_reload_conf()").await;
    let before = progress(&server).await;
    bench.echo(35..40).await;
    let locked = async || {
        let log = std::fs::read_to_string(server.directory.join("log")).unwrap();
        log.contains("read-only transaction").then_some(())
    };
    eventually("somebody tried to write", PATIENCE, locked).await;
    assert_eq!(progress(&server).await, before);
    server.execute(&read_only("off")).await;
    server.execute("SELECT pg_reload_conf()").await;
    caught_up(&bench, &server, "it goes on once it may write").await;

    for word in 40..45 {
        bench.echo(word..word + 1).await;
        server
            .execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tidewatch'")
            .await;
    }
    caught_up(
        &bench,
        &server,
        "it goes on after its connections were terminated",
    )
    .await;

    // The first three commits of logs fail as under contention; a sequence is not rolled back with them.
    for statement in [
        "CREATE SEQUENCE contended",
        "CREATE FUNCTION contend() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF nextval('contended') <= 3 THEN RAISE EXCEPTION 'contended' USING ERRCODE = 'serialization_failure'; END IF;
             RETURN NULL; END $$",
        "CREATE TRIGGER contended AFTER INSERT ON ledger.logs FOR EACH STATEMENT EXECUTE FUNCTION contend()",
    ] {
        server.execute(statement).await;
    }
    bench.echo(45..50).await;
    caught_up(&bench, &server, "it goes on after serialisation failures").await;
    work.end().await;
}
