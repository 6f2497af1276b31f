//! History: how fast the whole chain is recorded, and how fast it is judged.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::parts::{Cursor, Database, Parts, Program, own_time};
use crate::source::{Counts, PER_BLOCK, Source};

/// What a run came to.
pub(crate) struct Measure {
    pub(crate) rows: u64,
    pub(crate) wall: Duration,
    pub(crate) program: Duration,
    pub(crate) postgres: Duration,
    pub(crate) source: Duration,
    /// Peak resident memory of the program in KiB.
    pub(crate) memory: u64,
    pub(crate) asked: Counts,
}

impl Measure {
    /// Rows per second.
    pub(crate) fn rate(&self) -> f64 {
        per_second(self.rows, self.wall)
    }

    /// Microseconds of processor time per row: program, Postgres, source.
    pub(crate) fn costs(&self) -> [f64; 3] {
        [self.program, self.postgres, self.source]
            .map(|time| time.as_secs_f64() * 1e6 / rows_as_float(self.rows))
    }
}

/// How many per second.
pub(crate) fn per_second(rows: u64, wall: Duration) -> f64 {
    rows_as_float(rows) / wall.as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
const fn rows_as_float(rows: u64) -> f64 {
    rows as f64
}

/// Records the source's whole chain into a new database, with the follower alone.
pub(crate) async fn record(
    parts: &Parts,
    source: &Source,
    name: &str,
) -> Result<(Database, Measure)> {
    let database = parts.database(name).await?;
    let head = source.chain.head();
    let measure = run(parts, source, &database, "follower", async || {
        database.reaches(Cursor::Recorded, head).await
    })
    .await?;
    let rows = database
        .count("SELECT count(*) FROM ledger.logs WHERE canonical")
        .await?;
    ensure!(
        rows == measure.rows,
        "{rows} rows were recorded of {}",
        measure.rows
    );
    Ok((database, measure))
}

/// Judges what [`record`] recorded, with the judge alone.
pub(crate) async fn judge(parts: &Parts, source: &Source, database: &Database) -> Result<Measure> {
    let head = source.chain.head();
    run(parts, source, database, "judge", async || {
        database.reaches(Cursor::Judged, head).await
    })
    .await
}

/// Variables of a program on that source and database.
pub(crate) fn variables(
    parts: &Parts,
    source: &Source,
    database: &Database,
) -> Result<Vec<(&'static str, String)>> {
    let keeper = parts.directory.join("keeper.yaml");
    std::fs::write(&keeper, source.chain.deployment.to_yaml()?)?;
    Ok(vec![
        ("DATABASE_URL", database.url.clone()),
        ("TIDEWATCH_RPC_URLS", source.url()),
        ("TIDEWATCH_KEEPER", keeper.display().to_string()),
    ])
}

/// Runs a role from its start until `done`, and measures it from the moment it asks the source or the ledger for the first time
/// what there is to do: what a process does once when it starts is no part of a rate.
async fn run(
    parts: &Parts,
    source: &Source,
    database: &Database,
    role: &str,
    done: impl AsyncFn() -> Result<()>,
) -> Result<Measure> {
    let variables = variables(parts, source, database)?;
    let mut program = Program::start(&parts.directory, role, &variables)?;
    let opened = async {
        loop {
            let opened = "SELECT count(*) FROM ledger.cursors";
            if database.count(opened).await? > 0 {
                return anyhow::Ok(());
            }
            program.check()?;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    opened.await?;
    source.take_counts();
    let (postgres, ours) = (parts.postgres_time()?, own_time()?);
    let began = Instant::now();
    tokio::select! {
        reached = done() => reached?,
        ended = ended(&mut program) => ended?,
    }
    let wall = began.elapsed();
    Ok(Measure {
        rows: source.chain.head() * PER_BLOCK,
        wall,
        program: program.time()?,
        postgres: parts.postgres_time()?.saturating_sub(postgres),
        source: own_time()?.saturating_sub(ours),
        memory: program.peak_memory()?,
        asked: source.take_counts(),
    })
}

/// Returns only when the program has ended by itself, with what it logged.
pub(crate) async fn ended(program: &mut Program) -> Result<()> {
    loop {
        program.check()?;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
