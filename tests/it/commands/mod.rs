//! Operators' commands: the real program on a real chain and a real Postgres.

mod owners;

use std::path::PathBuf;
use std::process::Output;
use std::sync::atomic::Ordering;

use serde_json::Value;
use tempfile::TempDir;
use tidewatch::ledger::roles;
use tidewatch::worker::Worker;

use crate::follower::liar::{self, Lies};
use crate::judging::bench::{Bench, Rules, default_workflow, exhaust};
use crate::judging::upgrades;
use crate::support::anvil::Node;
use crate::support::keeper::{Chain, deployed_anew};
use crate::support::service::TIDEWATCH;

/// A followed chain, and what an operator has on the command line.
struct Desk {
    bench: Bench,
    directory: TempDir,
}

impl Desk {
    /// A chain on which something was bought, recorded and judged.
    async fn open() -> Self {
        let chain = Chain::start().await;
        let did = chain.asset().await;
        chain.buy(&chain.order(did)).await;
        chain.node.mine(10).await;
        Self::over(Bench::on(chain, Rules::default()).await).await
    }

    /// A chain on which nothing was bought yet.
    async fn over_fresh() -> Self {
        Self::over(Bench::on(Chain::start().await, Rules::default()).await).await
    }

    /// What there is to follow is recorded and judged.
    async fn over(mut bench: Bench) -> Self {
        roles::ensure(&bench.ledger).await.unwrap();
        bench.settle().await;
        let directory = tempfile::tempdir().unwrap();
        let desk = Self { bench, directory };
        let file = desk.bench.chain.deployment.to_yaml().unwrap();
        std::fs::write(desk.keeper(), file).unwrap();
        desk
    }

    fn keeper(&self) -> PathBuf {
        self.directory.path().join("keeper.yaml")
    }

    /// Runs the program as an operator would.
    async fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(arguments, &[]).await
    }

    async fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        tokio::process::Command::new(TIDEWATCH)
            .args(arguments)
            .env_clear()
            .env("DATABASE_URL", self.bench.url())
            .env("TIDEWATCH_KEEPER", self.keeper())
            .env("TIDEWATCH_RPC_URLS", self.bench.chain.node.url().as_str())
            .envs(variables.iter().copied())
            .current_dir(self.directory.path())
            .output()
            .await
            .unwrap()
    }

    async fn status(&self) -> Value {
        let output = self.run(&["status", "--json"]).await;
        serde_json::from_str(&done(&output)).unwrap()
    }

    async fn actions(&self) -> Vec<(String, String)> {
        sqlx::query_as("SELECT action, reason FROM tidewatch.operator_actions ORDER BY id")
            .fetch_all(&self.bench.pool)
            .await
            .unwrap()
    }

    /// Blocks whose logs the judge is to read again.
    async fn replayed(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM ledger.late_blocks WHERE cause = 'replayed'")
            .fetch_one(&self.bench.pool)
            .await
            .unwrap()
    }

    async fn execute(&self, statement: &'static str) {
        sqlx::query(statement)
            .execute(&self.bench.pool)
            .await
            .unwrap();
    }
}

