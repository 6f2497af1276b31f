//! The pages as a browser without scripts gets them.

use std::sync::Arc;

use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, header};
use serde_json::json;
use sqlx::PgConnection;

use super::agreements::with_node;
use super::database::execute;
use super::jobs::failed_job;
use super::rows;
use super::service::{Endpoint, Service};
use crate::judging::bench::{Bench, default_workflow};

/// What browsers say they like.
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

async fn open(service: &Endpoint, path: &str) -> Response {
    let client = Client::builder().redirect(Policy::none()).build().unwrap();
    let request = client.get(format!("{}{path}", service.origin()));
    request
        .header(header::ACCEPT, BROWSER)
        .send()
        .await
        .unwrap()
}

/// A page's source.
async fn source(service: &Endpoint, path: &str) -> String {
    let response = open(service, path).await;
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    response.text().await.unwrap()
}

/// A page's words, as somebody reads them.
fn words(source: &str) -> String {
    let mut text = String::new();
    for part in source.split('<') {
        let (_, after) = part.split_once('>').unwrap_or_default();
        text.push_str(after);
        text.push(' ');
    }
    let text = text
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&amp;", "&");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The value of every attribute of that name.
fn attributes<'a>(source: &'a str, name: &str) -> Vec<&'a str> {
    let begin = format!(" {name}=\"");
    let parts = source.split(begin.as_str()).skip(1);
    parts.map(|rest| rest.split('"').next().unwrap()).collect()
}

