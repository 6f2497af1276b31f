use std::time::Duration;

use tidewatch::fault::Fault;
use tidewatch::jobs::Phase;
use tidewatch::ledger::dispatch::Caps;
use tidewatch::scheduler::{Dispatcher, DispatcherSettings};
use tidewatch::worker::{Progress, Worker};

use super::bench::{Bench, Job, tick_until};
use super::engine::{Call, ScriptedEngine, When};
use crate::support::dies_after;

fn dispatcher(bench: &Bench) -> Dispatcher<ScriptedEngine> {
    dispatcher_with(bench, DispatcherSettings::default())
}

pub(super) fn dispatcher_with(
    bench: &Bench,
    settings: DispatcherSettings,
) -> Dispatcher<ScriptedEngine> {
    Dispatcher::new(
        bench.ledger.clone(),
        bench.deployment,
        bench.engine.clone(),
        settings,
    )
}

pub(super) const fn caps(window: u32) -> Caps {
    Caps {
        window,
        of_payer: window,
        of_asset: window,
    }
}

/// Ticks until nothing is left to do.
pub(super) async fn drain(worker: &mut Dispatcher<ScriptedEngine>) {
    while worker.tick().await.unwrap() == Progress::More {}
}

/// The job was made once, started once, and the ledger says so.
async fn assert_started_once(bench: &Bench, job: &Job) {
    assert_eq!(bench.engine.count(Call::Ensure, &job.name), 1);
    assert_eq!(bench.engine.count(Call::Start, &job.name), 1);
    assert_eq!(bench.history(job).await, ["queued", "configuring"]);
    assert_eq!(bench.column(job, "started_attempt").await.unwrap(), "1");
    let workflow = bench.engine.world().workflows[&job.name].clone();
    assert_eq!(
        bench.column(job, "workflow_uid").await.unwrap(),
        workflow.uid
    );
    assert_eq!(
        bench.column(job, "run_as").await.unwrap(),
        workflow.plan.run_as.to_string()
    );
    let held = bench
        .column(job, "coalesce(lease_until > clock_timestamp(), false)")
        .await;
    assert_eq!(held.unwrap(), "false");
}

#[tokio::test]
async fn a_queued_job_is_made_inert_recorded_and_started() {
    let bench = Bench::new().await;
    let job = bench.queue(1).await;
    drain(&mut dispatcher(&bench)).await;
    assert_started_once(&bench, &job).await;
    assert_eq!(bench.status(&job).await.attempt, 1);
    let attempts: i64 = sqlx::query_scalar("SELECT count(*) FROM ledger.job_attempts")
        .fetch_one(&bench.pool)
        .await
        .unwrap();
    assert_eq!(attempts, 1);
}

#[tokio::test]
async fn a_dispatcher_that_dies_at_any_moment_starts_every_job_once() {
    let bench = Bench::new().await;
    let mut finished = false;
    let mut polls = 1;
    while !finished {
        let job = bench.queue(1).await;
        let mut worker = dispatcher(&bench);
        finished = dies_after(polls, worker.tick()).await.is_some();
        drop(worker);
        // What it sent last may still land, so its lease may run out more than once.
        tick_until(&mut dispatcher(&bench), async || {
            bench.let_time_pass().await;
            (bench.column(&job, "started_attempt").await.unwrap() == "1").then_some(())
        })
        .await;
        // What was healed is not healed again.
        bench.let_time_pass().await;
        drain(&mut dispatcher(&bench)).await;
        assert_started_once(&bench, &job).await;
        bench.alter(&job, "removed = true").await;
        polls += 1;
    }
    assert!(polls > 10, "it died at {polls} moments");
}

#[tokio::test]
async fn an_engine_that_fails_before_or_after_an_effect_is_asked_again_later() {
    let bench = Bench::new().await;
    for call in [Call::Ensure, Call::Start] {
        for when in [When::Before, When::After] {
            let job = bench.queue(1).await;
            bench.engine.fail(call, when, Fault::Transient);
            drain(&mut dispatcher(&bench)).await;
            assert_eq!(bench.column(&job, "lease_failures").await.unwrap(), "1");
            assert_eq!(
                bench
                    .column(&job, "not_before > clock_timestamp()")
                    .await
                    .unwrap(),
                "true"
            );
            bench.let_time_pass().await;
            drain(&mut dispatcher(&bench)).await;
            assert_started_once(&bench, &job).await;
        }
    }
    assert!(bench.parked().await.is_empty());
}

