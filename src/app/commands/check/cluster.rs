use anyhow::bail;

use super::Report;
use crate::app::config::{ClusterConfig, Role, ServiceConfig};
use crate::app::engines;
use crate::cluster::survey::{self, Found};
use crate::cluster::{Error, KubernetesEngine, rights};

/// The cluster: whether it answers, and has what jobs need.
pub(super) async fn check(
    config: &ServiceConfig,
    engine: &ClusterConfig,
    report: &mut Report,
) -> anyhow::Result<()> {
    let connected = engines::connect_cluster(engine).await;
    let well = connected
        .as_ref()
        .map(|_| "it answers, and has the namespace's workflows".to_owned());
    report.add("cluster", well.map_err(super::told))?;
    let Ok(connected) = connected else {
        return Ok(());
    };
    for role in &config.roles {
        if !rights::granted(role.as_str()).is_empty() {
            let found = check_rights(&connected, engine, *role).await;
            report.add(&format!("rights of the {}", role.as_str()), found)?;
        }
    }
    let client = connected.client();
    let class = engine.storage_class.as_deref();
    let storage = survey::storage(&client, class, engine.access_mode).await;
    add(report, "storage", storage)?;
    if let Some(class) = &engine.runtime_class {
        add(report, "sandbox", survey::sandbox(&client, class).await)?;
    }
    let isolation = survey::isolation(&client, &engine.namespace).await;
    add(report, "isolation", isolation)
}

fn add(report: &mut Report, part: &str, found: Result<Found, Error>) -> anyhow::Result<()> {
    match found {
        Ok(Found::Well(well)) => report.add(part, Ok(well)),
        Ok(Found::Wrong(wrong)) => report.add(part, Err(anyhow::anyhow!(wrong))),
        Ok(Found::Unseen(why)) => report.add_unseen(part, &why),
        Err(error) => report.add(part, Err(error.into())),
    }
}

async fn check_rights(
    connected: &KubernetesEngine,
    engine: &ClusterConfig,
    role: Role,
) -> anyhow::Result<String> {
    let namespace = &engine.namespace;
    let lacking = rights::lacking(&connected.client(), namespace, role.as_str()).await?;
    if lacking.is_empty() {
        return Ok(format!("this account has all of them in {namespace}"));
    }
    bail!(
        "this account may not {} in {namespace}: bind it to the role tidewatch-{} of deploy/service-accounts.yaml",
        lacking.join(", "),
        role.as_str()
    )
}
