//! The cluster: how fast the dispatcher hands workflows to a real API server, what the operator needs to hold a window of them, what
//! it asks of the API server for one, and how long a workflow takes to the algorithm's first instruction, beside two bare Jobs.

mod counting;
mod holding;
#[path = "../../it/support/job.rs"]
mod job;
mod queue;
mod starting;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Namespace, PersistentVolumeClaim, Pod, Secret};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Config, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::json;
use tidewatch::cluster::{ComputeWorkflow, KubernetesEngine, Settings};
use tidewatch::engine::{Engine, WorkflowPlan};
use tidewatch::jobs::{Outcome, Phase};
use tidewatch::results::{Access, Options, Store};

use crate::parts::{Parts, Program};

/// The namespace of the jobs that `deploy/` makes.
const NAMESPACE: &str = "tidewatch-jobs";
/// Another one, for what our policy for admission would not let in.
const BARE: &str = "tidewatch-bench";
/// Where the jobs' results go.
const RESULTS: &str = "s3://bench/out";
/// Longest that anything here is waited for.
const PATIENCE: Duration = Duration::from_secs(600);

/// Measures, and tells each figure once it has it, on the cluster that `KUBECONFIG` names: it must have `deploy/` applied, and the jobs'
/// namespace is emptied.
pub(crate) async fn measure(parts: &Parts) -> Result<()> {
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let cluster = Cluster::find().await?;
    cluster.clear().await?;
    let dispatched = queue::measure(&cluster, parts).await?;
    println!("\ncluster: {dispatched:.0} workflows/s dispatched");
    cluster.clear().await?;
    starting::tell(&starting::measure(&cluster, parts).await?);
    cluster.clear().await?;
    counting::tell(&counting::measure(&cluster, parts).await?);
    cluster.clear().await?;
    for held in holding::measure(&cluster, parts).await? {
        held.tell();
    }
    cluster.clear().await
}

/// The cluster, as somebody who may do everything.
struct Cluster {
    client: Client,
    kubeconfig: String,
    stage_image: String,
    algorithm_image: String,
    store: String,
}

impl Cluster {
    async fn find() -> Result<Self> {
        let given = |name: &str| {
            let given = std::env::var_os(name).with_context(|| {
                format!("{name} is not set: start the benchmarks by tests/bench/run")
            })?;
            anyhow::Ok(given.to_string_lossy().into_owned())
        };
        let client = Client::try_default().await?;
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": BARE}});
        let (ours, namespace) = (PatchParams::apply("bench").force(), Patch::Apply(namespace));
        Api::<Namespace>::all(client.clone())
            .patch(BARE, &ours, &namespace)
            .await?;
        Ok(Self {
            client,
            kubeconfig: given("KUBECONFIG")?,
            stage_image: given("TIDEWATCH_IMAGE")?,
            algorithm_image: given("TIDEWATCH_TEST_ALGORITHM_IMAGE")?,
            store: given("TIDEWATCH_TEST_S3")?,
        })
    }

