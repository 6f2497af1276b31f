//! The API's ports: what little may be asked of the world outside, made of what the process has.

use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::{Address, Bytes};
use anyhow::Context;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};

use super::config::{ResultsConfig, Secret};
use crate::api::{Calls, CannotSee, Files, Outside, Pieces};
use crate::chain::Providers;
use crate::documents::{self, Documents};
use crate::ids::JobName;
use crate::keeper::ContractCalls;
use crate::results::{self, Access, Existing, Store, keys};
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

/// Where results lie, if that was said.
pub(super) fn files(config: Option<&ResultsConfig>) -> anyhow::Result<Option<Arc<dyn Files>>> {
    let Some(config) = config else {
        return Ok(None);
    };
    let access = Access {
        options: config.options.clone(),
        lenient: true,
        ..Access::default()
    };
    let store = Store::open(&config.url, &access.trusting(config.ca_file.as_deref())?);
    let store = store.context("TIDEWATCH_RESULTS_URL")?;
    Ok(Some(Arc::new(Stored(store))))
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

    fn run(&self, code: Bytes) -> BoxFuture<'_, Result<Bytes, CannotSee>> {
        async move {
            match tokio::time::timeout(NODE, self.0.run(code)).await {
                Ok(Ok(bytes)) => Ok(bytes),
                Ok(Err(error)) => {
                    tracing::debug!(error = %Chain(&error), "no node runs code to verify a signature");
                    Err(CannotSee)
                }
                Err(_) => Err(CannotSee),
            }
        }
        .boxed()
    }
}

#[derive(Debug)]
struct Stored(Store);

impl Files for Stored {
    fn manifest<'a>(
        &'a self,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<bytes::Bytes>, CannotSee>> {
        async move {
            match self.0.read(key).await {
                Ok(Existing::Found(bytes)) => Ok(Some(bytes)),
                Ok(Existing::None) => Ok(None),
                Ok(Existing::Unreadable) => {
                    tracing::error!(key, "the API's credential may not read results");
                    Err(CannotSee)
                }
                Err(error) => Err(unseen(key, &error)),
            }
        }
        .boxed()
    }

    fn open<'a>(
        &'a self,
        (job, attempt, path): (&'a JobName, u32, &'a str),
        start: u64,
    ) -> BoxFuture<'a, Result<Option<(u64, Pieces)>, CannotSee>> {
        async move {
            let key = keys::output(job, attempt, path);
            let opened = self.0.stream(&key, start).await;
            let opened = opened.map_err(|error| unseen(&key, &error))?;
            Ok(opened.map(|(size, pieces)| {
                let pieces = pieces.map(move |piece| piece.map_err(|error| unseen(&key, &error)));
                (size, pieces.boxed())
            }))
        }
        .boxed()
    }
}

fn unseen(key: &str, error: &results::Error) -> CannotSee {
    tracing::warn!(key, error = %Chain(error), "a result cannot be read now");
    CannotSee
}
