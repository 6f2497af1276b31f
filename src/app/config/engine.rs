use std::path::PathBuf;

use url::Url;

use super::service::read_gateway;
use super::{Environment, Faults, ServiceOptions};
use crate::cluster::{AccessMode, NetworkPolicy, PullPolicy};
use crate::results;

/// Where and how jobs run.
#[derive(Debug)]
pub struct EngineConfig {
    /// Kubeconfig file; `None`: the service account of the pod this runs in.
    pub kubeconfig: Option<PathBuf>,
    /// Namespace of the jobs.
    pub namespace: String,
    /// Image of the stages, pinned by digest.
    pub image: String,
    /// When a node pulls it.
    pub image_pull_policy: PullPolicy,
    /// Storage class of the jobs' volumes.
    pub storage_class: Option<String>,
    /// Access mode of the jobs' volumes.
    pub access_mode: AccessMode,
    /// Runtime class of the algorithm's pods.
    pub runtime_class: Option<String>,
    /// Whether the jobs' pods get user namespaces of their own.
    pub user_namespaces: bool,
    /// What an algorithm's isolation from the network must rest on.
    pub network_policy: NetworkPolicy,
    /// Kueue's queue for the algorithms' Jobs.
    pub kueue_queue: Option<String>,
    /// Where results go.
    pub results_url: String,
    /// Secret with the credentials for it.
    pub results_secret: Option<String>,
    /// This process's own options for it, where it is the one that reads the records of logs.
    pub results_options: Option<results::Options>,
    /// File with certificate authorities to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// The gateway that `ipfs` inputs are had from.
    pub ipfs_gateway: Option<Url>,
}

pub(super) fn read_engine(
    options: &ServiceOptions,
    environment: &Environment,
    faults: &mut Faults,
) -> EngineConfig {
    match options.engine.as_deref() {
        None | Some("kubernetes") => {}
        Some("process") => faults.add(
            "TIDEWATCH_ENGINE",
            "process is not supported by this version; use kubernetes",
        ),
        Some(other) => faults.add("TIDEWATCH_ENGINE", format!("is {other:?}, not kubernetes")),
    }
    let image = options.image.clone().unwrap_or_default();
    if !image.contains("@sha256:") {
        faults.add(
            "TIDEWATCH_IMAGE",
            "must name the image of the stages by digest: repository@sha256:…",
        );
    }
    let results_url = options.results_url.clone().unwrap_or_default();
    if !is_store(&results_url) {
        faults.add(
            "TIDEWATCH_RESULTS_URL",
            "must say where results go: s3://bucket/prefix, gs://bucket/prefix or az://container/prefix",
        );
    }
    EngineConfig {
        kubeconfig: environment.get("KUBECONFIG").map(PathBuf::from),
        namespace: options
            .namespace
            .clone()
            .unwrap_or_else(|| "tidewatch-jobs".to_owned()),
        image,
        image_pull_policy: one_of(
            options.image_pull_policy.as_deref(),
            &[
                PullPolicy::IfNotPresent,
                PullPolicy::Always,
                PullPolicy::Never,
            ]
            .map(|it| (it.as_str(), it)),
            "TIDEWATCH_IMAGE_PULL_POLICY",
            faults,
        ),
        storage_class: options.storage_class.clone(),
        access_mode: one_of(
            options.access_mode.as_deref(),
            &[AccessMode::ReadWriteOnce, AccessMode::ReadWriteOncePod].map(|it| (it.as_str(), it)),
            "TIDEWATCH_ACCESS_MODE",
            faults,
        ),
        runtime_class: options.runtime_class.clone(),
        user_namespaces: one_of(
            options.user_namespaces.as_deref(),
            &[("off", false), ("on", true)],
            "TIDEWATCH_USER_NAMESPACES",
            faults,
        ),
        network_policy: one_of(
            options.network_policy.as_deref(),
            &[NetworkPolicy::Preferred, NetworkPolicy::Required].map(|it| (it.as_str(), it)),
            "TIDEWATCH_NETWORK_POLICY",
            faults,
        ),
        kueue_queue: options.kueue_queue.clone(),
        results_url,
        results_secret: options.results_secret.clone(),
        results_options: None,
        ca_file: options.ca_file.clone(),
        // What is wrong with it is said where documents' settings are read.
        ipfs_gateway: read_gateway(options.ipfs_gateway.as_deref(), &mut Faults::default()),
    }
}

/// Whether an address can be one of an object store that results go to.
pub(super) fn is_store(address: &str) -> bool {
    let schemes = ["s3://", "gs://", "az://"];
    schemes.iter().any(|scheme| address.starts_with(scheme))
}

/// What the word stands for; the first of `known` if there is none.
fn one_of<T: Copy>(
    word: Option<&str>,
    known: &[(&str, T)],
    variable: &str,
    faults: &mut Faults,
) -> T {
    let word = word.unwrap_or(known[0].0);
    if let Some((_, value)) = known.iter().find(|(name, _)| *name == word) {
        return *value;
    }
    let names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
    faults.add(
        variable,
        format!("is {word:?}, not one of {}", names.join(", ")),
    );
    known[0].1
}
