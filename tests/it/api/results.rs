//! What a job made, handed over byte for byte and under names that a stranger chose.

use std::sync::Arc;

use reqwest::{Method, Response};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use tidewatch::api::Settings;
use tidewatch::ids::JobId;

use super::database::{Database, execute};
use super::disk::Disk;
use super::rows;
use super::service::{Service, TOKEN, problem};

const HOSTILE: &str = "r\u{e9}sum\u{e9} \"50%\"; x=<script>.html";

async fn finish(connection: &mut PgConnection, job: JobId) {
    let statement = format!(
        "UPDATE ledger.job_state SET phase = 'finished', outcome = 'succeeded', attempt = 1, started_at = now(), finished_at = now()
         WHERE job_id = {job}"
    );
    execute(connection, &statement).await.unwrap();
}

pub(super) async fn record(
    connection: &mut PgConnection,
    job: JobId,
    (key, hash): (String, Vec<u8>),
) {
    sqlx::query("INSERT INTO ledger.results (job_id, attempt, manifest_key, manifest_sha256, files, bytes) VALUES ($1, 1, $2, $3, 0, 0)")
        .bind(job.0)
        .bind(key)
        .bind(hash)
        .execute(connection)
        .await
        .unwrap();
}

fn header(response: &Response, name: &str) -> String {
    let value = response
        .headers()
        .get(name)
        .unwrap_or_else(|| panic!("{name} is missing"));
    value.to_str().unwrap().to_owned()
}

/// A job that is over, an API that knows where its results lie, and what was not published yet.
struct World {
    service: Service,
    disk: Arc<Disk>,
    connection: PgConnection,
    job: JobId,
    path: String,
}

impl World {
    async fn start() -> Self {
        let database = Database::migrated().await;
        let mut connection = database.connect().await;
        rows::deployment(&mut connection).await;
        let disk = Arc::new(Disk::new());
        let settings = Settings {
            files: Some(disk.clone()),
            ..Settings::default()
        };
        let service = Service::with(database, settings).await;
        let job = rows::job(&mut connection, 1).await;
        let path = format!("/v1/jobs/{}/results", rows::name(1));
        Self {
            service,
            disk,
            connection,
            job,
            path,
        }
    }

    /// Ends the job with these files.
    async fn publish(&mut self, files: &[(&str, &[u8])]) -> String {
        finish(&mut self.connection, self.job).await;
        let published = self.disk.publish(&rows::name(1), files).await;
        let key = published.0.clone();
        record(&mut self.connection, self.job, published).await;
        key
    }

    /// What the operator is answered below the path of the results.
    async fn get(&self, rest: &str) -> Response {
        let path = format!("{}{rest}", self.path);
        self.service.request(Method::GET, &path, Some(TOKEN)).await
    }
}

/// Bytes whose places can be told apart.
fn weights() -> Vec<u8> {
    (0..40_000_u32).flat_map(u32::to_be_bytes).collect()
}

#[tokio::test]
async fn results_are_listed_and_handed_over_as_they_were_published() {
    let mut world = World::start().await;
    let not_ready = (409, "results_not_ready".to_owned());
    assert_eq!(problem(world.get("").await).await, not_ready);
    finish(&mut world.connection, world.job).await;
    let none = (404, "results_not_found".to_owned());
    assert_eq!(problem(world.get("").await).await, none);

    let bytes = weights();
    let files = [
        ("models/weights.bin", &bytes[..]),
        (HOSTILE, b"<script>alert(1)</script>"),
        ("nothing", b""),
    ];
    world.publish(&files).await;
    let listed = world.get("").await;
    assert_eq!(listed.status(), 200);
    assert_eq!(header(&listed, "cache-control"), "private, no-store");
    assert!(listed.headers().get("etag").is_none());
    let listed: Value = listed.json().await.unwrap();
    let skipped = json!([{"path": "link", "reason": "link"}]);
    assert_eq!(listed["skipped"], skipped);
    let sum = alloy::hex::encode_prefixed(Sha256::digest(&bytes));
    let first = json!({"path": "models/weights.bin", "size": bytes.len(), "mediaType": "text/html",
        "sha256": sum, "url": format!("{}/models/weights.bin", world.path)});
    assert_eq!(listed["files"][0], first);
    let encoded = "r%C3%A9sum%C3%A9%20%2250%25%22%3B%20x%3D%3Cscript%3E.html";
    let url = format!("{}/{encoded}", world.path);
    assert_eq!(listed["files"][1]["url"], url);

    // Each is there under its address, for saving and not for showing.
    for (file, (_, expected)) in listed["files"].as_array().unwrap().iter().zip(files) {
        let address = file["url"].as_str().unwrap();
        let ask = async |method| world.service.request(method, address, Some(TOKEN)).await;
        let response = ask(Method::GET).await;
        assert_eq!(response.status(), 200, "{address}");
        for (name, value) in [
            ("content-type", "text/html"),
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", "sandbox; default-src 'none'"),
            ("cache-control", "private, no-store"),
            ("accept-ranges", "bytes"),
        ] {
            assert_eq!(header(&response, name), value);
        }
        let disposition = header(&response, "content-disposition");
        assert!(disposition.starts_with("attachment; filename=\""));
        assert_eq!(response.content_length(), Some(expected.len() as u64));
        assert!(response.bytes().await.unwrap() == expected, "{address}");
        let head = ask(Method::HEAD).await;
        assert_eq!(head.status(), 200);
        assert_eq!(header(&head, "content-length"), expected.len().to_string());
    }
}