#[tokio::test]
async fn two_dispatchers_at_once_start_each_job_once_and_keep_the_window() {
    let bench = Bench::new().await;
    let mut jobs = Vec::new();
    for number in 1..=20 {
        jobs.push(bench.queue(number).await);
    }
    let settings = DispatcherSettings {
        caps: caps(13),
        concurrency: 3,
        ..DispatcherSettings::default()
    };
    let (mut one, mut other) = (
        dispatcher_with(&bench, settings.clone()),
        dispatcher_with(&bench, settings),
    );
    tokio::join!(drain(&mut one), drain(&mut other));
    let (started, waiting) = jobs.split_at(13);
    let mut users = std::collections::HashSet::new();
    for job in started {
        assert_started_once(&bench, job).await;
        assert!(users.insert(bench.column(job, "run_as").await));
    }
    for job in waiting {
        assert_eq!(
            bench.engine.count(Call::Ensure, &job.name),
            0,
            "oldest first, and no more than the window"
        );
    }
    // One that is over makes room for the next.
    bench
        .alter(
            &jobs[0],
            "phase = 'finished', outcome = 'succeeded', finished_at = now()",
        )
        .await;
    drain(&mut one).await;
    assert_started_once(&bench, &waiting[0]).await;
    assert_eq!(bench.engine.count(Call::Ensure, &waiting[1].name), 0);
}

#[tokio::test]
async fn a_stalled_dispatcher_that_lands_late_starts_nothing_and_leaves_nothing() {
    let bench = Bench::new().await;
    let job = bench.queue(1).await;
    let gate = bench.engine.stall_ensure();
    let mut stalled = dispatcher(&bench);
    let stalled = tokio::spawn(async move { stalled.tick().await.map(|_| ()) });
    while !bench.engine.world().calls.contains(&Call::Ensure) {
        tokio::task::yield_now().await;
    }
    // Its lease runs out, and another runs the whole job; its workflow is removed.
    bench.let_time_pass().await;
    drain(&mut dispatcher(&bench)).await;
    assert_started_once(&bench, &job).await;
    bench.engine.world().workflows.clear();
    bench
        .alter(
            &job,
            "phase = 'finished', outcome = 'succeeded', finished_at = now(), removed = true",
        )
        .await;

    gate.notify_one();
    stalled.await.unwrap().unwrap();
    assert_eq!(bench.engine.count(Call::Start, &job.name), 1);
    assert_eq!(
        bench.engine.count(Call::Ensure, &job.name),
        2,
        "it did land"
    );
    assert!(
        bench.engine.world().workflows.is_empty(),
        "and was removed again"
    );
    assert_eq!(bench.column(&job, "workflow_uid").await.unwrap(), "uid-1");
}

#[tokio::test]
async fn only_what_may_start_is_started() {
    let bench = Bench::new().await;
    let conditions = [
        ("block_canonical = false", "block_canonical = true"),
        ("block_number = 101", "block_number = 100"),
        ("owed_block = 101", "owed_block = 100"),
        (
            "not_before = now() + interval '1 hour'",
            "not_before = now()",
        ),
        (
            "lease_token = gen_random_uuid(), lease_until = now() + interval '1 hour'",
            "lease_token = NULL, lease_until = NULL",
        ),
        ("phase = 'undecided'", "phase = 'queued'"),
    ];
    let mut worker = dispatcher(&bench);
    for (prevents, allows) in conditions {
        let job = bench.queue(1).await;
        bench.alter(&job, prevents).await;
        drain(&mut worker).await;
        assert_eq!(bench.engine.count(Call::Ensure, &job.name), 0, "{prevents}");
        bench.alter(&job, allows).await;
        drain(&mut worker).await;
        assert_started_once(&bench, &job).await;
    }
    let unspecified = bench.insert_job(1).await;
    let around = [
        (
            "UPDATE ledger.cursors SET halt = 'rollback', halted_at = now()",
            "UPDATE ledger.cursors SET halt = NULL, halted_at = NULL",
        ),
        (
            "UPDATE ledger.cursors SET act_number = 4",
            "UPDATE ledger.cursors SET act_number = 5",
        ),
        (
            "UPDATE ledger.cursors SET act_number = NULL",
            "UPDATE ledger.cursors SET act_number = 5",
        ),
        (
            "UPDATE ledger.cursors SET verified_number = 4",
            "UPDATE ledger.cursors SET verified_number = 5",
        ),
        (
            "INSERT INTO ledger.operator_actions (action, subject, reason) VALUES ('pause', '1', 'test')",
            "INSERT INTO ledger.operator_actions (action, subject, reason) VALUES ('resume', '1', 'test')",
        ),
    ];
    for (prevents, allows) in around {
        let job = bench.queue(5).await;
        bench.execute(prevents).await;
        drain(&mut worker).await;
        assert_eq!(bench.engine.count(Call::Ensure, &job.name), 0, "{prevents}");
        bench.execute(allows).await;
        drain(&mut worker).await;
        assert_started_once(&bench, &job).await;
    }
    assert_eq!(bench.engine.count(Call::Ensure, &unspecified.name), 0);
}

