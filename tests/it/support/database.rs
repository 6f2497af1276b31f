//! A database of one's own on the test run's Postgres, with the migrations applied, dropped when the test ends.

use std::str::FromStr;
use std::thread;

use sha2::Digest;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tidewatch::ledger::{Ledger, MIGRATIONS};
use tokio::sync::OnceCell;

/// An own, migrated database.
pub(crate) struct Database {
    /// The ledger in it, as its owner.
    pub(crate) ledger: Ledger,
    /// Its URL, for programs that connect by themselves.
    pub(crate) url: String,
    /// For looking into tables.
    pub(crate) pool: PgPool,
    server: PgConnectOptions,
    name: String,
}

impl Database {
    /// Creates a migrated one: a copy of one that was migrated once, since that is much cheaper than migrating each.
    pub(crate) async fn create() -> Self {
        static MIGRATED: OnceCell<String> = OnceCell::const_new();
        let template = MIGRATED.get_or_init(migrated).await;
        Self::copy(template).await
    }

    /// Creates one without any table.
    pub(crate) async fn create_empty() -> Self {
        Self::copy("template1").await
    }

    async fn copy(template: &str) -> Self {
        let (server, mut url) = server();
        let name = format!("test_{}", uuid::Uuid::new_v4().simple());
        let statement = format!("CREATE DATABASE {name} TEMPLATE {template}");
        execute_on(&server, &statement).await.unwrap();
        url.set_path(&name);
        let pool = PgPoolOptions::new()
            .max_connections(10)
            .connect(url.as_str())
            .await
            .unwrap();
        Self {
            ledger: Ledger::over(pool.clone()),
            url: url.into(),
            pool,
            server,
            name,
        }
    }
}

fn server() -> (PgConnectOptions, url::Url) {
    let url = url::Url::parse(&super::required("TIDEWATCH_TEST_POSTGRES")).unwrap();
    (PgConnectOptions::from_str(url.as_str()).unwrap(), url)
}

async fn execute_on(server: &PgConnectOptions, statement: &str) -> sqlx::Result<()> {
    let mut connection = server.connect().await?;
    sqlx::query(AssertSqlSafe(statement.to_owned()))
        .execute(&mut connection)
        .await?;
    connection.close().await
}

/// Makes sure that there is a database with these very migrations, and answers its name. It is made under another name first, so
/// that a half-made one is never taken for it; of several test runs that make it at once one wins.
async fn migrated() -> String {
    let (server, mut url) = server();
    let mut sum = sha2::Sha256::new();
    for migration in MIGRATIONS.iter() {
        sum.update(&migration.checksum);
    }
    let name = format!("migrated_{}", &alloy::hex::encode(sum.finalize())[..16]);
    let there = format!("SELECT 1 FROM pg_database WHERE datname = '{name}'");
    let mut connection = server.connect().await.unwrap();
    let there: Option<i32> = sqlx::query_scalar(AssertSqlSafe(there))
        .fetch_optional(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    if there.is_some() {
        return name;
    }
    let making = format!("making_{}", uuid::Uuid::new_v4().simple());
    execute_on(&server, &format!("CREATE DATABASE {making}"))
        .await
        .unwrap();
    url.set_path(&making);
    let pool = PgPool::connect(url.as_str()).await.unwrap();
    MIGRATIONS.run(&pool).await.unwrap();
    pool.close().await;
    let renamed = format!("ALTER DATABASE {making} RENAME TO {name}");
    if execute_on(&server, &renamed).await.is_err() {
        let dropped = format!("DROP DATABASE IF EXISTS {making} WITH (FORCE)");
        execute_on(&server, &dropped).await.unwrap();
    }
    name
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        // Nobody waits for it. This may run on the only thread of a runtime whose tasks are still connecting: they get no further until
        // this returns, and Postgres drops nothing before they did or ran out of time.
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let statement = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
            runtime
                .block_on(execute_on(&server, &statement))
                .expect("the database of a test can be dropped");
        });
    }
}
