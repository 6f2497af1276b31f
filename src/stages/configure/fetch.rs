use std::io;
use std::path::{Path, PathBuf};

use alloy::primitives::B256;
use reqwest::header::HeaderMap;
use reqwest::{Client, StatusCode};
use tokio::io::AsyncReadExt;
use url::Url;

use super::transfer::Transfer;
use super::web::{self, WebFile};
use super::{Options, bucket};
use crate::stages::InputFile;
use crate::stages::guard::hash_file;

/// What is wrong with an input. No variant shows a URL: errors of the client are stripped of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is not one.
    #[error("its URL cannot be read")]
    Url,
    /// The address is of a kind that is not fetched.
    #[error("addresses of the kind {0} are not fetched")]
    Scheme(String),
    /// The server could not be reached, or stopped in the middle.
    #[error("the transfer broke after {written} bytes")]
    Broken {
        /// Bytes that had arrived.
        written: u64,
        /// What the client says.
        source: reqwest::Error,
    },
    /// The server sent less than it had announced.
    #[error("the server sent {written} of {announced} bytes")]
    Short {
        /// Bytes that had arrived.
        written: u64,
        /// Bytes of the whole file.
        announced: u64,
    },
    /// The server answered something other than the file.
    #[error("the server answered {0}")]
    Status(StatusCode),
    /// The bytes are not the declared ones.
    #[error("its SHA-256 is {found:#x}, declared is {expected:#x}")]
    Checksum {
        /// Declared.
        expected: B256,
        /// Found.
        found: B256,
    },
    /// A redirect that is not followed.
    #[error("the server redirects {0}")]
    Redirect(&'static str),
    /// The object store does not give it. The store's own words are not kept: they hold addresses.
    #[error("the object store {0}")]
    Bucket(&'static str),
    /// The Secret that goes with it cannot be read.
    #[error("cannot read its Secret")]
    Secret(#[source] io::Error),
    /// The Secret that goes with it holds what cannot be an HTTP header.
    #[error("its Secret holds a name or a value that no HTTP header can have")]
    Header,
    /// An ipfs address where no gateway is known.
    #[error("no gateway is known for ipfs addresses: set TIDEWATCH_IPFS_GATEWAY")]
    Gateway,
    /// There are more bytes than may be written.
    #[error("it is larger than the {limit} bytes that are left")]
    TooLarge {
        /// Bytes that were left for it.
        limit: u64,
    },
    /// The volume does not take it.
    #[error("cannot write it")]
    Write(#[source] io::Error),
    /// A local file cannot be read.
    #[error("cannot read the local file")]
    Read(#[source] io::Error),
    /// The file with certificate authorities cannot be read.
    #[error("cannot read the certificate authorities")]
    Authorities(#[source] io::Error),
    /// The client refuses its settings.
    #[error("cannot make the HTTP client")]
    Client(#[source] reqwest::Error),
}

impl Error {
    /// Whether asking again may help.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Broken { source, .. } => !source.is_builder(),
            Self::Short { .. } => true,
            Self::Status(status) => {
                status.is_server_error()
                    || matches!(
                        *status,
                        StatusCode::REQUEST_TIMEOUT
                            | StatusCode::TOO_EARLY
                            | StatusCode::TOO_MANY_REQUESTS
                            | StatusCode::RANGE_NOT_SATISFIABLE
                    )
            }
            Self::Bucket(problem) => *problem == bucket::AWAY,
            Self::Url
            | Self::Redirect(_)
            | Self::Secret(_)
            | Self::Header
            | Self::Gateway
            | Self::Scheme(_)
            | Self::Checksum { .. }
            | Self::TooLarge { .. }
            | Self::Write(_)
            | Self::Read(_)
            | Self::Authorities(_)
            | Self::Client(_) => false,
        }
    }
}

/// Fetches inputs.
#[derive(Debug)]
pub(super) struct Fetcher {
    client: Client,
    secrets: PathBuf,
    gateway: Option<Url>,
    authorities: Option<PathBuf>,
    allow_file: bool,
}

impl Fetcher {
    /// A fetcher that asks that gateway for ipfs addresses.
    pub(super) fn new(options: &Options, gateway: Option<&str>) -> Result<Self, super::Error> {
        let client = web::client(options.ca_file.as_deref()).map_err(super::Error::Client)?;
        Ok(Self {
            client,
            secrets: options.secrets.clone(),
            gateway: gateway.and_then(|gateway| Url::parse(gateway).ok()),
            authorities: options.ca_file.clone(),
            allow_file: options.allow_file,
        })
    }

    /// Puts one input into `directory` under its number, at most `limit` bytes, and answers its size.
    ///
    /// A file that is there already, and is of the declared checksum, was put there by an earlier run and stays.
    pub(super) async fn fetch(
        &self,
        input: &InputFile,
        directory: &Path,
        limit: u64,
    ) -> Result<u64, Error> {
        let target = directory.join(input.index.to_string());
        if let Some(size) = present(&target, input.sha256)? {
            return if size > limit {
                Err(Error::TooLarge { limit })
            } else {
                Ok(size)
            };
        }
        let mut transfer = Transfer::begin(&target, limit).await?;
        match self.transfer(input, &mut transfer).await {
            Ok(()) => transfer.finish(&target, input.sha256).await,
            Err(error) => {
                transfer.discard().await;
                Err(error)
            }
        }
    }

    async fn transfer(&self, input: &InputFile, transfer: &mut Transfer) -> Result<(), Error> {
        let url = Url::parse(&input.url).map_err(|_| Error::Url)?;
        let secret = input.secret.as_ref().map(|name| self.secrets.join(name));
        match url.scheme() {
            "http" | "https" => {
                let headers = secret.map(|secret| web::headers_of(&secret));
                let headers = headers.transpose()?.unwrap_or_default();
                self.download(url, headers, input.sha256, transfer).await
            }
            "ipfs" => {
                let gateway = self.gateway.as_ref().ok_or(Error::Gateway)?;
                let url = at_gateway(gateway, &input.url).ok_or(Error::Url)?;
                let headers = HeaderMap::new();
                self.download(url, headers, input.sha256, transfer).await
            }
            "s3" | "gs" | "az" => {
                let authorities = self.authorities.as_deref();
                let object = bucket::Object::open(&input.url, secret.as_deref(), authorities)?;
                object.download(input.sha256, transfer).await
            }
            "file" if self.allow_file => copy(&url, transfer).await,
            scheme => Err(Error::Scheme(scheme.to_owned())),
        }
    }

    async fn download(
        &self,
        url: Url,
        headers: HeaderMap,
        expected: Option<B256>,
        transfer: &mut Transfer,
    ) -> Result<(), Error> {
        let client = &self.client;
        let file = WebFile {
            client,
            url,
            headers,
            expected,
        };
        file.download(transfer).await
    }
}

/// `ipfs://CID/path` at a gateway: `https://gateway/ipfs/CID/path` (IPFS, path gateway specification). A CID is case-sensitive, so it
/// is taken from the text and not from a parsed host.
fn at_gateway(gateway: &Url, address: &str) -> Option<Url> {
    let path = address.strip_prefix("ipfs://")?;
    gateway.join(&format!("/ipfs/{path}")).ok()
}

/// The size of a file that an earlier run completed.
fn present(target: &Path, expected: Option<B256>) -> Result<Option<u64>, Error> {
    let file = match std::fs::File::open(target) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::Write(error)),
    };
    let (size, sha256) = hash_file(file).map_err(Error::Write)?;
    let same = expected.is_none_or(|expected| expected == sha256);
    Ok(same.then_some(size))
}

async fn copy(url: &Url, transfer: &mut Transfer) -> Result<(), Error> {
    let path = url.to_file_path().map_err(|()| Error::Url)?;
    let mut file = tokio::fs::File::open(path).await.map_err(Error::Read)?;
    let mut piece = vec![0; 256 * 1024];
    loop {
        match file.read(&mut piece).await.map_err(Error::Read)? {
            0 => return Ok(()),
            read => transfer.write(&piece[..read]).await?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_id_keeps_its_case_at_the_gateway() {
        let gateway = Url::parse("https://gateway.example").unwrap();
        let url = at_gateway(&gateway, "ipfs://QmAbC/data.csv").unwrap();
        assert_eq!(url.as_str(), "https://gateway.example/ipfs/QmAbC/data.csv");
    }
}