/// What a command that succeeded said.
fn done(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What a command that failed said on standard error, and its exit code.
fn failed(output: &Output) -> (i32, String) {
    assert!(!output.status.success(), "{output:?}");
    let told = String::from_utf8(output.stderr.clone()).unwrap();
    (output.status.code().unwrap(), told)
}

#[tokio::test]
async fn status_tells_how_far_everything_is_and_what_needs_an_operator() {
    let desk = Desk::open().await;
    let head = desk.bench.chain.node.head().await;
    let status = desk.status().await;
    for key in ["head", "recorded", "judged", "act"] {
        assert_eq!(status[key], head, "{key} in {status:#}");
    }
    assert_eq!(status["irreversible"], head - 5);
    assert_eq!(status["verified"], 0);
    assert_eq!(status["halt"], Value::Null);
    assert_eq!(status["lagBlocks"], 0);
    assert!(status["versions"]["schema"].is_i64());
    let shown = done(&desk.run(&["status"]).await);
    assert!(
        shown.contains(&format!("recorded      {head}, 0 blocks behind")),
        "{shown}"
    );
    assert!(shown.contains("halt          none"), "{shown}");

    let node = desk.bench.chain.node.url().clone();
    let provider = tidewatch::chain::Provider::new(node.as_str()).unwrap();
    exhaust(&mut desk.bench.verifier(vec![provider])).await;
    let status = desk.status().await;
    assert_eq!(status["verified"], head);
    assert_eq!(status["providers"][0]["head"], head);
}

#[tokio::test]
async fn a_resync_reports_first_and_mends_when_it_is_told_why() {
    let desk = Desk::open().await;
    desk.execute(
        "UPDATE ledger.logs SET canonical = false WHERE id = (SELECT min(id) FROM ledger.logs)",
    )
    .await;
    let (code, told) = failed(&desk.run(&["follower", "resync", "--from", "0"]).await);
    assert_eq!(code, 2);
    assert!(told.contains("--reason is required"), "{told}");

    let resync = ["follower", "resync", "--from", "0", "--dry-run"];
    let told = done(&desk.run(&resync).await);
    assert!(
        told.contains("1 logs were missing and would be recorded"),
        "{told}"
    );
    assert!(told.contains(": 1 were wrong\n"), "{told}");
    assert_eq!(desk.status().await["repairs"], 0);
    assert_eq!(desk.actions().await, []);

    let resync = [
        "follower",
        "resync",
        "--from",
        "0",
        "--reason",
        "a disk failed",
    ];
    let told = done(&desk.run(&resync).await);
    assert!(
        told.contains("1 logs were missing and are recorded"),
        "{told}"
    );
    assert!(told.contains("1 were wrong and are mended"), "{told}");
    let action = ("follower resync".to_owned(), "a disk failed".to_owned());
    assert_eq!(desk.actions().await, [action]);
    assert_eq!(desk.status().await["repairs"], 1);
    let told = done(&desk.run(&resync).await);
    assert!(told.contains(": 0 were wrong\n"), "{told}");

    let (code, told) = failed(
        &desk
            .run(&["follower", "resync", "--from", "9999999", "--dry-run"])
            .await,
    );
    assert_eq!(code, 1);
    assert!(told.contains("is above the recorded history"), "{told}");
}

#[tokio::test]
async fn a_halt_is_released_with_a_reason_and_following_goes_on() {
    let mut desk = Desk::open().await;
    let release = [
        "follower",
        "release-halt",
        "--reason",
        "the validators agreed",
    ];
    let (code, told) = failed(&desk.run(&release[..2]).await);
    assert_eq!(code, 2);
    assert!(told.contains("--reason is required"), "{told}");
    let (code, told) = failed(&desk.run(&release).await);
    assert_eq!(code, 1);
    assert!(told.contains("is not halted"), "{told}");

    desk.bench.chain.node.reorganise(8).await;
    desk.bench.chain.node.mine(3).await;
    desk.bench.follow().await;
    let halt = desk.status().await["halt"].as_str().unwrap().to_owned();
    assert!(
        halt.contains("which may never go away, was replaced"),
        "{halt}"
    );
    let told = done(&desk.run(&["follower", "release-halt", "--dry-run"]).await);
    assert!(told.contains(&halt), "{told}");
    assert_eq!(desk.status().await["halt"], halt);

    done(&desk.run(&release).await);
    desk.bench.follow().await;
    let status = desk.status().await;
    assert_eq!(status["halt"], Value::Null);
    assert_eq!(status["recorded"], desk.bench.chain.node.head().await);
    let action = (
        "follower release-halt".to_owned(),
        "the validators agreed".to_owned(),
    );
    assert_eq!(desk.actions().await, [action]);
}

#[tokio::test]
async fn what_was_counted_before_the_start_block_is_accepted_with_a_reason() {
    let chain = Chain::start().await;
    let did = chain.asset().await;
    chain.buy(&chain.order(did)).await;
    chain.node.mine(20).await;
    let rules = Rules {
        start_block: Some(chain.node.head().await),
        ..Rules::default()
    };
    chain.buy(&chain.order(did)).await;
    chain.node.mine(10).await;
    // The state at the start block is gone, so no node can say what the contracts had counted by then.
    let lies = Lies::default();
    let oldest = chain.node.head().await - 6;
    lies.state_below.store(oldest, Ordering::SeqCst);
    let node = liar::before(chain.node.url(), "localhost", &lies).await;
    let desk = Desk::over(Bench::through(node.clone(), chain, rules).await).await;
    let accept = ["follower", "accept-counters"];
    let with_reason = [&accept[..], &["--reason", "as the explorer shows"]].concat();
    let (code, told) = failed(&desk.run(&with_reason).await);
    assert_eq!(code, 1);
    assert!(told.contains("count nothing beyond the ledger"), "{told}");

    let mut verifier = desk.bench.verifier(vec![node]);
    let refused = loop {
        if let Err(error) = verifier.tick().await {
            break error;
        }
    };
    assert_eq!(
        desk.status().await["verified"],
        rules.start_block.unwrap() - 1
    );
    let (code, told) = failed(&desk.run(&accept).await);
    assert_eq!(code, 2);
    assert!(told.contains("--reason is required"), "{told}");
    let told = done(&desk.run(&[&accept[..], &["--dry-run"]].concat()).await);
    assert!(told.contains("conditions: 6 counted"), "{told} {refused}");
    assert!(told.contains("would take the difference"), "{told}");
    assert_eq!(desk.actions().await, []);
    verifier.tick().await.unwrap_err();

    let told = done(&desk.run(&with_reason).await);
    assert!(told.contains("verification goes on"), "{told}");
    let action = (
        "follower accept-counters".to_owned(),
        "as the explorer shows".to_owned(),
    );
    assert_eq!(desk.actions().await, [action]);
    // Each of the counters that were running before has to be accepted.
    while desk.status().await["verified"] != desk.status().await["recorded"] {
        if verifier.tick().await.is_err() {
            done(&desk.run(&with_reason).await);
        }
    }
    let accepted = desk.actions().await.len();
    assert!((2..=3).contains(&accepted), "{accepted}");
}

#[tokio::test]
async fn code_that_nobody_listed_is_released_with_a_reason_and_what_waited_is_judged() {
    let mut bench = Bench::on(upgrades::chain().await, Rules::default()).await;
    let did = bench.chain.asset().await;
    bench.offer(&[(did, &default_workflow())]);
    let release = ["follower", "release-upgrades"];
    let with_reason = [&release[..], &["--reason", "the vote of block 9"]].concat();
    upgrades::upgrade(&bench.chain).await;
    let purchase = bench.chain.order(did);
    bench.chain.buy(&purchase).await;
    bench.settle().await;
    let mut desk = Desk::over(bench).await;
    assert_eq!(desk.status().await["upgradesHeld"], 1);
    let shown = done(&desk.run(&["status"]).await);
    assert!(
        shown.contains("admission     held by 1 upgrades"),
        "{shown}"
    );

    let (code, told) = failed(&desk.run(&release).await);
    assert_eq!(code, 2);
    assert!(told.contains("--reason is required"), "{told}");
    let told = done(&desk.run(&[&release[..], &["--dry-run"]].concat()).await);
    assert!(told.contains("would release 1 upgrades"), "{told}");
    desk.bench.settle().await;
    let job = desk.bench.job(purchase.agreement).await;
    assert_eq!(job.status, "undecided");
    assert_eq!(desk.actions().await, []);

    let told = done(&desk.run(&with_reason).await);
    assert!(told.contains("1 upgrades are released"), "{told}");
    let action = (
        "follower release-upgrades".to_owned(),
        "the vote of block 9".to_owned(),
    );
    assert_eq!(desk.actions().await, [action]);
    desk.bench.settle().await;
    let job = desk.bench.job(purchase.agreement).await;
    assert_eq!(job.status, "queued");
    let (code, told) = failed(&desk.run(&with_reason).await);
    assert_eq!(code, 1);
    assert!(told.contains("nothing holds the admission"), "{told}");
}

#[tokio::test]
async fn what_is_parked_is_listed_and_tried_again() {
    let mut desk = Desk::open().await;
    let told = done(&desk.run(&["parked", "list"]).await);
    assert_eq!(told, "nothing is parked\n");
    // As an older version would have left a log that it could not read.
    desk.execute(
        "INSERT INTO ledger.parked (deployment_id, kind, key, reason)
         SELECT deployment_id, 'log', id::text, 'no such event' FROM ledger.logs ORDER BY id LIMIT 1",
    )
    .await;
    let listed = done(&desk.run(&["parked", "list", "--json"]).await);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed[0]["reason"], "no such event");
    let id = listed[0]["id"].to_string();

    let told = done(&desk.run(&["parked", "replay", &id, "--dry-run"]).await);
    assert!(told.starts_with("would try log"), "{told}");
    assert_eq!(desk.status().await["parked"], 1);
    done(
        &desk
            .run(&[
                "parked",
                "replay",
                &id,
                "--reason",
                "a newer version is here",
            ])
            .await,
    );
    assert_eq!(desk.status().await["parked"], 0);
    assert_eq!(desk.replayed().await, 1);
    desk.bench.settle().await;
    assert_eq!(desk.replayed().await, 0);
    let (code, told) = failed(
        &desk
            .run(&["parked", "replay", &id, "--reason", "again"])
            .await,
    );
    assert_eq!(code, 1);
    assert!(told.contains("nothing of number"), "{told}");
}

