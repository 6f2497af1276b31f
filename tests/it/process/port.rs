//! The port's promises: inert until started by its uid, removed only when released, the log from its first byte while it runs.

use futures::StreamExt;
use tidewatch::engine::{Engine, WorkflowUid};
use tidewatch::fault::Fault;
use tidewatch::jobs::{Outcome, Phase};

use super::bench::{Bench, PATIENCE};
use crate::support::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_is_inert_until_it_is_started_by_its_uid_and_started_twice_is_started_once() {
    let bench = Bench::start();
    let plan = bench.plan("echo x >> $OUTPUTS/starts");
    let made = bench.engine.ensure(&plan).await.unwrap();
    assert_eq!((made.attempt, made.status), (0, None));
    let again = bench.engine.ensure(&plan).await.unwrap();
    assert_eq!(again.uid, made.uid, "made once");
    let foreign = WorkflowUid("another".to_owned());
    assert!(!bench.engine.start(&plan, &foreign, 1).await.unwrap());
    let error = bench.engine.start(&plan, &made.uid, 2).await.unwrap_err();
    assert_eq!(error.fault(), Fault::Rejected, "{error}");
    assert!(!bench.volume(&plan.job, "").exists(), "nothing ran");
    let starts = (0..4).map(|_| bench.engine.start(&plan, &made.uid, 1));
    for started in futures::future::join_all(starts).await {
        assert!(started.unwrap());
    }
    let seen = bench.ended(&plan.job).await;
    assert_eq!(seen.status.unwrap().outcome, Some(Outcome::Succeeded));
    assert_eq!(bench.result(&plan.job, "outputs/starts"), b"x\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_that_is_not_released_stays_until_it_is() {
    let bench = Bench::start();
    let plan = bench.plan("chmod 000 $OUTPUTS; true");
    let uid = bench.begin(&plan).await;
    bench.ended(&plan.job).await;
    let (engine, job) = (&bench.engine, &plan.job);
    engine.remove(job, &uid).await.unwrap();
    let seen = engine.observe(job).await.unwrap().unwrap();
    assert!(seen.deleting);
    engine.release(job, &uid).await.unwrap();
    eventually("it is gone", PATIENCE, || async {
        engine.observe(job).await.unwrap().is_none().then_some(())
    })
    .await;
    assert!(!bench.path(&format!("jobs/jobs/{job}")).exists());
    engine.remove(job, &uid).await.unwrap();
    engine.stop(job, &uid).await.unwrap();
    let anew = engine.ensure(&plan).await.unwrap();
    assert_ne!(
        anew.uid, uid,
        "another one under the same name is another one"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_can_be_followed_from_its_first_byte_while_the_algorithm_runs() {
    let bench = Bench::start();
    let plan = bench.plan("echo first; sleep 2; echo last");
    bench.begin(&plan).await;
    let running = |seen: &tidewatch::engine::Observation| {
        seen.status
            .is_some_and(|status| status.phase == Phase::Running)
    };
    bench.when(&plan.job, "it runs", running).await;
    let mut preview = eventually("there is a log", PATIENCE, || async {
        bench.engine.preview(&plan.job, 1).await.unwrap()
    })
    .await;
    let first = preview.next().await.unwrap().unwrap();
    assert_eq!(first, "first\n");
    let seen = bench.engine.observe(&plan.job).await.unwrap().unwrap();
    assert!(running(&seen), "it was read while the algorithm ran");
    let mut rest = Vec::new();
    while let Some(piece) = preview.next().await {
        rest.extend(piece.unwrap());
    }
    assert_eq!(rest, b"last\n");
}