#[tokio::test]
async fn every_page_keeps_to_itself_and_holds_no_script_of_its_own() {
    let (service, mut connection) = Service::start().await;
    failed_job(&mut connection, 1).await;
    let job = format!("/jobs/{}", rows::name(1));
    let transaction = format!("/transactions/{}", rows::hash(0x7, 1));
    for path in [
        "/",
        "/health",
        "/docs",
        "/search?q=x",
        "/nowhere",
        &job,
        &transaction,
    ] {
        let response = open(&service, path).await;
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap();
        assert!(
            policy.starts_with("default-src 'none'; style-src 'self'; script-src 'self';"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(
            response.headers()[header::X_CONTENT_TYPE_OPTIONS],
            "nosniff"
        );
        assert_eq!(
            response.headers()[header::CONTENT_TYPE],
            "text/html; charset=utf-8"
        );
        let source = response.text().await.unwrap();
        assert!(
            source.starts_with("<!DOCTYPE html><html lang=\"en\">"),
            "{path}"
        );
        for own in [
            " style=",
            "<style",
            " onclick=",
            " onload=",
            "javascript:",
            "http-equiv",
        ] {
            assert!(!source.contains(own), "{path} holds {own}");
        }
        for name in ["href", "src", "action"] {
            for to in attributes(&source, name) {
                let is_here = to.starts_with('#') || (to.starts_with('/') && !to.starts_with("//"));
                assert!(is_here, "{path} leads to {to}");
            }
        }
        for landmark in [
            "<header",
            "<main",
            "<nav",
            "<footer",
            "<h1",
            "class=\"skip\"",
            "role=\"search\"",
        ] {
            assert!(source.contains(landmark), "{path} has no {landmark}");
        }
    }
}

#[tokio::test]
async fn a_first_look_is_small() {
    let (service, mut connection) = Service::start().await;
    for number in 1..=25 {
        failed_job(&mut connection, number).await;
    }
    let home = source(&service, "/").await;
    let mut bytes = home.len();
    let needed: Vec<_> = attributes(&home, "href")
        .into_iter()
        .chain(attributes(&home, "src"))
        .collect();
    for path in needed.iter().filter(|path| path.starts_with("/assets/")) {
        bytes += source(&service, path).await.len();
    }
    assert!(
        bytes < 50 * 1024,
        "{bytes} bytes, of which the page itself {}",
        home.len()
    );
}

#[tokio::test]
async fn what_pages_need_is_kept_for_good_under_names_that_change_with_it() {
    let (service, _connection) = Service::start().await;
    let home = source(&service, "/").await;
    for (name, kind) in [
        ("src", "text/javascript; charset=utf-8"),
        ("href", "text/css; charset=utf-8"),
    ] {
        let ending = if name == "src" { ".js" } else { ".css" };
        let all = attributes(&home, name);
        let path = all.iter().find(|path| path.ends_with(ending)).unwrap();
        let response = open(&service, path).await;
        assert_eq!(response.headers()[header::CONTENT_TYPE], kind);
        assert_eq!(
            response.headers()[header::CACHE_CONTROL],
            "public, max-age=31536000, immutable"
        );
    }
    assert_eq!(
        open(&service, "/assets/page.000000000000.js")
            .await
            .status(),
        404
    );
}

#[tokio::test]
async fn a_job_is_told_from_its_transaction_to_its_end_with_what_decided_each_rule() {
    let (service, mut connection) = Service::start().await;
    let job = failed_job(&mut connection, 1).await;
    let rules = json!([
        {"rule": "payment", "answer": "holds", "detail": "The lock paid 10."},
        {"rule": "window", "answer": "holds", "detail": "In its window.", "evidence": {"call": "getCondition(0x1)"}},
        {"rule": "start", "answer": "not_reached", "detail": "Not asked."},
    ]);
    let statement =
        format!("UPDATE ledger.verdicts SET rules = '{rules}' WHERE job_id = {job} AND number = 2");
    // Verdicts are append-only; a test may write one that was never given.
    let replaced = format!("ALTER TABLE ledger.verdicts DISABLE TRIGGER USER; {statement}");
    execute(&mut connection, &replaced).await.unwrap();
    let told = words(&source(&service, &format!("/jobs/{}", rows::name(1))).await);
    let story = [
        "✕ failed",
        "ended with an exit code other than 0",
        "algorithm_failed",
        "What to do.",
        "The publisher answered: compute condition fulfilled",
        "block 1",
        "log 3",
        "Recorded",
        "Judged: admitted",
        "Inputs and algorithm fetched",
        "stage configure",
        "Algorithm run",
        "took 1 s",
        "saw the cluster deny it the network",
        "Finished: failed",
        "Admitted: every rule holds.",
        "block 99",
        "payment : holds. The lock paid 10.",
        "call getCondition(0x1)",
        "Not asked: start.",
        "docker.io/library/python:3.12",
    ];
    let mut rest = told.as_str();
    for part in story {
        let Some((_, after)) = rest.split_once(part) else {
            panic!("{part:?} does not come next in: {rest}");
        };
        rest = after;
    }
    // What the algorithm could choose is on no page.
    assert!(
        !told.contains("exit code 7") && !told.contains("uid-2"),
        "{told}"
    );
}

async fn hostile_event(connection: &mut PgConnection, job: i64, text: &str) {
    let arguments = json!({"agreementId": rows::hash(0xa, 1), (text): text});
    sqlx::query("INSERT INTO ledger.decoded_logs (log_id, decoder, contract, name, arguments) SELECT log_id, 1, 'DIDRegistry', $2, $3 FROM ledger.job_state WHERE job_id = $1")
        .bind(job)
        .bind(text)
        .bind(arguments)
        .execute(connection)
        .await
        .unwrap();
}

#[tokio::test]
async fn what_strangers_chose_is_text_whatever_it_is() {
    let (service, mut connection) = Service::start().await;
    let job = rows::job(&mut connection, 1).await;
    let text = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>\u{202e}cod.exe\u{7}";
    hostile_event(&mut connection, job.0, text).await;
    let halt = format!("UPDATE ledger.cursors SET halt = $h${text}$h$, halted_at = now()");
    execute(&mut connection, &halt).await.unwrap();
    let query = url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    for path in [
        format!("/transactions/{}", rows::hash(0x7, 1)),
        format!("/search?q={query}"),
        format!("/?consumer={query}"),
        "/health".to_owned(),
    ] {
        let source = open(&service, &path).await.text().await.unwrap();
        assert!(
            !source.contains("<script>") && !source.contains("<img"),
            "{path}: {source}"
        );
        assert!(
            source.contains("&lt;script&gt;alert(1)"),
            "{path} does not show it"
        );
        // A field holds what was typed into it.
        let is_typed = path.contains('?');
        assert!(
            is_typed || !source.contains(['\u{202e}', '\u{7}']),
            "{path}"
        );
        assert!(
            is_typed || source.contains("\\u{202e}cod.exe"),
            "{path} hides what turns text round"
        );
    }
}

/// Where a search leads, or its status.
async fn found(service: &Endpoint, text: &str) -> Result<String, u16> {
    let query: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
    let response = open(service, &format!("/search?q={query}")).await;
    match response.headers().get(header::LOCATION) {
        Some(to) => Ok(to.to_str().unwrap().to_owned()),
        None => Err(response.status().as_u16()),
    }
}

#[tokio::test]
async fn one_box_takes_anything() {
    let (service, mut connection) = Service::start().await;
    failed_job(&mut connection, 1).await;
    rows::job(&mut connection, 2).await;
    let job = format!("/jobs/{}", rows::name(1));
    for text in [
        rows::name(1).to_string(),
        rows::name(1).to_string().to_uppercase(),
        format!("https://somewhere.example{job}?x=1#log"),
        rows::hash(0xa, 1).to_string(),
        rows::hash(0xc, 1).to_string(),
        format!(" {} ", &rows::hash(0x7, 1).to_string()[2..]),
    ] {
        assert_eq!(found(&service, &text).await, Ok(job.clone()), "{text}");
    }
    let did = format!("did:op:{}", alloy::hex::encode(rows::hash(0xd, 1)));
    assert_eq!(found(&service, &did).await, Ok(format!("/?did={did}")));
    let consumer = "0xABaBaBaBABabABabAbAbABAbABabababaBaBABaB";
    let lower = consumer.to_lowercase();
    assert_eq!(
        found(&service, &lower).await,
        Ok(format!("/?consumer={consumer}"))
    );
    for nothing in [
        "hello",
        "",
        &rows::hash(0xe, 1).to_string(),
        &"9".repeat(400),
    ] {
        assert_eq!(found(&service, nothing).await, Err(404), "{nothing}");
    }
    let page = open(&service, "/search?q=hello")
        .await
        .text()
        .await
        .unwrap();
    let told = words(&page);
    assert!(
        told.contains("Nothing is known by that name") && told.contains("32 hexadecimal digits"),
        "{told}"
    );
}

#[tokio::test]
async fn the_list_is_filtered_and_turned_over_by_links_alone() {
    let (service, mut connection) = Service::start().await;
    for number in 1..=45 {
        rows::job(&mut connection, number).await;
    }
    let mut seen = Vec::new();
    let mut path = "/".to_owned();
    loop {
        let page = source(&service, &path).await;
        let links = attributes(&page, "href").into_iter();
        seen.extend(
            links
                .filter(|to| to.starts_with("/jobs/"))
                .map(ToOwned::to_owned),
        );
        let Some(next) = page.split("rel=\"next\" href=\"").nth(1) else {
            break;
        };
        path = next.split('"').next().unwrap().replace("&amp;", "&");
    }
    let expected: Vec<_> = (1..=45)
        .rev()
        .map(|n| format!("/jobs/{}", rows::name(n)))
        .collect();
    assert_eq!(seen, expected);
    // A form sends its empty fields, too.
    let none = source(&service, "/?phase=running&outcome=&did=&consumer=").await;
    assert!(words(&none).contains("No job fits."));
    let wrong = open(&service, "/?consumer=me").await;
    assert_eq!(wrong.status(), 400);
    let told = words(&wrong.text().await.unwrap());
    assert!(told.contains("\"consumer\" must be an address"), "{told}");
}

#[tokio::test]
async fn people_are_told_of_refusals_on_a_page_and_machines_in_a_document() {
    let (service, _connection) = Service::start().await;
    let missing = format!("/jobs/{}", rows::name(1));
    let wrong = format!("/transactions/{}", "7");
    for (path, status, said) in [
        (missing.as_str(), 404, "There is no job with this id."),
        ("/nowhere", 404, "There is nothing at this path."),
        (&wrong, 400, "must be 0x and 64 hexadecimal digits"),
        (
            "/health?verbose=1",
            400,
            "There is no parameter \"verbose\" here.",
        ),
        (
            &format!("/agreements/{}", rows::hash(0xa, 1)),
            503,
            "TIDEWATCH_KEEPER",
        ),
    ] {
        let page = open(&service, path).await;
        assert_eq!(page.status(), status, "{path}");
        assert_eq!(page.headers()[header::CACHE_CONTROL], "no-store");
        let told = words(&page.text().await.unwrap());
        assert!(told.contains(said), "{path}: {told}");
        let (code, _) = service.problem(path).await;
        assert_eq!(code, status);
    }
    // Where machines ask, the form of the answer does not depend on what a browser likes.
    for path in ["/v1/jobs?limit=0", "/v1/nowhere"] {
        let response = open(&service, path).await;
        assert_eq!(
            response.headers()[header::CONTENT_TYPE],
            "application/problem+json",
            "{path}"
        );
    }
}

#[tokio::test]
async fn whoever_looks_is_warned_when_nobody_follows_and_when_work_stands_still() {
    let (service, mut connection) = Service::start().await;
    let warned = async || words(&source(&service, "/").await);
    // The rows are of January.
    assert!(
        warned()
            .await
            .contains("Stale Nobody has followed the chain for")
    );
    let fresh = "UPDATE ledger.cursors SET updated_at = now(), head_number = recorded_number, head_hash = recorded_hash";
    execute(&mut connection, fresh).await.unwrap();
    let calm = warned().await;
    assert!(
        !calm.contains("Stale") && !calm.contains("Behind"),
        "{calm}"
    );
    let still = "UPDATE ledger.cursors SET halt = 'block 90 is another one now', halted_at = now();
                 INSERT INTO ledger.operator_actions (action, subject, reason) VALUES ('pause', 'all', 'new catalog')";
    execute(&mut connection, still).await.unwrap();
    let told = warned().await;
    assert!(
        told.contains("block 90 is another one now") && told.contains("Paused"),
        "{told}"
    );
    assert!(told.contains("new catalog"), "{told}");
}

#[tokio::test]
async fn the_reference_tells_of_every_route_and_type_that_the_description_has() {
    let (service, _connection) = Service::start().await;
    let description = service.json("/openapi.json").await;
    let page = source(&service, "/docs").await;
    for (path, methods) in description["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            assert!(
                page.contains(&format!(
                    ">{}</span> <code>{path}</code></h3>",
                    method.to_uppercase()
                )),
                "{method} {path}"
            );
        }
    }
    for name in description["components"]["schemas"]
        .as_object()
        .unwrap()
        .keys()
    {
        assert!(page.contains(&format!("id=\"type-{name}\"")), "{name}");
    }
    for to in attributes(&page, "href")
        .into_iter()
        .filter_map(|to| to.strip_prefix('#'))
    {
        assert!(
            page.contains(&format!("id=\"{to}\"")),
            "#{to} leads nowhere"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agreement_without_a_job_says_who_is_awaited_and_how_the_consumer_is_paid_back() {
    let mut bench = Bench::start().await;
    let chain = Arc::clone(&bench.chain);
    let did = chain.asset().await;
    bench.offer(&[(did, &default_workflow())]);
    let purchase = chain.order(did);
    let (created, locked) = chain.pay(&purchase).await;
    bench.settle().await;
    let api = Endpoint::beside(&bench, with_node(&bench)).await;
    let path = format!("/agreements/{}", purchase.agreement);
    let told = words(&source(&api, &path).await);
    let last = created.block.number + 1000;
    for part in [
        format!(
            "waits for the publisher (ComputeExecutionCondition.fulfill), who can answer up to block {last}."
        ),
        format!(
            "If nobody answers From block {} on anybody can abort",
            last + 1
        ),
        format!("Paid 10 smallest units, in block {}", locked.block.number),
        "LockRewardCondition.Fulfilled".to_owned(),
    ] {
        assert!(told.contains(&part), "{part:?} is not in: {told}");
    }
    for text in [
        purchase.agreement.to_string(),
        locked.transaction_hash.to_string(),
        purchase.compute_id().to_string(),
    ] {
        assert_eq!(found(&api, &text).await, Ok(path.clone()), "{text}");
    }

    let answered = chain.provider.send(purchase.fulfil()).await.unwrap();
    bench.settle().await;
    let told = words(&source(&api, &path).await);
    assert!(
        told.contains("It has a job, which says the rest.") && told.contains("queued"),
        "{told}"
    );
    let job = found(&api, &answered.transaction_hash.to_string())
        .await
        .unwrap();
    assert!(job.starts_with("/jobs/job-"), "{job}");
    let told = words(&source(&api, &job).await);
    let mut rest = told.as_str();
    for part in [
        "Agreement made",
        "Paid into the escrow: 10",
        "compute condition fulfilled",
        "Recorded",
        "Judged: admitted",
        "Algorithm run (to come)",
    ] {
        let Some((_, after)) = rest.split_once(part) else {
            panic!("{part:?} does not come next in: {rest}");
        };
        rest = after;
    }
    let terms = words(&source(&api, &format!("/?did={did}")).await);
    assert!(
        terms.contains("offers the asset for at least 10"),
        "{terms}"
    );
}
