use std::sync::{Arc, Mutex};
use std::time::Duration;

use sqlx::postgres::PgPool;
use tidewatch::chain::Provider;
use tidewatch::fault::Fault;
use tidewatch::follower::Error;
use tidewatch::ids::DeploymentId;
use tidewatch::worker::{Chain as Sentence, Progress};
use tokio::time::Instant;

use super::checks::Checks;
use super::dice::Dice;
use super::node::{Node, Trouble};
use super::recorded::Recorded;
use super::replica::{Door, Duty, Replica, Scene, asks_at_most, following};
use super::world::World;
use crate::support::database::Database;
use crate::support::dies_after;

/// How long the follower may take to come to rest once the lies have stopped, by the world's clock.
const PATIENCE: Duration = Duration::from_secs(7_200);

/// How long an answer is waited for, and how late one is that comes too late, by the same clock.
const PATIENT: Duration = Duration::from_secs(15);
const LATE: Duration = Duration::from_secs(20);

/// One world with its providers, and the replicas that follow it.
pub(super) struct Play {
    world: Arc<Mutex<World>>,
    nodes: Vec<Node>,
    scene: Scene,
    replicas: Vec<Option<Replica>>,
    door: Door,
    pool: PgPool,
    /// Dropped with the play.
    _database: Database,
    deployment: Option<DeploymentId>,
    checks: Checks,
    dice: Dice,
}

impl Play {
    /// Sets the scene that a seed names.
    pub(super) async fn set(seed: u64) -> Self {
        let mut dice = Dice::of(seed, "play");
        let world = Arc::new(Mutex::new(World::made_of(seed)));
        let (delivery, answers) = dice.one_of(&[(0, 0), (15, 0), (0, 10), (5, 5)]);
        let trouble = Trouble { delivery, answers };
        let count = dice.one_of(&[1, 2, 3]);
        let mut nodes = Vec::new();
        for place in 0..count {
            nodes.push(Node::start(&world, seed, (place, count), LATE, trouble).await);
        }
        let provider = |node: &Node| Provider::with_timeout(&node.url, PATIENT).unwrap();
        let following = following(&world.lock().unwrap(), &mut dice);
        let keeper = world.lock().unwrap().deployment.clone();
        let scene = Scene {
            providers: nodes.iter().map(provider).collect(),
            following,
            keeper,
        };
        // Shown when the play fails.
        eprintln!(
            "world {seed}: {:?}, irreversible by {:?}, acting at {}; {trouble:?}",
            world.lock().unwrap().era,
            scene.following.irreversible_at,
            scene.following.act_at,
        );
        for node in &nodes {
            eprintln!("world {seed}: {node:?}");
        }
        let checks = Checks::of(&world.lock().unwrap(), &nodes);
        let database = Database::create().await;
        let door = Door::to(&database.url).await;
        Self {
            world,
            nodes,
            scene,
            replicas: (0..dice.one_of(&[1, 2])).map(|_| None).collect(),
            pool: door.sessions().await,
            door,
            _database: database,
            deployment: None,
            checks,
            dice,
        }
    }

    /// Lets the world and the replicas go on for so many steps, and compares after each.
    pub(super) async fn go_on(&mut self, steps: u64) {
        for _ in 0..steps {
            if self.dice.percent(40) {
                self.world.lock().unwrap().live();
            }
            self.turn().await;
            if let Some(seen) = self.read().await {
                let world = self.world.lock().unwrap();
                self.checks
                    .at_a_step(&world, self.scene.following.act_at, &seen);
            }
        }
    }

    /// Everybody becomes honest and the chain stands still: the ledger must come to equal it.
    pub(super) async fn settle(&mut self) {
        for node in &self.nodes {
            node.become_honest();
        }
        self.world.lock().unwrap().settle();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut resting = true;
            for place in 0..self.replicas.len() {
                for duty in [Duty::Follow, Duty::Verify] {
                    resting &= self.tick(place, duty, usize::MAX).await == Some(Progress::Idle);
                }
            }
            let seen = self.read().await.expect("the deployment is known");
            if resting && self.is_complete(&seen) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "it does not come to rest: recorded up to {}, verified up to {} ({:?}); {:?}",
                seen.cursor.recorded_number,
                seen.cursor.verified_number,
                seen.cursor.unverified,
                self.checks.last_error
            );
            if resting {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }

