//! A world with a will of its own, whose truth is known: whatever its providers say, the ledger comes to hold that truth.
//!
//! A seed makes a chain of real blocks (their hashes, bloom filters and receipts roots are right), which grows and reorganises;
//! providers over real HTTP that each fail and lie in their own way; and replicas of the follower on a real Postgres that are
//! killed at any poll, lose their sessions, or work at the same moment.

mod block;
mod character;
mod checks;
mod contents;
mod dice;
mod haste;
mod honest;
mod lies;
mod node;
mod play;
mod recorded;
mod replica;
mod world;

use std::sync::Mutex;
use std::thread;

use play::Play;

/// Seeds of a run in which no others are named.
const SEEDS: std::ops::Range<u64> = 0..24;

/// Worlds that are played side by side: most of the time each waits for the database or for its own requests.
const SIDE_BY_SIDE: usize = 4;

/// Steps until the lies stop.
const STEPS: u64 = 120;

#[test]
fn the_ledger_comes_to_hold_the_truth_whatever_the_providers_say() {
    let seeds: Vec<u64> = seeds();
    let queue = Mutex::new(seeds.into_iter());
    thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap().next();
                    let Some(seed) = next else { break };
                    play(seed);
                }
            });
        }
    });
}

/// Plays one world, with nothing but its own tasks in its runtime, so that a seed repeats as well as sockets allow.
fn play(seed: u64) {
    let told = Told(seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        haste::make_haste();
        let mut play = Play::set(seed).await;
        play.go_on(STEPS).await;
        play.settle().await;
    });
    drop(told);
}

/// Says which world it was if it ends in a panic.
struct Told(u64);

impl Drop for Told {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!(
                "the world of seed {} failed: TIDEWATCH_SIMULATION_SEED={0} plays it alone",
                self.0
            );
        }
    }
}

/// `TIDEWATCH_SIMULATION_SEED`: one seed, or a range as `100..200`.
#[expect(
    clippy::disallowed_methods,
    reason = "tests find what they are to do in the environment"
)]
fn seeds() -> Vec<u64> {
    let Ok(named) = std::env::var("TIDEWATCH_SIMULATION_SEED") else {
        return SEEDS.collect();
    };
    let number = |text: &str| {
        text.parse()
            .expect("TIDEWATCH_SIMULATION_SEED holds numbers")
    };
    match named.split_once("..") {
        Some((from, to)) => (number(from)..number(to)).collect(),
        None => vec![number(&named)],
    }
}
