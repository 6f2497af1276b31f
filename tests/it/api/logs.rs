use std::fs;

use reqwest::Method;

use super::database::execute;
use super::rows;
use super::service::{Service, TOKEN, problem};

#[tokio::test]
async fn a_log_is_read_byte_for_byte_while_it_grows_and_after() {
    let (service, mut connection) = Service::start().await;
    let job = rows::job(&mut connection, 1).await;
    let path = format!("/v1/jobs/{}/logs?stage=algorithm", rows::name(1));
    let read = async || service.request(Method::GET, &path, Some(TOKEN)).await;

    assert_eq!(
        problem(read().await).await,
        (404, "log_not_found".to_owned())
    );

    rows::job_log(&mut connection, job, None, &[b"one\n", b"two \xff\x00\n"]).await;
    let response = read().await;
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("cache-control"), "no-store");
    assert_eq!(header("x-log-completeness"), "preview");
    assert_eq!(header("x-log-attempt"), "1");
    assert_eq!(response.bytes().await.unwrap(), b"one\ntwo \xff\x00\n"[..]);

    // The record's chunks, of other sizes, replace the preview's.
    let record: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_be_bytes).collect();
    execute(
        &mut connection,
        "DELETE FROM ledger.job_log_chunks; DELETE FROM ledger.job_logs",
    )
    .await
    .unwrap();
    let chunks: Vec<&[u8]> = record.chunks(1 << 20).collect();
    rows::job_log(&mut connection, job, Some("truncated"), &chunks).await;
    let response = read().await;
    assert_eq!(response.headers()["x-log-completeness"], "truncated");
    assert_eq!(response.content_length(), Some(record.len() as u64));
    assert!(response.bytes().await.unwrap() == record);

    assert_eq!(
        problem(
            service
                .request(
                    Method::GET,
                    &format!("/v1/jobs/{}/logs?stage=all", rows::name(1)),
                    Some(TOKEN)
                )
                .await
        )
        .await,
        (400, "invalid_parameter".to_owned())
    );
}

#[tokio::test]
async fn only_the_operator_reads_logs_and_nobody_else_learns_which_jobs_exist() {
    let (service, mut connection) = Service::start().await;
    let job = rows::job(&mut connection, 1).await;
    rows::job_log(&mut connection, job, Some("complete"), &[b"secret"]).await;
    let existing = format!("/v1/jobs/{}/logs?stage=algorithm", rows::name(1));
    let missing = format!("/v1/jobs/{}/logs?stage=algorithm", rows::name(2));

    for token in [None, Some("wrong"), Some(""), Some("an-operators-toke")] {
        let mut answers = Vec::new();
        for path in [&existing, &missing, &"/v1/jobs/x/logs?stage=x".to_owned()] {
            let request = service.client.get(format!("{}{path}", service.origin()));
            let request = match token {
                Some(token) => request.bearer_auth(token),
                None => request,
            };
            let request = request.header("x-request-id", "same");
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), 401);
            let mut headers = response.headers().clone();
            headers.remove("date");
            assert!(
                headers["www-authenticate"]
                    .to_str()
                    .unwrap()
                    .starts_with("Bearer realm=")
            );
            answers.push((headers, response.text().await.unwrap()));
        }
        assert!(
            answers.windows(2).all(|pair| pair[0] == pair[1]),
            "{answers:?}"
        );
    }

    // A new token counts at once, and the old one no longer.
    let file = service.directory.path().join("token");
    fs::write(&file, "another").unwrap();
    let read = async |token| service.request(Method::GET, &existing, Some(token)).await;
    assert_eq!(read("another").await.text().await.unwrap(), "secret");
    assert_eq!(read(TOKEN).await.status(), 401);
    // An empty file is no token.
    fs::write(&file, "\n").unwrap();
    assert_eq!(read("another").await.status(), 401);
    fs::remove_file(&file).unwrap();
    assert_eq!(read("another").await.status(), 503);
}
