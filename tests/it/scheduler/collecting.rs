use tidewatch::engine::Stage;
use tidewatch::fault::Fault;
use tidewatch::jobs::{Outcome, Phase, Reason};
use tidewatch::scheduler::{Collector, Observer};
use tidewatch::worker::Worker;

use super::bench::{Bench, Job, LOG_LIMIT, spec, tick_until};
use super::engine::{Call, ScriptedEngine, When};
use super::observing::started;

fn collector(bench: &Bench) -> Collector<ScriptedEngine> {
    Collector::new(bench.ledger.clone(), bench.deployment, bench.engine.clone())
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
    observe(bench).await;
    job
}

async fn publish(bench: &Bench, job: &Job) {
    bench
        .engine
        .begin_stage(&job.name, Stage::Publish, Phase::Publishing);
    bench.engine.end(&job.name, Outcome::Succeeded, None, true);
}

async fn released(bench: &Bench, job: &Job) -> Option<()> {
    let done = bench
        .column(job, "released AND lease_token IS NULL")
        .await
        .unwrap()
        == "true";
    done.then_some(())
}

/// Bytes that tell of a gap, a repetition or a swap.
fn text(lines: std::ops::Range<usize>) -> Vec<u8> {
    lines
        .flat_map(|line| format!("line {line}\n").into_bytes())
        .collect()
}

#[tokio::test]
async fn the_log_is_copied_while_it_is_written_and_replaced_by_the_record() {
    let bench = Bench::new().await;
    let job = running(&bench).await;
    let mut worker = collector(&bench);
    bench.engine.print(&job.name, &text(0..10));
    tick_until(&mut worker, async || {
        (bench.log(&job).await.0 == text(0..10)).then_some(())
    })
    .await;
    assert_eq!(bench.log(&job).await.1, None, "a preview");
    bench.engine.print(&job.name, &text(10..20_000));
    tick_until(&mut worker, async || {
        (bench.log(&job).await.0 == text(0..20_000)).then_some(())
    })
    .await;
    publish(&bench, &job).await;
    tick_until(&mut worker, async || released(&bench, &job).await).await;

    assert_eq!(
        bench.log(&job).await,
        (text(0..20_000), Some("complete".to_owned()))
    );
    assert_eq!(
        bench.history(&job).await,
        [
            "queued",
            "configuring",
            "running",
            "publishing",
            "finished succeeded"
        ]
    );
    let (key, files): (String, i32) =
        sqlx::query_as("SELECT manifest_key, files FROM ledger.results")
            .fetch_one(&bench.pool)
            .await
            .unwrap();
    assert_eq!((key, files), (format!("{}/1/manifest.json", job.name), 1));
    assert_eq!(bench.engine.count(Call::Release, &job.name), 1);
}

#[tokio::test]
async fn a_preview_resumes_after_every_restart_without_gap_or_repetition() {
    let bench = Bench::new().await;
    let job = running(&bench).await;
    for round in 1..=4 {
        bench
            .engine
            .print(&job.name, &text((round - 1) * 1000..round * 1000));
        let mut worker = collector(&bench);
        let expected = text(0..round * 1000);
        tick_until(&mut worker, async || {
            (bench.log(&job).await.0 == expected).then_some(())
        })
        .await;
        drop(worker);
        let handed_over = async || {
            bench
                .column(&job, "lease_token")
                .await
                .is_none()
                .then_some(())
        };
        // A collector that is stopped gives the job back at once.
        tick_until(&mut Nothing, handed_over).await;
    }
}

#[tokio::test]
async fn a_second_collector_waits_for_the_first_and_takes_over_when_it_dies() {
    let bench = Bench::new().await;
    let job = running(&bench).await;
    bench.engine.print(&job.name, &text(0..100));
    let (mut one, mut other) = (collector(&bench), collector(&bench));
    tick_until(&mut one, async || {
        (bench.log(&job).await.0 == text(0..100)).then_some(())
    })
    .await;
    other.tick().await.unwrap();
    assert!(other.is_quiet());
    // The first hangs without giving back: its lease runs out and its token is replaced.
    bench.let_time_pass().await;
    other.tick().await.unwrap();
    assert!(!other.is_quiet());
    bench.engine.print(&job.name, &text(100..30_000));
    publish(&bench, &job).await;
    tick_until(&mut other, async || released(&bench, &job).await).await;
    assert_eq!(
        bench.log(&job).await,
        (text(0..30_000), Some("complete".to_owned()))
    );
    assert_eq!(
        bench.history(&job).await.last().unwrap(),
        "finished succeeded"
    );
}

