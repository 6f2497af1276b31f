//! What becomes of a running job whose event leaves the chain, returns, or is gone for good.

use tidewatch::engine::Stage;
use tidewatch::fault::Fault;
use tidewatch::jobs::{Footing, Outcome, Phase, Reason};
use tidewatch::scheduler::{Collector, Dispatcher, DispatcherSettings, Observer};
use tidewatch::worker::Worker;

use super::bench::{Bench, Job, tick_until};
use super::engine::{Call, ScriptedEngine, When};
use super::observing::started;
use crate::support::dies_after;

fn dispatcher(bench: &Bench) -> Dispatcher<ScriptedEngine> {
    let (ledger, engine) = (bench.ledger.clone(), bench.engine.clone());
    Dispatcher::new(
        ledger,
        bench.deployment,
        engine,
        DispatcherSettings::default(),
    )
}

async fn observe(bench: &Bench) {
    let mut observer = Observer::new(bench.ledger.clone(), bench.deployment, bench.engine.clone());
    observer.tick().await.unwrap();
}

async fn running(bench: &Bench) -> Job {
    let job = started(bench).await;
    bench
        .engine
        .begin_stage(&job.name, Stage::Algorithm, Phase::Running);
    bench.engine.print(&job.name, b"so far so good\n");
    observe(bench).await;
    job
}

/// What the engine was told last.
fn told(bench: &Bench, job: &Job) -> Footing {
    bench.engine.world().workflows[&job.name].footing
}

async fn ended(bench: &Bench, job: &Job) -> Option<()> {
    let is_over = bench.status(job).await.phase == Phase::Finished;
    let is_released = bench.column(job, "released").await.unwrap() == "true";
    (is_over && is_released).then_some(())
}