    /// Objects in the jobs' namespace.
    fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    /// Objects in the other one.
    fn bare<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), BARE)
    }

    /// The engine with the rights of a role.
    async fn engine(&self, role: &str) -> Result<KubernetesEngine> {
        let mut config = Config::infer().await?;
        let account = format!("system:serviceaccount:tidewatch-system:{role}");
        config.auth_info.impersonate = Some(account);
        let settings = Settings {
            results_secret: Some("results".to_owned()),
            ..Settings::new(
                NAMESPACE.to_owned(),
                self.stage_image.clone(),
                RESULTS.to_owned(),
            )
        };
        let options = self.store_options();
        let options = options.iter().map(|(name, value)| (*name, value.as_str()));
        let access = Access {
            options: Options::among(options),
            ..Access::default()
        };
        let engine = KubernetesEngine::new(Client::try_from(config)?, settings)?;
        Ok(engine.with_records(Store::open(RESULTS, &access)?))
    }

    fn store_options(&self) -> [(&'static str, String); 5] {
        [
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
            ("AWS_ENDPOINT", self.store.clone()),
        ]
    }

    /// The bucket, and the Secret that publishing mounts.
    async fn make_store(&self) -> Result<()> {
        let made = reqwest::Client::new()
            .put(format!("{}/bench", self.store))
            .send()
            .await?;
        ensure!(made.status().is_success(), "the bucket: {}", made.status());
        let options = self.store_options().into_iter();
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "results"},
            "stringData": options.collect::<std::collections::BTreeMap<_, _>>(),
        });
        let (ours, secret) = (PatchParams::apply("bench").force(), Patch::Apply(secret));
        self.api::<Secret>()
            .patch("results", &ours, &secret)
            .await?;
        Ok(())
    }

    /// Removes what an earlier measurement left, and waits until it is gone.
    async fn clear(&self) -> Result<()> {
        let workflows = self.api::<ComputeWorkflow>();
        let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
        for workflow in workflows.list(&ListParams::default()).await? {
            let name = workflow.name_any();
            workflows
                .patch(&name, &PatchParams::default(), &free)
                .await?;
        }
        delete_all(workflows).await?;
        for (jobs, pods, claims) in [
            (self.api::<Job>(), self.api(), self.api()),
            (self.bare(), self.bare(), self.bare()),
        ] {
            delete_all::<Job>(jobs).await?;
            delete_all::<Pod>(pods).await?;
            delete_all::<PersistentVolumeClaim>(claims).await?;
        }
        Ok(())
    }

    /// An operator that reaches the API server by this file.
    async fn operator(&self, parts: &Parts, kubeconfig: &str) -> Result<Program> {
        let variables = [
            ("KUBECONFIG", kubeconfig.to_owned()),
            ("TIDEWATCH_NAMESPACE", NAMESPACE.to_owned()),
            ("TIDEWATCH_IMAGE", self.stage_image.clone()),
            ("TIDEWATCH_RESULTS_URL", RESULTS.to_owned()),
            ("TIDEWATCH_METRICS_LISTEN", "127.0.0.1:0".to_owned()),
        ];
        let mut program = Program::start(&parts.directory, "operator", &variables)?;
        program.says("operator carries out").await?;
        Ok(program)
    }

    /// Makes a workflow and starts it; answers when it was told to.
    async fn start(&self, dispatcher: &KubernetesEngine, plan: &WorkflowPlan) -> Result<Duration> {
        let inert = dispatcher.ensure(plan).await?;
        let began = starting::now()?;
        let started = dispatcher.start(plan, &inert.uid, 1).await?;
        ensure!(started, "workflow {} is gone", plan.job);
        Ok(began)
    }

    /// Waits until a workflow has succeeded.
    async fn succeeds(&self, observer: &KubernetesEngine, plan: &WorkflowPlan) -> Result<()> {
        until("the workflow ended", async || {
            let seen = observer.observe(&plan.job).await?;
            let status = seen.and_then(|seen| seen.status);
            let Some(status) = status.filter(|status| status.phase == Phase::Finished) else {
                return Ok(false);
            };
            let outcome = status.outcome;
            ensure!(
                outcome == Some(Outcome::Succeeded),
                "the workflow ended with {status:?}"
            );
            Ok(true)
        })
        .await
    }
}

/// Deletes all of a kind in a namespace, and waits until they are gone.
async fn delete_all<K>(objects: Api<K>) -> Result<()>
where
    K: Clone + std::fmt::Debug + DeserializeOwned,
{
    let at_once = DeleteParams::background().grace_period(0);
    let all = ListParams::default();
    objects.delete_collection(&at_once, &all).await?;
    until("what was deleted is gone", async || {
        Ok(objects.list(&all.clone().limit(1)).await?.items.is_empty())
    })
    .await
}

/// Waits until something is so.
async fn until(what: &str, is_so: impl AsyncFn() -> Result<bool>) -> Result<()> {
    let began = Instant::now();
    while !is_so().await? {
        if began.elapsed() > PATIENCE {
            bail!("{what}: not within {PATIENCE:?}");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}
