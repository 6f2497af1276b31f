//! The ledger: everything Tidewatch knows, in Postgres. The only room that speaks SQL.
//!
//! It refuses to know where rows come from: no chain, no cluster, no HTTP.
//!
//! Layout: one file per table or small group of tables; free functions, on `&mut PgConnection` when one statement is enough and
//! on an open [`Transaction`] when several must hold together, so that the caller decides what is atomic.
//! - `deployments.rs`, `cursors.rs`, `blocks.rs`, `logs.rs`: what the chain said, and how far it was followed;
//! - `verification.rs`, `readings.rs`, `repairs.rs`, `counter_checks.rs`, `late_blocks.rs`: whether that is all of it;
//! - `providers.rs`, `disagreements.rs`, `upgrades.rs`, `operator_actions.rs`: who was asked, who said otherwise, whose code was
//!   replaced, what operators did;
//! - `column.rs`, `copy.rs`: between columns and types; COPY's binary format;
//! - `error.rs`: the room's error and what each database error means;
//! - `listen.rs`: hints that rows have changed;
//! - `nagle.rs`: has connections send at once;
//! - `status.rs`: the only way to move a job: state and transition in one step; `openings.rs`: the same for new jobs, in sets;
//! - `footings.rs`: how what owes a job stands on the chain;
//! - `leases.rs`: who may act on a job now; `dispatch.rs`, `upkeep.rs`: the scheduler's queues before and behind the start;
//! - `judging.rs`: what the judge reads, and its cursor; `subjects.rs`, `judge_queue.rs`, `facts.rs`, `jobs.rs`, `standings.rs`,
//!   `verdicts.rs`, `opinions.rs`, `policies.rs`, `specs.rs`: what it and the resolver conclude, one file per table or two;
//! - `registrations.rs`, `documents.rs`, `job_documents.rs`: what the resolver reads, fetched and waits for; `past.rs`: how jobs were
//!   decided;
//! - `attempts.rs`, `job_logs.rs`, `results.rs`, `parked.rs`: what became of jobs, one file per table;
//! - `agent/`: what the publisher's own key does on chain;
//! - `overview.rs`: how things stand, for operators;
//! - `database.rs`: whole databases, for the demo;
//! - `schema.rs`, `roles/`: migrating, comparing versions, the three logins and their rights;
//! - `reader/`: the API's handle and its queries, under a login that can only read.
//!
//! Invariants:
//! - the deployment's id leads every key;
//! - a job's status begins with [`openings::record`] and changes only through [`status::advance`]: both append the hash-chained
//!   transition in the same transaction;
//! - cursors move only by compare-and-set;
//! - statements are checked against the schema at compile time, from the committed offline data or a live database.
//!
//! Why no repository traits: there is one database, and its locks and constraints are part of the design.

pub mod agent;
pub mod attempts;
pub mod blocks;
mod column;
mod copy;
pub mod counter_checks;
pub mod cursors;
pub mod database;
pub mod deployments;
pub mod disagreements;
pub mod dispatch;
pub mod documents;
mod error;
pub mod facts;
mod findings;
pub mod footings;
pub mod gauges;
pub mod interventions;
pub mod isolation;
pub mod job_documents;
pub mod job_logs;
pub mod jobs;
pub mod judge_queue;
pub mod judging;
pub mod late_blocks;
pub mod leases;
pub mod listen;
pub mod logs;
mod nagle;
pub mod openings;
pub mod operator_actions;
pub mod opinions;
pub mod overview;
pub mod parked;
pub mod past;
pub mod policies;
pub mod providers;
pub mod reader;
pub mod readings;
pub mod registrations;
pub mod repairs;
mod replaying;
pub mod results;
pub mod roles;
pub mod schema;
pub mod specs;
pub mod standings;
pub mod status;
pub mod strays;
pub mod subjects;
pub mod upgrades;
pub mod upkeep;
pub mod verdicts;
pub mod verification;

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};

pub use error::{Attempt, Error};
pub use reader::Reader;

/// A connection of the ledger, for rooms that pass one on and have no statements of their own.
pub type Connection = sqlx::PgConnection;

/// An open transaction of the ledger. Dropped without `commit`, it is rolled back.
pub type Transaction = sqlx::Transaction<'static, sqlx::Postgres>;

/// The migrations, forward only, in the order of their names.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// A pool of connections under one login.
#[derive(Clone, Debug)]
pub struct Ledger {
    pool: PgPool,
}

impl Ledger {
    /// Opens a pool of at most `connections` connections and makes sure that one can be had.
    ///
    /// # Errors
    /// [`Error`] when the URL is malformed (fatal) or nobody answers within five seconds (transient).
    pub async fn connect(url: &str, connections: u32) -> Result<Self, Error> {
        let options = PgConnectOptions::from_str(url).attempt("read the database's URL")?;
        let port = options.get_port();
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(Duration::from_secs(5))
            .after_connect(move |connection, _| {
                nagle::send_at_once(port);
                Box::pin(without_compilation(connection))
            })
            .connect_with(options.application_name("tidewatch"))
            .await
            .attempt("connect to the database")?;
        Ok(Self { pool })
    }

    /// A ledger over a pool that exists.
    pub fn over(pool: PgPool) -> Self {
        Self { pool }
    }

    /// The pool, for statements that need no transaction: `&mut *ledger.acquire().await?`.
    ///
    /// # Errors
    /// [`Error`], transient, when no connection can be had in time.
    pub async fn acquire(&self) -> Result<sqlx::pool::PoolConnection<sqlx::Postgres>, Error> {
        self.pool
            .acquire()
            .await
            .attempt("take a database connection")
    }

    /// Begins a transaction (read committed: rows that matter are locked or compared-and-set). May be dropped at its await.
    ///
    /// # Errors
    /// [`Error`], transient, when no connection can be had in time.
    pub async fn begin(&self) -> Result<Transaction, Error> {
        self.begin_with("BEGIN")
            .await
            .attempt("begin a database transaction")
    }

    async fn begin_with(&self, statement: &'static str) -> Result<Transaction, sqlx::Error> {
        // A dropped `Pool::begin` of sqlx 0.9.0 gives a connection back with its transaction still open, and whoever has it next
        // writes into that: https://github.com/transact-rs/sqlx/issues/4393. So it is never dropped, only its result.
        let pool = self.pool.clone();
        tokio::spawn(async move { pool.begin_with(statement).await })
            .await
            .unwrap_or(Err(sqlx::Error::WorkerCrashed))
    }

    /// Closes every connection, waiting for those in use.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Statements here take milliseconds at most. PostgreSQL compiles those that look dear to its planner, which the sets of the judge
/// do, and compiling them took a third of its processor time (`jit` in PostgreSQL's documentation: "beneficial primarily for
/// long-running CPU-bound queries").
async fn without_compilation(connection: &mut Connection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql("SET jit = off").execute(connection).await?;
    Ok(())
}

/// Commits, with the room's error.
///
/// # Errors
/// [`Error`]: whether the commit took place is then unknown, so whatever follows must be safe to do again.
pub async fn commit(transaction: Transaction) -> Result<(), Error> {
    transaction
        .commit()
        .await
        .attempt("commit a database transaction")
}
