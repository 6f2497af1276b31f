//! What lists cost in a large ledger: each filter's own query, as the API's login runs it, with what it read.
//!
//! `TIDEWATCH_TEST_JOBS` says how many jobs there are, 200,000 if it is absent. The plans are the same from there on: what is read for
//! a page is bounded by the page, not by the ledger.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection, PgPool};
use tempfile::{TempDir, tempdir};
use tidewatch::ledger::{MIGRATIONS, Reader, roles};

use super::database::{PASSWORD, execute};

const JOBS: &str = include_str!("../../../src/ledger/reader/jobs.sql");
const EVENTS: &str = include_str!("../../../src/ledger/reader/events.sql");
const STREAM: &str = include_str!("../../../src/ledger/reader/streamed.sql");
const LEDGER: &str = include_str!("filters.sql");

/// Parameters of `jobs.sql` in their order, with their types and what an absent one is.
const JOB_PARAMETERS: [(&str, &str, &str); 16] = [
    ("deployment", "bigint", "1"),
    ("name", "text", "NULL"),
    ("phase", "text", "NULL"),
    ("outcome", "text", "NULL"),
    ("reason", "text", "NULL"),
    ("consumer", "bytea", "NULL"),
    ("provider", "bytea", "NULL"),
    ("did", "bytea", "NULL"),
    ("agreement", "bytea", "NULL"),
    ("condition", "bytea", "NULL"),
    ("transaction", "bytea", "NULL"),
    ("after", "timestamptz", "NULL"),
    ("before", "timestamptz", "NULL"),
    ("unfinished", "boolean", "false"),
    ("cursor", "bigint", "NULL"),
    ("limit", "bigint", "51"),
];

/// The same of `events.sql`.
const EVENT_PARAMETERS: [(&str, &str, &str); 15] = [
    ("deployment", "bigint", "1"),
    ("agreement", "bytea", "NULL"),
    ("agreement_kind", "text", "'agreement'"),
    ("condition", "bytea", "NULL"),
    ("condition_kind", "text", "'condition'"),
    ("did", "bytea", "NULL"),
    ("did_kind", "text", "'did'"),
    ("transaction", "bytea", "NULL"),
    ("from", "bigint", "NULL"),
    ("to", "bigint", "NULL"),
    ("orphaned", "boolean", "false"),
    ("block", "bigint", "NULL"),
    ("log_index", "bigint", "NULL"),
    ("row", "bigint", "NULL"),
    ("limit", "bigint", "51"),
];

/// The same of `streamed.sql`.
const STREAM_PARAMETERS: [(&str, &str, &str); 4] = [
    ("deployment", "bigint", "1"),
    ("transaction", "bigint", "0"),
    ("sequence", "bigint", "0"),
    ("limit", "bigint", "51"),
];

/// Rows that a page of 51 may read with a single filter: the page itself from each of five tables, and as much again as a plan
/// may pass over.
const FOR_A_PAGE: u64 = 1_000;
/// The same where two filters hold of rows that lie among others: one is gone by, the other looked at.
const FOR_A_SEARCH: u64 = 20_000;

struct Ledger {
    _server: Server,
    reader: Reader,
    jobs: u64,
}

impl Ledger {
    /// Nine tenths of the jobs are of deployment 1, the newest tenth of deployment 2. A third is one consumer's, a fifth one asset's;
    /// nearly all have ended, most as refused, one in 100,000 as lost.
    async fn filled() -> Self {
        let jobs = env::var_os("TIDEWATCH_TEST_JOBS").map_or_else(
            || "200000".to_owned(),
            |told| told.into_string().expect("a number of jobs"),
        );
        let server = Server::start();
        let pool = PgPool::connect(&server.url).await.unwrap();
        let ledger = tidewatch::ledger::Ledger::over(pool.clone());
        MIGRATIONS.run(&pool).await.unwrap();
        roles::ensure(&ledger).await.unwrap();
        roles::set_password(&ledger, roles::Role::Reader, PASSWORD)
            .await
            .unwrap();
        let mut connection = pool.acquire().await.unwrap();
        let statements = LEDGER.replace("{jobs}", &jobs);
        execute(&mut connection, &statements).await.unwrap();
        for table in ["jobs", "job_state", "logs", "log_subjects", "transitions"] {
            let statement = format!("VACUUM (ANALYZE) ledger.{table}");
            execute(&mut connection, &statement).await.unwrap();
        }
        let mut url: url::Url = server.url.parse().unwrap();
        url.set_username("tidewatch_reader").unwrap();
        url.set_password(Some(PASSWORD)).unwrap();
        let reader = Reader::connect(url.as_str()).await;
        Self {
            _server: server,
            reader: reader.unwrap(),
            jobs: jobs.parse().unwrap(),
        }
    }

