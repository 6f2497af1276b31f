//! A test's database with its logins.

use sqlx::{Connection, PgConnection};
use tidewatch::ledger::{Ledger, roles};
use tokio::sync::OnceCell;
use url::Url;

use crate::support::database::Database as Bare;

/// The password of every login of the tests.
pub(super) const PASSWORD: &str = "test";

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
        give_passwords(database.ledger()).await;
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
        url.set_password(Some(PASSWORD)).unwrap();
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

/// Gives the three logins the tests' password, once: they are the server's, and two sessions cannot alter one at a time.
pub(super) async fn give_passwords(ledger: &Ledger) {
    static GIVEN: OnceCell<()> = OnceCell::const_new();
    let give = || async {
        for role in roles::Role::ALL {
            roles::set_password(ledger, role, PASSWORD).await.unwrap();
        }
    };
    GIVEN.get_or_init(give).await;
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
