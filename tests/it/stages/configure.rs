use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Output;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, stream};
use serde_json::{Value, json};

use super::{sha256, stage, text};

const DID: &str = "abababababababababababababababababababababababababababababababab";
const CONTENT: &[u8] = b"the publisher's rows, all of them, in order\n";

/// A server of files with the faults of real ones, that remembers what it was asked.
#[derive(Clone, Default)]
struct Files {
    asked: Arc<Mutex<Vec<Asked>>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Asked {
    path: String,
    range: Option<String>,
    condition: Option<String>,
}

impl Files {
    async fn serve() -> (Self, String) {
        let files = Self::default();
        let router = Router::new().fallback(answer).with_state(files.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (files, address.to_string())
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// How often a path was asked for, this time included.
    fn remember(&self, request: &Request) -> usize {
        let value = |name: HeaderName| {
            let value = request.headers().get(name)?;
            Some(value.to_str().unwrap().to_owned())
        };
        assert_eq!(
            value(header::REFERER),
            None,
            "a referrer leaks a signed URL"
        );
        let mut asked = self.asked.lock().unwrap();
        asked.push(Asked {
            path: request.uri().path().to_owned(),
            range: value(header::RANGE),
            condition: value(header::IF_RANGE),
        });
        let path = request.uri().path();
        asked.iter().filter(|one| one.path == path).count()
    }
}

async fn answer(State(files): State<Files>, request: Request) -> Response {
    let times = files.remember(&request);
    let range = request.headers().contains_key(header::RANGE);
    match request.uri().path() {
        "/good" => CONTENT.into_response(),
        "/moved" => (
            StatusCode::FOUND,
            [(header::LOCATION, "/good?signature=hidden")],
        )
            .into_response(),
        "/loop" => (StatusCode::FOUND, [(header::LOCATION, "/loop")]).into_response(),
        "/busy" if times == 1 => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        "/busy" => CONTENT.into_response(),
        // Breaks in the middle, then goes on where it broke.
        "/broken" if times == 1 => half("\"v1\""),
        "/broken" if range => rest(),
        // Breaks in the middle of one version, then has another.
        "/changed" if times == 1 => half("\"v0\""),
        "/changed" => CONTENT.into_response(),
        // Breaks in the middle and has no version: what comes next cannot be known to fit.
        "/nameless" if times == 1 => half(""),
        "/nameless" => CONTENT.into_response(),
        "/endless" => {
            let rows = stream::repeat_with(|| Ok::<_, std::io::Error>(CONTENT));
            Body::from_stream(rows).into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn half(tag: &'static str) -> Response {
    let first = stream::once(async { Ok(&CONTENT[..20]) });
    let end = stream::once(async {
        // The server sends what it has when there is nothing more to wait for; without this it would send nothing.
        tokio::task::yield_now().await;
        Err(std::io::Error::other("the connection breaks here"))
    });
    let mut response = Response::new(Body::from_stream(first.chain(end)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, CONTENT.len().into());
    if !tag.is_empty() {
        headers.insert(header::ETAG, tag.parse().unwrap());
    }
    response
}

fn rest() -> Response {
    let range = format!("bytes 20-{}/{}", CONTENT.len() - 1, CONTENT.len());
    (
        StatusCode::PARTIAL_CONTENT,
        [(header::CONTENT_RANGE, range)],
        &CONTENT[20..],
    )
        .into_response()
}

/// A volume and a plan.
pub(super) struct Case {
    directory: tempfile::TempDir,
}

impl Case {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("data")).unwrap();
        Self { directory }
    }

    fn data(&self, path: &str) -> PathBuf {
        self.directory.path().join("data").join(path)
    }

    /// Where the publisher's Secret of that name is mounted.
    pub(super) fn secret(&self, name: &str) -> PathBuf {
        self.directory.path().join("secrets").join(name)
    }

    /// Fetches inputs, with the Secrets that are mounted.
    pub(super) async fn fetch(&self, inputs: &[Value], bytes: u64) -> (Output, Value) {
        let plan = json!({"did": format!("did:op:{DID}"), "inputs": inputs, "algorithm": "", "diskBytes": bytes});
        let secrets = self.directory.path().join("secrets");
        self.run(plan, &["--secrets", text(&secrets)]).await
    }

    pub(super) fn input(&self, index: u32) -> PathBuf {
        self.data("inputs").join(DID).join(index.to_string())
    }

    async fn run(&self, plan: Value, flags: &[&str]) -> (Output, Value) {
        let path = self.directory.path().join("plan.json");
        std::fs::write(&path, plan.to_string()).unwrap();
        let (data, message) = (self.data(""), self.directory.path().join("message"));
        let flags: Vec<_> = flags.iter().map(|&flag| flag.to_owned()).collect();
        let run = move || {
            let mut arguments = vec!["configure", "--plan", text(&path), "--data", text(&data)];
            arguments.extend(flags.iter().map(String::as_str));
            stage(&arguments, &message)
        };
        tokio::task::spawn_blocking(run).await.unwrap()
    }
}

fn plan(urls: &[&str], sum: Option<String>) -> Value {
    let inputs: Vec<_> = urls
        .iter()
        .enumerate()
        .map(|(index, url)| json!({"index": index, "url": url, "sha256": sum}))
        .collect();
    json!({"did": format!("did:op:{DID}"), "inputs": inputs, "algorithm": "print(1)\n", "diskBytes": 1000})
}

fn mode(path: &PathBuf) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[tokio::test]
async fn a_volume_is_made_as_oep_12_says_and_a_second_run_keeps_it() {
    let (files, host) = Files::serve().await;
    let case = Case::new();
    let url = format!("http://{host}/good");
    let plan = plan(
        &[&url, &format!("http://{host}/moved")],
        Some(sha256(CONTENT)),
    );
    let (output, message) = case.run(plan.clone(), &[]).await;
    assert_eq!(output.status.code(), Some(0), "{message}");
    assert_eq!(
        message,
        json!({"stage": "configure", "reason": null, "detail": null})
    );
    for index in [0, 1] {
        assert_eq!(std::fs::read(case.input(index)).unwrap(), CONTENT);
        assert_eq!(mode(&case.input(index)), 0o444);
    }
    let algorithm = case.data("transformations/algorithm");
    assert_eq!(std::fs::read(&algorithm).unwrap(), b"print(1)\n");
    assert_eq!(mode(&algorithm), 0o555);
    let document = std::fs::read(case.data("ddos").join(DID)).unwrap();
    let document: Value = serde_json::from_slice(&document).unwrap();
    assert_eq!(document, json!({"id": format!("did:op:{DID}")}));
    let modes = [
        ("inputs", 0o555),
        ("outputs", 0o755),
        ("logs", 0o755),
        ("record", 0o700),
    ];
    for (name, expected) in modes {
        assert_eq!(mode(&case.data(name)), expected, "{name}");
    }

    let before = files.asked();
    let (output, _) = case.run(plan, &[]).await;
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(files.asked(), before, "nothing is fetched twice");
}

#[tokio::test]
async fn a_broken_body_is_resumed_where_it_can_be_proven_to_fit() {
    let (files, host) = Files::serve().await;
    let case = Case::new();
    let urls =
        ["busy", "broken", "changed", "nameless"].map(|name| format!("http://{host}/{name}"));
    let urls: Vec<_> = urls.iter().map(String::as_str).collect();
    let (output, message) = case.run(plan(&urls, None), &[]).await;
    assert_eq!(output.status.code(), Some(0), "{message}");
    for index in 0..4 {
        assert_eq!(
            std::fs::read(case.input(index)).unwrap(),
            CONTENT,
            "{index}"
        );
    }
    let second = |path: &str| {
        let asked = files.asked();
        let mut asked = asked.into_iter().filter(|asked| asked.path == path);
        asked
            .nth(1)
            .map(|asked| (asked.range, asked.condition))
            .unwrap()
    };
    let from_20 = |tag: &str| (Some("bytes=20-".to_owned()), Some(tag.to_owned()));
    assert_eq!(second("/broken"), from_20("\"v1\""));
    assert_eq!(second("/changed"), from_20("\"v0\""));
    assert_eq!(second("/nameless"), (None, None));
}

#[tokio::test]
async fn what_cannot_be_had_is_31_and_no_url_is_told() {
    let (_files, host) = Files::serve().await;
    let table = [
        (
            format!("http://user:word@{host}/missing?token=hidden"),
            None,
            "the server answered 404",
        ),
        (
            format!("http://user:word@{host}/good?token=hidden"),
            Some(sha256(b"other")),
            "its SHA-256 is",
        ),
        (
            format!("http://user:word@{host}/loop?token=hidden"),
            None,
            "the server redirects too often",
        ),
        (
            "http://user:word@127.0.0.1:1/missing?token=hidden".to_owned(),
            None,
            "the transfer broke",
        ),
        (
            "ftp://user:word@host/missing?token=hidden".to_owned(),
            None,
            "addresses of the kind ftp",
        ),
        (
            "file:///missing/hidden".to_owned(),
            None,
            "addresses of the kind file",
        ),
        ("hidden".to_owned(), None, "its URL cannot be read"),
    ];
    for (url, sum, said) in table {
        let case = Case::new();
        let (output, message) = case.run(plan(&[&url], sum), &[]).await;
        assert_eq!(output.status.code(), Some(31), "{url}: {message}");
        assert_eq!(message["reason"], "data_provisioning_failed");
        let detail = message["detail"].as_str().unwrap();
        assert!(
            detail.starts_with(&format!("input 0: {said}")),
            "{url}: {detail}"
        );
        let told = format!("{detail}{}", String::from_utf8_lossy(&output.stderr));
        for secret in ["user", "word", "hidden", "missing", "token"] {
            assert!(!told.contains(secret), "{told}");
        }
        assert!(!case.input(0).exists());
        let left = std::fs::read_dir(case.data("inputs").join(DID))
            .unwrap()
            .count();
        assert_eq!(left, 0, "a half-written file takes room");
    }
}

#[tokio::test]
async fn more_than_the_disk_may_hold_is_42() {
    let (_files, host) = Files::serve().await;
    let good = format!("http://{host}/good");
    let endless = format!("http://{host}/endless");
    let tables: [(&[&str], u64); 3] = [(&[&endless], 1000), (&[&good, &good], 60), (&[&good], 46)];
    for (urls, bytes) in tables {
        let case = Case::new();
        let mut plan = plan(urls, None);
        plan["diskBytes"] = json!(bytes);
        let (output, message) = case.run(plan, &[]).await;
        assert_eq!(output.status.code(), Some(42), "{urls:?}: {message}");
        assert_eq!(message["reason"], "disk_exceeded");
    }
}

#[tokio::test]
async fn an_algorithm_that_cannot_be_written_is_32() {
    let case = Case::new();
    // A directory where the file should be: nobody's rights let a file replace it.
    std::fs::create_dir_all(case.data("transformations/algorithm/full")).unwrap();
    let (output, message) = case.run(plan(&[], None), &[]).await;
    assert_eq!(output.status.code(), Some(32), "{message}");
    assert_eq!(message["reason"], "algorithm_provisioning_failed");
}

#[tokio::test]
async fn a_plan_that_is_none_is_31_and_is_not_shown() {
    let case = Case::new();
    let (output, message) = case.run(json!({"did": "hidden"}), &[]).await;
    assert_eq!(output.status.code(), Some(31));
    let detail = message["detail"].as_str().unwrap();
    assert!(detail.contains("is wrong at line 1"), "{detail}");
    assert!(!detail.contains("hidden"), "{detail}");
}

#[tokio::test]
async fn local_files_are_for_development() {
    let case = Case::new();
    let file = case.directory.path().join("rows");
    std::fs::write(&file, CONTENT).unwrap();
    let url = format!("file://{}", text(&file));
    let (output, message) = case
        .run(plan(&[&url], Some(sha256(CONTENT))), &["--allow-file"])
        .await;
    assert_eq!(output.status.code(), Some(0), "{message}");
    assert_eq!(std::fs::read(case.input(0)).unwrap(), CONTENT);
}
