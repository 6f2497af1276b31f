//! The parts that are measured: databases on the given Postgres, the released program as an operator runs it, and what the
//! system says of their processes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tidewatch::ledger::MIGRATIONS;

/// Longest that anything here is waited for.
const PATIENCE: Duration = Duration::from_secs(3_600);
/// How often a cursor is looked at: seldom enough to cost nothing, often enough for an error below a hundredth.
const LOOK: Duration = Duration::from_millis(25);

/// The Postgres server that was given, and a directory for files.
pub(crate) struct Parts {
    server: url::Url,
    postmaster: u32,
    pub(crate) directory: PathBuf,
}

impl Parts {
    /// Takes the server whose superuser's URL is in `TIDEWATCH_TEST_POSTGRES`.
    pub(crate) async fn find() -> Result<Self> {
        let url = std::env::var_os("TIDEWATCH_TEST_POSTGRES").context(
            "TIDEWATCH_TEST_POSTGRES is not set: start the benchmarks by tests/bench/run",
        )?;
        let server = url::Url::parse(&url.to_string_lossy())?;
        let mut connection = PgConnectOptions::from_str(server.as_str())?
            .connect()
            .await?;
        let told: String = sqlx::query_scalar("SELECT pg_read_file('postmaster.pid')")
            .fetch_one(&mut connection)
            .await?;
        let postmaster = told.lines().next().unwrap_or_default().parse()?;
        Ok(Self {
            server,
            postmaster,
            directory: tempfile::tempdir()?.keep(),
        })
    }

    /// A new, migrated database.
    pub(crate) async fn database(&self, name: &str) -> Result<Database> {
        let mut url = self.server.clone();
        let mut connection = PgConnectOptions::from_str(url.as_str())?.connect().await?;
        for statement in [
            format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
            format!("CREATE DATABASE {name}"),
            "CHECKPOINT".to_owned(),
        ] {
            sqlx::query(AssertSqlSafe(statement))
                .execute(&mut connection)
                .await?;
        }
        connection.close().await?;
        url.set_path(name);
        let pool = PgPoolOptions::new()
            .max_connections(4)
            .connect(url.as_str())
            .await?;
        MIGRATIONS.run(&pool).await?;
        Ok(Database {
            url: url.into(),
            pool,
        })
    }

    /// Processor time of the server since it started, its ended backends included.
    pub(crate) fn postgres_time(&self) -> Result<Duration> {
        let mut ticks = Stat::read(self.postmaster)?.with_ended_children();
        for entry in fs::read_dir("/proc")?.flatten() {
            let name = entry.file_name();
            if let Some(process) = name.to_str().and_then(|name| name.parse().ok())
                && let Ok(stat) = Stat::read(process)
                && stat.parent == self.postmaster
            {
                ticks += stat.own();
            }
        }
        Ok(in_time(ticks))
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        // What is left of it is in the system's directory for such things.
        fs::remove_dir_all(&self.directory).ok();
    }
}

/// A database.
pub(crate) struct Database {
    pub(crate) url: String,
    pub(crate) pool: PgPool,
}

impl Database {
    /// Waits until a number of the only deployment's cursors is `goal`.
    pub(crate) async fn reaches(&self, number: Cursor, goal: u64) -> Result<()> {
        let statement = match number {
            Cursor::Recorded => "SELECT max(recorded_number) FROM ledger.cursors",
            Cursor::Judged => "SELECT max(judged_number) FROM ledger.cursors",
        };
        let began = Instant::now();
        loop {
            let now: Option<i64> = sqlx::query_scalar(statement).fetch_one(&self.pool).await?;
            if now.and_then(|now| u64::try_from(now).ok()) >= Some(goal) {
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                bail!("{number:?} came to {now:?} and not to {goal} within {PATIENCE:?}");
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// A number.
    pub(crate) async fn count(&self, statement: &'static str) -> Result<u64> {
        let count: i64 = sqlx::query_scalar(statement).fetch_one(&self.pool).await?;
        Ok(u64::try_from(count)?)
    }
}

/// A cursor of the ledger.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cursor {
    Recorded,
    Judged,
}

/// The program, killed when dropped.
pub(crate) struct Program {
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts the released program with these roles and variables.
    pub(crate) fn start(
        directory: &Path,
        roles: &str,
        variables: &[(&str, String)],
    ) -> Result<Self> {
        let log = directory.join("tidewatch.log");
        let output = fs::File::create(&log)?;
        let child = Command::new(env!("CARGO_BIN_EXE_tidewatch"))
            .args(["run", "--role", roles])
            .env_clear()
            .env("RUST_LOG", "info")
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()?;
        Ok(Self { child, log })
    }

    /// Fails with what it logged if it has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!(
                "tidewatch ended with {status}: {}",
                fs::read_to_string(&self.log)?
            );
        }
        Ok(())
    }

    /// Waits until it has logged these words.
    pub(crate) async fn says(&mut self, words: &str) -> Result<()> {
        while !fs::read_to_string(&self.log)?.contains(words) {
            self.check()?;
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Its processor time so far.
    pub(crate) fn time(&self) -> Result<Duration> {
        Ok(in_time(Stat::read(self.child.id())?.own()))
    }

    /// The most memory it had resident, in KiB.
    pub(crate) fn peak_memory(&self) -> Result<u64> {
        self.status("VmHWM:")
    }

    /// The memory it has resident, in KiB.
    pub(crate) fn memory(&self) -> Result<u64> {
        self.status("VmRSS:")
    }

    fn status(&self, field: &str) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let figure = line.and_then(|line| line.split_whitespace().next());
        Ok(figure.context("the system tells no memory")?.parse()?)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Processor time of this process: the source, and next to nothing else.
pub(crate) fn own_time() -> Result<Duration> {
    Ok(in_time(Stat::read(std::process::id())?.own()))
}

/// What `/proc/PID/stat` says (proc(5)), times in ticks.
struct Stat {
    parent: u32,
    user: u64,
    system: u64,
    children_user: u64,
    children_system: u64,
}

impl Stat {
    fn read(process: u32) -> Result<Self> {
        let text = fs::read_to_string(format!("/proc/{process}/stat"))?;
        // The name in parentheses may hold anything; fields are counted behind it.
        let fields: Vec<&str> = text
            .rsplit_once(')')
            .map(|(_, rest)| rest.split_whitespace().collect())
            .unwrap_or_default();
        let number = |place: usize| -> Result<u64> {
            let field = fields.get(place).context("a short /proc/PID/stat")?;
            Ok(field.parse()?)
        };
        Ok(Self {
            parent: u32::try_from(number(1)?)?,
            user: number(11)?,
            system: number(12)?,
            children_user: number(13)?,
            children_system: number(14)?,
        })
    }

    const fn own(&self) -> u64 {
        self.user + self.system
    }

    const fn with_ended_children(&self) -> u64 {
        self.own() + self.children_user + self.children_system
    }
}

/// Linux tells these times in hundredths of a second on every architecture it runs on (`USER_HZ`).
const fn in_time(ticks: u64) -> Duration {
    Duration::from_millis(10 * ticks)
}
