//! Whether enough providers name the same block before work may start on it.

use super::error::Error;
use crate::chain::Provider;
use crate::ids::{BlockRef, DeploymentId};
use crate::ledger::{Ledger, disagreements};

/// What the providers say of one block. Hashes chain, so one height speaks for every height below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Votes {
    /// Operators with a provider that names the block, each once.
    pub(super) for_it: Vec<String>,
    /// Providers that name another block there, and which.
    pub(super) against: Vec<(String, BlockRef)>,
}

/// Asks every provider for its block at a height. One that does not answer, or whose chain is shorter, has no vote; two of one
/// operator are one witness.
pub(super) async fn ask(providers: &[Provider], block: BlockRef) -> Votes {
    let asked = providers
        .iter()
        .map(async |provider| (provider, provider.header_at(block.number).await));
    let mut votes = Votes {
        for_it: Vec::new(),
        against: Vec::new(),
    };
    for (provider, answer) in futures::future::join_all(asked).await {
        match answer {
            Ok(Some(header)) if header.at == block => {
                let operator = provider.operator().to_owned();
                if !votes.for_it.contains(&operator) {
                    votes.for_it.push(operator);
                }
            }
            Ok(Some(header)) => votes.against.push((provider.name().to_owned(), header.at)),
            Ok(None) => {}
            Err(error) => {
                tracing::debug!(provider = provider.name(), %error, "a provider has no vote");
            }
        }
    }
    votes
}

/// Writes down who named another block, once each.
pub(super) async fn note(
    ledger: &Ledger,
    deployment: DeploymentId,
    block: BlockRef,
    votes: &Votes,
) -> Result<(), Error> {
    for (provider, named) in &votes.against {
        let mut connection = ledger.acquire().await?;
        let id = deployment;
        if disagreements::record(&mut connection, id, block, provider, named.hash).await? {
            tracing::warn!(
                deployment = id.0,
                provider,
                "provider {provider} names {named} where {block} is recorded"
            );
        }
    }
    Ok(())
}
