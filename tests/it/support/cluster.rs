//! A namespace of one test in the cluster that `KUBECONFIG` names.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use axum::http::Request;
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::core::v1::{Namespace as NamespaceObject, Pod, Secret};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, ListParams, LogParams, Patch, PatchParams, PostParams};
use kube::client::Body;
use kube::core::{ClusterResourceScope, NamespaceResourceScope};
use kube::{Client, Config, Resource, ResourceExt};
use object_store::ObjectStoreExt;
use object_store::aws::AmazonS3Builder;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tidewatch::cluster::{ComputeWorkflow, KubernetesEngine, Settings, definition};
use tidewatch::operator::{self, Operator};
use tidewatch::results::{Access, Options, Store};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::required;

/// Longest wait for anything of a cluster.
const PATIENCE: Duration = Duration::from_secs(240);

/// A namespace with the Pod Security Standard *restricted*, our custom resource, and the accounts and rights of `deploy/`. It goes
/// when the test ends; when the test fails, what is in it is printed first.
pub(crate) struct Namespace {
    pub(crate) name: String,
    pub(crate) client: Client,
    bucket: String,
}

impl Namespace {
    pub(crate) async fn create() -> Self {
        // The other tests of this process do the same; one of them is first.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        tracing_subscriber::fmt()
            .with_env_filter("tidewatch=debug,kube=warn")
            .with_test_writer()
            .try_init()
            .ok();
        required("KUBECONFIG");
        let client = Client::try_default().await.unwrap();
        let name = format!("tidewatch-test-{}", &uuid::Uuid::new_v4().to_string()[..8]);
        install(&client).await;
        let namespace: NamespaceObject = serde_json::from_value(json!({
            "metadata": {"name": name, "labels": {
                "pod-security.kubernetes.io/enforce": "restricted", "compute.tidewatch.dev/jobs": "true"
            }}
        }))
        .unwrap();
        let namespaces: Api<NamespaceObject> = Api::all(client.clone());
        let made = namespaces.create(&PostParams::default(), &namespace).await;
        made.unwrap();
        let bucket = name.clone();
        let made = Self {
            name,
            client,
            bucket,
        };
        made.give_rights().await;
        made.make_bucket().await;
        made
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// A client with the rights of a role of `deploy/service-accounts.yaml`.
    pub(crate) async fn client_as(&self, role: &str) -> Client {
        let mut config = Config::infer().await.unwrap();
        let account = format!("system:serviceaccount:tidewatch-system:{role}");
        config.auth_info.impersonate = Some(account);
        Client::try_from(config).unwrap()
    }

    /// From now on it is one that the policy of `deploy/` does not bind in.
    pub(crate) async fn without_the_admission_policy(&self) {
        let unbound = json!({"metadata": {"labels": {"compute.tidewatch.dev/jobs": null}}});
        let namespaces: Api<NamespaceObject> = Api::all(self.client.clone());
        namespaces
            .patch(&self.name, &PatchParams::default(), &Patch::Merge(unbound))
            .await
            .unwrap();
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings {
            results_secret: Some("results".to_owned()),
            ..Settings::new(
                self.name.clone(),
                required("TIDEWATCH_IMAGE"),
                format!("s3://{}/out", self.bucket),
            )
        }
    }

    /// The engine with the rights of a role.
    pub(crate) async fn engine_as(&self, role: &str) -> KubernetesEngine {
        let engine = KubernetesEngine::new(self.client_as(role).await, self.settings()).unwrap();
        let options = store_options();
        let options = options.iter().map(|(name, value)| (*name, value.as_str()));
        let access = Access {
            options: Options::among(options),
            ..Access::default()
        };
        let address = format!("s3://{}/out", self.bucket);
        engine.with_records(Store::open(&address, &access).unwrap())
    }

    /// An operator that runs until the guard is dropped.
    pub(crate) async fn operator(&self) -> DropGuard {
        self.operator_over(self.client_as("operator").await)
    }

    /// The same, each of whose requests waits for what `meet` makes of it before it is sent.
    pub(crate) async fn operator_through<F>(
        &self,
        meet: impl Fn(&Request<Body>) -> F + Send + 'static,
    ) -> DropGuard
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let client = self.client_as("operator").await;
        let met = tower::service_fn(move |request: Request<Body>| {
            let (client, met) = (client.clone(), meet(&request));
            async move {
                met.await;
                client.send(request).await
            }
        });
        self.operator_over(Client::new(met, self.name.clone()))
    }

