use std::time::Duration;

use url::Url;

use super::workflow::{AccessMode, NetworkPolicy, PullPolicy};

/// How jobs run in a cluster. All of it is pinned in each workflow when it is made.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Namespace of the jobs.
    pub namespace: String,
    /// Image of our own stages, pinned: `name@sha256:…`.
    pub stage_image: String,
    /// When the kubelet pulls images.
    pub pull_policy: PullPolicy,
    /// StorageClass of the volumes; the cluster's default when absent.
    pub storage_class: Option<String>,
    /// Access mode of the volumes.
    pub access_mode: AccessMode,
    /// RuntimeClass of the algorithm's pods.
    pub runtime_class: Option<String>,
    /// Whether pods get a user namespace of their own.
    pub user_namespaces: bool,
    /// Kueue's queue for the algorithms' Jobs.
    pub kueue_queue: Option<String>,
    /// What the algorithm's isolation from the network must rest on.
    pub network_policy: NetworkPolicy,
    /// `s3://bucket/prefix`.
    pub results_url: String,
    /// The Secret, in the jobs' namespace, that the publish stage mounts.
    pub results_secret: Option<String>,
    /// The gateway that `ipfs` inputs are had from.
    pub ipfs_gateway: Option<Url>,
    /// How long the cluster has to start a stage, from the making of its pod (of the algorithm's: from its release).
    pub start_deadline: Duration,
}

impl Settings {
    /// Settings with the documented defaults.
    pub const fn new(namespace: String, stage_image: String, results_url: String) -> Self {
        Self {
            namespace,
            stage_image,
            pull_policy: PullPolicy::IfNotPresent,
            storage_class: None,
            access_mode: AccessMode::ReadWriteOnce,
            runtime_class: None,
            user_namespaces: false,
            kueue_queue: None,
            network_policy: NetworkPolicy::Preferred,
            results_url,
            results_secret: None,
            ipfs_gateway: None,
            start_deadline: Duration::from_secs(600),
        }
    }
}
