//! A publisher who releases nothing, and an algorithm that speaks through everything it can reach: its words must be found by
//! operators, and by nobody else.

use sqlx::AssertSqlSafe;

use crate::support::world::{World, workflow};

/// What must not come out.
const CANARY: &str = "serinus-canaria-4711";

/// The exit code by which it would come out as a number.
const CODE: i32 = 77;

#[tokio::test(flavor = "multi_thread")]
async fn what_the_publisher_does_not_release_is_seen_by_operators_alone() {
    let world = World::start().await;
    let file = world.directory().join("catalog.yaml");
    let mut catalog: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    catalog["assets"][0]["release"] = serde_json::json!({"results": "none", "logs": "none"});
    std::fs::write(&file, catalog.to_string()).unwrap();
    let service = world.service("service").await;

    let shell = format!(
        "echo {CANARY}; echo {CANARY} >&2; echo {CANARY} > $OUTPUTS/{CANARY}; mkdir $LOGS/{CANARY}; \
         echo {CANARY} > /dev/termination-log; exit {CODE}"
    );
    // The algorithm itself is the consumer's own words; only what it says is the canary.
    let document = workflow(
        world.did,
        &shell.replace(CANARY, "$(echo serinus)-canaria-4711"),
    );
    let purchase = world.buy(Some(&document)).await;
    let job = world.finished(&service, purchase.agreement).await;
    assert_eq!(job["outcome"], "failed", "{job:#}");
    let id = job["id"].as_str().unwrap();

    let operators = world.get(&service, &format!("/v1/jobs/{id}/logs")).await;
    let operators = operators.text().await.unwrap();
    // What follows is the shell's complaint that it may not write a termination message.
    assert!(
        operators.starts_with(&format!("{CANARY}\n{CANARY}\n")),
        "{operators}"
    );

    let agreement = purchase.agreement;
    let api = &service.api;
    let metrics = service.told("metrics can be read").unwrap();
    let mut told = Vec::new();
    for address in [
        format!("{api}/v1/jobs"),
        format!("{api}/v1/jobs/{id}"),
        format!("{api}/v1/jobs/{id}/transitions"),
        format!("{api}/v1/jobs/{id}/logs"),
        format!("{api}/v1/jobs/{id}/logs?stage=filter"),
        format!("{api}/v1/jobs/{id}/results"),
        format!("{api}/v1/transitions"),
        format!("{api}/v1/agreements/{agreement}"),
        format!("{api}/v1/sync"),
        format!("{api}/api/v1/operator/compute?jobId={id}"),
        format!("{api}/api/v1/brizo/services/compute?jobId={id}"),
        format!("http://{metrics}/metrics"),
    ] {
        let answer = reqwest::get(&address).await.unwrap();
        told.push((address, answer.text().await.unwrap()));
    }
    assert_counted(&told.last().unwrap().1);
    let views =
        "SELECT table_name::text FROM information_schema.views WHERE table_schema = 'tidewatch'";
    let views: Vec<String> = sqlx::query_scalar(views)
        .fetch_all(&world.database.pool)
        .await
        .unwrap();
    assert!(views.len() > 5, "{views:?}");
    for view in views {
        let rows =
            format!("SELECT coalesce(string_agg(v::text, E'\\n'), '') FROM tidewatch.{view} v");
        let text: String = sqlx::query_scalar(AssertSqlSafe(rows))
            .fetch_one(&world.database.pool)
            .await
            .unwrap();
        told.push((view, text));
    }
    let manifest = world.result(&format!("{id}/1/manifest.json")).await;
    let manifest = String::from_utf8(manifest.to_vec()).unwrap();
    told.push(("the manifest".to_owned(), manifest));
    told.push(("the service's log".to_owned(), service.log()));
    for (place, text) in told {
        assert!(!text.contains(CANARY), "{place}: {text}");
        let code = format!("\"exitCode\":{CODE}");
        assert!(!text.replace(' ', "").contains(&code), "{place}: {text}");
    }
}

/// What is counted of the job says nothing of it, and is counted.
fn assert_counted(told: &str) {
    let lines: Vec<_> = told.lines().collect();
    for line in [
        "tidewatch_jobs_finished_total{outcome=\"failed\"} 1",
        "tidewatch_job_logs_total{completeness=\"complete\"} 1",
    ] {
        assert!(lines.contains(&line), "{told}");
    }
    assert!(
        !lines.contains(&"tidewatch_job_log_bytes_total 0"),
        "{told}"
    );
}