async fn results(bench: &Bench) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM ledger.results")
        .fetch_one(&bench.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn results_wait_while_the_event_is_off_the_chain_and_are_shown_once_it_is_back() {
    let bench = Bench::new().await;
    let job = running(&bench).await;
    let mut dispatcher = dispatcher(&bench);
    dispatcher.tick().await.unwrap();
    assert_eq!(
        bench.engine.count(Call::Footing, &job.name),
        0,
        "nothing new"
    );
    bench.alter(&job, "block_canonical = false").await;
    dispatcher.tick().await.unwrap();
    assert_eq!(told(&bench, &job), Footing::Orphaned);
    assert_eq!(bench.status(&job).await.phase, Phase::Running);

    // Publishing had begun a moment before it was told to wait.
    bench
        .engine
        .begin_stage(&job.name, Stage::Publish, Phase::Publishing);
    bench.engine.end(&job.name, Outcome::Succeeded, None, true);
    observe(&bench).await;
    let mut collector =
        Collector::new(bench.ledger.clone(), bench.deployment, bench.engine.clone());
    let looked = bench.engine.world().calls.len();
    tick_until(&mut collector, async || {
        bench.let_delays_pass().await;
        let world = bench.engine.world();
        let looks = world.calls[looked..]
            .iter()
            .filter(|call| **call == Call::Observe);
        (looks.count() > 2).then_some(())
    })
    .await;
    assert_eq!(bench.status(&job).await.phase, Phase::Publishing);
    assert_eq!(results(&bench).await, 0);

    bench.alter(&job, "block_canonical = true").await;
    dispatcher.tick().await.unwrap();
    assert_eq!(told(&bench, &job), Footing::Canonical);
    tick_until(&mut collector, async || {
        bench.let_delays_pass().await;
        ended(&bench, &job).await
    })
    .await;
    assert_eq!(
        bench.history(&job).await.last().unwrap(),
        "finished succeeded"
    );
    assert_eq!(results(&bench).await, 1);
}

#[tokio::test]
async fn a_job_whose_event_is_gone_is_ended_with_its_log_and_without_results_wherever_we_die() {
    for polls in 0..40 {
        let bench = Bench::new().await;
        let job = running(&bench).await;
        bench
            .alter(&job, "block_canonical = false, withdrawn_attempt = 1")
            .await;
        // The decision stands in the ledger; whoever was to pass it on dies somewhere on the way.
        let done = dies_after(polls, dispatcher(&bench).tick()).await;
        dispatcher(&bench).tick().await.unwrap();
        dispatcher(&bench).tick().await.unwrap();
        assert_eq!(told(&bench, &job), Footing::Withdrawn);
        assert_eq!(bench.engine.count(Call::Footing, &job.name), 1);

        bench
            .engine
            .begin_stage(&job.name, Stage::Publish, Phase::Publishing);
        let reason = Some(Reason::EventWithdrawn);
        bench
            .engine
            .end(&job.name, Outcome::Withdrawn, reason, true);
        observe(&bench).await;
        let mut collector =
            Collector::new(bench.ledger.clone(), bench.deployment, bench.engine.clone());
        tick_until(&mut collector, async || ended(&bench, &job).await).await;
        assert_eq!(
            bench.history(&job).await.last().unwrap(),
            "finished withdrawn event_withdrawn"
        );
        assert_eq!(results(&bench).await, 0);
        let log = (b"so far so good\n".to_vec(), Some("complete".to_owned()));
        assert_eq!(bench.log(&job).await, log);
        assert_eq!(bench.engine.count(Call::Start, &job.name), 1);
        if done.is_some() {
            return;
        }
    }
    panic!("a tick that never ends");
}

#[tokio::test]
async fn results_that_were_published_too_early_are_not_recorded_once_the_event_is_gone() {
    let bench = Bench::new().await;
    let job = running(&bench).await;
    bench
        .engine
        .begin_stage(&job.name, Stage::Publish, Phase::Publishing);
    bench.engine.end(&job.name, Outcome::Succeeded, None, true);
    bench
        .alter(&job, "block_canonical = false, withdrawn_attempt = 1")
        .await;
    observe(&bench).await;
    let mut collector =
        Collector::new(bench.ledger.clone(), bench.deployment, bench.engine.clone());
    tick_until(&mut collector, async || ended(&bench, &job).await).await;
    assert_eq!(
        bench.history(&job).await.last().unwrap(),
        "finished withdrawn event_withdrawn"
    );
    assert_eq!(results(&bench).await, 0);
}

#[tokio::test]
async fn a_start_that_was_committed_when_the_event_went_is_ended_too() {
    let bench = Bench::new().await;
    let job = bench.queue(1).await;
    bench
        .engine
        .fail(Call::Start, When::Before, Fault::Transient);
    dispatcher(&bench).tick().await.unwrap();
    assert_eq!(bench.status(&job).await.phase, Phase::Configuring);
    bench
        .alter(&job, "block_canonical = false, withdrawn_attempt = 1")
        .await;
    dispatcher(&bench).tick().await.unwrap();
    assert_eq!(told(&bench, &job), Footing::Withdrawn, "before it runs");
    bench.let_time_pass().await;
    dispatcher(&bench).tick().await.unwrap();
    assert_eq!(bench.column(&job, "started_attempt").await.unwrap(), "1");
}

#[tokio::test]
async fn an_engine_that_cannot_be_told_is_told_later_and_starts_are_not_held_up() {
    let bench = Bench::new().await;
    let first = running(&bench).await;
    bench.alter(&first, "block_canonical = false").await;
    let second = bench.queue(1).await;
    bench
        .engine
        .fail(Call::Footing, When::Before, Fault::Transient);
    let mut dispatcher = dispatcher(&bench);
    dispatcher.tick().await.unwrap_err();
    assert_eq!(bench.engine.count(Call::Start, &second.name), 1);
    assert_eq!(told(&bench, &first), Footing::Canonical);
    dispatcher.tick().await.unwrap();
    assert_eq!(told(&bench, &first), Footing::Orphaned);
}
