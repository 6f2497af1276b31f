//! A world with a will of its own, whose truth is known: whatever its providers say, the ledger comes to hold that truth.
//!
//! A seed makes a chain of real blocks (their hashes, bloom filters and receipts roots are right), which grows and reorganises in
//! every way; providers over real HTTP that each fail and lie in their own way; and replicas of follower and verifier on a real
//! Postgres that die at any poll of their future, lose their sessions, or work at the same moment. Then the lies stop.
//!
//! `TIDEWATCH_SIMULATION_SEED=7` plays one world alone, `=100..200` those. The chain, the characters and what happens in which
//! order come from the seed; when bytes arrive does not, so a failure may need a few plays to come again.
//!
//! Layout: `world.rs`, `stand.rs`, `block.rs`, `contents.rs`: the truth. `node.rs`: a provider; `honest.rs`: what it knows;
//! `character.rs`: what it can do; `lies.rs`, `delivery.rs`: what becomes of its answers. `replica.rs`, `play.rs`: who follows, and
//! what happens to them. `recorded.rs`, `checks.rs`: the ledger, and what must hold. `dice.rs`, `haste.rs`: chance and time.
//! `answers.rs`, `change.rs`: answers of any bytes.
//!
//! What is a failure, at every step:
//! - a row that is no log of a block that was made, or a field of it that differs; two canonical logs at one place. A hash that one
//!   provider invented may stand in history until that is verified;
//! - a log that was recorded once and is neither canonical nor a tombstone;
//! - a block that is called proven by its root or its bloom filter, or that counts as verified, with a log missing;
//! - a log on which work may start, in a block that was never as deep as the rule asks;
//! - an irreversible block that can go away, or that falls; a halt, since nothing irreversible ever changes here;
//! - a tick that ends the process, or that asks more than a bounded number of questions.
//!
//! And in the end, with everybody honest: that it does not come to rest with all recorded and verified, or that the canonical rows
//! are not the chain's, block by block and field by field.
//!
//! What is none: a tick that fails and says so; standing still while nobody tells the truth; work on a block that is orphaned
//! later, where the operator's rule allows that. And what nobody could know: a provider that names blocks final that are not, or
//! writes the same wrong content each time; a log that is left out of every answer of every provider; what was counted before the start,
//! if nobody has that state. No two of these providers leave out logs of the same block, one that is alone leaves them out once, and
//! the first of them keeps all state.
//!
//! Ways in which the follower could be broken, each of which these worlds must show:
//! 1. rows of a replaced block stay canonical (no tombstones on a rollback);
//! 2. a replaced block is not noticed (parents are not compared);
//! 3. a revived block keeps its tombstones (no return to an old fork);
//! 4. the cursor moves without the rows, or the rows come without the cursor (two commits);
//! 5. a second follower's cursor is not compared (no compare-and-set);
//! 6. a first reading of history counts as verified;
//! 7. a bloom filter is believed that was never shown to be true;
//! 8. receipts are believed that do not add up to the root, or to the root in a header that does not add up to its hash;
//! 9. an answer that contradicts itself is taken (logs of other blocks, addresses or heights, one log twice);
//! 10. the horizon for acting follows the provider's head instead of the recorded tip;
//! 11. the irreversible block follows a provider down;
//! 12. a refusal is asked again and again within a tick.

mod answers;
mod block;
mod change;
mod character;
mod checks;
mod contents;
mod delivery;
mod dice;
mod haste;
mod honest;
mod lies;
mod node;
mod play;
mod recorded;
mod replica;
mod stand;
mod world;

use std::sync::Mutex;
use std::thread;

use play::Play;

/// Seeds of a run in which no others are named.
const SEEDS: std::ops::Range<u64> = 0..12;

/// Further ones, whose worlds have found what those had not: a parent taken on one word (23), logs of other addresses let in on
/// purpose (20, 26).
const FURTHER: [u64; 3] = [20, 23, 26];

/// Worlds that are played side by side: most of the time each waits for the database or for its own requests.
const SIDE_BY_SIDE: usize = 4;

/// Unoptimised, the state of a whole step is moved about on the stack before it is put away.
const STACK: usize = 16 << 20;

/// Steps until the lies stop.
const STEPS: u64 = 120;

#[test]
fn the_ledger_comes_to_hold_the_truth_whatever_the_providers_say() {
    let seeds: Vec<u64> = seeds();
    let queue = Mutex::new(seeds.into_iter());
    thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            let worlds = || {
                loop {
                    let next = queue.lock().unwrap().next();
                    let Some(seed) = next else { break };
                    play(seed);
                }
            };
            let thread = thread::Builder::new().stack_size(STACK);
            thread.spawn_scoped(scope, worlds).unwrap();
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
        return SEEDS.chain(FURTHER).collect();
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
