//! The API's ports: what little may be asked of the world outside, made of what the process has.

use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::{Address, Bytes};
use futures::FutureExt;
use futures::future::BoxFuture;

use super::config::Secret;
use crate::api::{Calls, CannotSee, Outside};
use crate::chain::Providers;
use crate::documents::{self, Documents};
use crate::keeper::ContractCalls;
use crate::worker::Chain;
use crate::workflows::{Finding, Want};

/// Longest wait for a node, with somebody waiting for the answer.
const NODE: Duration = Duration::from_secs(3);
/// The same for registries and metadata services.
const DOCUMENT: Duration = Duration::from_secs(8);

/// What the publisher names may be looked up.
pub(super) fn outside(settings: &documents::Settings) -> anyhow::Result<Arc<dyn Outside>> {
    Ok(Arc::new(Library(Documents::new(settings)?)))
}

/// The nodes, if any were named.
pub(super) fn calls(urls: &[Secret]) -> anyhow::Result<Option<Arc<dyn Calls>>> {
    if urls.is_empty() {
        return Ok(None);
    }
    let providers = Providers::new(urls.iter().map(Secret::expose))?;
    Ok(Some(Arc::new(Nodes(providers))))
}

#[derive(Debug)]
struct Library(Documents);

impl Outside for Library {
    fn find<'a>(&'a self, want: &'a Want) -> BoxFuture<'a, Option<Finding>> {
        async move {
            match tokio::time::timeout(DOCUMENT, self.0.find(want)).await {
                Ok(Ok(finding)) => Some(finding),
                Ok(Err(error)) => {
                    tracing::debug!(error = %Chain(&error), "the {} cannot be had now", want.words());
                    None
                }
                Err(_) => None,
            }
        }
        .boxed()
    }
}

#[derive(Debug)]
struct Nodes(Providers);

impl Calls for Nodes {
    fn call(&self, to: Address, data: Bytes) -> BoxFuture<'_, Result<Bytes, CannotSee>> {
        async move {
            let asked = ContractCalls::call(&self.0, to, data, None);
            match tokio::time::timeout(NODE, asked).await {
                Ok(Ok(bytes)) => Ok(bytes),
                Ok(Err(error)) => {
                    tracing::debug!(error = %Chain(&error), "no node answers a call of {to}");
                    Err(CannotSee)
                }
                Err(_) => Err(CannotSee),
            }
        }
        .boxed()
    }
}
