use std::path::Path;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use super::Error;

/// A client for the cluster that the kubeconfig names; without one, as kubectl finds it, or by the pod's service account.
///
/// It reads files and makes no request. rustls must have its process-wide provider before.
///
/// # Errors
/// [`Error::Kubeconfig`] and [`Error::Access`] when there is no usable way to a cluster.
pub async fn connect(kubeconfig: Option<&Path>) -> Result<Client, Error> {
    let Some(path) = kubeconfig else {
        return Client::try_default()
            .await
            .map_err(|source| Error::Access(Box::new(source)));
    };
    let unreadable = |source| Error::Kubeconfig {
        path: path.display().to_string(),
        source: Box::new(source),
    };
    let file = Kubeconfig::read_from(path).map_err(unreadable)?;
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
        .await
        .map_err(unreadable)?;
    Client::try_from(config).map_err(|source| Error::Access(Box::new(source)))
}
