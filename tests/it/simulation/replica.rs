use std::str::FromStr;
use std::time::Duration;

use futures::future::select_all;
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection};
use tidewatch::chain::{Provider, Providers};
use tidewatch::follower::{ActAt, Error, Follower, Following, IrreversibleAt, Verifier};
use tidewatch::ids::DeploymentId;
use tidewatch::keeper::Deployment;
use tidewatch::ledger::Ledger;
use tidewatch::worker::{Progress, Worker};

use super::dice::Dice;
use super::node::Node;
use super::world::World;

/// What one process has of its own: its workers and its sessions with the database. Both end with it.
pub(super) struct Replica {
    ledger: Ledger,
    scene: Scene,
    follower: Follower,
    verifier: Option<Verifier>,
}

/// What every replica is given.
#[derive(Clone)]
pub(super) struct Scene {
    /// One for each node. A replica that starts anew keeps what was learned of them: making one takes longer than all that it
    /// does.
    pub(super) providers: Vec<Provider>,
    pub(super) following: Following,
    pub(super) keeper: Deployment,
}

/// The two workers of the role `follower`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Duty {
    Follow,
    Verify,
}

impl Duty {
    /// Most HTTP requests of one tick, whatever is answered to them: a follower reads on in several ranges at once, and a verifier
    /// settles up to 64 blocks by what each of three providers says of them.
    pub(super) const fn most_requests(self) -> u64 {
        match self {
            Self::Follow => 150,
            Self::Verify => 64 * 3 * 4,
        }
    }
}

impl Replica {
    /// A process that has just begun.
    pub(super) async fn start(door: &Door, scene: &Scene) -> Self {
        let ledger = Ledger::over(door.sessions().await);
        let providers = Providers::from(scene.providers.clone());
        Self {
            follower: Follower::new(ledger.clone(), providers, scene.following.clone()),
            verifier: None,
            scene: scene.clone(),
            ledger,
        }
    }

    /// One tick of one of its workers. There is nothing to verify before the deployment is known.
    pub(super) async fn tick(&mut self, duty: Duty) -> Result<Progress, Error> {
        let verifier = match (duty, self.deployment()) {
            (Duty::Verify, Some(deployment)) => self.verifier.get_or_insert_with(|| {
                let scene = self.scene.clone();
                Verifier::new(
                    self.ledger.clone(),
                    scene.providers,
                    scene.following,
                    deployment,
                    Some(scene.keeper),
                )
                // The world's time is not the database's.
                .asking_again_after(Duration::ZERO)
            }),
            _ => return self.follower.tick().await,
        };
        verifier.tick().await
    }

    /// The deployment that it follows, while it knows it.
    pub(super) fn deployment(&self) -> Option<DeploymentId> {
        self.follower.deployment()
    }
}

/// The rules by which a world is followed.
pub(super) fn following(world: &World, dice: &mut Dice) -> Following {
    let deployment = &world.deployment;
    let act_at = dice.one_of(&[
        ActAt::Finalized,
        ActAt::Safe,
        ActAt::Latest,
        ActAt::Depth(1),
        ActAt::Depth(3),
    ]);
    Following {
        chain_id: deployment.chain_id,
        contracts_hash: deployment.contracts_hash(),
        contracts_json: json!({}),
        addresses: deployment.addresses(),
        start_block: deployment.start_block,
        act_at,
        irreversible_at: world.depth.map(IrreversibleAt::Depth),
        act_from_block: None,
        filter_version: 1,
    }
}

/// Counts what is asked of the nodes until the future ends: one that asks without end, itself or by tasks that it waits for, fails
/// rather than hangs.
pub(super) async fn asks_at_most<F: Future>(most: u64, nodes: &[Node], future: F) -> F::Output {
    let future = Box::pin(future);
    let requests = || nodes.iter().map(Node::requests).sum::<u64>();
    let before = requests();
    let check = || {
        let asked = requests() - before;
        assert!(
            asked <= most,
            "{asked} requests in one tick, at most {most} are right"
        );
    };
    let counting = async {
        loop {
            select_all(nodes.iter().map(|node| Box::pin(node.asked()))).await;
            check();
        }
    };
    let ended = tokio::select! {
        biased;
        ended = future => ended,
        () = counting => unreachable!("it counts for ever"),
    };
    check();
    ended
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

    /// Ends every session of the database but the one that says so.
    pub(super) async fn end_sessions(&self) {
        let statement = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                         WHERE datname = current_database() AND pid <> pg_backend_pid()";
        let mut session = self.0.connect().await.unwrap();
        sqlx::raw_sql(statement)
            .execute(&mut session)
            .await
            .unwrap();
        session.close().await.unwrap();
    }
}