    /// What the query read with these filters; filters not named are absent.
    async fn cost(
        &self,
        query: &str,
        parameters: &[(&str, &str, &str)],
        filters: &[(&str, String)],
    ) -> Cost {
        let mut connection = self.reader.acquire().await.unwrap();
        let types: Vec<_> = parameters.iter().map(|(_, kind, _)| *kind).collect();
        let values: Vec<_> = parameters
            .iter()
            .map(|(name, _, absent)| {
                let given = filters.iter().find(|(filter, _)| filter == name);
                given.map_or(*absent, |(_, value)| value.as_str())
            })
            .collect();
        for (filter, _) in filters {
            assert!(
                parameters.iter().any(|(name, ..)| name == filter),
                "{filter}"
            );
        }
        let prepare = format!("PREPARE listed ({}) AS {query}", types.join(", "));
        execute(&mut connection, &prepare).await.unwrap();
        let explain = format!(
            "EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE listed ({})",
            values.join(", ")
        );
        let plan = explained(&mut connection, explain).await;
        execute(&mut connection, "DEALLOCATE listed").await.unwrap();
        Cost::of(&plan)
    }

    async fn jobs(&self, filters: &[(&str, String)]) -> Cost {
        self.cost(JOBS, &JOB_PARAMETERS, filters).await
    }

    async fn events(&self, filters: &[(&str, String)]) -> Cost {
        self.cost(EVENTS, &EVENT_PARAMETERS, filters).await
    }

    /// A job in the middle.
    fn middle(&self) -> u64 {
        self.jobs / 2 + 7
    }
}

/// A server of its own: one that is filled in one long transaction holds back what streams of every database on it may show.
struct Server {
    directory: TempDir,
    url: String,
}

impl Server {
    fn start() -> Self {
        let directory = tempdir().unwrap();
        // Its user is another when this is root.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o711)).unwrap();
        let url = equipment("start", &directory.path().join("postgres"));
        Self { directory, url }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        equipment("stop", &self.directory.path().join("postgres"));
    }
}

fn equipment(action: &str, directory: &Path) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/equipment/postgres");
    let output = Command::new(script)
        .arg(action)
        .arg(directory)
        .output()
        .unwrap();
    assert!(output.status.success(), "{action}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

async fn explained(connection: &mut PgConnection, statement: String) -> Value {
    sqlx::query_scalar(AssertSqlSafe(statement))
        .persistent(false)
        .fetch_one(connection)
        .await
        .unwrap()
}

/// What a query took.
#[derive(Debug)]
struct Cost {
    /// Rows that it answered.
    answered: u64,
    /// Rows of tables and entries of indices that were looked at, those that were left out included.
    read: u64,
    /// Tables that were read from end to end.
    scanned: Vec<String>,
    /// Milliseconds in the database; told, never asserted.
    time: f64,
}

impl Cost {
    fn of(explained: &Value) -> Self {
        let root = &explained[0]["Plan"];
        let mut cost = Self {
            answered: number(root, "Actual Rows"),
            read: 0,
            scanned: Vec::new(),
            time: explained[0]["Execution Time"].as_f64().unwrap(),
        };
        cost.add(root);
        cost
    }

    fn add(&mut self, node: &Value) {
        let kind = node["Node Type"].as_str().unwrap();
        let loops = number(node, "Actual Loops");
        // An index over ranges of pages names ten times as many rows as a page could have.
        let is_of_ranges = node["Index Name"] == "logs_transaction";
        if kind.contains("Scan") && !is_of_ranges {
            let looked_at: u64 = [
                "Actual Rows",
                "Rows Removed by Filter",
                "Rows Removed by Index Recheck",
            ]
            .map(|field| number(node, field))
            .iter()
            .sum();
            self.read += looked_at * loops;
        }
        if kind == "Seq Scan" {
            self.scanned.push(node["Relation Name"].to_string());
        }
        for child in node["Plans"].as_array().into_iter().flatten() {
            self.add(child);
        }
    }
}

/// Says what it took, to whoever runs the test with `--nocapture`.
#[expect(clippy::print_stdout, reason = "it is told, never asserted")]
fn tell(what: std::fmt::Arguments<'_>, cost: &Cost) {
    println!("{what}: {:.2} ms, {cost:?}", cost.time);
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "averages of rows per loop, far below 2^53"
)]
fn number(node: &Value, field: &str) -> u64 {
    node[field].as_f64().unwrap_or_default().round() as u64
}