#[tokio::test]
async fn a_download_that_broke_off_is_taken_up_where_it_was_if_the_file_is_still_the_same() {
    let mut world = World::start().await;
    let bytes = weights();
    world.publish(&[("weights.bin", &bytes)]).await;
    let etag = header(&world.get("/weights.bin").await, "etag");
    let sum = alloy::hex::encode(Sha256::digest(&bytes));
    assert_eq!(etag, format!("\"{sum}\""));
    let from = async |range: &str, tag: &str| {
        let service = &world.service;
        let address = format!("{}{}/weights.bin", service.origin(), world.path);
        let request = service.client.get(address).bearer_auth(TOKEN);
        let request = request.header("range", range).header("if-range", tag);
        request.send().await.unwrap()
    };
    let part = from("bytes=1000-1999", &etag).await;
    assert_eq!(part.status(), 206);
    let range = format!("bytes 1000-1999/{}", bytes.len());
    assert_eq!(header(&part, "content-range"), range);
    assert!(part.bytes().await.unwrap() == bytes[1000..2000]);
    let last = from("bytes=-7", &etag).await.bytes().await.unwrap();
    assert!(last == bytes[bytes.len() - 7..]);
    assert_eq!(from("bytes=0-4", "\"another\"").await.status(), 200);
    let beyond = from("bytes=160000-", &etag).await;
    let all = format!("bytes */{}", bytes.len());
    assert_eq!(header(&beyond, "content-range"), all);
    let refused = (416, "range_not_satisfiable".to_owned());
    assert_eq!(problem(beyond).await, refused);
}

#[tokio::test]
async fn only_what_the_manifest_names_can_be_had() {
    let mut world = World::start().await;
    world.publish(&[("models/weights.bin", b"one")]).await;
    for other in [
        "manifest.json",
        "models",
        "models%2Fweights.bin%2F..",
        "..%2f..%2fmanifest.json",
        "MODELS/weights.bin",
    ] {
        let answer = world.get(&format!("/{other}")).await;
        let none = (404, "file_not_found".to_owned());
        assert_eq!(problem(answer).await, none, "{other}");
    }
}

#[tokio::test]
async fn results_that_are_not_those_that_were_recorded_are_not_handed_over() {
    let mut world = World::start().await;
    let key = world.publish(&[("a", b"one"), ("b", b"two")]).await;
    let object = |path: &str| {
        let name = rows::name(1);
        world.disk.path(&format!("{name}/1/outputs/{path}"))
    };
    std::fs::write(object("a"), "longer").unwrap();
    std::fs::remove_file(object("b")).unwrap();
    let unavailable = (503, "unavailable".to_owned());
    for file in ["/a", "/b"] {
        let answer = world.get(file).await;
        assert_eq!(problem(answer).await, unavailable, "{file}");
    }
    let place = world.disk.path(&key);
    let manifest = std::fs::read_to_string(&place).unwrap();
    std::fs::write(&place, manifest.replace("\"a\"", "\"c\"")).unwrap();
    let altered = (500, "internal".to_owned());
    assert_eq!(problem(world.get("").await).await, altered);
    std::fs::remove_file(&place).unwrap();
    assert_eq!(problem(world.get("").await).await, unavailable);

    let job = world.job;
    let erased =
        format!("INSERT INTO ledger.erasures (job_id, reason) VALUES ({job}, 'asked for')");
    execute(&mut world.connection, &erased).await.unwrap();
    for path in ["", "/a"] {
        let answer = world.get(path).await;
        assert_eq!(problem(answer).await, (410, "erased".to_owned()));
    }
}
