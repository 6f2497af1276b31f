//! The service is killed without warning at moments that matter, or runs twice, and each job is done once all the same.

use std::time::Duration;

use serde_json::Value;

use crate::support::eventually;
use crate::support::holding::Held;
use crate::support::service::Service;
use crate::support::world::{World, workflow};

const SLOW: &str =
    "for i in 1 2 3 4 5 6 7 8; do echo step $i; sleep 1; done; echo done > $OUTPUTS/done";

async fn started_again_it_completes(world: &World, agreement: impl std::fmt::Display, log: &str) {
    let service = world.service("second").await;
    let job = world.finished(&service, agreement).await;
    assert_eq!(job["outcome"], "succeeded", "{job:#}");
    let id = job["id"].as_str().unwrap();
    let told = world
        .get(&service, &format!("/v1/jobs/{id}/logs"))
        .await
        .text()
        .await
        .unwrap();
    assert_eq!(told, log);
    let workflows = world.kubectl(&["get", "cw", "-o", "name"]).await;
    assert_eq!(workflows.lines().count(), 1, "{workflows}");
    assert_eq!(
        world.starts.pods().len(),
        1,
        "the algorithm's container started once"
    );
}

fn slow_log() -> String {
    (1..=8).map(|step| format!("step {step}\n")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_the_events_commit() {
    let mut world = World::start().await;
    // a depth that is not reached before the kill: the event is recorded and judged, nothing is started
    world.set("TIDEWATCH_ACT_AT", "30");
    let mut first = world.service("first").await;
    let document = workflow(world.did, SLOW);
    let purchase = world.buy(Some(&document)).await;
    eventually(
        "the event's job is recorded",
        Duration::from_secs(120),
        || async { world.jobs(&first, purchase.agreement).await.pop() },
    )
    .await;
    first.kill();
    world.set("TIDEWATCH_ACT_AT", "finalized");
    started_again_it_completes(&world, purchase.agreement, &slow_log()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_the_inert_workflow_and_the_record_of_its_uid() {
    let world = World::start().await;
    let held = Held::updates(&world.database, "job_state", "workflow_uid").await;
    let mut first = world.service("first").await;
    let document = workflow(world.did, SLOW);
    let purchase = world.buy(Some(&document)).await;
    eventually(
        "there is an inert workflow",
        Duration::from_secs(120),
        || async {
            world.chain.node.mine(1).await;
            let attempt = world
                .kubectl(&["get", "cw", "-o", "jsonpath={.items[*].spec.attempt}"])
                .await;
            (attempt == "0").then_some(())
        },
    )
    .await;
    first.kill();
    held.release().await;
    started_again_it_completes(&world, purchase.agreement, &slow_log()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_the_algorithm_runs() {
    let world = World::start().await;
    let mut first = world.service("first").await;
    let document = workflow(world.did, SLOW);
    let purchase = world.buy(Some(&document)).await;
    world
        .job_when(&first, purchase.agreement, |job| job["phase"] == "running")
        .await;
    first.kill();
    started_again_it_completes(&world, purchase.agreement, &slow_log()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_the_log_is_collected() {
    let world = World::start().await;
    let held = Held::updates(&world.database, "job_logs", "completeness").await;
    let mut first = world.service("first").await;
    let document = workflow(world.did, SLOW);
    let purchase = world.buy(Some(&document)).await;
    world
        .job_when(&first, purchase.agreement, |job| {
            job["phase"] == "publishing"
        })
        .await;
    held.reached().await;
    first.kill();
    held.release().await;
    started_again_it_completes(&world, purchase.agreement, &slow_log()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_services_on_one_database_and_one_cluster_do_each_job_once() {
    let world = World::start().await;
    let first = world.service("first").await;
    let second = world.service("second").await;
    let document = workflow(world.did, "echo once");
    let purchase = world.buy(Some(&document)).await;
    let job = world.finished(&first, purchase.agreement).await;
    assert_eq!(job["outcome"], "succeeded", "{job:#}");
    let seen_by_the_other: Vec<Value> = world.jobs(&second, purchase.agreement).await;
    assert_eq!(seen_by_the_other, [job]);
    assert_eq!(
        world
            .kubectl(&["get", "cw", "-o", "name"])
            .await
            .lines()
            .count(),
        1
    );
    assert_eq!(world.starts.pods().len(), 1);
    for service in [first, second] {
        no_complaints(&service);
    }
}

/// Nothing that a second replica makes ordinary may look like trouble.
fn no_complaints(service: &Service) {
    let log = service.log();
    let complaints: Vec<_> = log
        .lines()
        .filter(|line| line.contains("WARN") || line.contains("ERROR"))
        // That the machine is busy is no complaint of the service's own.
        .filter(|line| !line.contains("slow threshold"))
        .collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}
