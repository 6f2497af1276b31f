//! What happens, as it happens: nobody misses anything, nobody gets anything twice, whatever commits in whatever order.

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgConnection;
use tidewatch::ids::JobId;
use tidewatch::jobs::{Outcome, Phase, Reason, Status};
use tidewatch::ledger::{Ledger, Transaction, commit, status};

use super::database::execute;
use super::events::Event;
use super::rows;
use super::service::{Service, TOKEN, problem};

async fn advance(ledger: &Ledger, job: JobId, next: Status) {
    let transaction = advanced(ledger, job, next).await;
    commit(transaction).await.unwrap();
}

/// A transaction that has moved a job and still runs.
async fn advanced(ledger: &Ledger, job: JobId, next: Status) -> Transaction {
    let mut transaction = ledger.begin().await.unwrap();
    let mut locked = status::lock(&mut transaction, job).await.unwrap();
    status::advance(&mut transaction, &mut locked, next, "observer")
        .await
        .unwrap();
    transaction
}

fn told(events: &[Event], member: &str) -> Vec<Value> {
    events
        .iter()
        .map(|event| event.data[member].clone())
        .collect()
}

#[tokio::test]
async fn a_jobs_transitions_are_told_from_the_first_and_then_as_they_come() {
    let (service, mut connection) = Service::start().await;
    let job = rows::job(&mut connection, 1).await;
    let other = rows::job(&mut connection, 2).await;
    let ledger = service.database.ledger();
    let running = Status::of_phase(Phase::Running, 1);
    advance(ledger, job, Status::of_phase(Phase::Configuring, 1)).await;
    let path = format!("/v1/jobs/{}/transitions", rows::name(1));
    let mut events = service.events(&path, None).await;
    let first = events.next().await.unwrap();
    assert_eq!(
        (first.name.as_str(), &first.data["number"]),
        ("transition", &json!(1))
    );

    advance(ledger, other, running).await;
    advance(ledger, job, running).await;
    let second = events.next().await.unwrap();
    assert_eq!(
        (&second.data["number"], &second.data["phase"]),
        (&json!(2), &json!("running"))
    );
    let page = service.json(&path).await;
    assert_eq!(page["transitions"], json!([first.data, second.data]));

    // Gone on behind the first, it is the same again.
    let mut resumed = service.events(&path, Some(&first.id)).await;
    assert_eq!(resumed.next().await.unwrap(), second);
    let made_up = service.client.get(format!("{}{path}", service.origin()));
    let made_up = made_up.header("last-event-id", "7").send().await.unwrap();
    assert_eq!(
        problem(made_up).await,
        (400, "invalid_parameter".to_owned())
    );

    let missing = format!("/v1/jobs/{}/transitions", rows::name(3));
    let missing = service.client.get(format!("{}{missing}", service.origin()));
    let missing = missing
        .header("accept", "text/event-stream")
        .send()
        .await
        .unwrap();
    assert_eq!(problem(missing).await, (404, "job_not_found".to_owned()));
}

