//! A test's database with its logins.

use sqlx::{Connection, PgConnection};
use tidewatch::ledger::{Ledger, roles};
use url::Url;

use crate::support::database::Database as Bare;

/// A database that several logins may use.
pub(super) struct Database(Bare);

impl Database {
    /// A database without a schema.
    pub(super) async fn empty() -> Self {
        Self(Bare::create_empty().await)
    }

    /// A database as `tidewatch migrate` leaves it.
    pub(super) async fn migrated() -> Self {
        let database = Self(Bare::create().await);
        let ensured = roles::ensure(database.ledger()).await.unwrap();
        assert_eq!(ensured, roles::Ensured::Done);
        database
    }

    /// The ledger, as the superuser.
    pub(super) fn ledger(&self) -> &Ledger {
        &self.0.ledger
    }

    /// Its name on the server.
    pub(super) fn name(&self) -> &str {
        let name = self.0.url.rsplit('/').next();
        name.unwrap_or_default()
    }

    /// URL of the superuser's login.
    pub(super) fn url(&self) -> String {
        self.0.url.clone()
    }

    /// URL of another login.
    pub(super) fn url_as(&self, login: &str) -> String {
        let mut url: Url = self.0.url.parse().unwrap();
        url.set_username(login).unwrap();
        url.set_password(None).unwrap();
        url.into()
    }

    /// A connection as the superuser.
    pub(super) async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.0.url).await.unwrap()
    }

    /// A connection under another login.
    pub(super) async fn connect_as(&self, login: &str) -> PgConnection {
        PgConnection::connect(&self.url_as(login)).await.unwrap()
    }
}

/// Runs statements without parameters.
pub(super) async fn execute(
    connection: &mut PgConnection,
    statement: &str,
) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned()))
        .execute(connection)
        .await
        .map(|_| ())
}
