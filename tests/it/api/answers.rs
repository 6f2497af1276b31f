//! Every route's answer and every refusal, word for word, as `answers.txt` shows them: status, the headers that matter, body.
//!
//! `TIDEWATCH_TEST_WRITE_ANSWERS=1` writes the file anew; the change is then looked at like any other.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use reqwest::{Method, Response};
use serde_json::Value;

use super::rows;
use super::service::{Service, TOKEN};

const FILE: &str = "tests/it/api/answers.txt";

/// Headers that are part of the promise.
const HEADERS: [&str; 12] = [
    "content-type",
    "content-range",
    "content-security-policy",
    "cache-control",
    "vary",
    "etag",
    "allow",
    "retry-after",
    "www-authenticate",
    "x-content-type-options",
    "x-log-completeness",
    "x-log-attempt",
];

/// Members whose values are another every time.
const OF_THE_MOMENT: [&str; 6] = [
    "recordedAt",
    "schema",
    "release",
    "tidewatch",
    "lagSeconds",
    "cursor",
];

/// A request: method, path, headers.
type Asked = (
    &'static str,
    String,
    &'static [(&'static str, &'static str)],
);

fn requests() -> Vec<Asked> {
    const NONE: &[(&str, &str)] = &[];
    const KNOWN: &[(&str, &str)] = &[("if-none-match", "*")];
    const TOKENED: &[(&str, &str)] = &[("authorization", "Bearer an-operators-token")];
    const WRONG: &[(&str, &str)] = &[("authorization", "Bearer another")];
    const RANGE: &[(&str, &str)] = &[
        ("authorization", "Bearer an-operators-token"),
        ("range", "bytes=99-"),
    ];
    let job = format!("/v1/jobs/{}", rows::name(1));
    let none = format!("/v1/jobs/{}", rows::name(9));
    let agreement = rows::hash(0xa, 1);
    let get = |path: &str| ("GET", path.to_owned(), NONE);
    let legacy = "/api/v1/brizo/services/compute";
    vec![
        get("/v1/jobs"),
        get("/v1/jobs?limit=1"),
        get("/v1/jobs?limit=0"),
        get("/v1/jobs?status=70"),
        ("HEAD", "/v1/jobs".to_owned(), NONE),
        ("GET", "/v1/jobs".to_owned(), KNOWN),
        ("DELETE", "/v1/jobs".to_owned(), NONE),
        get(&job),
        ("GET", job.clone(), WRONG),
        get(&none),
        get("/v1/jobs/%ff"),
        get(&format!("{job}/transitions")),
        get(&format!("{job}/logs")),
        ("GET", format!("{job}/logs"), TOKENED),
        ("GET", format!("{job}/logs?stage=filter"), TOKENED),
        ("GET", format!("{job}/logs?stage=other"), TOKENED),
        ("GET", format!("{job}/logs"), RANGE),
        get(&format!("{none}/logs")),
        ("GET", format!("{none}/logs"), TOKENED),
        get(&format!("{job}/results")),
        ("GET", format!("{job}/results"), TOKENED),
        ("GET", format!("{none}/results"), TOKENED),
        ("POST", "/v1/sign-in/challenges".to_owned(), NONE),
        get("/v1/sign-in/challenges"),
        ("POST", "/v1/sessions".to_owned(), NONE),
        get("/v1/transitions"),
        get("/v1/keeper-events"),
        get("/v1/keeper-events?fromBlock=-1"),
        get("/v1/sync"),
        get(&format!("/v1/agreements/{agreement}")),
        get(&format!("/v1/assets/did:op:{}", "1".repeat(64))),
        ("POST", "/v1/preflight".to_owned(), NONE),
        get("/v1/preflight"),
        get("/api/v1/operator/compute"),
        get(&format!("/api/v1/operator/compute?agreementId={agreement}")),
        get("/api/v1/operator/runningjobs"),
        get(&format!("{legacy}?jobId={}", rows::name(1))),
        ("POST", legacy.to_owned(), NONE),
        ("PUT", legacy.to_owned(), NONE),
        ("DELETE", legacy.to_owned(), NONE),
        get("/livez"),
        get("/readyz"),
        get("/nothing"),
    ]
}

#[tokio::test]
async fn every_route_and_every_refusal_answers_as_shown() {
    let (service, mut connection) = Service::start().await;
    let job = rows::job(&mut connection, 1).await;
    rows::job(&mut connection, 2).await;
    rows::job_log(&mut connection, job, Some("complete"), &[b"one\ntwo\n"]).await;
    let mut shown = String::new();
    for (method, path, headers) in requests() {
        let method: Method = method.parse().unwrap();
        let url = format!("{}{path}", service.origin());
        let request = service.client.request(method.clone(), url);
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        writeln!(shown, "{method} {path}").unwrap();
        for (name, value) in headers {
            writeln!(shown, "> {name}: {}", value.replace(TOKEN, "TOKEN")).unwrap();
        }
        show(&mut shown, request.send().await.unwrap()).await;
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    if env::var_os("TIDEWATCH_TEST_WRITE_ANSWERS").is_some() {
        fs::write(&file, &shown).unwrap();
    }
    let expected = fs::read_to_string(&file).unwrap();
    for (line, (is, was)) in (1..).zip(shown.lines().zip(expected.lines())) {
        assert_eq!(is, was, "{FILE}:{line}");
    }
    assert_eq!(shown.len(), expected.len(), "{FILE}");
}

async fn show(shown: &mut String, response: Response) {
    writeln!(shown, "{}", response.status().as_u16()).unwrap();
    for name in HEADERS {
        for value in response.headers().get_all(name) {
            let value = match name {
                "etag" => "W/\"…\"",
                _ => value.to_str().unwrap(),
            };
            writeln!(shown, "{name}: {value}").unwrap();
        }
    }
    assert!(response.headers().contains_key("x-request-id"));
    let text = response.text().await.unwrap();
    let body = match serde_json::from_str::<Value>(&text) {
        Ok(mut value) => {
            settle(&mut value);
            serde_json::to_string_pretty(&value).unwrap()
        }
        Err(_) => text.trim_end().to_owned(),
    };
    writeln!(shown, "{body}\n").unwrap();
}

/// Puts a sign where a value is of the moment.
fn settle(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                if OF_THE_MOMENT.contains(&name.as_str()) && !value.is_null() {
                    *value = "…".into();
                } else {
                    settle(value);
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(settle),
        _ => {}
    }
}
