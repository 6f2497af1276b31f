use std::io;
use std::path::Path;
use std::time::Duration;

use alloy::primitives::B256;
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_RANGE, ETAG, HeaderMap, HeaderValue, IF_RANGE, LAST_MODIFIED, RANGE,
};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, Response, StatusCode};
use tokio::io::AsyncReadExt;
use url::Url;

use super::Options;
use super::transfer::Transfer;
use crate::stages::InputFile;
use crate::stages::guard::hash_file;

/// How long a connection, with its TLS, may take.
const CONNECT: Duration = Duration::from_secs(15);

/// How long a server may stay silent in the middle of a file.
const IDLE: Duration = Duration::from_secs(60);

/// Redirects that are followed; the number that browsers' standard allows is 20, and no honest file needs half of it.
const REDIRECTS: usize = 10;

/// How often one input is asked for, and the pause before the second time; each later pause is twice as long.
const TRIES: u32 = 6;
const PAUSE: Duration = Duration::from_millis(250);

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
    fn may_pass(&self) -> bool {
        match self {
            Self::Broken { source, .. } => !source.is_redirect() && !source.is_builder(),
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
            Self::Url
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
    allow_file: bool,
}

impl Fetcher {
    pub(super) fn new(options: &Options) -> Result<Self, super::Error> {
        let client = client(options.ca_file.as_deref()).map_err(super::Error::Client)?;
        Ok(Self {
            client,
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
        let url = Url::parse(&input.url).map_err(|_| Error::Url)?;
        let mut transfer = Transfer::begin(&target, limit).await?;
        let result = match url.scheme() {
            "http" | "https" => self.download(url, input.sha256, &mut transfer).await,
            "file" if self.allow_file => copy(&url, &mut transfer).await,
            scheme => Err(Error::Scheme(scheme.to_owned())),
        };
        match result {
            Ok(()) => transfer.finish(&target, input.sha256).await,
            Err(error) => {
                transfer.discard().await;
                Err(error)
            }
        }
    }

    async fn download(
        &self,
        url: Url,
        expected: Option<B256>,
        transfer: &mut Transfer,
    ) -> Result<(), Error> {
        let mut validator = None;
        let mut pause = PAUSE;
        for _ in 1..TRIES {
            let resume = Resume::decide(transfer.written(), validator.as_ref(), expected);
            match self.ask(&url, resume, &mut validator, transfer).await {
                Err(error) if error.may_pass() => tokio::time::sleep(pause).await,
                result => return result,
            }
            pause *= 2;
        }
        let resume = Resume::decide(transfer.written(), validator.as_ref(), expected);
        self.ask(&url, resume, &mut validator, transfer).await
    }

    /// Asks once for the rest of the file, or for all of it.
    async fn ask(
        &self,
        url: &Url,
        resume: Resume,
        validator: &mut Option<HeaderValue>,
        transfer: &mut Transfer,
    ) -> Result<(), Error> {
        // Bytes are hashed and counted as they travel, and a range is one of those bytes.
        let mut request = self
            .client
            .get(url.clone())
            .header(ACCEPT_ENCODING, "identity");
        if let Resume::From(start, condition) = resume {
            request = request.header(RANGE, format!("bytes={start}-"));
            if let Some(condition) = condition {
                request = request.header(IF_RANGE, condition);
            }
        }
        let mut response = request.send().await.map_err(broken(transfer.written()))?;
        let total = match response.status() {
            StatusCode::OK => {
                transfer.restart().await?;
                *validator = strong_validator(response.headers());
                response.content_length()
            }
            StatusCode::PARTIAL_CONTENT => match content_range(response.headers()) {
                Some((start, total)) if start == transfer.written() => total,
                // Not what was asked for: the next try begins anew.
                _ => {
                    transfer.restart().await?;
                    return Err(Error::Status(StatusCode::RANGE_NOT_SATISFIABLE));
                }
            },
            StatusCode::RANGE_NOT_SATISFIABLE => {
                transfer.restart().await?;
                return Err(Error::Status(StatusCode::RANGE_NOT_SATISFIABLE));
            }
            // What has arrived stays for the next try.
            status => return Err(Error::Status(status)),
        };
        if let Some(total) = total {
            transfer.expect(total.saturating_sub(transfer.written()))?;
        }
        receive(&mut response, transfer).await?;
        match total {
            Some(announced) if announced != transfer.written() => Err(Error::Short {
                written: transfer.written(),
                announced,
            }),
            _ => Ok(()),
        }
    }
}

async fn receive(response: &mut Response, transfer: &mut Transfer) -> Result<(), Error> {
    while let Some(bytes) = response.chunk().await.map_err(broken(transfer.written()))? {
        transfer.write(&bytes).await?;
    }
    Ok(())
}

fn broken(written: u64) -> impl FnOnce(reqwest::Error) -> Error {
    move |source| Error::Broken {
        written,
        source: source.without_url(),
    }
}

/// Whether the next try may go on where the last one broke.
#[derive(Debug, PartialEq, Eq)]
enum Resume {
    Anew,
    From(u64, Option<HeaderValue>),
}

impl Resume {
    /// Only a validator, or a checksum that is checked at the end, tells halves of two different files apart.
    fn decide(written: u64, validator: Option<&HeaderValue>, expected: Option<B256>) -> Self {
        match (written, validator, expected) {
            (1.., Some(validator), _) => Self::From(written, Some(validator.clone())),
            (1.., None, Some(_)) => Self::From(written, None),
            _ => Self::Anew,
        }
    }
}

/// What `If-Range` may hold: a strong entity tag, or else the date (RFC 9110, section 13.1.5).
fn strong_validator(headers: &HeaderMap) -> Option<HeaderValue> {
    headers
        .get(ETAG)
        .filter(|tag| !tag.as_bytes().starts_with(b"W/"))
        .or_else(|| headers.get(LAST_MODIFIED))
        .cloned()
}

/// First byte and whole length of `Content-Range: bytes first-last/length`; the length may be `*`.
fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let text = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    let (range, length) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    Some((first.parse().ok()?, length.parse().ok()))
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

fn client(ca_file: Option<&Path>) -> Result<Client, Error> {
    let mut builder = Client::builder()
        .connect_timeout(CONNECT)
        .read_timeout(IDLE)
        // A referrer would hand a signed URL to whoever it leads to.
        .referer(false)
        .redirect(Policy::custom(follow));
    if let Some(path) = ca_file {
        let pem = std::fs::read(path).map_err(Error::Authorities)?;
        let authorities = reqwest::Certificate::from_pem_bundle(&pem).map_err(Error::Client)?;
        builder = builder.tls_certs_merge(authorities);
    }
    builder.build().map_err(Error::Client)
}

/// Follows redirects that keep the scheme or go from http to https. The client itself drops credentials at another origin.
fn follow(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let from = attempt.previous().last().map(Url::scheme);
    if !from.is_some_and(|from| is_no_weaker(from, attempt.url().scheme())) {
        attempt.error("a redirect to a weaker scheme")
    } else if attempt.previous().len() > REDIRECTS {
        attempt.error("too many redirects")
    } else {
        attempt.follow()
    }
}

fn is_no_weaker(from: &str, to: &str) -> bool {
    matches!((from, to), ("http", "http" | "https") | ("https", "https"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_never_lose_encryption() {
        assert!(is_no_weaker("http", "http"));
        assert!(is_no_weaker("http", "https"));
        assert!(is_no_weaker("https", "https"));
        assert!(!is_no_weaker("https", "http"));
        assert!(!is_no_weaker("http", "ftp"));
    }

    #[test]
    fn only_what_can_be_checked_is_resumed() {
        let tag = HeaderValue::from_static("\"v1\"");
        let sum = Some(B256::repeat_byte(1));
        assert_eq!(Resume::decide(0, Some(&tag), sum), Resume::Anew);
        assert_eq!(Resume::decide(5, None, None), Resume::Anew);
        assert_eq!(Resume::decide(5, None, sum), Resume::From(5, None));
        assert_eq!(
            Resume::decide(5, Some(&tag), None),
            Resume::From(5, Some(tag))
        );
    }

    #[test]
    fn a_weak_tag_is_no_validator() {
        let mut headers = HeaderMap::new();
        headers.insert(ETAG, HeaderValue::from_static("W/\"v1\""));
        assert_eq!(strong_validator(&headers), None);
        headers.insert(LAST_MODIFIED, HeaderValue::from_static("yesterday"));
        assert_eq!(strong_validator(&headers).unwrap(), "yesterday");
        headers.insert(ETAG, HeaderValue::from_static("\"v1\""));
        assert_eq!(strong_validator(&headers).unwrap(), "\"v1\"");
    }

    #[test]
    fn content_ranges_are_read() {
        let read = |text| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_RANGE, HeaderValue::from_static(text));
            content_range(&headers)
        };
        assert_eq!(read("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(read("bytes 5-9/*"), Some((5, None)));
        assert_eq!(read("bytes */10"), None);
        assert_eq!(read("items 5-9/10"), None);
    }
}
