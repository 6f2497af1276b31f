use std::fmt::Debug;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::Reach;

/// Looks names up.
pub trait Names: Debug + Send + Sync {
    /// Every address of a name.
    fn addresses(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// As this machine looks names up.
pub(super) fn system() -> Arc<dyn Names> {
    Arc::new(SystemNames)
}

#[derive(Debug)]
struct SystemNames;

impl Names for SystemNames {
    fn addresses(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        }
        .boxed()
    }
}

/// The lookup that stands between a name and its connection: the client connects to the very addresses that were checked here, so
/// a name that answers differently the next time gains nothing.
#[derive(Debug)]
pub(super) struct CheckedNames {
    names: Arc<dyn Names>,
    reach: Reach,
}

impl CheckedNames {
    pub(super) const fn new(names: Arc<dyn Names>, reach: Reach) -> Self {
        Self { names, reach }
    }
}

/// A name stands for an address that is not connected to.
#[derive(Debug, thiserror::Error)]
#[error("the name stands for {0}")]
pub(super) struct Forbidden(pub(super) &'static str);

impl Resolve for CheckedNames {
    fn resolve(&self, name: Name) -> Resolving {
        let looked_up = self.names.addresses(name.as_str().to_owned());
        let reach = self.reach.clone();
        async move {
            let addresses = looked_up.await?;
            // A name with one forbidden address beside public ones is an attempt, not a server.
            if let Some(kind) = addresses.iter().find_map(|it| reach.refusal(*it)) {
                return Err(Forbidden(kind).into());
            }
            let sockets = addresses.into_iter().map(|it| SocketAddr::new(it, 0));
            Ok(Box::new(sockets) as Addrs)
        }
        .boxed()
    }
}
