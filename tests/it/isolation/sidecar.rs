use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tidewatch::engine::Stage;
use tidewatch::jobs::{Outcome, Reason};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::operator::{end, finished, plan, start};
use crate::support::cluster::Namespace;
use crate::support::required;

#[tokio::test]
async fn a_pod_that_a_webhook_gave_a_sidecar_is_refused_or_never_let_go() {
    let (with_policy, without) = (Namespace::create().await, Namespace::create().await);
    without.label("compute.tidewatch.dev/jobs", None).await;
    let webhook = Webhook::install(&[&with_policy, &without]).await;
    let _operators = (with_policy.operator().await, without.operator().await);
    let (refused, altered) = (plan("echo ran"), plan("echo ran"));
    start(&with_policy, &refused).await;
    start(&without, &altered).await;

    let seen = finished(&with_policy, &refused.job).await;
    let by_policy = (Some(Outcome::Failed), Some(Reason::ClusterRefused));
    assert_eq!(end(&seen), by_policy, "the policy for admission");

    let seen = finished(&without, &altered.job).await;
    let by_gate = (Some(Outcome::Failed), Some(Reason::PodAltered));
    assert_eq!(end(&seen), by_gate, "the gate, where nobody has the policy");
    let mut stages = seen.stages.iter();
    let algorithm = stages.find(|stage| stage.stage == Stage::Algorithm);
    assert_eq!(algorithm.unwrap().started_at, None);
    for namespace in [&with_policy, &without] {
        let pods = namespace.api::<Pod>();
        let algorithms = ListParams::default().labels("component=algorithm");
        for pod in pods.list(&algorithms).await.unwrap() {
            let scheduled = pod.spec.unwrap().node_name;
            assert_eq!(scheduled, None, "it was let go");
        }
    }
    webhook.remove().await;
}

/// A webhook that adds a container to every algorithm's pod of some namespaces, as meshes and log shippers do.
struct Webhook {
    configurations: Api<MutatingWebhookConfiguration>,
    name: String,
}

impl Webhook {
    async fn install(namespaces: &[&Namespace]) -> Self {
        let host = required("TIDEWATCH_TEST_HOST");
        let key = KeyPair::generate().unwrap();
        let parameters = CertificateParams::new(vec![host.clone()]).unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        let listener = TcpListener::bind((host.as_str(), 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let secret = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], secret)
            .unwrap();
        tokio::spawn(serve(listener, TlsAcceptor::from(Arc::new(config))));

        let names: Vec<_> = namespaces.iter().map(|it| it.name.as_str()).collect();
        let configurations = Api::all(namespaces[0].client.clone());
        let configuration: MutatingWebhookConfiguration = serde_json::from_value(json!({
            "metadata": {"name": names[0]},
            "webhooks": [{
                "name": "sidecar.tidewatch.test",
                "clientConfig": {"url": format!("https://{address}/"), "caBundle": STANDARD.encode(certificate.pem())},
                "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
                "namespaceSelector": {"matchExpressions": [
                    {"key": "kubernetes.io/metadata.name", "operator": "In", "values": names}
                ]},
                "objectSelector": {"matchLabels": {"component": "algorithm"}},
                "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": "Fail"
            }]
        }))
        .unwrap();
        configurations
            .create(&PostParams::default(), &configuration)
            .await
            .unwrap();
        Self {
            configurations,
            name: names[0].to_owned(),
        }
    }

    async fn remove(self) {
        let now = DeleteParams::default();
        self.configurations.delete(&self.name, &now).await.unwrap();
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor) {
    while let Ok((stream, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            // An API server that goes away asks again.
            if let Ok(stream) = acceptor.accept(stream).await {
                _ = answer(stream).await;
            }
        });
    }
}

/// Reads one review and answers it with a patch.
async fn answer(
    mut stream: impl AsyncReadExt + AsyncWriteExt + Unpin,
) -> Result<(), std::io::Error> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    let length = head.split("content-length:").nth(1).unwrap();
    let length = length.lines().next().unwrap().trim().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let review: Value = serde_json::from_slice(&body).unwrap();
    let first = &review["request"]["object"]["spec"]["containers"][0];
    let sidecar = json!({
        "name": "sidecar", "image": first["image"], "command": ["sleep", "1000"],
        "securityContext": first["securityContext"], "resources": first["resources"]
    });
    let patch = json!([{"op": "add", "path": "/spec/containers/-", "value": sidecar}]).to_string();
    let answer = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "response": {
            "uid": review["request"]["uid"], "allowed": true, "patchType": "JSONPatch", "patch": STANDARD.encode(patch)
        }
    })
    .to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        answer.len()
    );
    stream
        .write_all(&[head.as_bytes(), answer.as_bytes()].concat())
        .await?;
    stream.shutdown().await
}
