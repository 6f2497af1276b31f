//! What operators do to jobs on the command line, and how the workers carry it out.

use std::process::Output;
use std::time::Duration;

use serde_json::Value;
use tidewatch::engine::Stage;
use tidewatch::fault::Fault;
use tidewatch::jobs::{Outcome, Phase, Reason};
use tidewatch::scheduler::{
    Collector, Dispatcher, DispatcherSettings, Observer, Reaper, ReaperSettings,
};
use tidewatch::worker::{Progress, Worker};

use super::bench::{Bench, Job, spec, tick_until};
use super::engine::{Call, ScriptedEngine, When};
use super::observing::started;
use crate::support::service::TIDEWATCH;

async fn run(bench: &Bench, arguments: &[&str]) -> Output {
    tokio::process::Command::new(TIDEWATCH)
        .arg("jobs")
        .args(arguments)
        .env_clear()
        .env("DATABASE_URL", bench.url())
        .output()
        .await
        .unwrap()
}

async fn done(bench: &Bench, arguments: &[&str]) -> String {
    let output = run(bench, arguments).await;
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

async fn refused(bench: &Bench, arguments: &[&str]) -> String {
    let output = run(bench, arguments).await;
    assert!(!output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

async fn actions(bench: &Bench) -> Vec<(String, String, String)> {
    sqlx::query_as("SELECT action, subject, reason FROM ledger.operator_actions ORDER BY id")
        .fetch_all(&bench.pool)
        .await
        .unwrap()
}

fn dispatcher(bench: &Bench) -> Dispatcher<ScriptedEngine> {
    let settings = DispatcherSettings::default();
    Dispatcher::new(
        bench.ledger.clone(),
        bench.deployment,
        bench.engine.clone(),
        settings,
    )
}

async fn dispatch(bench: &Bench) {
    let mut worker = dispatcher(bench);
    while worker.tick().await.unwrap() == Progress::More {}
}

async fn running(bench: &Bench) -> Job {
    let job = started(bench).await;
    let engine = &bench.engine;
    engine.begin_stage(&job.name, Stage::Algorithm, Phase::Running);
    observe(bench).await;
    job
}

async fn observe(bench: &Bench) {
    let mut worker = Observer::new(bench.ledger.clone(), bench.deployment, bench.engine.clone());
    worker.tick().await.unwrap();
}

/// Collects the job, and waits until its workflow was let go of.
async fn collect(bench: &Bench, job: &Job) {
    observe(bench).await;
    let mut worker = Collector::new(bench.ledger.clone(), bench.deployment, bench.engine.clone());
    let released = async || {
        let released = bench.column(job, "released AND lease_token IS NULL").await;
        (released.unwrap() == "true").then_some(())
    };
    tick_until(&mut worker, released).await;
}

async fn reap(bench: &Bench) {
    let mut worker = Reaper::new(
        bench.ledger.clone(),
        bench.deployment,
        bench.engine.clone(),
        ReaperSettings {
            delay: Duration::from_secs(3600),
        },
    );
    while worker.tick().await.unwrap() == Progress::More {}
}

#[tokio::test]
async fn a_running_job_is_stopped_by_way_of_the_engine_which_is_told_until_it_has_heard() {
    let bench = Bench::new().await;
    let job = running(&bench).await;
    let name = job.name.as_str();
    assert!(refused(&bench, &["stop", name]).await.contains("--reason"));
    let told = done(&bench, &["stop", name, "--dry-run"]).await;
    assert!(told.contains("would be stopped"), "{told}");
    dispatch(&bench).await;
    assert_eq!(bench.engine.count(Call::Stop, &job.name), 0);

    done(&bench, &["stop", name, "--reason", "it eats the disk"]).await;
    // It dies before, and just after, the engine did it.
    bench
        .engine
        .fail(Call::Stop, When::Before, Fault::Transient);
    dispatch(&bench).await;
    assert_eq!(bench.engine.count(Call::Stop, &job.name), 0);
    bench.engine.fail(Call::Stop, When::After, Fault::Transient);
    dispatch(&bench).await;
    dispatch(&bench).await;
    dispatch(&bench).await;
    let asked = bench
        .engine
        .world()
        .calls
        .iter()
        .filter(|call| **call == Call::Stop)
        .count();
    assert_eq!(asked, 3, "told until it was heard, and not again");
    assert_eq!(bench.engine.count(Call::Stop, &job.name), 1);
    assert_eq!(bench.status(&job).await.phase, Phase::Running);

    bench.engine.print(&job.name, b"last words\n");
    let reason = Some(Reason::StoppedByOperator);
    bench.engine.end(&job.name, Outcome::Stopped, reason, true);
    collect(&bench, &job).await;
    let history = bench.history(&job).await;
    assert_eq!(
        history.last().unwrap(),
        "finished stopped stopped_by_operator"
    );
    assert_eq!(done(&bench, &["logs", name]).await, "last words\n");
    let action = ("jobs stop", name, "it eats the disk");
    let action = (
        action.0.to_owned(),
        action.1.to_owned(),
        action.2.to_owned(),
    );
    assert_eq!(actions(&bench).await, [action]);
    let again = refused(&bench, &["stop", name, "--reason", "again"]).await;
    assert!(again.contains("is over already"), "{again}");
}

#[tokio::test]
async fn a_job_that_waits_is_stopped_at_once_and_never_started() {
    let bench = Bench::new().await;
    let job = bench.queue(1).await;
    done(
        &bench,
        &["stop", job.name.as_str(), "--reason", "not today"],
    )
    .await;
    dispatch(&bench).await;
    assert_eq!(bench.engine.count(Call::Ensure, &job.name), 0);
    let history = bench.history(&job).await;
    assert_eq!(history, ["queued", "finished stopped stopped_by_operator"]);
    let never = refused(&bench, &["retry", job.name.as_str(), "--reason", "x"]).await;
    assert!(never.contains("was never run"), "{never}");
}

#[tokio::test]
async fn a_retry_is_a_new_attempt_in_a_workflow_of_its_own_once_the_old_one_is_gone() {
    let bench = Bench::new().await;
    let job = running(&bench).await;
    let name = job.name.as_str();
    let early = refused(&bench, &["retry", name, "--reason", "x"]).await;
    assert!(early.contains("is not over"), "{early}");
    bench.engine.print(&job.name, b"first\n");
    let failed = Some(Reason::AlgorithmFailed);
    bench.engine.end(&job.name, Outcome::Failed, failed, true);
    collect(&bench, &job).await;
    reap(&bench).await;
    assert_eq!(
        bench.engine.count(Call::Remove, &job.name),
        0,
        "not for an hour"
    );

    done(&bench, &["retry", name, "--reason", "the node was sick"]).await;
    dispatch(&bench).await;
    assert_eq!(
        bench.engine.count(Call::Start, &job.name),
        1,
        "not beside the old one"
    );
    bench
        .engine
        .fail(Call::Remove, When::After, Fault::Transient);
    reap(&bench).await;
    bench.let_time_pass().await;
    reap(&bench).await;
    assert_eq!(bench.engine.count(Call::Remove, &job.name), 1);
    assert_eq!(bench.status(&job).await.phase, Phase::Queued);
    dispatch(&bench).await;
    assert_eq!(bench.engine.count(Call::Ensure, &job.name), 2);
    assert_eq!(bench.engine.count(Call::Start, &job.name), 2);
    let workflow = bench.engine.world().workflows[&job.name].clone();
    assert_eq!((workflow.attempt, workflow.plan.attempts_before), (2, 1));
    assert_eq!(bench.status(&job).await.attempt, 2);
    dispatch(&bench).await;
    assert_eq!(bench.engine.count(Call::Start, &job.name), 2);

    let shown = done(&bench, &["show", name, "--json"]).await;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let attempts = shown["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 2);
    let phases = shown["transitions"].as_array().unwrap();
    assert_eq!(phases.last().unwrap()["phase"], "configuring");
}

#[tokio::test]
async fn a_review_ends_with_a_release_or_with_a_stop() {
    let bench = Bench::new().await;
    for (command, outcome) in [
        ("release", "finished succeeded"),
        ("stop", "finished stopped stopped_by_operator"),
    ] {
        let mut reviewed = spec();
        reviewed.release.review = true;
        let job = bench.queue_with(1, reviewed).await;
        let name = job.name.as_str();
        let early = refused(&bench, &["release", name, "--reason", "x"]).await;
        assert!(early.contains("does not wait for a review"), "{early}");
        dispatch(&bench).await;
        let engine = &bench.engine;
        engine.begin_stage(&job.name, Stage::Algorithm, Phase::Running);
        engine.print(&job.name, b"words\n");
        observe(&bench).await;
        engine.end(&job.name, Outcome::Succeeded, None, true);
        collect(&bench, &job).await;
        assert_eq!(bench.history(&job).await.last().unwrap(), "awaiting_review");
        bench.alter(&job, "block_canonical = false").await;
        let orphaned = refused(&bench, &["release", name, "--reason", "x"]).await;
        assert!(orphaned.contains("not on the chain"), "{orphaned}");
        assert_eq!(bench.history(&job).await.last().unwrap(), "awaiting_review");
        bench.alter(&job, "block_canonical = true").await;
        done(&bench, &[command, name, "--reason", "looked at it"]).await;
        assert_eq!(bench.history(&job).await.last().unwrap(), outcome);
    }
    let listed = done(&bench, &["list", "--outcome", "succeeded"]).await;
    assert_eq!(listed.lines().count(), 1, "{listed}");
}

#[tokio::test]
async fn a_job_that_failed_and_waits_for_its_review_has_failed_once_it_is_released() {
    let bench = Bench::new().await;
    let mut reviewed = spec();
    reviewed.release.review = true;
    let job = bench.queue_with(1, reviewed).await;
    dispatch(&bench).await;
    let engine = &bench.engine;
    engine.begin_stage(&job.name, Stage::Algorithm, Phase::Running);
    engine.print(&job.name, b"words\n");
    observe(&bench).await;
    let reason = Some(Reason::TimeExceeded);
    engine.end(&job.name, Outcome::TimedOut, reason, true);
    collect(&bench, &job).await;
    let waiting = bench.history(&job).await;
    assert_eq!(waiting.last().unwrap(), "awaiting_review time_exceeded");
    done(&bench, &["release", job.name.as_str(), "--reason", "fine"]).await;
    let released = bench.history(&job).await;
    assert_eq!(released.last().unwrap(), "finished timed_out time_exceeded");
}

#[tokio::test]
async fn an_erasure_takes_the_bytes_and_leaves_their_hash() {
    let bench = Bench::new().await;
    let job = running(&bench).await;
    let name = job.name.as_str();
    bench.engine.print(&job.name, b"private\n");
    bench.engine.end(&job.name, Outcome::Succeeded, None, true);
    collect(&bench, &job).await;
    let store = tempfile::tempdir().unwrap();
    let address = format!("file://{}", store.path().display());
    let erase = [
        "erase",
        name,
        "--reason",
        "the court said so",
        "--results-url",
        &address,
    ];
    let development = refused(&bench, &erase).await;
    assert!(
        development.contains("no address of an object store"),
        "{development}"
    );
    assert_eq!(
        done(&bench, &["logs", name]).await,
        "private\n",
        "nothing was done"
    );

    let server = crate::support::required("TIDEWATCH_TEST_S3");
    let bucket = format!("erase-{}", &uuid::Uuid::new_v4().to_string()[..8]);
    let put = |path: String, body: &'static str| {
        let request = reqwest::Client::new().put(format!("{server}/{bucket}{path}"));
        async move {
            let answer = request.body(body).send().await.unwrap();
            answer.error_for_status().unwrap()
        }
    };
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    put(String::new(), "").await;
    for key in [
        format!("/out/{name}/1/outputs/a"),
        format!("/out/{name}/2/record/algorithm"),
        "/out/job-other/1/x".to_owned(),
    ] {
        put(key, "bytes").await;
    }
    let address = format!("s3://{bucket}/out");
    let output = tokio::process::Command::new(TIDEWATCH)
        .args(["jobs", "erase", name, "--reason", "the court said so"])
        .env_clear()
        .env("DATABASE_URL", bench.url())
        .env("TIDEWATCH_RESULTS_URL", &address)
        .envs(crate::support::cluster::store_options())
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("and 2 objects"), "{told}");
    let gone = refused(&bench, &["logs", name]).await;
    assert!(gone.contains("were erased"), "{gone}");
    let (chunks, hashes): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM ledger.job_log_chunks), (SELECT count(sha256) FROM ledger.job_logs)",
    )
    .fetch_one(&bench.pool)
    .await
    .unwrap();
    assert_eq!((chunks, hashes), (0, 1));
}

#[tokio::test]
async fn what_the_filter_left_is_collected_beside_the_log_itself() {
    let bench = Bench::new().await;
    let job = running(&bench).await;
    bench.engine.print(&job.name, b"secret\nfine\n");
    bench.engine.end_filtered(&job.name, b"fine\n");
    collect(&bench, &job).await;
    let name = job.name.as_str();
    assert_eq!(done(&bench, &["logs", name]).await, "secret\nfine\n");
    assert_eq!(
        done(&bench, &["logs", name, "--stage", "filter"]).await,
        "fine\n"
    );
}
