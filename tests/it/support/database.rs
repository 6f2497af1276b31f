use sqlx::{Connection, PgConnection};
use tidewatch::ledger::{Ledger, roles, schema};
use url::Url;
use uuid::Uuid;

/// A database of a test's own on the server that TIDEWATCH_TEST_POSTGRES names; dropped with this value.
#[derive(Debug)]
pub(crate) struct Database {
    server: Url,
    name: String,
}

impl Database {
    /// A database without a schema.
<<<<<<< HEAD
=======
    #[expect(
        clippy::disallowed_methods,
        reason = "tests read where the machine keeps things"
    )]
>>>>>>> api
    pub(crate) async fn empty() -> Self {
        let server = std::env::var("TIDEWATCH_TEST_POSTGRES")
            .expect("TIDEWATCH_TEST_POSTGRES must name a superuser's login, see tests/run");
        let database = Self {
            server: server.parse().unwrap(),
            name: format!("tidewatch_test_{}", Uuid::new_v4().simple()),
        };
        database
            .on_server(&format!("CREATE DATABASE {}", database.name))
            .await;
        database
    }

    /// A database as `tidewatch migrate` leaves it.
    pub(crate) async fn migrated() -> Self {
        let database = Self::empty().await;
        let ledger = Ledger::connect(&database.url(), 2).await.unwrap();
        schema::migrate(&ledger).await.unwrap();
        assert_eq!(roles::ensure(&ledger).await.unwrap(), roles::Ensured::Done);
        ledger.close().await;
        database
    }

    /// Its name on the server.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// URL of the superuser's login.
    pub(crate) fn url(&self) -> String {
        let mut url = self.server.clone();
        url.set_path(&self.name);
        url.into()
    }

    /// URL of another login.
    pub(crate) fn url_as(&self, login: &str) -> String {
        let mut url = self.server.clone();
        url.set_path(&self.name);
        url.set_username(login).unwrap();
        url.set_password(None).unwrap();
        url.into()
    }

    /// A connection as the superuser.
    pub(crate) async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url()).await.unwrap()
    }

    /// A connection under another login.
    pub(crate) async fn connect_as(&self, login: &str) -> PgConnection {
        PgConnection::connect(&self.url_as(login)).await.unwrap()
    }

    /// Runs one statement on the server, outside of this database.
    pub(crate) async fn on_server(&self, statement: &str) {
        let mut connection = PgConnection::connect(self.server.as_str()).await.unwrap();
        execute(&mut connection, statement).await.unwrap();
        connection.close().await.unwrap();
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        // Dropping cannot wait on the test's own runtime, which may be single-threaded.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let mut connection = PgConnection::connect(server.as_str()).await.unwrap();
                let statement = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
                execute(&mut connection, &statement).await.unwrap();
            });
        });
<<<<<<< HEAD
        if dropping.join().is_err() {
            println!("the database {} is left over", self.name);
        }
=======
        // A database that could not be dropped is left over; the test's own result is what matters.
        drop(dropping.join());
>>>>>>> api
    }
}

/// Runs a statement, or several, without parameters.
pub(crate) async fn execute(
    connection: &mut PgConnection,
    statement: &str,
) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned()))
        .execute(connection)
        .await
        .map(|_| ())
}