#[tokio::test]
async fn the_end_is_committed_before_the_engine_may_forget_and_healed_when_something_fails_between()
{
    let bench = Bench::new().await;
    for when in [When::Before, When::After] {
        let job = running(&bench).await;
        bench.engine.print(&job.name, b"words\n");
        publish(&bench, &job).await;
        for call in [Call::Observe, Call::Record] {
            bench.engine.fail(call, When::Before, Fault::Transient);
        }
        for _ in 0..1000 {
            bench.engine.fail(Call::Release, when, Fault::Transient);
        }
        let asked_to_release = || {
            let world = bench.engine.world();
            world
                .calls
                .iter()
                .filter(|call| **call == Call::Release)
                .count()
        };
        let before = asked_to_release();
        let mut worker = collector(&bench);
        tick_until(&mut worker, async || {
            let asked = asked_to_release() - before;
            if asked > 0 {
                let phase = bench.status(&job).await.phase;
                assert_eq!(phase, Phase::Finished, "the commit comes first");
            }
            bench.let_delays_pass().await;
            (asked >= 2).then_some(())
        })
        .await;
        assert_eq!(bench.status(&job).await.phase, Phase::Finished);
        assert_eq!(bench.column(&job, "released").await.unwrap(), "false");
        bench.engine.mend();
        tick_until(&mut worker, async || {
            bench.let_delays_pass().await;
            released(&bench, &job).await
        })
        .await;
        assert_eq!(
            bench.log(&job).await,
            (b"words\n".to_vec(), Some("complete".to_owned()))
        );
        assert!(bench.engine.world().workflows[&job.name].released);
    }
}

#[tokio::test]
async fn a_record_that_is_not_the_announced_one_is_asked_for_again() {
    let bench = Bench::new().await;
    let job = running(&bench).await;
    bench.engine.print(&job.name, b"all the words\n");
    publish(&bench, &job).await;
    let right = bench
        .engine
        .world()
        .records
        .insert(job.name.clone(), Some("all the wor".into()))
        .unwrap();
    let mut worker = collector(&bench);
    let refused =
        async || (bench.column(&job, "lease_failures").await.unwrap() == "2").then_some(());
    tick_until(&mut worker, async || {
        bench.let_delays_pass().await;
        refused().await
    })
    .await;
    assert_ne!(bench.status(&job).await.phase, Phase::Finished);
    bench.engine.world().records.insert(job.name.clone(), right);
    bench.let_time_pass().await;
    tick_until(&mut worker, async || released(&bench, &job).await).await;
    assert_eq!(
        bench.log(&job).await,
        (b"all the words\n".to_vec(), Some("complete".to_owned()))
    );
}

#[tokio::test]
async fn a_record_that_never_comes_right_ends_as_a_gap_and_never_as_complete() {
    let bench = Bench::new().await;
    let job = running(&bench).await;
    bench.engine.print(&job.name, b"all the words\n");
    let mut worker = collector(&bench);
    tick_until(&mut worker, async || {
        (bench.log(&job).await.0.len() == 14).then_some(())
    })
    .await;
    bench.engine.print(&job.name, b"and more\n");
    publish(&bench, &job).await;
    // The preview too is behind: the engine has lost the rest.
    bench
        .engine
        .world()
        .printed
        .insert(job.name.clone(), b"all the words\n".to_vec());
    bench
        .engine
        .world()
        .records
        .insert(job.name.clone(), Some("all".into()));
    tick_until(&mut worker, async || {
        bench.let_delays_pass().await;
        released(&bench, &job).await
    })
    .await;
    let (kept, completeness) = bench.log(&job).await;
    assert!(kept.starts_with(b"all the words\n"));
    let whole = kept == b"all the words\nand more\n";
    assert_eq!(
        completeness.as_deref(),
        Some(if whole { "complete" } else { "gap" })
    );
    assert_eq!(bench.status(&job).await.outcome, Some(Outcome::Succeeded));
}

#[tokio::test]
async fn a_job_that_failed_before_its_algorithm_has_an_empty_log_that_is_complete() {
    let bench = Bench::new().await;
    let job = started(&bench).await;
    bench
        .engine
        .begin_stage(&job.name, Stage::Configure, Phase::Configuring);
    bench.engine.end(
        &job.name,
        Outcome::Failed,
        Some(Reason::DataProvisioningFailed),
        false,
    );
    observe(&bench).await;
    assert_eq!(
        bench.status(&job).await.phase,
        Phase::Configuring,
        "the end is the collector's"
    );
    let mut worker = collector(&bench);
    tick_until(&mut worker, async || released(&bench, &job).await).await;
    assert_eq!(
        bench.log(&job).await,
        (Vec::new(), Some("complete".to_owned()))
    );
    assert_eq!(
        bench.history(&job).await,
        [
            "queued",
            "configuring",
            "finished failed data_provisioning_failed"
        ]
    );
}

#[tokio::test]
async fn without_a_record_the_preview_is_kept_and_called_a_gap() {
    let bench = Bench::new().await;
    let job = running(&bench).await;
    bench.engine.print(&job.name, b"last words\n");
    bench
        .engine
        .end(&job.name, Outcome::Failed, Some(Reason::Evicted), false);
    let mut worker = collector(&bench);
    tick_until(&mut worker, async || released(&bench, &job).await).await;
    assert_eq!(
        bench.log(&job).await,
        (b"last words\n".to_vec(), Some("gap".to_owned()))
    );
    assert_eq!(
        bench.history(&job).await.last().unwrap(),
        "finished failed evicted"
    );
}

