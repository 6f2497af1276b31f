//! Holds a worker at a certain write, so that it can be killed just there.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, Postgres};

use super::database::Database;
use super::eventually;

/// Key of the lock that held writes wait for; any number will do, each test has a database of its own.
const KEY: i64 = 71;

/// Writes to one column wait from now on, until [`Held::release`].
pub(crate) struct Held<'a> {
    database: &'a Database,
    table: &'static str,
    holder: PoolConnection<Postgres>,
}

impl<'a> Held<'a> {
    /// Holds every update of `column` in `ledger.table`, and every insert.
    pub(crate) async fn updates(database: &'a Database, table: &'static str, column: &str) -> Self {
        let mut holder = database.pool.acquire().await.unwrap();
        let hold = format!(
            "SELECT pg_advisory_lock({KEY});
             CREATE FUNCTION ledger.hold() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
             BEGIN
                 IF NEW.{column} IS NOT NULL THEN PERFORM pg_advisory_xact_lock_shared({KEY}); END IF;
                 RETURN NEW;
             END $$;
             CREATE TRIGGER hold BEFORE INSERT OR UPDATE OF {column} ON ledger.{table}
                 FOR EACH ROW EXECUTE FUNCTION ledger.hold();"
        );
        execute(&mut holder, hold).await;
        Self {
            database,
            table,
            holder,
        }
    }

    /// Waits until somebody is held.
    pub(crate) async fn reached(&self) {
        eventually("a write is held", Duration::from_secs(120), || async {
            let waiting: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = 71
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            )
            .fetch_one(&self.database.pool)
            .await
            .unwrap();
            (waiting > 0).then_some(())
        })
        .await;
    }

    /// Ends the sessions that are held, as their clients are gone, and holds nobody any more.
    pub(crate) async fn release(mut self) {
        let end = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_locks
             WHERE locktype = 'advisory' AND NOT granted AND objid = {KEY}
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        );
        execute(&mut self.holder, end).await;
        let drop = format!(
            "DROP TRIGGER hold ON ledger.{}; SELECT pg_advisory_unlock({KEY})",
            self.table
        );
        execute(&mut self.holder, drop).await;
    }
}

async fn execute(connection: &mut PoolConnection<Postgres>, statements: String) {
    sqlx::raw_sql(AssertSqlSafe(statements))
        .execute(&mut **connection)
        .await
        .unwrap();
}