    fn operator_over(&self, client: Client) -> DropGuard {
        let stop = CancellationToken::new();
        let settings = operator::Settings {
            namespace: self.name.clone(),
        };
        let operator = Operator::new(client, settings);
        let run = operator.run(stop.clone());
        tokio::spawn(async move { run.await.expect("an operator that goes on") });
        stop.drop_guard()
    }

    /// An object that was published, from the S3 server itself.
    pub(crate) async fn published(&self, key: &str) -> Vec<u8> {
        let store = AmazonS3Builder::new()
            .with_endpoint(required("TIDEWATCH_TEST_S3"))
            .with_allow_http(true)
            .with_region("us-east-1")
            .with_access_key_id("test")
            .with_secret_access_key("test")
            .with_bucket_name(&self.bucket)
            .build()
            .unwrap();
        let key = format!("out/{key}");
        let object = store.get(&key.as_str().into()).await;
        let object = object.unwrap_or_else(|error| panic!("{key}: {error}"));
        object.bytes().await.unwrap().to_vec()
    }

    /// Deletes an object, as `kubectl delete` would.
    pub(crate) async fn delete<K>(&self, name: &str)
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
        K: Clone + Debug + DeserializeOwned,
    {
        let background = DeleteParams::background();
        self.api::<K>().delete(name, &background).await.unwrap();
    }

    /// Waits until `look` finds something, by looking twice a second: a value is waited for, not a notification.
    pub(crate) async fn until<T>(&self, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
        let mut every = tokio::time::interval(Duration::from_millis(500));
        let found = async {
            loop {
                every.tick().await;
                if let Some(found) = look().await {
                    return found;
                }
            }
        };
        let found = tokio::time::timeout(PATIENCE, found).await;
        found.unwrap_or_else(|_| panic!("{what} did not come in {PATIENCE:?}"))
    }

    /// Sets a label of the namespace, or takes it away.
    pub(crate) async fn label(&self, name: &str, value: Option<&str>) {
        let namespaces: Api<NamespaceObject> = Api::all(self.client.clone());
        let patch = Patch::Merge(json!({"metadata": {"labels": {name: value}}}));
        let ours = PatchParams::default();
        namespaces.patch(&self.name, &ours, &patch).await.unwrap();
    }

    /// The network policies of `deploy/`. Whether anything enforces them is another matter: see [`Self::enforce_policies`].
    pub(crate) async fn apply_network_policies(&self) {
        let text = include_str!("../../../deploy/network-policies.yaml");
        for mut policy in serde_saphyr::from_multiple::<serde_json::Value>(text).unwrap() {
            policy["metadata"]["namespace"] = json!(self.name);
            self.make::<NetworkPolicy>(policy).await;
        }
    }

    /// Has the cluster enforce the namespace's network policies, or stop to.
    pub(crate) fn enforce_policies(&self, enforced: bool) {
        let command = required("TIDEWATCH_TEST_POLICIES");
        let mut words = command.split(' ');
        let done = std::process::Command::new(words.next().unwrap())
            .args(words)
            .args([if enforced { "on" } else { "off" }, &self.name])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .unwrap();
        assert!(done.success(), "{command}: {done}");
    }

    /// The roles of `deploy/`, for the same accounts, but in this namespace.
    async fn give_rights(&self) {
        let text = include_str!("../../../deploy/service-accounts.yaml");
        let documents: Vec<serde_json::Value> = serde_saphyr::from_multiple(text).unwrap();
        for mut document in documents {
            let kind = document["kind"].as_str().unwrap().to_owned();
            if !kind.starts_with("Cluster") {
                document["metadata"]["namespace"] = json!(self.name);
            }
            match kind.as_str() {
                "Role" => self.make::<Role>(document).await,
                "RoleBinding" => self.make::<RoleBinding>(document).await,
                "ClusterRole" => apply::<ClusterRole>(&self.client, document).await,
                "ClusterRoleBinding" => apply::<ClusterRoleBinding>(&self.client, document).await,
                _ => {}
            }
        }
    }

