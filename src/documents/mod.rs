//! Fetches what strangers name: documents, algorithms' files, and what registries say of images.
//!
//! It refuses to know what any of it means: it is told what to get ([`Want`]), how large it may be and what it must hash to, and
//! answers with the bytes or with what is wrong ([`Finding`]).
//!
//! Layout:
//! - `address.rs`: which IP addresses may be connected to; `location.rs`: which URLs may be followed at all;
//! - `names.rs`: names to addresses, once per connection;
//! - `fetch.rs`: one fetch, with its redirects, within its bounds;
//! - `registry.rs`: tags to digests, and the volumes that images declare;
//! - `search.rs`: everything that a decision wants, one after another;
//! - `error.rs`: the room's error.
//!
//! Invariants:
//! - https only, and `ipfs://` through the operator's gateway. A connection goes to an address that was checked, never to a name
//!   that could answer differently the second time; each redirect is a new URL with a new check;
//! - nothing is sent but a GET: no credentials, cookies, referrer; no proxy, since behind one nobody knows whom it asks;
//! - time, bytes and redirects are bounded, and no byte is unpacked: what arrives compressed is refused. A fetch holds at most
//!   what it may keep;
//! - a document is refused for good only when it is wrong (another checksum, too large, an address that is not fetched). What
//!   cannot be had now is an error, transient, and its caller's to repeat;
//! - errors say what was expected and what came. They repeat no URL, which can hold a secret.
//!
//! What the publisher named itself (the gateway, metadata services of `documentOrigins`, allowed registries) may lie in the
//! publisher's own network. A redirect away from there is a stranger's again.
//!
//! Why not a proxy that filters: it would be one more part to run, and would have to be trusted to resolve names the same way.

mod address;
mod error;
mod fetch;
mod location;
mod names;
mod registry;
mod search;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use url::Url;

use crate::workflows::{Finding, ImageFacts, Want};
use address::Reach;
pub use error::Error;
use fetch::{Fetcher, Request};
pub use names::Names;
use registry::Registry;
pub use search::{Search, search};

/// How documents are fetched.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Where `ipfs://` is fetched through: `https://host` or `http://host`, the operator's own. None: it is not fetched.
    pub ipfs_gateway: Option<Url>,
    /// Further certificate authorities, a PEM file.
    pub ca_file: Option<PathBuf>,
    /// Whether images are not run at all: then no registry is asked, and an image has no digest ([`NO_DIGEST`]).
    pub without_registries: bool,
}

/// What stands for the digest of an image that is not run.
pub const NO_DIGEST: &str = "none";

/// Gets what decisions want. Cheap to clone; clones share their knowledge of registries.
#[derive(Clone, Debug)]
pub struct Documents {
    fetcher: Arc<Fetcher>,
    /// `None` where images are not run.
    registry: Option<Arc<Registry>>,
}

impl Documents {
    /// Fetches from public addresses only.
    ///
    /// # Errors
    /// [`Error`], fatal, when the authorities cannot be read.
    pub fn new(settings: &Settings) -> Result<Self, Error> {
        Self::make(settings, Reach::public(), names::system())
    }

    /// The same for tests, whose servers are on this machine: those addresses count as public ones, and names are looked up with
    /// `names`. There is no setting that leads here.
    ///
    /// # Errors
    /// [`Error`], fatal, when the authorities cannot be read.
    pub fn reaching(
        settings: &Settings,
        addresses: Vec<IpAddr>,
        names: Arc<dyn Names>,
    ) -> Result<Self, Error> {
        Self::make(settings, Reach::also(addresses), names)
    }

    fn make(settings: &Settings, reach: Reach, names: Arc<dyn Names>) -> Result<Self, Error> {
        let authorities = match &settings.ca_file {
            Some(path) => std::fs::read(path).map_err(Error::Authorities)?,
            None => Vec::new(),
        };
        let gateway = settings.ipfs_gateway.clone();
        Ok(Self {
            fetcher: Arc::new(Fetcher::new(gateway, &authorities, reach, names)?),
            registry: match settings.without_registries {
                true => None,
                false => Some(Arc::new(Registry::new(&authorities)?)),
            },
        })
    }

    /// Whether images are run, so that their digests mean something.
    pub const fn asks_registries(&self) -> bool {
        self.registry.is_some()
    }

    /// Looks for what is wanted. A finding is for good: asking again would be of no use.
    ///
    /// # Errors
    /// [`Error`], transient: it cannot be had now. A want that is the ledger's to answer ([`Want::Registrations`]) is rejected.
    pub async fn find(&self, want: &Want) -> Result<Finding, Error> {
        match want {
            Want::Bytes {
                of,
                addresses,
                expected,
                trusted,
            } => {
                let request = Request {
                    of: *of,
                    expected: *expected,
                    trusted: *trusted,
                };
                self.first(&request, addresses).await
            }
            Want::Image { name, tag, digest } => {
                let (tag, digest) = (tag.as_deref(), digest.as_deref());
                match &self.registry {
                    Some(registry) => registry.find(name, tag, digest).await,
                    None => Ok(Finding::Image(ImageFacts {
                        digest: NO_DIGEST.to_owned(),
                        volumes: Vec::new(),
                    })),
                }
            }
            Want::Registrations { did } => Err(Error::NotADocument { did: *did }),
        }
    }

    /// The first of the addresses that has it. One that has something wrong does not hide another that has the right thing.
    async fn first(&self, request: &Request, addresses: &[String]) -> Result<Finding, Error> {
        let (mut wrong, mut absent) = (None, None);
        for address in addresses {
            match self.fetcher.fetch(request, address).await {
                Ok(bytes) => return Ok(Finding::Bytes(bytes)),
                Err(error) => match error.finding(request.of) {
                    Some(finding) => wrong = wrong.or(Some(finding)),
                    None => absent = absent.or(Some(error)),
                },
            }
        }
        match (absent, wrong) {
            (Some(error), _) => Err(error),
            (None, Some(finding)) => Ok(finding),
            (None, None) => Ok(Finding::Unavailable),
        }
    }
}
