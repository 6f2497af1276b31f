//! Where a queued job stands, and what it waits for.

use serde_json::{Value, json};

use super::database::execute;
use super::rows;
use super::service::Service;

async fn place(service: &Service, number: i64) -> Value {
    let job = service
        .json(&format!("/v1/jobs/{}", rows::name(number)))
        .await;
    json!([job["queue"]["place"], job["queue"]["waitsFor"]["code"]])
}

#[tokio::test]
async fn a_queued_job_says_what_it_waits_for_and_its_place_among_the_payers_turns() {
    let (service, mut connection) = Service::start().await;
    for number in [1, 2, 3, 4] {
        rows::job(&mut connection, number).await;
    }
    let set = "UPDATE ledger.cursors SET act_number = 100;
               UPDATE ledger.job_state SET payer = decode(repeat(CASE WHEN block_number < 4 THEN 'aa' ELSE 'bb' END, 20), 'hex')";
    execute(&mut connection, set).await.unwrap();
    // One payer has three jobs; the other's only one comes second.
    for (number, at) in [(1, 1), (4, 2), (2, 3), (3, 4)] {
        assert_eq!(place(&service, number).await, json!([at, "turn"]));
    }
    let steps = [
        (
            "UPDATE ledger.job_state SET not_before = now() + interval '1 hour'",
            "retry",
        ),
        (
            "UPDATE ledger.cursors SET verified_number = 0",
            "verification",
        ),
        ("UPDATE ledger.cursors SET act_number = 0", "depth"),
        (
            "INSERT INTO ledger.parked (deployment_id, kind, key, reason)
          SELECT j.deployment_id, 'job', j.name, 'x' FROM ledger.jobs j",
            "parked",
        ),
        (
            "INSERT INTO ledger.operator_actions (action, subject, reason) VALUES ('pause', 'all', 'x')",
            "pause",
        ),
        (
            "UPDATE ledger.cursors SET halt = 'x', halted_at = now()",
            "halt",
        ),
        (
            "UPDATE ledger.job_state SET block_canonical = false",
            "block",
        ),
    ];
    for (statement, code) in steps {
        execute(&mut connection, statement).await.unwrap();
        assert_eq!(place(&service, 1).await, json!([1, code]));
    }
    let running = "UPDATE ledger.job_state SET phase = 'configuring', attempt = 1, workflow_uid = 'x' WHERE block_number = 1";
    execute(&mut connection, running).await.unwrap();
    assert_eq!(place(&service, 1).await, json!([null, null]));
}
