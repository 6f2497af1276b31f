use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection};
use tidewatch::chain::Providers;
use tidewatch::follower::{Follower, Following};
use tidewatch::ledger::Ledger;

/// What one process has of its own: its workers and its sessions with the database. Both end with it.
pub(super) struct Replica {
    pub(super) follower: Follower,
}

impl Replica {
    /// A process that has just begun.
    pub(super) async fn start(door: &Door, providers: Providers, following: Following) -> Self {
        let ledger = Ledger::over(door.sessions().await);
        Self {
            follower: Follower::new(ledger, providers, following),
        }
    }
}

/// The way to the database: its server's socket, where no password is asked. To prove one takes longer than a step of a follower.
pub(super) struct Door(PgConnectOptions);

impl Door {
    /// The door to the database of a URL.
    pub(super) async fn to(url: &str) -> Self {
        let options = PgConnectOptions::from_str(url).unwrap();
        let mut connection = options.connect().await.unwrap();
        let directory: String = sqlx::query_scalar("SHOW unix_socket_directories")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
        Self(options.socket(directory))
    }

    /// Sessions that wait for as long as it takes: the world's clock is no measure for what the machine does.
    pub(super) async fn sessions(&self) -> PgPool {
        PgPoolOptions::new()
            .max_connections(4)
            .acquire_timeout(Duration::from_secs(100_000))
            .connect_with(self.0.clone())
            .await
            .unwrap()
    }
}
