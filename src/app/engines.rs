//! The engine that the configuration names, connected.

use std::path::Path;

use anyhow::Context;

use super::config::{ClusterConfig, EngineConfig, ProcessConfig};
use crate::cluster::{self, KubernetesEngine};
use crate::process::{self, NO_WALL, ProcessEngine};
use crate::results::{Access, Options, Store};

/// An engine, ready to be asked.
#[derive(Clone, Debug)]
pub(super) enum Connected {
    /// A cluster, and the namespace of the jobs in it.
    Kubernetes {
        /// The engine.
        engine: Box<KubernetesEngine>,
        /// Namespace of the jobs.
        namespace: String,
    },
    /// Processes of this machine.
    Process(ProcessEngine),
}

/// Connects the engine, if any role needs it.
///
/// # Errors
/// One sentence: what cannot be used.
pub(super) async fn connect_engine(
    config: Option<&EngineConfig>,
) -> anyhow::Result<Option<Connected>> {
    Ok(match config {
        None => None,
        Some(EngineConfig::Kubernetes(config)) => Some(Connected::Kubernetes {
            engine: Box::new(connect_cluster(config).await?),
            namespace: config.namespace.clone(),
        }),
        Some(EngineConfig::Process(config)) => {
            tracing::warn!("{NO_WALL}");
            Some(Connected::Process(open_process(config)?))
        }
    })
}

/// Makes the cluster's client.
///
/// # Errors
/// One sentence: what could not be reached, or cannot be kept.
pub(super) async fn connect_cluster(config: &ClusterConfig) -> anyhow::Result<KubernetesEngine> {
    let mut settings = cluster::Settings::new(
        config.namespace.clone(),
        config.image.clone(),
        config.results_url.clone(),
    );
    settings.pull_policy = config.image_pull_policy;
    settings.access_mode = config.access_mode;
    settings.network_policy = config.network_policy;
    settings.user_namespaces = config.user_namespaces;
    settings.storage_class.clone_from(&config.storage_class);
    settings.runtime_class.clone_from(&config.runtime_class);
    settings.kueue_queue.clone_from(&config.kueue_queue);
    settings.results_secret.clone_from(&config.results_secret);
    settings.ipfs_gateway.clone_from(&config.ipfs_gateway);
    let engine = KubernetesEngine::connect(config.kubeconfig.as_deref(), settings)
        .await
        .context("the cluster cannot be used")?;
    let ca_file = config.ca_file.as_deref();
    let records = open_records(
        &config.results_url,
        config.results_options.as_ref(),
        ca_file,
        false,
    )?;
    Ok(match records {
        Some(records) => engine.with_records(records),
        None => engine,
    })
}

/// Opens the directory of the process engine.
///
/// # Errors
/// One sentence: what cannot be used.
pub(super) fn open_process(config: &ProcessConfig) -> anyhow::Result<ProcessEngine> {
    let mut settings = process::Settings::new(config.directory.clone(), config.results_url.clone());
    settings.ca_file.clone_from(&config.ca_file);
    settings.ipfs_gateway.clone_from(&config.ipfs_gateway);
    let engine = ProcessEngine::open(settings).with_context(|| {
        let directory = config.directory.display();
        format!("the directory of the process engine, {directory}, cannot be used")
    })?;
    let ca_file = config.ca_file.as_deref();
    let records = open_records(
        &config.results_url,
        config.results_options.as_ref(),
        ca_file,
        true,
    )?;
    Ok(match records {
        Some(records) => engine.with_records(records),
        None => engine,
    })
}

/// The store of the records of logs, where this process is the one that reads them.
fn open_records(
    address: &str,
    options: Option<&Options>,
    ca_file: Option<&Path>,
    allow_file: bool,
) -> anyhow::Result<Option<Store>> {
    let Some(options) = options else {
        return Ok(None);
    };
    let access = Access {
        options: options.clone(),
        lenient: true,
        allow_file,
        ..Access::default()
    };
    let access = access.trusting(ca_file)?;
    let store = Store::open(address, &access).context("TIDEWATCH_RESULTS_URL")?;
    Ok(Some(store))
}