    /// Whether the ledger has come as far as it can; it is compared with the truth then.
    fn is_complete(&mut self, seen: &Recorded) -> bool {
        let world = self.world.lock().unwrap();
        let is_complete = seen.is_complete(&world);
        if is_complete {
            let following = &self.scene.following;
            self.checks.at_a_step(&world, following.act_at, seen);
            let first = following.start_block.max(1);
            self.checks.when_settled(&world, first, seen);
        }
        is_complete
    }

    /// One of the replicas does something, or several at once, or one dies doing it.
    async fn turn(&mut self) {
        let place = self.dice.place(self.replicas.len());
        let duty = self
            .dice
            .one_of(&[Duty::Follow, Duty::Follow, Duty::Follow, Duty::Verify]);
        match self.dice.place(24) {
            0 | 1 => self.replicas[place] = None,
            2..=4 => {
                let polls = self.dice.place(60);
                self.tick(place, duty, polls).await;
                self.replicas[place] = None;
            }
            5 => self.tick_while_sessions_end(place, duty).await,
            6..=11 if self.replicas.len() > 1 => self.tick_together(duty).await,
            _ => {
                self.tick(place, duty, usize::MAX).await;
            }
        }
    }

    /// A tick of one replica, which dies at the given poll of its future.
    async fn tick(&mut self, place: usize, duty: Duty, polls: usize) -> Option<Progress> {
        self.replica(place).await;
        let nodes = &self.nodes;
        let replica = self.replicas[place].as_mut().unwrap();
        let tick = asks_at_most(duty.most_requests(), nodes, replica.tick(duty));
        let progress = dies_after(polls, tick).await;
        self.heard(place, progress)
    }

    /// Two replicas at the same moment, of which one may die.
    async fn tick_together(&mut self, duty: Duty) {
        let polls = self.dice.place(120);
        self.replica(0).await;
        self.replica(1).await;
        let [Some(one), Some(two), ..] = &mut self.replicas[..] else {
            unreachable!("two replicas were just started");
        };
        let most = duty.most_requests() + Duty::Follow.most_requests();
        let ticks = futures::future::join(
            dies_after(polls, one.tick(duty)),
            dies_after(usize::MAX, two.tick(Duty::Follow)),
        );
        let (first, second) = asks_at_most(most, &self.nodes, ticks).await;
        let died = first.is_none();
        self.heard(0, first);
        self.heard(1, second);
        if died {
            self.replicas[0] = None;
        }
    }

    /// Every session of the database ends while a replica works.
    async fn tick_while_sessions_end(&mut self, place: usize, duty: Duty) {
        let wait = self.dice.between(0..=15);
        self.replica(place).await;
        let door = &self.door;
        let replica = self.replicas[place].as_mut().unwrap();
        let ends = async {
            tokio::time::sleep(Duration::from_millis(50 * wait)).await;
            door.end_sessions().await;
        };
        let tick = asks_at_most(duty.most_requests(), &self.nodes, replica.tick(duty));
        let (progress, ()) = tokio::join!(tick, ends);
        self.heard(place, Some(progress));
    }

    /// What came of a tick. Nothing that lies may end the process.
    fn heard(
        &mut self,
        place: usize,
        progress: Option<Result<Progress, Error>>,
    ) -> Option<Progress> {
        let known = self.replicas[place].as_ref().and_then(Replica::deployment);
        self.deployment = self.deployment.or(known);
        match progress? {
            Ok(progress) => Some(progress),
            // A chain that is not there yet ends the process with a sentence, and whoever runs it starts it again.
            Err(Error::StartBeyondHead { .. }) => {
                self.replicas[place] = None;
                None
            }
            Err(error) => {
                let told = Sentence(&error).to_string();
                assert_eq!(error.fault(), Fault::Transient, "{told}");
                self.checks.last_error = Some(told);
                None
            }
        }
    }

    /// A replica that runs, started if it does not.
    async fn replica(&mut self, place: usize) -> &mut Replica {
        if self.replicas[place].is_none() {
            self.replicas[place] = Some(Replica::start(&self.door, &self.scene).await);
        }
        self.replicas[place].as_mut().unwrap()
    }

    async fn read(&self) -> Option<Recorded> {
        Some(Recorded::read(&self.pool, self.deployment?).await)
    }
}
