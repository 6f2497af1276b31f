use std::time::Duration;

use tidewatch::fault::Fault;
use tidewatch::jobs::{Outcome, Reason, Status};
use tidewatch::ledger::{self, status};
use tidewatch::scheduler::{Collector, Dispatcher, DispatcherSettings, Reaper, ReaperSettings};
use tidewatch::worker::{Progress, Worker};

use super::bench::{Bench, Job, tick_until};
use super::engine::{Call, ScriptedEngine, When};
use super::observing::started;

pub(super) fn reaper(bench: &Bench, delay: Duration) -> Reaper<ScriptedEngine> {
    Reaper::new(
        bench.ledger.clone(),
        bench.deployment,
        bench.engine.clone(),
        ReaperSettings { delay },
    )
}

pub(super) async fn drain(worker: &mut Reaper<ScriptedEngine>) {
    while worker.tick().await.unwrap() == Progress::More {}
}

pub(super) async fn collected(bench: &Bench) -> Job {
    let job = started(bench).await;
    bench.engine.end(
        &job.name,
        Outcome::Failed,
        Some(Reason::DataProvisioningFailed),
        false,
    );
    bench
        .execute("UPDATE ledger.job_attempts SET finished_at = now()")
        .await;
    let mut collector =
        Collector::new(bench.ledger.clone(), bench.deployment, bench.engine.clone());
    tick_until(&mut collector, async || {
        (bench
            .column(&job, "released AND lease_token IS NULL")
            .await
            .unwrap()
            == "true")
            .then_some(())
    })
    .await;
    job
}

/// As the judge would: the job is judged away, or back.
async fn judge(bench: &Bench, job: &Job, verdict: Status) {
    let mut transaction = bench.ledger.begin().await.unwrap();
    let mut locked = status::lock(&mut transaction, job.id).await.unwrap();
    status::advance(&mut transaction, &mut locked, verdict, "judge")
        .await
        .unwrap();
    ledger::commit(transaction).await.unwrap();
}

const REFUSED: Status = Status::finished(Outcome::Refused, Some(Reason::EscrowAborted), 0);

#[tokio::test]
async fn a_collected_workflow_stays_for_a_while_and_is_then_removed() {
    let bench = Bench::new().await;
    let job = collected(&bench).await;
    drain(&mut reaper(&bench, Duration::from_secs(300))).await;
    assert_eq!(bench.engine.count(Call::Remove, &job.name), 0);

    bench
        .engine
        .fail(Call::Remove, When::After, Fault::Transient);
    drain(&mut reaper(&bench, Duration::ZERO)).await;
    assert_eq!(bench.column(&job, "removed").await.unwrap(), "false");
    bench.let_time_pass().await;
    drain(&mut reaper(&bench, Duration::ZERO)).await;
    assert_eq!(bench.column(&job, "removed").await.unwrap(), "true");
    assert_eq!(bench.engine.count(Call::Remove, &job.name), 1);
    assert!(
        bench.column(&job, "workflow_uid").await.is_some(),
        "it did run, and the ledger remembers"
    );
}

#[tokio::test]
async fn nothing_is_removed_before_it_was_collected() {
    let bench = Bench::new().await;
    let job = collected(&bench).await;
    bench.alter(&job, "released = false").await;
    drain(&mut reaper(&bench, Duration::ZERO)).await;
    assert_eq!(bench.engine.count(Call::Remove, &job.name), 0);
}

#[tokio::test]
async fn a_job_that_never_came_near_the_engine_is_removed_at_once() {
    let bench = Bench::new().await;
    let job = bench.queue(1).await;
    judge(&bench, &job, REFUSED).await;
    drain(&mut reaper(&bench, Duration::from_secs(300))).await;
    assert_eq!(bench.column(&job, "removed").await.unwrap(), "true");
    assert!(bench.engine.world().calls.is_empty());
}

#[tokio::test]
async fn an_inert_workflow_of_a_job_that_was_judged_away_is_removed_and_the_job_may_come_back() {
    let bench = Bench::new().await;
    let job = bench.queue(1).await;
    // The dispatcher made it and died before its uid was recorded.
    bench
        .engine
        .fail(Call::Ensure, When::After, Fault::Transient);
    let mut dispatcher = Dispatcher::new(
        bench.ledger.clone(),
        bench.deployment,
        bench.engine.clone(),
        DispatcherSettings::default(),
    );
    dispatcher.tick().await.unwrap();
    judge(&bench, &job, REFUSED).await;
    let mut reaper = reaper(&bench, Duration::ZERO);
    tick_until(&mut reaper, async || {
        bench.let_time_pass().await;
        (bench.column(&job, "removed").await.unwrap() == "true").then_some(())
    })
    .await;
    assert!(bench.engine.world().workflows.is_empty());

    judge(
        &bench,
        &job,
        Status::of_phase(tidewatch::jobs::Phase::Queued, 0),
    )
    .await;
    assert_eq!(bench.column(&job, "removed").await.unwrap(), "false");
    tick_until(&mut dispatcher, async || {
        (bench.engine.count(Call::Start, &job.name) == 1).then_some(())
    })
    .await;
    assert_eq!(
        bench.history(&job).await,
        [
            "queued",
            "finished refused escrow_aborted",
            "queued",
            "configuring"
        ]
    );
}
