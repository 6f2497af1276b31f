//! What a job made, handed over byte for byte and under names that a stranger chose.

use std::sync::Arc;

use reqwest::{Method, Response};
use serde_json::json;
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

async fn record(connection: &mut PgConnection, job: JobId, (key, hash): (String, Vec<u8>)) {
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

#[tokio::test]
async fn results_are_listed_and_handed_over_as_they_were_published() {
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
    let name = rows::name(1);
    let path = format!("/v1/jobs/{name}/results");
    let get = async |path: &str| service.request(Method::GET, path, Some(TOKEN)).await;

    assert_eq!(
        problem(get(&path).await).await,
        (409, "results_not_ready".to_owned())
    );
    finish(&mut connection, job).await;
    assert_eq!(
        problem(get(&path).await).await,
        (404, "results_not_found".to_owned())
    );

    let bytes: Vec<u8> = (0..40_000_u32).flat_map(u32::to_be_bytes).collect();
    let files = [
        ("models/weights.bin", &bytes[..]),
        (HOSTILE, b"<script>alert(1)</script>"),
        ("nothing", b""),
    ];
    let published = disk.publish(&name, &files).await;
    record(&mut connection, job, published.clone()).await;
    let listed = get(&path).await;
    assert_eq!(listed.status(), 200);
    assert_eq!(header(&listed, "cache-control"), "private, no-store");
    assert!(listed.headers().get("etag").is_none());
    let listed: serde_json::Value = listed.json().await.unwrap();
    assert_eq!(
        listed["skipped"],
        json!([{"path": "link", "reason": "link"}])
    );
    let encoded = "r%C3%A9sum%C3%A9%20%2250%25%22%3B%20x%3D%3Cscript%3E.html";
    let sum = Sha256::digest(&bytes);
    assert_eq!(
        listed["files"][0],
        json!({"path": "models/weights.bin", "size": bytes.len(), "mediaType": "text/html",
        "sha256": alloy::hex::encode_prefixed(sum), "url": format!("{path}/models/weights.bin")})
    );
    assert_eq!(listed["files"][1]["url"], format!("{path}/{encoded}"));

    // Each is there under its address, for saving and not for showing.
    for (file, (_, expected)) in listed["files"].as_array().unwrap().iter().zip(files) {
        let address = file["url"].as_str().unwrap();
        let response = get(address).await;
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
        assert!(header(&response, "content-disposition").starts_with("attachment; filename=\""));
        assert_eq!(response.content_length(), Some(expected.len() as u64));
        assert!(response.bytes().await.unwrap() == expected, "{address}");
        let head = service.request(Method::HEAD, address, Some(TOKEN)).await;
        assert_eq!(
            (head.status().as_u16(), header(&head, "content-length")),
            (200, expected.len().to_string())
        );
    }

    // A download that broke off is taken up where it was, if the file is still the same.
    let address = format!("{path}/models/weights.bin");
    let etag = header(&get(&address).await, "etag");
    assert_eq!(etag, format!("\"{}\"", alloy::hex::encode(sum)));
    let from = async |range: &str, tag: &str| {
        let request = service.client.get(format!("{}{address}", service.origin()));
        let request = request
            .bearer_auth(TOKEN)
            .header("range", range)
            .header("if-range", tag);
        request.send().await.unwrap()
    };
    let part = from("bytes=1000-1999", &etag).await;
    assert_eq!(
        (part.status().as_u16(), header(&part, "content-range")),
        (206, format!("bytes 1000-1999/{}", bytes.len()))
    );
    assert!(part.bytes().await.unwrap() == bytes[1000..2000]);
    assert!(from("bytes=-7", &etag).await.bytes().await.unwrap() == bytes[bytes.len() - 7..]);
    assert_eq!(from("bytes=0-4", "\"another\"").await.status(), 200);
    let beyond = from("bytes=160000-", &etag).await;
    assert_eq!(
        header(&beyond, "content-range"),
        format!("bytes */{}", bytes.len())
    );
    assert_eq!(
        problem(beyond).await,
        (416, "range_not_satisfiable".to_owned())
    );

    // Only what the manifest names can be had.
    for other in [
        "manifest.json",
        "models",
        "models%2Fweights.bin%2F..",
        "..%2f..%2fmanifest.json",
        "NOTHING",
    ] {
        let answer = get(&format!("{path}/{other}")).await;
        assert_eq!(
            problem(answer).await,
            (404, "file_not_found".to_owned()),
            "{other}"
        );
    }
}

#[tokio::test]
async fn results_that_are_not_those_that_were_recorded_are_not_handed_over() {
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
    finish(&mut connection, job).await;
    let name = rows::name(1);
    let (key, hash) = disk.publish(&name, &[("a", b"one"), ("b", b"two")]).await;
    record(&mut connection, job, (key.clone(), hash)).await;
    let get = async |path: &str| {
        let path = format!("/v1/jobs/{name}/results{path}");
        service.request(Method::GET, &path, Some(TOKEN)).await
    };
    let object = |path: &str| disk.path(&format!("{name}/1/outputs/{path}"));
    std::fs::write(object("a"), "longer").unwrap();
    std::fs::remove_file(object("b")).unwrap();
    for file in ["/a", "/b"] {
        assert_eq!(
            problem(get(file).await).await,
            (503, "unavailable".to_owned()),
            "{file}"
        );
    }
    let manifest = std::fs::read_to_string(disk.path(&key)).unwrap();
    std::fs::write(disk.path(&key), manifest.replace("\"a\"", "\"c\"")).unwrap();
    assert_eq!(problem(get("").await).await, (500, "internal".to_owned()));
    std::fs::remove_file(disk.path(&key)).unwrap();
    assert_eq!(
        problem(get("").await).await,
        (503, "unavailable".to_owned())
    );

    let erased =
        format!("INSERT INTO ledger.erasures (job_id, reason) VALUES ({job}, 'asked for')");
    execute(&mut connection, &erased).await.unwrap();
    for path in ["", "/a"] {
        assert_eq!(problem(get(path).await).await, (410, "erased".to_owned()));
    }
}