fn hash(text: &str) -> String {
    format!("test_hash('{text}')")
}

fn address(text: &str) -> String {
    format!("substr(test_hash('{text}'), 1, 20)")
}

fn moment(job: u64) -> String {
    format!("timestamptz '2020-01-01' + {job} * interval '15 seconds'")
}

fn word(text: &str) -> String {
    format!("'{text}'")
}

async fn each_filter_of_jobs_reads_a_page(ledger: &Ledger) {
    let middle = ledger.middle();
    let cursor = middle.to_string();
    let single = [
        ("deployment", "1".to_owned(), 51),
        ("deployment", "2".to_owned(), 51),
        ("cursor", cursor.clone(), 51),
        ("name", format!("test_name({middle})"), 1),
        ("phase", word("running"), 1),
        ("phase", word("finished"), 51),
        ("outcome", word("refused"), 51),
        ("outcome", word("timed_out"), 51),
        ("outcome", word("lost"), 1),
        ("reason", word("underpaid"), 51),
        ("reason", word("image_not_allowed"), 0),
        ("consumer", address("c0"), 51),
        ("consumer", address("c77"), 1),
        ("consumer", address("nobody"), 0),
        ("provider", address("p7"), 51),
        ("provider", address("nobody"), 0),
        ("did", hash("d0"), 51),
        ("did", hash("d8"), 51),
        ("did", hash("nothing"), 0),
        ("agreement", hash(&format!("a{middle}")), 1),
        ("agreement", hash("nothing"), 0),
        ("condition", hash(&format!("k{middle}")), 1),
        ("condition", hash("nothing"), 0),
        ("after", moment(10), 51),
        ("after", moment(ledger.jobs * 9 / 10 - 1_000), 51),
        ("before", moment(middle), 51),
        ("unfinished", "true".to_owned(), 1),
    ];
    for (name, value, least) in single {
        let cost = ledger.jobs(&[(name, value.clone())]).await;
        tell(format_args!("jobs by {name} = {value}"), &cost);
        assert!(cost.answered >= least, "{name} = {value}: {cost:?}");
        assert!(cost.read <= FOR_A_PAGE, "{name} = {value}: {cost:?}");
        assert!(cost.scanned.is_empty(), "{name} = {value}: {cost:?}");
    }
}

async fn filters_of_jobs_combine(ledger: &Ledger) {
    let middle = ledger.middle();
    let consumer = || ("consumer", address("c0"));
    let combined = [
        vec![consumer(), ("outcome", word("lost"))],
        vec![consumer(), ("outcome", word("failed"))],
        vec![consumer(), ("phase", word("running"))],
        vec![consumer(), ("did", hash("d8"))],
        vec![consumer(), ("before", moment(middle))],
        vec![
            ("phase", word("finished")),
            ("outcome", word("refused")),
            ("cursor", middle.to_string()),
        ],
        vec![("outcome", word("failed")), ("before", moment(middle))],
        vec![("after", moment(middle - 500)), ("before", moment(middle))],
        vec![
            ("provider", address("p8")),
            ("reason", word("not_our_asset")),
        ],
        vec![
            ("did", hash("d8")),
            ("reason", word("underpaid")),
            ("agreement", hash("nothing")),
        ],
    ];
    for filters in combined {
        let cost = ledger.jobs(&filters).await;
        tell(format_args!("jobs by {filters:?}"), &cost);
        assert!(cost.read <= FOR_A_SEARCH, "{filters:?}: {cost:?}");
        assert!(cost.scanned.is_empty(), "{filters:?}: {cost:?}");
    }
}

