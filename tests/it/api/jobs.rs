use alloy::primitives::{Address, B256, address};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use tidewatch::ids::JobId;
use tidewatch::jobs::{Outcome, Phase, Reason, Status};
use tidewatch::ledger::schema::RELEASE;
use tidewatch::ledger::{commit, status};

use super::database::{Database, execute};
use super::rows;
use super::service::{Service, TOKEN, problem};

/// An address among the examples of EIP-55.
const PAYER: Address = address!("5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed");

/// A job that failed, with everything around it.
pub(super) async fn failed_job(connection: &mut PgConnection, number: i64) -> JobId {
    let job = rows::job(connection, number).await;
    let spec = json!({
        "version": 1, "agreement": rows::hash(0xa, number), "did": format!("did:op:{}", alloy::hex::encode(rows::hash(0xd, 1))),
        "consumer": Address::repeat_byte(0xab), "inputs": [{"index": 0, "url": "https://secret.example/?key=hidden"}],
        "algorithm": {"did": null, "image": "docker.io/library/python", "tag": "3.12", "digest": format!("sha256:{}", "5".repeat(64)),
                      "entrypoint": "python $ALGO", "code": "print('\u{0}\\u0000')", "vetted": false},
        "resources": {"cpu": "1", "memory": "1Gi", "disk": "2Gi", "maxExecutionSeconds": 60}, "allowNetwork": false,
        "release": {"results": "raw", "logs": "none", "review": false, "resultBytes": 1, "resultFiles": 1, "logBytes": 1}
    });
    let statement = format!(
        "INSERT INTO ledger.policy_versions (sha256, body) VALUES ('{policy}', 'assets: []') ON CONFLICT DO NOTHING;
         INSERT INTO ledger.job_specs (job_id, body, sha256, source, policy_sha256)
         VALUES ({job}, '{spec}', '{policy}', 'consumer', '{policy}');
         INSERT INTO ledger.verdicts (job_id, number, admitted, verdict, reason, rules, policy_sha256, judged_number, judged_hash, judged_at)
         VALUES ({job}, 1, false, 'undecided', NULL, '[]', NULL, 98, '{policy}', '2026-01-01T00:01:00Z'),
                ({job}, 2, true, 'admitted', NULL, '[{{\"rule\": \"paid\", \"answer\": \"yes\"}}]', '{policy}', 99, '{policy}', '2026-01-01T00:02:00Z');
         INSERT INTO ledger.job_attempts (job_id, attempt, started_at, finished_at, stages)
         VALUES ({job}, 1, '2026-01-01T00:03:00.9Z', '2026-01-01T00:04:00Z', '[
             {{\"stage\": \"configure\", \"runner\": \"uid-1\", \"startedAt\": \"2026-01-01T00:03:01.5Z\", \"finishedAt\": \"2026-01-01T00:03:02Z\", \"exitCode\": 0}},
             {{\"stage\": \"algorithm\", \"runner\": \"uid-2\", \"startedAt\": \"2026-01-01T00:03:03Z\", \"finishedAt\": \"2026-01-01T00:03:04Z\", \"exitCode\": 7,
               \"isolation\": \"proven\"}}]');
         UPDATE ledger.job_state SET phase = 'finished', outcome = 'failed', reason = 'algorithm_failed', attempt = 1, payment = 10,
                payer = '{payer}', provider = '{payer}', started_at = '2026-01-01T00:03:00.9Z', finished_at = '2026-01-01T00:04:00.9Z'
         WHERE job_id = {job}",
        spec = rows::bytea(spec.to_string().as_bytes()),
        policy = rows::bytea(B256::repeat_byte(0x90).as_slice()),
        payer = rows::bytea(PAYER.as_slice()),
    );
    execute(connection, &statement).await.unwrap();
    job
}

fn shown_summary() -> Value {
    json!({
        "id": rows::name(1), "trigger": "keeper", "chainId": 8996, "keeper": rows::CONTRACT.to_checksum(None),
        "agreementId": rows::hash(0xa, 1), "conditionId": rows::hash(0xc, 1),
        "did": format!("did:op:{}", alloy::hex::encode(rows::hash(0xd, 1))),
        "consumer": "0xABaBaBaBABabABabAbAbABAbABabababaBaBABaB", "provider": "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "phase": "finished", "outcome": "failed",
        "reason": {"code": "algorithm_failed", "message": Reason::AlgorithmFailed.sentence()},
        "oep12": {"status": 41, "statusText": "Algorithm failed"}, "attempt": 1,
        "payment": {"amount": "10", "payer": "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"},
        "block": {"number": 1, "hash": rows::hash(0xb, 1), "timestamp": "2025-12-31T00:01:00Z", "canonical": true, "irreversible": true},
        "transactionHash": rows::hash(0x7, 1), "logIndex": 3,
        "createdAt": "2026-01-01T00:01:00Z", "startedAt": "2026-01-01T00:03:00Z", "finishedAt": "2026-01-01T00:04:00Z"
    })
}

fn shown_job() -> Value {
    let mut job = shown_summary();
    let rest = json!({
        "verdict": {"admitted": true, "verdict": "admitted", "policyVersion": B256::repeat_byte(0x90),
                    "rules": [{"rule": "paid", "answer": "yes"}], "judgedBlock": 99, "judgedAt": "2026-01-01T00:02:00Z"},
        "workflow": {"source": "consumer", "algorithm": null, "image": "docker.io/library/python", "tag": "3.12",
                     "digest": format!("sha256:{}", "5".repeat(64)),
                     "resources": {"cpu": "1", "memory": "1Gi", "disk": "2Gi", "maxExecutionSeconds": 60}},
        "awaited": null,
        "attempts": [{"number": 1, "startedAt": "2026-01-01T00:03:00Z", "finishedAt": "2026-01-01T00:04:00Z", "stages": [
            {"stage": "configure", "startedAt": "2026-01-01T00:03:01Z", "finishedAt": "2026-01-01T00:03:02Z"},
            {"stage": "algorithm", "startedAt": "2026-01-01T00:03:03Z", "finishedAt": "2026-01-01T00:03:04Z",
             "isolation": "proven"}]}]
    });
    job.as_object_mut()
        .unwrap()
        .extend(rest.as_object().unwrap().clone());
    job
}

#[tokio::test]
async fn a_job_is_shown_in_full_and_what_the_algorithm_could_choose_to_operators_only() {
    let (service, mut connection) = Service::start().await;
    failed_job(&mut connection, 1).await;
    let path = format!("/v1/jobs/{}", rows::name(1));

    assert_eq!(service.json(&path).await, shown_job());

    let mut for_operator = shown_job();
    for_operator["exitCode"] = json!(7);
    let stages = &mut for_operator["attempts"][0]["stages"];
    stages[0]["runner"] = json!("uid-1");
    stages[0]["exitCode"] = json!(0);
    stages[1]["runner"] = json!("uid-2");
    stages[1]["exitCode"] = json!(7);
    assert_eq!(service.json_for_operator(&path).await, for_operator);

    assert_eq!(
        service.json("/v1/jobs").await,
        json!({"jobs": [shown_summary()], "nextCursor": null})
    );
    assert_eq!(
        service.json("/v1/sync").await["isolation"],
        json!({"state": "proven", "at": "2026-01-01T00:03:00Z"})
    );
}

#[tokio::test]
async fn a_job_that_waits_for_a_document_says_for_what_since_when_why_and_until_when() {
    let (service, mut connection) = Service::start().await;
    let job = rows::job(&mut connection, 2).await;
    let wants = [
        (
            r#"{"what":"bytes","of":"code","addresses":["https://secret.example/?key=hidden"],"expected":null,"trusted":false}"#,
            "code",
        ),
        (
            r#"{"what":"image","name":"docker.io/library/python","tag":"3.12","digest":null}"#,
            "image",
        ),
    ];
    let path = format!("/v1/jobs/{}", rows::name(2));
    for (number, (want, what)) in (1_u8..).zip(wants) {
        let statement = format!(
            "UPDATE ledger.job_documents SET finding = 'unknown' WHERE job_id = {job};
             INSERT INTO ledger.job_documents (job_id, want_sha256, want, asked_at, until, tries, tried_at, problem)
             VALUES ({job}, '{key}', '{want}', '2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z', 3, now(), 'the server answered 404 Not Found');
             UPDATE ledger.job_state SET phase = 'awaiting_document' WHERE job_id = {job}",
            key = rows::bytea(B256::repeat_byte(number).as_slice()),
        );
        execute(&mut connection, &statement).await.unwrap();
        let shown = service.json(&path).await;
        let awaited = json!({"what": what, "since": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z", "tries": 3,
                             "problem": "the server answered 404 Not Found"});
        assert_eq!(shown["awaited"], awaited);
    }
    let queued = format!("UPDATE ledger.job_state SET phase = 'queued' WHERE job_id = {job}");
    execute(&mut connection, &queued).await.unwrap();
    assert_eq!(service.json(&path).await["awaited"], Value::Null);
}

#[tokio::test]
async fn jobs_are_found_by_every_filter() {
    let (service, mut connection) = Service::start().await;
    failed_job(&mut connection, 1).await;
    rows::job(&mut connection, 2).await;
    rows::job(&mut connection, 95).await;
    let did = alloy::hex::encode(rows::hash(0xd, 0));
    let found = [
        ("phase=queued", vec![95, 2]),
        ("outcome=failed", vec![1]),
        ("reason=algorithm_failed", vec![1]),
        (
            "consumer=0xabababababababababababababababababababab",
            vec![95, 2, 1],
        ),
        (
            "consumer=0x0000000000000000000000000000000000000001",
            vec![],
        ),
        (
            "provider=0x5AAEB6053F3E94C9B9A09F33669435E7EF1BEAED",
            vec![1],
        ),
        (&format!("did=did:op:{did}"), vec![2]),
        (&format!("agreementId={}", rows::hash(0xa, 2)), vec![2]),
        (&format!("conditionId={}", rows::hash(0xc, 95)), vec![95]),
        (&format!("transactionHash={}", rows::hash(0x7, 2)), vec![2]),
        (&format!("transactionHash={}", rows::hash(0x7, 3)), vec![]),
        ("createdAfter=2026-01-01T00:02:00Z", vec![95, 2]),
        ("createdBefore=2026-01-01T01:02:00%2B01:00", vec![1]),
        ("phase=queued&createdAfter=2026-01-01T00:03:00Z", vec![95]),
    ];
    for (query, numbers) in found {
        let page = service.json(&format!("/v1/jobs?{query}")).await;
        let names: Vec<_> = numbers.iter().map(|n| json!(rows::name(*n))).collect();
        assert_eq!(names_of(&page), names, "{query}");
    }
    // Not yet below the irreversible block.
    let job = service.json(&format!("/v1/jobs/{}", rows::name(95))).await;
    assert_eq!(job["block"]["irreversible"], false);
    assert_eq!(job["verdict"], Value::Null);
    assert_eq!(job["oep12"]["status"], 1);
}

fn names_of(page: &Value) -> Vec<Value> {
    let jobs = page["jobs"].as_array().unwrap();
    jobs.iter().map(|job| job["id"].clone()).collect()
}

#[tokio::test]
async fn pages_neither_repeat_nor_hide_jobs_while_others_arrive() {
    let (service, mut connection) = Service::start().await;
    for number in 1..=7 {
        rows::job(&mut connection, number).await;
    }
    let (mut seen, mut arrived) = (Vec::new(), 7);
    let mut path = "/v1/jobs?limit=3".to_owned();
    loop {
        let page = service.json(&path).await;
        seen.extend(names_of(&page));
        arrived += 1;
        rows::job(&mut connection, arrived).await;
        match page["nextCursor"].as_str() {
            Some(cursor) => path = format!("/v1/jobs?limit=3&cursor={cursor}"),
            None => break,
        }
    }
    let expected: Vec<_> = (1..=7).rev().map(|n| json!(rows::name(n))).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_parameter_that_is_unknown_or_malformed_is_named() {
    let (service, _connection) = Service::start().await;
    let wrong = [
        ("phase", "phase=started"),
        ("outcome", "outcome=ok"),
        ("reason", "reason=because"),
        ("consumer", "consumer=0x12"),
        ("did", "did=did:op:12"),
        ("agreementId", "agreementId=7"),
        ("conditionId", "conditionId="),
        ("transactionHash", "transactionHash=0xzz"),
        ("createdAfter", "createdAfter=yesterday"),
        ("createdBefore", "createdBefore=1700000000"),
        ("limit", "limit=0"),
        ("limit", "limit=201"),
        ("cursor", "cursor=7"),
        ("phase", "phase=queued&phase=running"),
        ("status", "status=70"),
    ];
    for (name, query) in wrong {
        let response = service.get(&format!("/v1/jobs?{query}")).await;
        assert_eq!(response.status(), 400, "{query}");
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["parameter"], name, "{query}");
    }
    let path = format!("/v1/jobs/{}?verbose=1", rows::name(1));
    assert_eq!(
        service.problem(&path).await,
        (400, "unknown_parameter".to_owned())
    );
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_document_too() {
    let (service, _connection) = Service::start().await;
    let missing = format!("/v1/jobs/{}", rows::name(1));
    for path in [
        missing.clone(),
        format!("{missing}/transitions"),
        "/v1/jobs/7".to_owned(),
    ] {
        assert_eq!(
            service.problem(&path).await,
            (404, "job_not_found".to_owned())
        );
    }
    assert_eq!(
        service.problem("/v2").await,
        (404, "unknown_path".to_owned())
    );
    let response = service.request(Method::POST, "/v1/jobs", Some(TOKEN)).await;
    assert_eq!(response.headers()["allow"], "GET,HEAD");
    assert_eq!(
        problem(response).await,
        (405, "method_not_allowed".to_owned())
    );
    assert_eq!(
        service
            .request(Method::HEAD, "/v1/jobs", None)
            .await
            .status(),
        200
    );
    // A token that is wrong is refused even where none is needed.
    let response = service.request(Method::GET, &missing, Some("x")).await;
    assert_eq!(problem(response).await, (401, "invalid_token".to_owned()));
}

#[tokio::test]
async fn transitions_can_be_checked_by_anybody() {
    let (service, mut connection) = Service::start().await;
    let job = rows::job(&mut connection, 1).await;
    let ledger = service.database.ledger();
    let mut transaction = ledger.begin().await.unwrap();
    let mut locked = status::lock(&mut transaction, job).await.unwrap();
    let lost = Status::finished(Outcome::Lost, Some(Reason::WorkflowMissing), 1);
    let [configuring, running] =
        [Phase::Configuring, Phase::Running].map(|phase| Status::of_phase(phase, 1));
    for next in [configuring, running, lost] {
        status::advance(&mut transaction, &mut locked, next, "observer")
            .await
            .unwrap();
    }
    commit(transaction).await.unwrap();

    let path = format!("/v1/jobs/{}/transitions", rows::name(1));
    let page = service.json(&path).await;
    let transitions = page["transitions"].as_array().unwrap();
    assert_eq!(transitions.len(), 3);
    let mut previous = B256::ZERO;
    for transition in transitions {
        let word = |name: &str| transition[name].as_str().unwrap_or("-").to_owned();
        assert_eq!(word("previousHash"), format!("{previous:#x}"));
        let line = format!(
            "{} {} {} {} {} {} {}",
            rows::name(1),
            transition["number"],
            word("phase"),
            word("outcome"),
            word("reason"),
            transition["attempt"],
            word("at")
        );
        let digest = Sha256::new().chain_update(previous).chain_update(line);
        previous = B256::from_slice(&digest.finalize());
        assert_eq!(word("hash"), format!("{previous:#x}"));
    }
    assert_eq!(transitions[2]["worker"], "observer");

    let first = service.json(&format!("{path}?limit=2")).await;
    let cursor = first["nextCursor"].as_str().unwrap();
    let second = service
        .json(&format!("{path}?limit=2&cursor={cursor}"))
        .await;
    assert_eq!(second["transitions"], json!([transitions[2]]));
    assert_eq!(second["nextCursor"], Value::Null);
}

#[tokio::test]
async fn progress_health_and_an_orderly_end() {
    let (mut service, mut connection) = Service::start().await;
    let mut sync = service.json("/v1/sync").await;
    assert_eq!(sync["versions"]["tidewatch"], env!("CARGO_PKG_VERSION"));
    assert_eq!(sync["versions"]["release"], RELEASE);
    assert!(sync["versions"]["schema"].is_i64());
    sync.as_object_mut().unwrap().remove("versions");
    assert_eq!(
        sync,
        json!({"chainId": 8996, "head": 110, "irreversible": 90, "recorded": 100, "judged": 99, "verified": 95, "lagBlocks": 10,
               "lagSeconds": null, "updatedAt": "2026-01-01T00:00:00Z", "halt": null, "unverified": null, "pause": null,
               "isolation": null, "warning": null, "providers": []})
    );
    execute(&mut connection, "UPDATE ledger.cursors SET head_number = 100, halt = 'a final block was replaced', halted_at = now()")
        .await
        .unwrap();
    let sync = service.json("/v1/sync").await;
    assert_eq!(sync["lagSeconds"], 0);
    assert_eq!(sync["halt"], "a final block was replaced");

    for path in ["/livez", "/readyz"] {
        assert_eq!(service.get(path).await.text().await.unwrap(), "ok\n");
    }
    execute(
        &mut connection,
        "DELETE FROM _sqlx_migrations WHERE version = (SELECT max(version) FROM _sqlx_migrations)",
    )
    .await
    .unwrap();
    let response = service.get("/readyz").await;
    assert!(response.headers().contains_key("retry-after"));
    assert_eq!(problem(response).await, (503, "unavailable".to_owned()));
    assert_eq!(service.get("/livez").await.status(), 200);

    service.stop.cancel();
    (&mut service.served).await.unwrap().unwrap();
}

#[tokio::test]
async fn before_anything_was_followed_there_are_no_jobs() {
    let service = Service::over(Database::migrated().await).await;
    assert_eq!(
        service.json("/v1/jobs").await,
        json!({"jobs": [], "nextCursor": null})
    );
    assert_eq!(service.json("/v1/sync").await["head"], Value::Null);
    assert_eq!(service.get("/readyz").await.status(), 200);
}
