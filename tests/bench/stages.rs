//! The stages that move data: `configure` beside `curl` for a file of a gigabyte over HTTP, and `publish` beside `curl` for its way into
//! an object store. Server, stage and disk share one machine; the server does nothing but read and write memory.

use std::fs;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Query, Request};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;

/// A gigabyte.
const BYTES: usize = 1_000_000_000;
const PIECE: usize = 64 * 1024;
/// How often a process is asked for its memory.
const LOOK: Duration = Duration::from_millis(20);
const DID: &str = "abababababababababababababababababababababababababababababababab";
const JOB: &str = "job-000102030405060708090a0b0c0d0e0f";

/// A stage beside `curl`.
pub(crate) struct Found {
    pub(crate) stage: &'static str,
    pub(crate) took: Duration,
    pub(crate) curl: Duration,
    /// How long it takes to do nothing but read and hash the file, which `curl` does not and the stage must.
    pub(crate) hashing: Duration,
    /// The most that the stage had resident, KiB.
    pub(crate) resident: u64,
}

/// Measures both, one after the other.
pub(crate) async fn measure() -> Result<[Found; 2]> {
    let server = serve().await?;
    let temporary = tempfile::tempdir()?;
    let directory = temporary.path().to_owned();
    let measured =
        move || -> Result<_> { Ok([configure(&directory, server)?, publish(&directory, server)?]) };
    tokio::task::spawn_blocking(measured).await?
}

fn configure(directory: &Path, server: SocketAddr) -> Result<Found> {
    let (url, copy) = (format!("http://{server}/file"), directory.join("copy"));
    let fetch = || {
        let mut curl = curl();
        curl.args(["--output"]).arg(&copy).arg(&url);
        curl
    };
    // Once before, so that neither is the first to touch the disk.
    run(fetch())?;
    let (took_by_curl, _) = run(fetch())?;
    let hashing = hash(&copy)?;
    fs::remove_file(&copy)?;
    let data = directory.join("data");
    fs::create_dir(&data)?;
    let input = json!({"index": 0, "url": url, "sha256": null, "secret": null});
    let plan = json!({"did": format!("did:op:{DID}"), "inputs": [input], "algorithm": null, "diskBytes": 2 * BYTES});
    let path = directory.join("plan.json");
    fs::write(&path, plan.to_string())?;
    let mut stage = stage("configure", directory);
    stage.arg("--plan").arg(&path).arg("--data").arg(&data);
    let (took, resident) = run(stage)?;
    let fetched = data.join("inputs").join(DID).join("0");
    ensure!(
        fs::metadata(&fetched)?.len() == BYTES as u64,
        "configure fetched something else"
    );
    Ok(Found {
        stage: "configure",
        took,
        curl: took_by_curl,
        hashing,
        resident,
    })
}

/// Of what `configure` fetched.
fn publish(directory: &Path, server: SocketAddr) -> Result<Found> {
    let data = directory.join("data");
    let fetched: PathBuf = data.join("inputs").join(DID).join("0");
    let mut upload = curl();
    upload.arg("--upload-file").arg(&fetched);
    upload.arg(format!("http://{server}/bucket/curl"));
    let (took_by_curl, _) = run(upload)?;
    let hashing = hash(&fetched)?;

    fs::rename(&fetched, data.join("outputs/result"))?;
    fs::write(data.join("record/log"), "")?;
    let nothing = "0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let ending = json!({"stage": "algorithm", "exitCode": 0, "signal": null, "reason": null,
        "log": {"bytes": 0, "sha256": nothing, "completeness": "complete"}});
    fs::write(data.join("record/ending.json"), ending.to_string())?;
    let credentials = directory.join("credentials");
    fs::create_dir(&credentials)?;
    for (name, value) in [
        ("AWS_ACCESS_KEY_ID", "bench"),
        ("AWS_SECRET_ACCESS_KEY", "bench"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT", &format!("http://{server}")),
        ("AWS_ALLOW_HTTP", "true"),
        // As over TLS, which protects what travels: curl does not sign either.
        ("AWS_UNSIGNED_PAYLOAD", "true"),
    ] {
        fs::write(credentials.join(name), value)?;
    }
    let plan = json!({"job": JOB, "attempt": 1, "resultsUrl": "s3://bucket/of", "results": "raw", "logs": "none",
        "resultBytes": 2 * BYTES, "resultFiles": 10, "logBytes": 100});
    let mut stage = stage("publish", directory);
    stage
        .arg("--plan")
        .arg(plan.to_string())
        .arg("--data")
        .arg(&data);
    stage.arg("--credentials").arg(&credentials);
    let (took, resident) = run(stage)?;
    Ok(Found {
        stage: "publish",
        took,
        curl: took_by_curl,
        hashing,
        resident,
    })
}

