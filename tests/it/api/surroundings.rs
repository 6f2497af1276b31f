//! What surrounds every route: tags, compression, other origins, limits, methods, names of requests.

use std::num::NonZeroU32;

use reqwest::{Method, Response, header};
use tidewatch::api::Settings;

use super::database::Database;
use super::rows;
use super::service::{Service, TOKEN, problem};

async fn get(service: &Service, path: &str, headers: &[(&str, &str)]) -> Response {
    let request = service.client.get(format!("{}{path}", service.origin()));
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    });
    request.send().await.unwrap()
}

#[tokio::test]
async fn who_has_the_answer_already_is_told_so() {
    let (service, mut connection) = Service::start().await;
    rows::job(&mut connection, 1).await;
    let path = "/v1/jobs";
    let first = service.get(path).await;
    assert_eq!(first.headers()["cache-control"], "public, no-cache");
    let tag = first.headers()["etag"].to_str().unwrap().to_owned();
    let head = service.request(Method::HEAD, path, None).await;
    for name in ["etag", "content-type", "content-length", "cache-control"] {
        assert_eq!(
            head.headers().get(name),
            first.headers().get(name),
            "{name}"
        );
    }
    for known in [tag.as_str(), "*", &format!("\"other\", {tag}")] {
        let again = get(&service, path, &[("if-none-match", known)]).await;
        assert_eq!(again.status(), 304, "{known}");
        assert_eq!(again.headers()["etag"], tag);
        assert!(again.bytes().await.unwrap().is_empty());
    }
    rows::job(&mut connection, 2).await;
    let changed = get(&service, path, &[("if-none-match", &tag)]).await;
    assert_eq!(changed.status(), 200);
    // What is shown to somebody with a token is nobody else's.
    let personal = service.request(Method::GET, path, Some(TOKEN)).await;
    assert_eq!(personal.headers()["cache-control"], "private, no-cache");
    for path in ["/livez", "/readyz", "/v2", "/v1/jobs?limit=0"] {
        let response = service.get(path).await;
        assert_eq!(response.headers()["cache-control"], "no-store", "{path}");
        assert!(!response.headers().contains_key("etag"), "{path}");
    }
}

#[tokio::test]
async fn answers_are_compressed_for_those_who_can_read_them_but_job_logs_are_not() {
    let (service, mut connection) = Service::start().await;
    for number in 1..=20 {
        rows::job(&mut connection, number).await;
    }
    let job = rows::job(&mut connection, 21).await;
    rows::job_log(
        &mut connection,
        job,
        Some("complete"),
        &["word ".repeat(1000).as_bytes()],
    )
    .await;
    let plain = service.get("/v1/jobs").await.bytes().await.unwrap();
    for (accepted, used) in [("gzip", "gzip"), ("br;q=1, gzip;q=0.5", "br")] {
        let response = get(&service, "/v1/jobs", &[("accept-encoding", accepted)]).await;
        assert_eq!(response.headers()["content-encoding"], used);
        let vary = response.headers().get_all(header::VARY).iter();
        assert!(vary.into_iter().any(|value| value == "accept-encoding"));
        let bytes = response.bytes().await.unwrap();
        assert!(
            bytes.len() * 4 < plain.len(),
            "{} of {}",
            bytes.len(),
            plain.len()
        );
    }
    let path = format!("/v1/jobs/{}/logs", rows::name(21));
    let authorization = format!("Bearer {TOKEN}");
    let log = get(
        &service,
        &path,
        &[
            ("accept-encoding", "gzip, br"),
            ("authorization", &authorization),
        ],
    )
    .await;
    assert!(!log.headers().contains_key("content-encoding"));
    assert_eq!(log.content_length(), Some(5000));
}

#[tokio::test]
async fn pages_of_any_origin_may_read() {
    let (service, _connection) = Service::start().await;
    let read = get(
        &service,
        "/v1/jobs",
        &[("origin", "https://somewhere.example")],
    )
    .await;
    assert_eq!(read.headers()["access-control-allow-origin"], "*");
    assert!(
        !read
            .headers()
            .contains_key("access-control-allow-credentials")
    );
    let asked = service
        .client
        .request(Method::OPTIONS, format!("{}/v1/jobs", service.origin()))
        .header("origin", "https://somewhere.example")
        .header("access-control-request-method", "GET")
        .header(
            "access-control-request-headers",
            "authorization,last-event-id",
        );
    let asked = asked.send().await.unwrap();
    assert_eq!(asked.status(), 200);
    let allowed = asked.headers()["access-control-allow-headers"]
        .to_str()
        .unwrap();
    assert!(
        allowed.contains("authorization") && allowed.contains("last-event-id"),
        "{allowed}"
    );
    // Refusals can be read, too.
    let refused = get(
        &service,
        "/v1/jobs?limit=0",
        &[("origin", "https://somewhere.example")],
    )
    .await;
    assert_eq!(refused.headers()["access-control-allow-origin"], "*");
}

#[tokio::test]
async fn an_address_that_asks_too_often_is_told_when_to_ask_again_and_others_are_not_kept_waiting()
{
    let database = Database::migrated().await;
    let settings = Settings {
        rate: NonZeroU32::new(2),
        ..Settings::default()
    };
    let service = Service::with(database, settings).await;
    let from = async |address: &str| get(&service, "/livez", &[("x-forwarded-for", address)]).await;
    let mut refused = None;
    for _ in 0..50 {
        let response = from("198.51.100.7").await;
        if response.status() != 200 {
            refused = Some(response);
            break;
        }
    }
    let refused = refused.expect("two a second are not fifty at once");
    let wait: u64 = refused.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=2).contains(&wait));
    assert_eq!(
        problem(refused).await,
        (429, "too_many_requests".to_owned())
    );
    assert_eq!(from("198.51.100.8").await.status(), 200);
    // This machine itself is not counted.
    for _ in 0..50 {
        assert_eq!(service.get("/livez").await.status(), 200);
    }
}

#[tokio::test]
async fn methods_and_paths_that_are_not_there_are_problems_that_say_what_is() {
    let (service, _connection) = Service::start().await;
    for (method, path, allowed) in [
        (Method::DELETE, "/v1/jobs", "GET,HEAD"),
        (Method::PUT, "/v1/preflight", "POST"),
        (Method::POST, "/v1/sync", "GET,HEAD"),
    ] {
        let response = service.request(method, path, None).await;
        assert_eq!(response.headers()["allow"], allowed, "{path}");
        assert_eq!(
            problem(response).await,
            (405, "method_not_allowed".to_owned())
        );
    }
    // What is no text is a refusal like any other.
    assert_eq!(
        service.problem("/v1/jobs/%ff").await,
        (400, "invalid_parameter".to_owned())
    );
    let named = get(&service, "/v2", &[("x-request-id", "my-request.7")]).await;
    assert_eq!(named.headers()["x-request-id"], "my-request.7");
}

#[tokio::test]
async fn what_needs_the_contracts_or_the_catalog_says_that_it_was_not_given_them() {
    let (service, _connection) = Service::start().await;
    for path in [
        format!("/v1/agreements/{}", rows::hash(0xa, 1)),
        format!("/v1/assets/did:op:{}", "1".repeat(64)),
    ] {
        assert_eq!(
            service.problem(&path).await,
            (503, "not_configured".to_owned()),
            "{path}"
        );
    }
}
