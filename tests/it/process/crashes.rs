//! Whoever carries out workflows is killed at any moment: each algorithm is started once at most, and what ran to its end counts.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rand::{Rng, SeedableRng};
use tidewatch::engine::Engine;
use tidewatch::jobs::Outcome;

use super::bench::{Bench, PATIENCE};
use crate::support::eventually;
use crate::support::service::TIDEWATCH;

/// Jobs that are under way while their runner dies again and again.
const JOBS: usize = 12;

/// How often it dies, at moments that are chosen by chance: a job has about twelve steps, of some milliseconds each.
const DEATHS: usize = 40;

/// A runner in a process of its own: the role that needs neither ledger nor chain.
struct Operator(Child);

impl Operator {
    fn start(bench: &Bench) -> Self {
        let child = Command::new(TIDEWATCH)
            .args(["run", "--role", "operator"])
            .env_clear()
            .env("TIDEWATCH_ENGINE", "process")
            .env("TIDEWATCH_PROCESS_DIR", bench.path("jobs"))
            .env(
                "TIDEWATCH_RESULTS_URL",
                format!("file://{}", bench.path("results").display()),
            )
            .env("TIDEWATCH_METRICS_LISTEN", "127.0.0.1:0")
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_again_and_again_no_algorithm_is_started_twice() {
    let bench = Bench::without_runner();
    let mut plans = Vec::new();
    for number in 0..JOBS {
        // from at once to a second and a half, so that deaths meet every stage
        let plan = bench.plan(&format!(
            "echo x >> $OUTPUTS/starts; sleep 0.{number}; echo done"
        ));
        bench.begin(&plan).await;
        plans.push(plan);
    }
    let mut dice = rand::rngs::StdRng::seed_from_u64(7);
    let mut two = Vec::new();
    for _ in 0..DEATHS {
        two.push(Operator::start(&bench));
        tokio::time::sleep(Duration::from_millis(dice.random_range(5..250))).await;
        // mostly one at a time, sometimes two
        two.truncate(usize::from(dice.random_bool(0.3)));
    }
    drop(two);
    let _last = Operator::start(&bench);
    for plan in plans {
        let seen = eventually("every job ended", PATIENCE, || async {
            let seen = bench.engine.observe(&plan.job).await.unwrap().unwrap();
            seen.status
                .is_some_and(|status| status.outcome.is_some())
                .then_some(seen)
        })
        .await;
        let outcome = seen.status.unwrap().outcome;
        let starts = bench.volume(&plan.job, "outputs/starts");
        let starts = std::fs::read_to_string(starts).unwrap_or_default();
        assert!(starts.len() <= 2, "started twice: {seen:?}");
        match outcome {
            Some(Outcome::Succeeded) => {
                assert_eq!(starts, "x\n");
                assert_eq!(bench.log(&plan.job).await, "done\n");
            }
            // it was written down as begun, and its program was not started any more
            Some(Outcome::Lost) => assert_eq!(starts, "", "{seen:?}"),
            other => panic!("{other:?}: {seen:?}"),
        }
    }
}
