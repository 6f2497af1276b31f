//! How jobs end is told as in a cluster: code, signal, limits, stops, losses.

use std::process::Command;
use std::time::Duration;

use serde_json::json;
use tidewatch::engine::{Completeness, Engine, Isolation, Observation, Stage, StageObservation};
use tidewatch::jobs::{Footing, Outcome, Phase, Reason};
use tidewatch::workflows::{FilterSpec, Release};

use super::bench::Bench;

fn end(seen: &Observation) -> (Outcome, Option<Reason>) {
    let status = seen.status.unwrap();
    (status.outcome.unwrap(), status.reason)
}

fn stage(seen: &Observation, stage: Stage) -> &StageObservation {
    let mut stages = seen.stages.iter();
    stages.find(|known| known.stage == stage).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_well_leaves_results_manifest_and_log_and_no_inputs() {
    let bench = Bench::start();
    let sum = "echo begun; awk -F, 'NR > 1 {s += $2} END {print s}' $INPUTS/*/0 > $OUTPUTS/sum; echo done >&2";
    let plan = bench.plan(sum);
    let seen = bench.run(&plan).await;
    assert_eq!(end(&seen), (Outcome::Succeeded, None), "{seen:?}");
    assert_eq!(bench.result(&plan.job, "outputs/sum"), b"42\n");
    assert_eq!(bench.manifest(&plan.job)["files"][0]["path"], "sum");
    let published = seen.published.clone().unwrap();
    assert_eq!(published.files, 1);
    assert_eq!(published.log.completeness, Completeness::Complete);
    assert_eq!(bench.log(&plan.job).await, "begun\ndone\n");
    let algorithm = stage(&seen, Stage::Algorithm);
    assert_eq!(algorithm.isolation, Some(Isolation::Unproven));
    assert_eq!(algorithm.exit_code, Some(0));
    assert!(algorithm.started_at.is_some() && algorithm.finished_at.is_some());
    let inputs = std::fs::read_dir(bench.volume(&plan.job, "inputs")).unwrap();
    assert_eq!(inputs.count(), 0, "no stage needs them any more");
    assert!(!bench.volume(&plan.job, "../plan.json").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_signals_and_limits_are_told_apart() {
    let bench = Bench::start();
    let grow = "perl -e '$x .= \"x\" x 1000000 while length($x) < 180000000; sleep 50'";
    let table = [
        ("exit 7", Some(7), Outcome::Failed, Reason::AlgorithmFailed),
        (
            "exit 42",
            Some(42),
            Outcome::Failed,
            Reason::AlgorithmFailed,
        ),
        (
            "kill -SEGV $$",
            None,
            Outcome::Failed,
            Reason::AlgorithmFailed,
        ),
        ("sleep 50", None, Outcome::TimedOut, Reason::TimeExceeded),
        (
            "trap '' TERM; (trap '' TERM; setsid sleep 50) & sleep 50",
            None,
            Outcome::TimedOut,
            Reason::TimeExceeded,
        ),
        (
            "head -c 12000000 /dev/zero > $OUTPUTS/a; head -c 12000000 /dev/zero > $OUTPUTS/b; sleep 50",
            None,
            Outcome::Failed,
            Reason::DiskExceeded,
        ),
        (grow, None, Outcome::Failed, Reason::MemoryExceeded),
    ];
    let mut begun = Vec::new();
    for (shell, code, outcome, reason) in table {
        let mut plan = bench.plan(&format!("echo {{}}; {shell}"));
        plan.spec.resources.max_execution_seconds = if reason == Reason::TimeExceeded {
            2
        } else {
            40
        };
        bench.begin(&plan).await;
        begun.push((plan, shell, code, outcome, reason));
    }
    for (plan, shell, code, outcome, reason) in begun {
        let seen = bench.ended(&plan.job).await;
        assert_eq!(end(&seen), (outcome, Some(reason)), "{shell}: {seen:?}");
        assert_eq!(stage(&seen, Stage::Algorithm).exit_code, code, "{shell}");
        // the log comes out in any case, the results of what failed do not
        assert_eq!(bench.log(&plan.job).await, "{}\n", "{shell}");
        assert_eq!(bench.manifest(&plan.job)["files"], json!([]), "{shell}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_that_cannot_be_had_end_the_job_before_the_algorithm() {
    let bench = Bench::start();
    let mut plan = bench.plan("true");
    plan.spec.inputs[0].checksum = Some(format!("sha256:{}", "0".repeat(64)));
    let seen = bench.run(&plan).await;
    let expected = (Outcome::Failed, Some(Reason::DataProvisioningFailed));
    assert_eq!(end(&seen), expected, "{seen:?}");
    assert_eq!(seen.stages.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_what_ignores_it_and_keeps_the_log() {
    let bench = Bench::start();
    let plan =
        bench.plan("trap '' TERM; echo begun; touch $OUTPUTS/half; while true; do sleep 1; done");
    let uid = bench.begin(&plan).await;
    let running = |seen: &Observation| seen.status.is_some_and(|s| s.phase == Phase::Running);
    bench.when(&plan.job, "the algorithm runs", running).await;
    bench
        .when(&plan.job, "it printed", |_| {
            bench.volume(&plan.job, "outputs/half").exists()
        })
        .await;
    bench.engine.stop(&plan.job, &uid).await.unwrap();
    let seen = bench.ended(&plan.job).await;
    assert_eq!(
        end(&seen),
        (Outcome::Stopped, Some(Reason::StoppedByOperator))
    );
    assert_eq!(bench.log(&plan.job).await, "begun\n");
    assert_eq!(bench.manifest(&plan.job)["files"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_algorithm_whose_guard_is_killed_is_lost_ended_and_never_run_again() {
    let bench = Bench::start();
    let plan = bench.plan("echo begun; touch $OUTPUTS/half; sleep 50.125");
    bench.begin(&plan).await;
    bench
        .when(&plan.job, "what it printed is in the record", |_| {
            let log = std::fs::read(bench.volume(&plan.job, "record/log"));
            bench.volume(&plan.job, "outputs/half").exists()
                && log.is_ok_and(|log| log == b"begun\n")
        })
        .await;
    let record = bench.volume(&plan.job, "record").canonicalize().unwrap();
    let words = ["guard", "run", "--record", record.to_str().unwrap()].join("\0");
    let [guard] = processes_with(&words)[..] else {
        panic!("one guard is among {words:?}");
    };
    let killed = Command::new("kill")
        .args(["-KILL", &guard.to_string()])
        .status();
    assert!(killed.unwrap().success());
    let seen = bench.ended(&plan.job).await;
    assert_eq!(
        end(&seen),
        (Outcome::Lost, Some(Reason::PodMissing)),
        "{seen:?}"
    );
    let published = seen.published.unwrap();
    assert_eq!(published.log.completeness, Completeness::Unverified);
    assert_eq!(bench.log(&plan.job).await, "begun\n");
    assert_eq!(
        processes_with("sleep\x0050.125"),
        [0; 0],
        "nothing of it is left"
    );
}

/// The processes whose command lines hold these words.
fn processes_with(words: &str) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let found = entries.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        String::from_utf8_lossy(&line)
            .contains(words)
            .then_some(pid)
    });
    found.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn results_wait_while_the_event_is_off_the_chain() {
    let bench = Bench::start();
    let plan = bench.plan("echo one > $OUTPUTS/one");
    let uid = bench.begin(&plan).await;
    let engine = &bench.engine;
    engine
        .set_footing(&plan.job, &uid, 1, Footing::Orphaned)
        .await
        .unwrap();
    let over = |seen: &Observation| {
        let algorithm = seen
            .stages
            .iter()
            .find(|known| known.stage == Stage::Algorithm);
        algorithm.is_some_and(|algorithm| algorithm.finished_at.is_some())
    };
    let seen = bench.when(&plan.job, "the algorithm ended", over).await;
    assert_eq!(seen.footing, Footing::Orphaned);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let seen = engine.observe(&plan.job).await.unwrap().unwrap();
    assert_eq!(seen.stages.len(), 2, "publishing has not begun: {seen:?}");
    engine
        .set_footing(&plan.job, &uid, 1, Footing::Withdrawn)
        .await
        .unwrap();
    engine
        .set_footing(&plan.job, &uid, 1, Footing::Canonical)
        .await
        .unwrap();
    let seen = bench.ended(&plan.job).await;
    assert_eq!(
        end(&seen),
        (Outcome::Withdrawn, Some(Reason::EventWithdrawn))
    );
    assert_eq!(bench.manifest(&plan.job)["files"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_the_filter_leaves_may_leave() {
    let bench = Bench::start();
    let mut plan = bench.plan("echo secret; echo 12 > $OUTPUTS/sum; echo private > $OUTPUTS/rows");
    plan.spec.filter = Some(FilterSpec {
        image: "filter@sha256:0".to_owned(),
        entrypoint: Some("cp $INPUTS/sum $OUTPUTS/sum; wc -l < $INPUT_LOG > $OUTPUT_LOG; touch $INPUTS/x || true".to_owned()),
    });
    plan.spec.release.results = Release::Filtered;
    plan.spec.release.logs = Release::Filtered;
    let seen = bench.run(&plan).await;
    assert_eq!(end(&seen), (Outcome::Succeeded, None), "{seen:?}");
    let manifest = bench.manifest(&plan.job);
    assert_eq!(
        manifest["files"].as_array().unwrap().len(),
        1,
        "{manifest:#}"
    );
    assert_eq!(manifest["files"][0]["path"], "sum");

    let mut plan = plan.clone();
    plan.job = bench.plan("").job;
    plan.spec.filter = Some(FilterSpec {
        image: "filter@sha256:0".to_owned(),
        entrypoint: None,
    });
    let seen = bench.run(&plan).await;
    let expected = (Outcome::Failed, Some(Reason::FilterFailed));
    assert_eq!(end(&seen), expected, "only an image could run");
}
