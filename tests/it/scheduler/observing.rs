use std::time::Duration;

use tidewatch::engine::Stage;
use tidewatch::jobs::{Outcome, Phase, Reason, Status};
use tidewatch::scheduler::{Dispatcher, DispatcherSettings, Observer, forward_changes};
use tidewatch::worker::{Wake, Worker};
use tokio_util::sync::CancellationToken;

use super::bench::{Bench, Job, tick_until};
use super::engine::ScriptedEngine;

fn observer(bench: &Bench) -> Observer<ScriptedEngine> {
    Observer::new(bench.ledger.clone(), bench.deployment, bench.engine.clone())
}

pub(super) async fn started(bench: &Bench) -> Job {
    let job = bench.queue(1).await;
    let settings = DispatcherSettings::default();
    let mut dispatcher = Dispatcher::new(
        bench.ledger.clone(),
        bench.deployment,
        bench.engine.clone(),
        settings,
    );
    tick_until(&mut dispatcher, async || {
        (bench.column(&job, "started_attempt").await.unwrap() == "1").then_some(())
    })
    .await;
    job
}

#[tokio::test]
async fn phases_follow_the_stages_and_stop_before_the_end() {
    let bench = Bench::new().await;
    let job = started(&bench).await;
    let mut observer = observer(&bench);
    observer.tick().await.unwrap();
    bench
        .engine
        .begin_stage(&job.name, Stage::Configure, Phase::Configuring);
    observer.tick().await.unwrap();
    assert_eq!(bench.history(&job).await, ["queued", "configuring"]);
    bench
        .engine
        .begin_stage(&job.name, Stage::Algorithm, Phase::Running);
    observer.tick().await.unwrap();
    assert_eq!(bench.status(&job).await.phase, Phase::Running);
    bench
        .engine
        .begin_stage(&job.name, Stage::Publish, Phase::Publishing);
    bench.engine.end(&job.name, Outcome::Succeeded, None, true);
    for _ in 0..2 {
        observer.tick().await.unwrap();
        assert_eq!(
            bench.history(&job).await,
            ["queued", "configuring", "running", "publishing"]
        );
    }
    let (stages, ended): (serde_json::Value, bool) =
        sqlx::query_as("SELECT stages, finished_at IS NOT NULL FROM ledger.job_attempts")
            .fetch_one(&bench.pool)
            .await
            .unwrap();
    assert!(ended);
    assert_eq!(stages[1]["runner"], "pod-algorithm");
    assert!(bench.column(&job, "started_at").await.is_some());
}

#[tokio::test]
async fn a_late_observer_writes_the_same_history_and_two_write_it_once() {
    let bench = Bench::new().await;
    let job = started(&bench).await;
    bench
        .engine
        .begin_stage(&job.name, Stage::Configure, Phase::Configuring);
    bench
        .engine
        .begin_stage(&job.name, Stage::Algorithm, Phase::Running);
    bench
        .engine
        .begin_stage(&job.name, Stage::Publish, Phase::Publishing);
    let (mut one, mut other) = (observer(&bench), observer(&bench));
    let (first, second) = tokio::join!(one.tick(), other.tick());
    first.unwrap();
    second.unwrap();
    assert_eq!(
        bench.history(&job).await,
        ["queued", "configuring", "running", "publishing"]
    );
}

#[tokio::test]
async fn an_engine_that_cannot_be_seen_moves_nothing() {
    let bench = Bench::new().await;
    let job = started(&bench).await;
    let mut observer = observer(&bench).lost_after(Duration::ZERO);
    bench.engine.go_away();
    for _ in 0..3 {
        observer.tick().await.unwrap_err();
    }
    bench.engine.mend();
    observer.tick().await.unwrap();
    assert_eq!(bench.history(&job).await, ["queued", "configuring"]);
}

#[tokio::test]
async fn a_workflow_is_lost_only_when_it_is_missing_twice_some_time_apart() {
    let bench = Bench::new().await;
    let job = started(&bench).await;
    let mut observer = observer(&bench).lost_after(Duration::from_secs(3));
    let workflows = std::mem::take(&mut bench.engine.world().workflows);
    observer.tick().await.unwrap();
    observer.tick().await.unwrap();
    assert_eq!(
        bench.status(&job).await.phase,
        Phase::Configuring,
        "twice, but at once"
    );
    bench.engine.world().workflows = workflows;
    observer.tick().await.unwrap();

    bench.engine.world().workflows.clear();
    observer.tick().await.unwrap();
    assert_eq!(
        bench.status(&job).await.phase,
        Phase::Configuring,
        "the earlier sighting no longer counts"
    );
    tick_until(&mut observer, async || {
        (bench.status(&job).await.phase == Phase::Finished).then_some(())
    })
    .await;
    assert_eq!(
        bench.history(&job).await,
        ["queued", "configuring", "finished lost workflow_missing"]
    );
    assert_eq!(bench.log(&job).await, (Vec::new(), Some("gap".to_owned())));
}

#[tokio::test]
async fn another_workflow_under_the_same_name_is_not_ours() {
    let bench = Bench::new().await;
    let job = started(&bench).await;
    bench.engine.change(&job.name, |workflow| {
        workflow.uid = "somebody's".to_owned();
        workflow.status = Some(Status::of_phase(Phase::Running, 1));
    });
    let mut observer = observer(&bench).lost_after(Duration::ZERO);
    tick_until(&mut observer, async || {
        (bench.status(&job).await.phase == Phase::Finished).then_some(())
    })
    .await;
    assert_eq!(
        bench.history(&job).await.last().unwrap(),
        "finished lost workflow_missing"
    );
}

#[tokio::test]
async fn an_inert_workflow_that_disappears_before_its_start_is_lost_too() {
    let bench = Bench::new().await;
    let job = bench.queue(1).await;
    bench
        .alter(&job, "workflow_uid = 'gone', run_as = 10000")
        .await;
    let mut observer = observer(&bench).lost_after(Duration::ZERO);
    tick_until(&mut observer, async || {
        (bench.status(&job).await.phase == Phase::Finished).then_some(())
    })
    .await;
    assert_eq!(
        bench.status(&job).await,
        Status::finished(Outcome::Lost, Some(Reason::WorkflowMissing), 0)
    );
}

#[tokio::test]
async fn a_look_at_an_earlier_attempt_says_nothing_of_the_present_one() {
    let bench = Bench::new().await;
    let job = started(&bench).await;
    bench
        .engine
        .begin_stage(&job.name, Stage::Algorithm, Phase::Running);
    bench.alter(&job, "attempt = 2").await;
    observer(&bench).tick().await.unwrap();
    assert_eq!(bench.status(&job).await.phase, Phase::Configuring);
}

#[tokio::test]
async fn a_change_in_the_engine_wakes_the_workers() {
    let bench = Bench::new().await;
    let job = started(&bench).await;
    let (wake, stop) = (Wake::default(), CancellationToken::new());
    let forwarding = tokio::spawn(forward_changes(
        bench.engine.clone(),
        vec![wake.clone()],
        stop.clone(),
    ));
    let woken = wake.woken();
    let changing = async {
        loop {
            // The stream tells of changes after it was asked for; when that is, is the forwarder's affair.
            bench.engine.print(&job.name, b"x");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        () = woken => {}
        () = changing => {}
        () = tokio::time::sleep(Duration::from_secs(60)) => panic!("nobody was woken"),
    }
    stop.cancel();
    forwarding.await.unwrap();
}
