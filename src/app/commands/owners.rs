use anyhow::{Context, bail};

use crate::ids::Did;
use crate::keeper::{ContractCalls, Deployment, Facts};
use crate::workflows::Catalog;

/// Most DIDs that a sentence names.
const MOST: usize = 5;

/// Whether what the catalog trusts by its DID alone is somebody's. Whoever registers a DID first owns it: of an asset that nobody
/// registered a stranger can become the one who is paid, and of an algorithm the one who says what runs.
pub(super) async fn check<C: ContractCalls>(
    catalog: &Catalog,
    calls: &C,
    keeper: &Deployment,
) -> anyhow::Result<String> {
    let facts = Facts::new(calls, &keeper.contracts);
    let trusted = trusted_by_did(catalog);
    let (mut free, asked) = (Vec::new(), trusted.len());
    for (did, what) in trusted {
        let owner = facts
            .did_owner(did, None)
            .await
            .context("it could not be asked who owns what the catalog names")?;
        if owner.is_none() {
            free.push(format!("the {what} {did}"));
        }
    }
    if free.is_empty() {
        return Ok(format!(
            "all {asked} DIDs that the catalog trusts by their owners are registered"
        ));
    }
    let more = free.len().saturating_sub(MOST);
    free.truncate(MOST);
    let more = if more == 0 {
        String::new()
    } else {
        format!(" and {more} more")
    };
    bail!(
        "nobody registered {}{more}: whoever does first is paid for the asset, or says what the algorithm is; register them, or name payees and pin algorithms by file, container and entrypoint",
        free.join(", ")
    )
}

/// Assets whose owner is paid, and algorithms whose owner says what they are.
fn trusted_by_did(catalog: &Catalog) -> Vec<(Did, &'static str)> {
    let mut found = Vec::new();
    for (did, asset) in catalog.assets() {
        if catalog.payees.is_none() {
            found.push((did, "asset"));
        }
        let unpinned = asset.trusted_algorithms.iter().filter(|entry| {
            entry.file.is_none() || entry.container.is_none() || entry.entrypoint.is_none()
        });
        found.extend(unpinned.filter_map(|entry| Some((entry.did?, "algorithm"))));
    }
    found.sort_unstable();
    found.dedup();
    found
}
