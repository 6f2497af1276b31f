use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::{B256, Keccak256};
use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder, Response};
use sha2::{Digest, Sha256};
use url::Url;

use super::Error;
use super::address::Reach;
use super::location::Location;
use super::names::{CheckedNames, Forbidden, Names};
use crate::workflows::{Checksum, Subject};

/// How long a connection, with its TLS, may take.
const CONNECT: Duration = Duration::from_secs(5);

/// How long a server may stay silent in the middle.
const IDLE: Duration = Duration::from_secs(10);

/// How long all of it may take, redirects included: 512 KiB at 26 KiB a second.
const TOTAL: Duration = Duration::from_secs(20);

/// Redirects that are followed. Gateways and content networks need two or three.
const REDIRECTS: usize = 5;

/// What to fetch, but for its address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    /// What it is.
    pub(super) of: Subject,
    /// What it must hash to.
    pub(super) expected: Option<Checksum>,
    /// Whether its address is at an origin that the publisher named.
    pub(super) trusted: bool,
}

/// Fetches documents.
#[derive(Debug)]
pub(super) struct Fetcher {
    /// Connects to checked addresses only.
    strangers: Client,
    /// Connects to any: for the gateway and the publisher's own metadata services.
    own: Client,
    gateway: Option<Url>,
    reach: Reach,
    total: Duration,
}

impl Fetcher {
    pub(super) fn new(
        gateway: Option<Url>,
        authorities: &[u8],
        reach: Reach,
        names: Arc<dyn Names>,
    ) -> Result<Self, Error> {
        let checked = CheckedNames::new(names, reach.clone());
        Ok(Self {
            strangers: client(authorities, |builder| {
                builder.dns_resolver(Arc::new(checked))
            })?,
            own: client(authorities, |builder| builder)?,
            gateway,
            reach,
            total: TOTAL,
        })
    }

    /// The bytes at that address, at most as many as are read of such a thing, with the expected checksum.
    pub(super) async fn fetch(&self, request: &Request, address: &str) -> Result<Vec<u8>, Error> {
        let fetched = tokio::time::timeout(self.total, self.follow(request, address));
        let bytes = fetched
            .await
            .unwrap_or_else(|_| Err(Error::Slow(self.total.as_secs())))?;
        verify(&bytes, request.expected)?;
        Ok(bytes)
    }

    async fn follow(&self, request: &Request, address: &str) -> Result<Vec<u8>, Error> {
        let mut location = if request.trusted {
            Location::of_publisher(address)?
        } else {
            Location::of_stranger(address, self.gateway.as_ref(), &self.reach)?
        };
        for _ in 0..=REDIRECTS {
            let response = self.ask(&location).await?;
            if !response.status().is_redirection() {
                return receive(response, request.of.limit()).await;
            }
            let to = response.headers().get(LOCATION).map(|to| to.to_str());
            let Some(Ok(to)) = to else {
                return Err(Error::Status(response.status()));
            };
            location = location.redirected(to, &self.reach)?;
        }
        Err(Error::Redirects(REDIRECTS))
    }

    async fn ask(&self, location: &Location) -> Result<Response, Error> {
        let client = if location.is_own {
            &self.own
        } else {
            &self.strangers
        };
        client
            .get(location.url.clone())
            .header(ACCEPT_ENCODING, "identity")
            .send()
            .await
            .map_err(|error| broken(0, error))
    }
}

async fn receive(mut response: Response, limit: usize) -> Result<Vec<u8>, Error> {
    if response.status() != reqwest::StatusCode::OK {
        return Err(Error::Status(response.status()));
    }
    let encoding = response.headers().get(CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(Error::Compressed);
    }
    let announced = response.content_length().unwrap_or(0);
    if usize::try_from(announced).map_or(true, |announced| announced > limit) {
        return Err(Error::TooLarge { limit });
    }
    let mut bytes = Vec::new();
    while let Some(piece) = response
        .chunk()
        .await
        .map_err(|error| broken(bytes.len(), error))?
    {
        if bytes.len() + piece.len() > limit {
            return Err(Error::TooLarge { limit });
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// A name that stands for a forbidden address reaches us as a failed connection.
fn broken(read: usize, error: reqwest::Error) -> Error {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(Forbidden(kind)) = inner.downcast_ref() {
            return Error::Forbidden(kind);
        }
        cause = inner.source();
    }
    Error::Broken {
        read,
        source: error.without_url(),
    }
}

fn verify(bytes: &[u8], expected: Option<Checksum>) -> Result<(), Error> {
    let (algorithm, expected, came) = match expected {
        None => return Ok(()),
        Some(Checksum::Keccak256(expected)) => {
            let mut hasher = Keccak256::new();
            hasher.update(bytes);
            ("Keccak-256", expected, hasher.finalize())
        }
        Some(Checksum::Sha256(expected)) => {
            let came = B256::from_slice(&Sha256::digest(bytes));
            ("SHA-256", expected, came)
        }
    };
    if came == expected {
        return Ok(());
    }
    Err(Error::Checksum {
        algorithm,
        expected: format!("{expected:#x}"),
        came: format!("{came:#x}"),
    })
}

fn client(
    authorities: &[u8],
    more: impl FnOnce(ClientBuilder) -> ClientBuilder,
) -> Result<Client, Error> {
    let builder = Client::builder()
        .connect_timeout(CONNECT)
        .read_timeout(IDLE)
        .redirect(Policy::none())
        .referer(false)
        .no_proxy()
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .http1_only()
        // A connection that is kept would be used again without a look at its address.
        .pool_max_idle_per_host(0)
        .retry(reqwest::retry::never());
    let trusted = Certificate::from_pem_bundle(authorities).map_err(Error::Client)?;
    more(builder.tls_certs_merge(trusted))
        .build()
        .map_err(Error::Client)
}