fn hash(path: &Path) -> Result<Duration> {
    let began = Instant::now();
    let (mut file, mut piece) = (fs::File::open(path)?, vec![0; 1 << 20]);
    let mut hash = Sha256::new();
    loop {
        match file.read(&mut piece)? {
            0 => break,
            read => hash.update(&piece[..read]),
        }
    }
    std::hint::black_box(hash.finalize());
    Ok(began.elapsed())
}

fn curl() -> Command {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--fail", "--noproxy", "*"]);
    curl
}

fn stage(name: &str, directory: &Path) -> Command {
    let mut stage = Command::new(env!("CARGO_BIN_EXE_tidewatch"));
    stage
        .args(["stage", name, "--message"])
        .arg(directory.join("message"));
    stage
}

/// Runs it to its success; how long it took, and the most that it had resident, in KiB.
fn run(mut command: Command) -> Result<(Duration, u64)> {
    let began = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .spawn()
        .context("a program is missing")?;
    let mut most = 0;
    loop {
        most = most.max(resident(&child));
        if let Some(status) = child.try_wait()? {
            ensure!(status.success(), "{command:?} ended with {status}");
            return Ok((began.elapsed(), most));
        }
        std::thread::sleep(LOOK);
    }
}

/// What a process had resident at most; nothing once it has ended.
fn resident(child: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// A gigabyte for everybody who asks, and as much of an object store as takes whatever is sent.
async fn serve() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let router = Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

async fn answer(Query(parameters): Query<Value>, request: Request) -> Response {
    let multipart = |name: &str| parameters.get(name).is_some();
    match *request.method() {
        Method::GET if request.uri().path() == "/file" => {
            let piece = Bytes::from(vec![7; PIECE]);
            let whole = std::iter::repeat_n(piece.clone(), BYTES / PIECE);
            let rest = piece.slice(..BYTES % PIECE);
            let pieces = whole.chain([rest]).map(Ok::<_, std::io::Error>);
            let length = [(header::CONTENT_LENGTH, BYTES)];
            (length, Body::from_stream(futures::stream::iter(pieces))).into_response()
        }
        Method::GET | Method::HEAD => StatusCode::NOT_FOUND.into_response(),
        Method::POST if multipart("uploads") => {
            "<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>"
                .into_response()
        }
        Method::POST => {
            "<CompleteMultipartUploadResult><ETag>\"1\"</ETag></CompleteMultipartUploadResult>"
                .into_response()
        }
        _ => match taken(request).await {
            Ok(headers) => headers.into_response(),
            Err(_) => StatusCode::BAD_REQUEST.into_response(),
        },
    }
}

async fn taken(request: Request) -> Result<HeaderMap> {
    let mut body = request.into_body().into_data_stream();
    while let Some(piece) = body.next().await {
        piece?;
    }
    let tag: (HeaderName, &str) = (header::ETAG, "\"1\"");
    Ok(HeaderMap::from_iter([(tag.0, tag.1.parse()?)]))
}