#[tokio::test]
async fn a_job_that_may_no_longer_start_keeps_its_inert_workflow_and_starts_when_it_may() {
    let bench = Bench::new().await;
    let job = bench.queue(1).await;
    bench
        .engine
        .fail(Call::Ensure, When::After, Fault::Transient);
    drain(&mut dispatcher(&bench)).await;
    bench.alter(&job, "block_canonical = false").await;
    bench.let_time_pass().await;
    drain(&mut dispatcher(&bench)).await;
    assert_eq!(bench.history(&job).await, ["queued"]);
    bench.alter(&job, "block_canonical = true").await;
    drain(&mut dispatcher(&bench)).await;
    assert_started_once(&bench, &job).await;
}

#[tokio::test]
async fn what_the_engine_refuses_for_good_is_parked_where_operators_see_it() {
    let bench = Bench::new().await;
    let job = bench.queue(1).await;
    bench
        .engine
        .fail(Call::Ensure, When::Before, Fault::Rejected);
    drain(&mut dispatcher(&bench)).await;
    let other = bench.queue(2).await;
    drain(&mut dispatcher(&bench)).await;
    assert_started_once(&bench, &other).await;
    let (key, reason) = bench.parked().await.pop().unwrap();
    assert_eq!(key, job.name.as_str());
    assert!(
        reason.starts_with("could not make the workflow"),
        "{reason}"
    );

    let tried = bench.engine.count(Call::Ensure, &job.name);
    bench.let_time_pass().await;
    drain(&mut dispatcher(&bench)).await;
    assert_eq!(
        bench.engine.count(Call::Ensure, &job.name),
        tried,
        "it is left alone"
    );
    bench
        .execute("UPDATE ledger.parked SET replayed_at = now()")
        .await;
    drain(&mut dispatcher(&bench)).await;
    assert_started_once(&bench, &job).await;
}

#[tokio::test]
async fn a_running_workflow_that_this_ledger_did_not_start_is_never_adopted() {
    let bench = Bench::new().await;
    let job = bench.queue(1).await;
    bench
        .engine
        .fail(Call::Ensure, When::After, Fault::Transient);
    drain(&mut dispatcher(&bench)).await;
    bench
        .engine
        .change(&job.name, |workflow| workflow.attempt = 1);
    bench.let_time_pass().await;
    drain(&mut dispatcher(&bench)).await;
    assert_eq!(bench.status(&job).await.phase, Phase::Queued);
    assert!(bench.parked().await[0].1.contains("never started"));
}

#[tokio::test]
async fn a_recorded_workflow_that_is_gone_is_never_made_again() {
    let bench = Bench::new().await;
    let job = bench.queue(1).await;
    bench
        .engine
        .fail(Call::Start, When::Before, Fault::Transient);
    drain(&mut dispatcher(&bench)).await;
    bench.engine.world().workflows.clear();
    for _ in 0..3 {
        bench.let_time_pass().await;
        drain(&mut dispatcher(&bench)).await;
    }
    assert_eq!(bench.engine.count(Call::Ensure, &job.name), 1);
    assert_eq!(bench.engine.count(Call::Start, &job.name), 0);
}

#[tokio::test]
async fn jobs_whose_names_ask_for_the_same_user_get_different_ones() {
    let bench = Bench::new().await;
    let job = bench.queue(1).await;
    let digits = &job.name.as_str()["job-".len()..][..8];
    let wanted = 10_000 + u32::from_str_radix(digits, 16).unwrap() % 55_000;
    let other = bench.queue(2).await;
    bench
        .alter(&other, &format!("phase = 'undecided', run_as = {wanted}"))
        .await;
    drain(&mut dispatcher(&bench)).await;
    assert_started_once(&bench, &job).await;
    let next = 10_000 + (wanted - 10_000 + 1) % 55_000;
    assert_eq!(
        bench.column(&job, "run_as").await.unwrap(),
        next.to_string()
    );
}

#[tokio::test]
async fn a_step_is_cut_off_before_its_lease_ends() {
    let bench = Bench::new().await;
    let job = bench.queue(1).await;
    let never = bench.engine.stall_ensure();
    let settings = DispatcherSettings {
        lease: Duration::from_millis(2100),
        ..DispatcherSettings::default()
    };
    let mut worker = dispatcher_with(&bench, settings);
    assert_eq!(worker.tick().await.unwrap(), Progress::More);
    assert_eq!(bench.column(&job, "lease_failures").await.unwrap(), "1");
    assert!(bench.column(&job, "lease_token").await.is_none());
    drop(never);
    // One that has as long as usual: on a busy machine the rest of a step may take longer than the tenth of a second above.
    let mut unhurried = dispatcher(&bench);
    tick_until(&mut unhurried, async || {
        (bench.engine.count(Call::Start, &job.name) == 1).then_some(())
    })
    .await;
    assert_started_once(&bench, &job).await;
}
