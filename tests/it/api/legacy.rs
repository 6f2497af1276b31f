use reqwest::Method;
use serde_json::json;

use super::database::execute;
use super::rows;
use super::service::{Service, problem};

#[tokio::test]
async fn clients_of_the_services_before_us_find_their_jobs() {
    let (service, mut connection) = Service::start().await;
    rows::job(&mut connection, 1).await;
    let refused = rows::job(&mut connection, 2).await;
    execute(
        &mut connection,
        &format!(
            "UPDATE ledger.job_state SET phase = 'finished', outcome = 'refused', reason = 'no_algorithm',
                    finished_at = '2026-01-02T00:00:00Z' WHERE job_id = {refused}"
        ),
    )
    .await
    .unwrap();

    let shown = json!([{
        "owner": "0xABaBaBaBABabABabAbAbABAbABabababaBaBABaB", "agreementId": rows::hash(0xa, 2), "jobId": rows::name(2),
        "dateCreated": "2026-01-01T00:02:00Z", "dateFinished": "2026-01-02T00:00:00Z", "status": 32,
        "statusText": "Algorithm provisioning failed", "algorithmLogUrl": format!("/v1/jobs/{}/logs?stage=algorithm", rows::name(2)),
        "resultsUrls": [], "resultsDid": "", "stopreq": 0, "removed": 0, "algoDID": null,
        "inputDID": [format!("did:op:{}", alloy::hex::encode(rows::hash(0xd, 0)))]
    }]);
    let agreement = rows::hash(0xa, 2);
    let name = rows::name(2);
    for path in [
        format!("/api/v1/operator/compute?agreementId={agreement}"),
        format!("/api/v1/operator/compute?jobId={name}&chainId=8996&providerSignature=0x00"),
        format!("/api/v1/brizo/services/compute?serviceAgreementId={agreement}"),
        format!("/api/v1/brizo/services/compute?jobId={name}&signature=0x00"),
    ] {
        assert_eq!(service.json(&path).await, shown, "{path}");
    }
    let running = service.json("/api/v1/operator/runningjobs").await;
    assert_eq!(running[0]["jobId"], json!(rows::name(1)));
    assert_eq!(running.as_array().unwrap().len(), 1);
    let other_chain = service.json("/api/v1/operator/compute?chainId=1").await;
    assert_eq!(other_chain, json!([]));

    for path in ["/api/v1/operator/compute", "/api/v1/brizo/services/compute"] {
        assert_eq!(
            service.problem(path).await,
            (400, "missing_filter".to_owned())
        );
        for method in [Method::POST, Method::PUT, Method::DELETE] {
            let response = service.request(method, path, None).await;
            assert_eq!(response.headers()["allow"], "GET,HEAD");
            assert_eq!(problem(response).await, (405, "done_on_chain".to_owned()));
        }
    }
}
