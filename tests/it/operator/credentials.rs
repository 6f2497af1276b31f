use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event as CoreEvent, PersistentVolumeClaim, Pod, Secret};
use k8s_openapi::api::events::v1::Event;
use kube::api::{ListParams, LogParams, PostParams};
use kube::core::NamespaceResourceScope;
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tidewatch::cluster::ComputeWorkflow;
use tidewatch::jobs::Outcome;
use tidewatch::workflows::InputSpec;
use tokio::net::TcpListener;

use super::{end, finished, log, plan, running, start};
use crate::support::cluster::{Namespace, store_options};
use crate::support::required;

const PASSWORD: &str = "correct-horse-battery-staple";
const SIGNATURE: &str = "signature-that-nobody-may-see";

/// Headers that servers were asked with.
type Heard = Arc<Mutex<Vec<HeaderMap>>>;

/// The publisher's server, which wants a header and then sends elsewhere; answers its address, and what the other server heard.
async fn servers() -> (String, Heard) {
    let heard = Heard::default();
    let hearing = Arc::clone(&heard);
    let other = Router::new().fallback(move |headers: HeaderMap| async move {
        hearing.lock().unwrap().push(headers);
        "from elsewhere\n"
    });
    let elsewhere = serve(other).await;
    let answer = move |headers: HeaderMap| async move {
        if headers.get("x-api-key").is_none_or(|key| key != PASSWORD) {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        let target = format!("{elsewhere}/data?{SIGNATURE}");
        let location = [(header::LOCATION, target)];
        (StatusCode::FOUND, location).into_response() as Response
    };
    (
        serve(Router::new().route("/data", get(answer))).await,
        heard,
    )
}

async fn serve(router: Router) -> String {
    let host = required("TIDEWATCH_TEST_HOST");
    let listener = TcpListener::bind((host.as_str(), 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

fn input(index: u32, url: String, secret: &str) -> InputSpec {
    InputSpec {
        index,
        url,
        checksum: None,
        content_type: None,
        secret: Some(secret.to_owned()),
    }
}

#[tokio::test]
async fn a_secret_opens_an_input_and_is_seen_nowhere_else() {
    let namespace = Namespace::create().await;
    let _operator = namespace.operator().await;
    let (url, heard) = servers().await;
    make_secret(&namespace, "headers", &[("X-Api-Key", PASSWORD.to_owned())]).await;
    let keys = store_options().map(|(name, value)| match name {
        "AWS_SECRET_ACCESS_KEY" => (name, PASSWORD.to_owned()),
        _ => (name, value),
    });
    make_secret(&namespace, "keys", &keys).await;
    let object = format!(
        "{}/{}/private/data",
        required("TIDEWATCH_TEST_S3"),
        namespace.name
    );
    let put = reqwest::Client::new().put(object).body("from a bucket\n");
    put.send().await.unwrap().error_for_status().unwrap();

    let mut plan =
        plan("cat $INPUTS/*/*; sleep 3; ls /secrets /plan 2>&1 | head -1; env | grep -c Api");
    plan.spec.inputs = vec![
        input(0, format!("{url}/data?{SIGNATURE}"), "headers"),
        input(1, format!("s3://{}/private/data", namespace.name), "keys"),
    ];
    start(&namespace, &plan).await;
    running(&namespace, &plan.job).await;
    let while_it_runs = everything(&namespace).await;
    let seen = finished(&namespace, &plan.job).await;
    assert_eq!(
        end(&seen).0,
        Some(Outcome::Failed),
        "grep finds nothing, and says so"
    );
    let printed = log(&namespace, &plan.job).await;
    assert!(
        printed.starts_with("from elsewhere\nfrom a bucket\n"),
        "{printed}"
    );
    assert!(printed.contains("No such file"), "{printed}");
    for text in [while_it_runs, everything(&namespace).await, vec![printed]].concat() {
        assert!(
            !text.contains(PASSWORD) && !text.contains(SIGNATURE),
            "{text}"
        );
    }
    let heard = heard.lock().unwrap();
    assert_eq!(heard.len(), 1);
    assert_eq!(
        heard[0].get("x-api-key"),
        None,
        "the header stays at its origin"
    );
}

async fn make_secret(namespace: &Namespace, name: &str, values: &[(&str, String)]) {
    let data: serde_json::Map<_, _> = values
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect();
    let secret: Secret =
        serde_json::from_value(json!({"metadata": {"name": name}, "stringData": data})).unwrap();
    let secrets = namespace.api::<Secret>();
    secrets
        .create(&PostParams::default(), &secret)
        .await
        .unwrap();
}

/// Everything in the namespace that is no Secret, as text, and everything that containers printed.
async fn everything(namespace: &Namespace) -> Vec<String> {
    let mut texts = vec![
        text_of::<ComputeWorkflow>(namespace).await,
        text_of::<Job>(namespace).await,
        text_of::<Pod>(namespace).await,
        text_of::<PersistentVolumeClaim>(namespace).await,
        text_of::<CoreEvent>(namespace).await,
        text_of::<Event>(namespace).await,
    ];
    let pods = namespace.api::<Pod>();
    for pod in pods.list(&ListParams::default()).await.unwrap() {
        let log = pods.logs(&pod.name_any(), &LogParams::default()).await;
        texts.push(log.unwrap_or_default());
    }
    texts
}

async fn text_of<K>(namespace: &Namespace) -> String
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    K: Clone + Debug + Serialize + DeserializeOwned,
{
    let all = namespace.api::<K>().list(&ListParams::default()).await;
    serde_json::to_string(&all.unwrap().items).unwrap()
}