    async fn make<K>(&self, document: serde_json::Value)
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
        K: Clone + Debug + Serialize + DeserializeOwned,
    {
        let object: K = serde_json::from_value(document).unwrap();
        let made = self
            .api::<K>()
            .create(&PostParams::default(), &object)
            .await;
        made.unwrap();
    }

    async fn make_bucket(&self) {
        let server = required("TIDEWATCH_TEST_S3");
        let url = format!("{server}/{}", self.bucket);
        let made = reqwest::Client::new().put(&url).send().await.unwrap();
        assert!(made.status().is_success(), "{url}: {}", made.status());
        let options = store_options().map(|(name, value)| (name.to_owned(), value));
        let options: BTreeMap<_, _> = options.into();
        let secret = Secret {
            metadata: kube::api::ObjectMeta {
                name: Some("results".to_owned()),
                ..Default::default()
            },
            string_data: Some(options),
            ..Secret::default()
        };
        let secrets = self.api::<Secret>();
        secrets
            .create(&PostParams::default(), &secret)
            .await
            .unwrap();
    }
}

/// How the tests' buckets are come by.
pub(crate) fn store_options() -> [(&'static str, String); 5] {
    [
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ALLOW_HTTP", "true".to_owned()),
        ("AWS_ENDPOINT", required("TIDEWATCH_TEST_S3")),
    ]
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let (name, failed) = (self.name.clone(), std::thread::panicking());
        // A runtime of its own: the test's may be gone, and a client does not leave the one it was made in.
        let cleaning = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(clean(&name, failed));
        });
        cleaning.join().ok();
    }
}

async fn clean(name: &str, failed: bool) {
    let client = Client::try_default().await.unwrap();
    if failed {
        dump(&client, name).await;
    }
    let workflows: Api<ComputeWorkflow> = Api::namespaced(client.clone(), name);
    let namespaces: Api<NamespaceObject> = Api::all(client);
    namespaces
        .delete(name, &DeleteParams::background())
        .await
        .ok();
    let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    for workflow in workflows.list(&ListParams::default()).await.unwrap() {
        let name = workflow.name_any();
        workflows
            .patch(&name, &PatchParams::default(), &free)
            .await
            .ok();
    }
}

/// Prints what a failed test leaves: workflows, pods and their logs.
async fn dump(client: &Client, namespace: &str) {
    let workflows: Api<ComputeWorkflow> = Api::namespaced(client.clone(), namespace);
    for workflow in workflows.list(&ListParams::default()).await.unwrap() {
        let status = serde_json::to_string_pretty(&workflow.status).unwrap();
        eprintln!("--- workflow {}\n{status}", workflow.name_any());
    }
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    for pod in pods.list(&ListParams::default()).await.unwrap() {
        let name = pod.name_any();
        let status = serde_json::to_string_pretty(&pod.status).unwrap();
        eprintln!("--- pod {name}\n{status}");
        let log = pods.logs(&name, &LogParams::default()).await;
        eprintln!(
            "--- its log\n{}",
            log.unwrap_or_else(|error| error.to_string())
        );
    }
}

/// Installs the custom resource and the policy for admission. Many tests do at once, and it is the same for all.
async fn install(client: &Client) {
    let definition = serde_json::to_value(definition()).unwrap();
    apply::<CustomResourceDefinition>(client, definition).await;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/admission-policy.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    for document in serde_saphyr::from_multiple::<serde_json::Value>(&text).unwrap() {
        if document["kind"] == "ValidatingAdmissionPolicy" {
            apply::<ValidatingAdmissionPolicy>(client, document).await;
        } else {
            apply::<ValidatingAdmissionPolicyBinding>(client, document).await;
        }
    }
    let workflows: Api<ComputeWorkflow> = Api::all(client.clone());
    for _ in 0..100 {
        if workflows
            .list(&ListParams::default().limit(1))
            .await
            .is_ok()
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the cluster does not serve ComputeWorkflow");
}

async fn apply<K>(client: &Client, document: serde_json::Value)
where
    K: Resource<Scope = ClusterResourceScope, DynamicType = ()>,
    K: Clone + Debug + DeserializeOwned,
{
    let objects: Api<K> = Api::all(client.clone());
    let name = document["metadata"]["name"].as_str().unwrap().to_owned();
    let ours = PatchParams::apply("tidewatch-tests").force();
    let patch = Patch::Apply(document);
    objects.patch(&name, &ours, &patch).await.unwrap();
}
