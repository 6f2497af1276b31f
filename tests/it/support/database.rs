//! A database of one's own on the test run's Postgres, with the migrations applied, dropped when the test ends.

use std::str::FromStr;
use std::thread;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tidewatch::ledger::{Ledger, MIGRATIONS};

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
    /// Creates and migrates one.
    pub(crate) async fn create() -> Self {
        let database = Self::create_empty().await;
        MIGRATIONS.run(&database.pool).await.unwrap();
        database
    }

    /// Creates one without any table.
    pub(crate) async fn create_empty() -> Self {
        let mut url = url::Url::parse(&super::required("TIDEWATCH_TEST_POSTGRES")).unwrap();
        let server = PgConnectOptions::from_str(url.as_str()).unwrap();
        let name = format!("test_{}", uuid::Uuid::new_v4().simple());
        let mut connection = server.connect().await.unwrap();
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
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

impl Drop for Database {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        // A thread of its own, since this may run inside a runtime, where one cannot wait for another.
        let dropped = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let mut connection = server.connect().await.unwrap();
                let statement = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
                sqlx::query(AssertSqlSafe(statement))
                    .execute(&mut connection)
                    .await
                    .unwrap();
            });
        })
        .join();
        if dropped.is_err() && !thread::panicking() {
            panic!("the database of a test could not be dropped");
        }
    }
}