#[tokio::test]
async fn transitions_that_commit_out_of_order_are_told_once_and_none_is_left_out() {
    let (service, mut connection) = Service::start().await;
    let mut jobs = Vec::new();
    for number in 1..=4 {
        jobs.push(rows::job(&mut connection, number).await);
    }
    let ledger = service.database.ledger();
    let configuring = Status::of_phase(Phase::Configuring, 1);
    let mut from_start = service
        .events(
            &format!("/v1/transitions?cursor=02{}", "0".repeat(32)),
            None,
        )
        .await;
    let mut live = service.events("/v1/transitions", None).await;
    advance(ledger, jobs[0], configuring).await;
    assert_eq!(live.next().await.unwrap().data["job"], json!(rows::name(1)));

    // The second is written first and commits last; what began after it waits, or it could never be told.
    let slow = advanced(ledger, jobs[1], configuring).await;
    advance(ledger, jobs[2], configuring).await;
    let page = service.json("/v1/transitions").await;
    assert_eq!(page["transitions"].as_array().unwrap().len(), 1);
    let seen_before = page["transitions"][0]["cursor"]
        .as_str()
        .unwrap()
        .to_owned();
    commit(slow).await.unwrap();
    advance(ledger, jobs[3], configuring).await;

    let names = |numbers: &[i64]| {
        numbers
            .iter()
            .map(|n| json!(rows::name(*n)))
            .collect::<Vec<_>>()
    };
    let rest = live.take(3).await;
    assert_eq!(told(&rest, "job"), names(&[2, 3, 4]));
    let all = from_start.take(4).await;
    assert_eq!(told(&all, "job"), names(&[1, 2, 3, 4]));
    assert_eq!(all[1..], rest[..]);
    for (index, event) in all.iter().enumerate() {
        let mut resumed = service.events("/v1/transitions", Some(&event.id)).await;
        let following = resumed.take(3 - index).await;
        assert_eq!(following, all[index + 1..], "behind event {index}");
    }
    let page = service
        .json(&format!("/v1/transitions?cursor={seen_before}&limit=2"))
        .await;
    let shown: Vec<_> = page["transitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["job"].clone())
        .collect();
    assert_eq!(shown, names(&[2, 3]));
    let next = page["nextCursor"].as_str().unwrap();
    let last = service
        .json(&format!("/v1/transitions?cursor={next}&limit=2"))
        .await;
    assert_eq!(last["transitions"][0]["job"], json!(rows::name(4)));
    assert_eq!(last["nextCursor"], Value::Null);
}

#[tokio::test]
async fn a_reader_who_falls_behind_is_told_so_and_goes_on_where_it_was() {
    let (service, mut connection) = Service::start().await;
    let job = rows::job(&mut connection, 1).await;
    let mut slow = service.events("/v1/transitions", None).await;
    let ledger = service.database.ledger();
    advance(ledger, job, Status::of_phase(Phase::Configuring, 1)).await;
    let mut last = slow.next().await.unwrap();
    // One after the other, until it surely hears of them by being told: what it still reads from the ledger, it cannot fall behind in.
    for number in 2..=20 {
        many(&mut connection, job, number, 1).await;
        last = slow.next().await.unwrap();
    }

    // More than the sockets and the ring hold, in many commits, while nobody reads.
    for batch in 0..60 {
        many(&mut connection, job, 21 + batch * 500, 500).await;
    }
    let lost = Status::finished(Outcome::Lost, Some(Reason::WorkflowMissing), 1);
    execute(
        &mut connection,
        &format!("UPDATE ledger.job_state SET last_transition = 30020 WHERE job_id = {job}"),
    )
    .await
    .unwrap();
    advance(ledger, job, lost).await;
    until_told(&service, last.id.clone(), 30_021).await;

    let mut read = 0;
    let said = loop {
        let event = slow.next().await.expect("the end is told");
        if event.name != "transition" {
            break event;
        }
        assert_eq!(
            event.data["number"],
            last.data["number"].as_i64().unwrap() + 1
        );
        (last, read) = (event, read + 1);
    };
    assert_eq!(said.name, "too_slow");
    assert!(slow.next().await.is_none());
    assert!(read < 30_000, "{read}");

    // What it missed is in the ledger.
    let mut resumed = service.events("/v1/transitions", Some(&last.id)).await;
    let next = resumed.next().await.unwrap();
    assert_eq!(
        next.data["number"],
        last.data["number"].as_i64().unwrap() + 1
    );
}

/// Reads on behind an event until that transition comes. On a busy machine the feed may outrun this reader too, who then does as it is
/// told and goes on.
async fn until_told(service: &Service, mut last: String, number: i64) {
    loop {
        let mut live = service.events("/v1/transitions", Some(&last)).await;
        while let Some(event) = live.next().await {
            if event.data["number"] == number {
                return;
            }
            if event.name == "transition" {
                last = event.id;
            }
        }
    }
}

/// Transitions as bulk: their hashes mean nothing.
async fn many(connection: &mut PgConnection, job: JobId, first: i64, count: i64) {
    let statement = format!(
        "INSERT INTO ledger.transitions (deployment_id, job_id, number, phase, attempt, at, previous_hash, hash, worker)
         SELECT j.deployment_id, j.id, number, 'running', 1, now(), decode(repeat('00', 32), 'hex'), decode(repeat('00', 32), 'hex'), 'observer'
         FROM ledger.jobs j, generate_series({first}, {first} + {count} - 1) AS number WHERE j.id = {job}"
    );
    execute(connection, &statement).await.unwrap();
}

#[tokio::test]
async fn open_streams_end_when_the_service_does() {
    let (mut service, mut connection) = Service::start().await;
    rows::job(&mut connection, 1).await;
    let mut all = service.events("/v1/transitions", None).await;
    let mut one = service
        .events(&format!("/v1/jobs/{}/transitions", rows::name(1)), None)
        .await;
    let mut log = service
        .events(
            &format!("/v1/jobs/{}/logs?follow=true", rows::name(1)),
            None,
        )
        .await;
    service.stop.cancel();
    for stream in [&mut all, &mut one, &mut log] {
        assert_eq!(stream.next().await, None);
    }
    (&mut service.served).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_log_is_followed_while_it_grows_and_its_record_ends_it() {
    let (service, mut connection) = Service::start().await;
    let job = rows::job(&mut connection, 1).await;
    let path = format!("/v1/jobs/{}/logs?follow=true", rows::name(1));
    // Before there is any.
    let mut events = service.events(&path, None).await;
    let plain = service.request(Method::GET, &path, Some(TOKEN)).await;
    rows::job_log(&mut connection, job, None, &[b"one\n", b"caf\xc3"]).await;
    let mut text = String::new();
    while text != "one\ncaf" {
        text += events.next().await.unwrap().data["text"].as_str().unwrap();
    }
    append(&mut connection, job, 8, b"\xa9\n").await;
    // What a piece cut in two is told whole.
    let piece = events.next().await.unwrap();
    assert_eq!(
        (&piece.data["text"], &piece.data["offset"]),
        (&json!("é\n"), &json!(7))
    );
    append(&mut connection, job, 10, b"end\n").await;
    execute(
        &mut connection,
        "UPDATE ledger.job_logs SET completeness = 'complete', bytes = 14",
    )
    .await
    .unwrap();
    assert_eq!(events.next().await.unwrap().data["text"], "end\n");
    let end = events.next().await.unwrap();
    assert_eq!(
        (end.name.as_str(), &end.data),
        ("end", &json!({"completeness": "complete", "bytes": 14}))
    );
    assert_eq!(events.next().await, None);
    assert_eq!(plain.bytes().await.unwrap(), "one\ncafé\nend\n".as_bytes());
    // Gone on behind a piece, the rest comes and nothing else.
    let mut resumed = service.events(&path, Some(&piece.id)).await;
    assert_eq!(resumed.next().await.unwrap().data["text"], "end\n");
}

async fn append(connection: &mut PgConnection, job: JobId, start: i64, body: &[u8]) {
    sqlx::query("INSERT INTO ledger.job_log_chunks (job_id, attempt, stage, start, body) VALUES ($1, 1, 'algorithm', $2, $3)")
        .bind(job.0)
        .bind(start)
        .bind(body)
        .execute(&mut *connection)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_log_is_read_by_its_last_lines_and_by_ranges_of_bytes() {
    let (service, mut connection) = Service::start().await;
    let job = rows::job(&mut connection, 1).await;
    rows::job_log(
        &mut connection,
        job,
        Some("complete"),
        &[b"one\ntw", b"o\nthree\n"],
    )
    .await;
    let read = async |query: &str, range: Option<&str>| {
        let path = format!("{}/v1/jobs/{}/logs{query}", service.origin(), rows::name(1));
        let request = service.client.get(path).bearer_auth(TOKEN);
        let request = match range {
            Some(range) => request.header("range", range),
            None => request,
        };
        request.send().await.unwrap()
    };
    for (lines, expected) in [
        (0, ""),
        (1, "three\n"),
        (2, "two\nthree\n"),
        (3, "one\ntwo\nthree\n"),
        (9, "one\ntwo\nthree\n"),
    ] {
        let response = read(&format!("?tailLines={lines}"), None).await;
        assert_eq!(response.content_length(), Some(expected.len() as u64));
        assert_eq!(response.text().await.unwrap(), expected, "{lines}");
    }
    for (range, content, expected) in [
        ("bytes=4-6", "bytes 4-6/14", "two"),
        ("bytes=8-", "bytes 8-13/14", "three\n"),
        ("bytes=-6", "bytes 8-13/14", "three\n"),
    ] {
        let response = read("", Some(range)).await;
        assert_eq!(response.status(), 206);
        assert_eq!(response.headers()["content-range"], content);
        assert_eq!(response.text().await.unwrap(), expected, "{range}");
    }
    let beyond = read("", Some("bytes=14-")).await;
    assert_eq!(beyond.headers()["content-range"], "bytes */14");
    assert_eq!(
        problem(beyond).await,
        (416, "range_not_satisfiable".to_owned())
    );
    for query in [
        "?tailLines=100001",
        "?tailLines=x",
        "?follow=1",
        "?sinceTime=2026-01-01T00:00:00Z",
    ] {
        assert_eq!(read(query, None).await.status(), 400, "{query}");
    }
}

#[tokio::test]
async fn a_finished_job_without_a_log_keeps_nobody_waiting() {
    let (service, mut connection) = Service::start().await;
    let job = rows::job(&mut connection, 1).await;
    let path = format!("/v1/jobs/{}/logs?follow=true", rows::name(1));
    let mut events = service.events(&path, None).await;
    let lost = Status::finished(Outcome::Lost, Some(Reason::WorkflowMissing), 0);
    advance(service.database.ledger(), job, lost).await;
    let end = events.next().await.unwrap();
    assert_eq!(
        (end.name.as_str(), &end.data),
        ("end", &json!({"completeness": null, "bytes": 0}))
    );
}