#[tokio::test]
async fn a_pause_is_seen_and_ends() {
    let desk = Desk::open().await;
    done(
        &desk
            .run(&["pause", "--reason", "maintenance of the cluster"])
            .await,
    );
    assert_eq!(desk.status().await["pause"], "maintenance of the cluster");
    done(&desk.run(&["resume", "--reason", "done"]).await);
    assert_eq!(desk.status().await["pause"], Value::Null);
}

#[tokio::test]
async fn check_says_of_every_part_that_it_is_well_or_how_to_mend_it() {
    let desk = Desk::open().await;
    let check = ["check", "--role", "follower,judge"];
    let told = done(&desk.run(&check).await);
    for part in [
        "configuration",
        "deployment file",
        "database",
        "logins",
        "provider 127.0.0.1",
        "quorum",
        "templates",
    ] {
        assert!(told.contains(&format!("ok     {part}")), "{part} in {told}");
    }
    let one = desk.bench.chain.node.url().to_string();
    let (code, told) = failed(&desk.run_with(&check, &[("TIDEWATCH_QUORUM", "2")]).await);
    assert_eq!(code, 2);
    assert!(
        told.contains("TIDEWATCH_RPC_URLS names nodes of 1 different operators"),
        "{told}"
    );

    let other = Node::start().await;
    deployed_anew(&other).await;
    let mut other_file = desk.bench.chain.deployment.clone();
    other_file.template_ids = vec![alloy::primitives::B256::repeat_byte(7)];
    std::fs::write(desk.keeper(), other_file.to_yaml().unwrap()).unwrap();
    let away = liar::before(other.url(), "localhost", &Lies::default()).await;
    let urls = format!("{one},http://{}/,http://127.0.0.1:9/", away.name());
    let output = desk
        .run_with(&check, &[("TIDEWATCH_RPC_URLS", &urls)])
        .await;
    let (code, summary) = failed(&output);
    assert_eq!(code, 1);
    assert!(
        summary.contains("3 parts are not as they must be"),
        "{summary}"
    );
    let told = String::from_utf8(output.stdout).unwrap();
    let line = |part: &str| {
        let found = told.lines().find(|line| line.contains(part));
        found
            .unwrap_or_else(|| panic!("no {part} in {told}"))
            .to_owned()
    };
    assert!(
        line("provider localhost").contains("give it a database of its own"),
        "{told}"
    );
    assert!(line("provider 127.0.0.1:9").starts_with("wrong"), "{told}");
    assert!(
        line("templates").contains("is not approved on chain"),
        "{told}"
    );
}
