//! Workflows in the engine that no job has on record.

use std::time::Duration;

use tidewatch::fault::Fault;
use tidewatch::scheduler::{Dispatcher, DispatcherSettings, Observer};
use tidewatch::worker::Worker;

use super::bench::{Bench, Job, tick_until};
use super::engine::{Call, ScriptedEngine, When, Workflow};
use super::reaping::{collected, drain, reaper};

fn observer(bench: &Bench) -> Observer<ScriptedEngine> {
    Observer::new(bench.ledger.clone(), bench.deployment, bench.engine.clone())
        .sweeping_every(Duration::ZERO)
}

/// A job that is over and of which nothing is left, and what its workflow was.
async fn reaped(bench: &Bench) -> (Job, Workflow) {
    let job = collected(bench).await;
    let was = bench.engine.world().workflows[&job.name].clone();
    drain(&mut reaper(bench, Duration::ZERO)).await;
    bench.let_time_pass().await;
    drain(&mut reaper(bench, Duration::ZERO)).await;
    assert!(bench.engine.world().workflows.is_empty());
    (job, was)
}

/// A dispatcher that was stalled makes the workflow after all.
fn land_late(bench: &Bench, job: &Job, was: &Workflow, attempt: u32) {
    let late = Workflow {
        uid: "late".to_owned(),
        attempt,
        ..was.clone()
    };
    let mut world = bench.engine.world();
    world.workflows.insert(job.name.clone(), late);
}

/// A stray of that attempt, seen twice; and the job whose name it has.
async fn confirmed(bench: &Bench, attempt: u32) -> Job {
    let (job, was) = reaped(bench).await;
    land_late(bench, &job, &was, attempt);
    let mut observer = observer(bench);
    observer.tick().await.unwrap();
    observer.tick().await.unwrap();
    assert_eq!(strays(bench).await, [(true, false)]);
    job
}

async fn strays(bench: &Bench) -> Vec<(bool, bool)> {
    sqlx::query_as("SELECT confirmed_at IS NOT NULL, removed_at IS NOT NULL FROM ledger.strays")
        .fetch_all(&bench.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn an_inert_workflow_that_lands_after_its_job_was_reaped_is_removed_once_it_was_seen_twice() {
    let bench = Bench::new().await;
    let (job, was) = reaped(&bench).await;
    land_late(&bench, &job, &was, 0);
    let (mut observer, mut reaper) = (observer(&bench), reaper(&bench, Duration::ZERO));

    observer.tick().await.unwrap();
    drain(&mut reaper).await;
    assert_eq!(strays(&bench).await, [(false, false)]);
    assert_eq!(bench.engine.world().workflows.len(), 1, "seen once");

    observer.tick().await.unwrap();
    // It dies after the engine removed it.
    bench
        .engine
        .fail(Call::Remove, When::After, Fault::Transient);
    reaper.tick().await.unwrap_err();
    assert!(bench.engine.world().workflows.is_empty());
    assert_eq!(strays(&bench).await, [(true, false)]);
    drain(&mut reaper).await;
    assert_eq!(strays(&bench).await, [(true, true)]);
    assert_eq!(bench.column(&job, "removed").await.unwrap(), "true");
}

#[tokio::test]
async fn a_workflow_that_runs_is_left_to_whoever_started_it() {
    let bench = Bench::new().await;
    confirmed(&bench, 1).await;
    drain(&mut reaper(&bench, Duration::ZERO)).await;
    assert_eq!(bench.engine.world().workflows.len(), 1);
    assert_eq!(strays(&bench).await, [(false, false)], "to be seen again");
}

#[tokio::test]
async fn a_job_that_is_tried_again_is_not_given_a_stray_that_is_about_to_be_removed() {
    let bench = Bench::new().await;
    let job = confirmed(&bench, 0).await;

    // As the reaper queues it again, for another attempt.
    let again = "phase = 'queued', outcome = NULL, reason = NULL, finished_at = NULL, removed = false, released = false, workflow_uid = NULL";
    bench.alter(&job, again).await;
    let settings = DispatcherSettings::default();
    let mut dispatcher = Dispatcher::new(
        bench.ledger.clone(),
        bench.deployment,
        bench.engine.clone(),
        settings,
    );
    let starts = bench.engine.count(Call::Start, &job.name);
    dispatcher.tick().await.unwrap();
    assert_eq!(bench.column(&job, "workflow_uid").await, None);
    let mut reaper = reaper(&bench, Duration::ZERO);
    reaper.tick().await.unwrap();
    assert!(bench.engine.world().workflows.is_empty());
    reaper.tick().await.unwrap();
    assert_eq!(strays(&bench).await, [(true, true)]);
    tick_until(&mut dispatcher, async || {
        bench.let_time_pass().await;
        (bench.engine.count(Call::Start, &job.name) == starts + 1).then_some(())
    })
    .await;
    assert_ne!(bench.engine.world().workflows[&job.name].uid, "late");
}

#[tokio::test]
async fn a_workflow_that_its_dispatcher_has_not_recorded_yet_is_no_stray() {
    let bench = Bench::new().await;
    let job = bench.queue(1).await;
    bench
        .engine
        .fail(Call::Ensure, When::After, Fault::Transient);
    let settings = DispatcherSettings::default();
    let mut dispatcher = Dispatcher::new(
        bench.ledger.clone(),
        bench.deployment,
        bench.engine.clone(),
        settings,
    );
    dispatcher.tick().await.unwrap();
    assert!(bench.engine.world().workflows.contains_key(&job.name));
    let mut observer = observer(&bench);
    observer.tick().await.unwrap();
    observer.tick().await.unwrap();
    assert_eq!(strays(&bench).await, []);
}

#[tokio::test]
async fn a_list_that_fails_says_nothing() {
    let bench = Bench::new().await;
    let (job, was) = reaped(&bench).await;
    land_late(&bench, &job, &was, 0);
    let mut observer = observer(&bench);
    observer.tick().await.unwrap();
    bench
        .engine
        .fail(Call::List, When::Before, Fault::Transient);
    observer.tick().await.unwrap_err();
    assert_eq!(strays(&bench).await, [(false, false)]);
}