#[tokio::test]
async fn a_preview_with_the_announced_bytes_stands_in_for_a_record_that_is_gone() {
    let bench = Bench::new().await;
    let job = running(&bench).await;
    bench.engine.print(&job.name, b"everything\n");
    let mut worker = collector(&bench);
    tick_until(&mut worker, async || {
        (bench.log(&job).await.0.len() == 11).then_some(())
    })
    .await;
    publish(&bench, &job).await;
    bench.engine.world().records.insert(job.name.clone(), None);
    tick_until(&mut worker, async || released(&bench, &job).await).await;
    assert_eq!(
        bench.log(&job).await,
        (b"everything\n".to_vec(), Some("complete".to_owned()))
    );
}

#[tokio::test]
async fn a_preview_ends_at_the_limit_of_the_log() {
    let bench = Bench::new().await;
    let job = running(&bench).await;
    let limit = usize::try_from(LOG_LIMIT).unwrap();
    bench.engine.print(&job.name, &vec![b'x'; limit + 100_000]);
    let mut worker = collector(&bench);
    tick_until(&mut worker, async || {
        (bench.log(&job).await.0.len() == limit).then_some(())
    })
    .await;
    bench.engine.end(
        &job.name,
        Outcome::TimedOut,
        Some(Reason::TimeExceeded),
        false,
    );
    tick_until(&mut worker, async || released(&bench, &job).await).await;
    let (kept, completeness) = bench.log(&job).await;
    assert_eq!(
        (kept.len(), completeness.as_deref()),
        (limit, Some("truncated"))
    );
}

#[tokio::test]
async fn a_success_without_results_is_not_believed() {
    let bench = Bench::new().await;
    let job = running(&bench).await;
    bench.engine.end(&job.name, Outcome::Succeeded, None, false);
    let mut worker = collector(&bench);
    tick_until(&mut worker, async || {
        (bench.column(&job, "lease_failures").await.unwrap() == "1").then_some(())
    })
    .await;
    assert_eq!(bench.status(&job).await.phase, Phase::Running);
}

#[tokio::test]
async fn what_is_to_be_reviewed_waits_for_it() {
    let bench = Bench::new().await;
    let mut reviewed = spec();
    reviewed.release.review = true;
    bench.queue_with(1, reviewed).await;
    let job = started_job(&bench).await;
    bench
        .engine
        .begin_stage(&job.name, Stage::Algorithm, Phase::Running);
    bench.engine.print(&job.name, b"words\n");
    observe(&bench).await;
    publish(&bench, &job).await;
    let mut worker = collector(&bench);
    tick_until(&mut worker, async || released(&bench, &job).await).await;
    assert_eq!(bench.history(&job).await.last().unwrap(), "awaiting_review");
    assert_eq!(bench.log(&job).await.1.as_deref(), Some("complete"));
}

/// The first job, dispatched together with another that nobody looks at.
async fn started_job(bench: &Bench) -> Job {
    started(bench).await;
    let (id, name): (i64, String) =
        sqlx::query_as("SELECT id, name FROM ledger.jobs ORDER BY id LIMIT 1")
            .fetch_one(&bench.pool)
            .await
            .unwrap();
    Job {
        id: tidewatch::ids::JobId(id),
        name: name.parse().unwrap(),
    }
}

/// A worker that does nothing, for waiting.
struct Nothing;

impl Worker for Nothing {
    type Error = tidewatch::scheduler::Error;
    const NAME: &'static str = "nothing";

    async fn tick(&mut self) -> Result<tidewatch::worker::Progress, Self::Error> {
        Ok(tidewatch::worker::Progress::Idle)
    }
}

#[tokio::test]
async fn a_collector_that_dies_at_any_moment_leaves_the_next_one_the_same_end() {
    let bench = Bench::new().await;
    for moments in 0..40 {
        let job = running(&bench).await;
        bench.engine.print(&job.name, &text(0..9_000));
        publish(&bench, &job).await;
        let mut dying = collector(&bench);
        dying.tick().await.unwrap();
        for _ in 0..moments * 5 {
            // A query's answer, or a turn of the runtime: its tasks are somewhere else after each.
            tokio::time::sleep(std::time::Duration::from_micros(300)).await;
        }
        drop(dying);
        bench.let_time_pass().await;
        let mut next = collector(&bench);
        tick_until(&mut next, async || {
            bench.let_delays_pass().await;
            released(&bench, &job).await
        })
        .await;
        assert_eq!(
            bench.log(&job).await,
            (text(0..9_000), Some("complete".to_owned()))
        );
        let history = [
            "queued",
            "configuring",
            "running",
            "publishing",
            "finished succeeded",
        ];
        assert_eq!(bench.history(&job).await, history);
    }
}
