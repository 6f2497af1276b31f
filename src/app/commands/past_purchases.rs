use super::opening::say;
use crate::app::catalog;
use crate::app::config::{Secret, ServiceConfig};
use crate::app::service;
use crate::chain::Providers;
use crate::keeper::Deployment;
use crate::ledger::Ledger;
use crate::scheduler;

/// Judges past purchases again under the catalog, from what the ledger holds and the contracts answer, and says of which it would
/// have made something else. That is for the publisher to like or not: it is nothing wrong.
pub(super) async fn compare(
    config: &ServiceConfig,
    keeper: &Deployment,
    ledger: &Ledger,
) -> anyhow::Result<String> {
    let catalog = catalog::open(config.catalog.as_deref())?.receiver();
    let catalog = catalog.borrow().clone();
    let deployment = service::find_deployment(ledger, keeper).await?;
    let urls = config.chain.iter().flat_map(|chain| &chain.rpc_urls);
    let providers = Providers::new(urls.map(Secret::expose))?;
    let asked = (ledger, providers);
    let differences = scheduler::rejudge(asked, deployment, keeper, &catalog).await?;
    if differences.is_empty() {
        return Ok("this catalog would have decided each as it was decided".to_owned());
    }
    for difference in &differences {
        let (job, agreement) = (&difference.job, difference.agreement);
        let (then, now) = (&difference.then, &difference.now);
        say(format!(
            "       {job} of agreement {agreement}: {then}; with this catalog: {now}"
        ))?;
    }
    Ok(format!(
        "this catalog would have decided the {} above differently",
        differences.len()
    ))
}