async fn a_transaction_is_found_without_reading_the_logs(ledger: &Ledger) {
    let transaction = hash(&format!("t{}", ledger.middle()));
    for (value, answered) in [(transaction, 1), (hash("nothing"), 0)] {
        let filter = [("transaction", value)];
        for cost in [ledger.jobs(&filter).await, ledger.events(&filter).await] {
            tell(format_args!("by {filter:?}"), &cost);
            assert_eq!(cost.answered, answered, "{filter:?}: {cost:?}");
            // The one range of pages that has it, and one in a thousand of the others.
            let most = 3_000 + ledger.jobs / 200;
            assert!(cost.read <= most, "{filter:?}: {cost:?}");
            assert!(cost.scanned.is_empty(), "{filter:?}: {cost:?}");
        }
    }
}

async fn each_filter_of_events_reads_a_page_or_what_it_names(ledger: &Ledger) {
    let middle = ledger.middle();
    let (agreement, block) = (hash(&format!("a{middle}")), middle.to_string());
    // An asset's events are read and put in order: there is no index of them by block.
    let of_the_asset = 4 * (ledger.jobs / 1_000) + FOR_A_PAGE;
    let cases = [
        (vec![], FOR_A_PAGE),
        (vec![("deployment", "2".to_owned())], FOR_A_PAGE),
        (vec![("agreement", agreement.clone())], FOR_A_PAGE),
        (vec![("condition", hash(&format!("k{middle}")))], FOR_A_PAGE),
        (vec![("did", hash("d8"))], of_the_asset),
        (
            vec![("did", hash("d8")), ("agreement", agreement)],
            of_the_asset,
        ),
        (
            vec![("did", hash("d8")), ("to", block.clone())],
            of_the_asset,
        ),
        (vec![("from", block.clone())], FOR_A_PAGE),
        (vec![("to", block.clone())], FOR_A_PAGE),
        (
            vec![("from", block.clone()), ("to", block.clone())],
            FOR_A_PAGE,
        ),
        (
            vec![
                ("block", block.clone()),
                ("log_index", "0".to_owned()),
                ("row", block),
            ],
            FOR_A_PAGE,
        ),
        (vec![("orphaned", "true".to_owned())], FOR_A_PAGE),
    ];
    for (filters, most) in cases {
        let cost = ledger.events(&filters).await;
        tell(format_args!("events by {filters:?}"), &cost);
        assert!(cost.read <= most, "{filters:?}: {cost:?}");
        assert!(cost.scanned.is_empty(), "{filters:?}: {cost:?}");
    }
}

/// The second is what looks for news twice a second, for all who listen.
async fn the_stream_of_transitions_goes_on_from_any_place(ledger: &Ledger) {
    // Transactions 1 to 501, which are older than any server.
    let (middle, end) = (250, 600);
    for (deployment, transaction, answered) in [
        ("1", 0, 51),
        ("NULL", end, 0),
        ("NULL", middle, 51),
        ("1", middle, 51),
        ("2", middle, 51),
    ] {
        let filters = [
            ("deployment", deployment.to_owned()),
            ("transaction", transaction.to_string()),
        ];
        let cost = ledger.cost(STREAM, &STREAM_PARAMETERS, &filters).await;
        tell(format_args!("transitions by {filters:?}"), &cost);
        assert_eq!(cost.answered, answered, "{filters:?}: {cost:?}");
        assert!(cost.read <= FOR_A_PAGE, "{filters:?}: {cost:?}");
        assert!(cost.scanned.is_empty(), "{filters:?}: {cost:?}");
    }
}

#[tokio::test]
async fn in_a_large_ledger_every_filter_reads_a_page_and_no_table_from_end_to_end() {
    let ledger = Ledger::filled().await;
    each_filter_of_jobs_reads_a_page(&ledger).await;
    filters_of_jobs_combine(&ledger).await;
    a_transaction_is_found_without_reading_the_logs(&ledger).await;
    each_filter_of_events_reads_a_page_or_what_it_names(&ledger).await;
    the_stream_of_transitions_goes_on_from_any_place(&ledger).await;
}
