//! The API's view of the ledger: a handle whose login can read and nothing else, and the queries behind the routes.
//!
//! It refuses to write the ledger, and refuses to start under a login that could: the login is the wall, and a wall that is not
//! there must be seen at once. That its connections are read-only by default is a second, weaker one (a session can turn it off);
//! `sign_in.rs` alone turns it off, for the one table outside of the ledger that remembers which challenges were spent.
//!
//! Layout: `login.rs` judges the login; `details.rs` reads a job with all that is shown of it; one file per table for the rest. Rows leave this module as typed values; how they look
//! to people is the API's matter. The public part of frozen specifications comes from the view `tidewatch.workflows`, so the
//! reader's login needs no right on the table, which holds source URLs.
//!
//! Invariants: every query names the deployment or a row found by it; whatever may grow is read page by page by key; several
//! statements about one job run in one [`Reader::snapshot`].

mod acts;
mod agent;
mod attempts;
mod awaited;
mod deployments;
mod details;
mod erasures;
mod events;
mod evidence;
mod holdings;
mod job_logs;
mod jobs;
mod login;
mod queue;
mod release;
mod results;
mod sign_in;
mod told;
mod transitions;
mod verdicts;
mod workflows;

use std::str::FromStr;
use std::time::Duration;

use alloy::primitives::{Address, B256};
use futures::Stream;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::schema::{SchemaVersion, schema_version};
use super::{Attempt, Error, Ledger, Transaction, nagle};

pub use acts::{ActRow, list as list_acts};
pub use agent::{AgentAccount, list as list_agent_accounts};
pub use attempts::{AttemptRow, list as list_attempts};
pub use awaited::{AwaitedRow, find as find_awaited};
pub use deployments::{Followed, Progress, find as find_deployment, progress};
pub use details::{DetailsRow, find as find_details};
pub use erasures::is_erased;
pub use events::{EventFilter, EventPlace, EventRow, list as list_events};
pub use evidence::locate as locate_evidence;
pub use holdings::{find_facts, list_about, list_assets_events};
pub use job_logs::{JobLog, chunk_from, find as find_job_log, tail_start};
pub use jobs::{JobFilter, JobRow, find as find_job, list as list_jobs};
pub use queue::{QueueRow, find as find_in_queue};
pub use release::{ReleaseRow, find as find_release};
pub use results::{ResultsRow, find as find_results};
pub use sign_in::spend as spend_nonce;
pub use told::{ToldEvent, agreements_of, list_about as list_told, logs_of};
pub use transitions::{
    StreamPlace, StreamedTransition, TransitionRow, list as list_transitions, list_streamed,
    stream_end,
};
pub use verdicts::{VerdictRow, find_last as find_last_verdict};
pub use workflows::{WorkflowRow, find as find_workflow, list_algorithms};

/// Most connections of one API process.
const CONNECTIONS: u32 = 10;

/// A ledger that can only be read. Cheap to clone; clones share the connections.
#[derive(Clone, Debug)]
pub struct Reader {
    ledger: Ledger,
}

impl Reader {
    /// Opens the reader's pool and makes sure of its login.
    ///
    /// # Errors
    /// [`Error::WritingReader`] (fatal) when the login, or any role it may take on, could change the ledger; [`Error`] when the
    /// URL is malformed (fatal) or nobody answers within five seconds (transient).
    pub async fn connect(url: &str) -> Result<Self, Error> {
        let options = PgConnectOptions::from_str(url)
            .attempt("read the URL of the API's database login")?
            .application_name("tidewatch-api")
            .options([
                ("default_transaction_read_only", "on"),
                ("statement_timeout", "10s"),
                // Filters are optional parameters: a plan made without their values could use no index.
                ("plan_cache_mode", "force_custom_plan"),
                // And each plan would be compiled anew, which takes longer than any page.
                ("jit", "off"),
                // Every question here is for a page or for what stands beside one row. Whatever reads a table, or one side of a join,
                // from end to end is a wrong guess, and in a large ledger takes seconds: go by the indices, row by row.
                ("enable_seqscan", "off"),
                ("enable_hashjoin", "off"),
                ("enable_mergejoin", "off"),
                ("max_parallel_workers_per_gather", "0"),
            ]);
        let port = options.get_port();
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(Duration::from_secs(5))
            .after_connect(move |_, _| {
                nagle::send_at_once(port);
                Box::pin(async { Ok(()) })
            })
            .connect_with(options)
            .await
            .attempt("connect to the database as the API's login")?;
        let reader = Self {
            ledger: Ledger::over(pool),
        };
        let mut connection = reader.acquire().await?;
        login::refuse_writing(&mut connection).await?;
        drop(connection);
        Ok(reader)
    }

    /// A connection, for single statements.
    ///
    /// # Errors
    /// [`Error`], transient, when none can be had in time.
    pub async fn acquire(&self) -> Result<sqlx::pool::PoolConnection<sqlx::Postgres>, Error> {
        self.ledger.acquire().await
    }

    /// A transaction in which every statement sees the same moment. May be dropped at its await.
    ///
    /// # Errors
    /// [`Error`], transient, when no connection can be had in time.
    pub async fn snapshot(&self) -> Result<Transaction, Error> {
        self.ledger
            .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            .await
            .attempt("begin to read from the database")
    }

    /// Hints that rows have changed; see [`listen`](super::listen). Holds a connection of its own.
    ///
    /// # Errors
    /// As [`listen::listen`](super::listen::listen).
    pub async fn listen(&self) -> Result<impl Stream<Item = String> + Send + use<>, Error> {
        super::listen::listen(&self.ledger).await
    }

    /// What the database's schema is to this program.
    ///
    /// # Errors
    /// As [`schema_version`].
    pub async fn schema_version(&self) -> Result<SchemaVersion, Error> {
        schema_version(&mut *self.acquire().await?).await
    }

    /// Closes every connection, waiting for those in use.
    pub async fn close(&self) {
        self.ledger.close().await;
    }
}

fn hash(table: &'static str, bytes: &[u8]) -> Result<B256, Error> {
    B256::try_from(bytes).map_err(Error::unreadable(table))
}

fn address(table: &'static str, bytes: &[u8]) -> Result<Address, Error> {
    Address::try_from(bytes).map_err(Error::unreadable(table))
}

fn unsigned<T: TryInto<u64>>(table: &'static str, number: T) -> Result<u64, Error>
where
    T::Error: std::error::Error + Send + Sync + 'static,
{
    number.try_into().map_err(Error::unreadable(table))
}
