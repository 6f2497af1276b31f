//! Files of web servers: resumed where they broke, with headers that never leave their origin.

use std::path::Path;
use std::time::Duration;

use alloy::primitives::B256;
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_RANGE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_RANGE,
    LAST_MODIFIED, LOCATION, RANGE,
};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use url::Url;

use super::fetch::Error;
use super::transfer::Transfer;

/// How long a connection, with its TLS, may take.
const CONNECT: Duration = Duration::from_secs(15);

/// How long a server may stay silent in the middle of a file.
const IDLE: Duration = Duration::from_secs(60);

/// Redirects that are followed; the number that browsers' standard allows is 20, and no honest file needs half of it.
const REDIRECTS: usize = 10;

/// How often one input is asked for, and the pause before the second time; each later pause is twice as long.
pub(super) const TRIES: u32 = 6;
pub(super) const PAUSE: Duration = Duration::from_millis(250);

/// What the headers of a Secret are not: options of an object store, and Kubernetes' own links.
const NO_HEADERS: [&str; 4] = [".", "aws_", "google_", "azure_"];

/// The client for web servers. Redirects are followed by hand, since only so the headers of a Secret stay where they belong.
///
/// # Errors
/// The certificate authorities cannot be read, or the client refuses its settings.
pub(super) fn client(ca_file: Option<&Path>) -> Result<Client, Error> {
    let mut builder = Client::builder()
        .connect_timeout(CONNECT)
        .read_timeout(IDLE)
        // A referrer would hand a signed URL to whoever it leads to.
        .referer(false)
        .redirect(Policy::none());
    if let Some(path) = ca_file {
        let pem = std::fs::read(path).map_err(Error::Authorities)?;
        let authorities = reqwest::Certificate::from_pem_bundle(&pem).map_err(Error::Client)?;
        builder = builder.tls_certs_merge(authorities);
    }
    builder.build().map_err(Error::Client)
}

/// The headers of a mounted Secret: one file each, named like the header.
///
/// # Errors
/// The Secret cannot be read, or holds what cannot be a header; its content is not shown.
pub(super) fn headers_of(secret: &Path) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    for entry in std::fs::read_dir(secret).map_err(Error::Secret)? {
        let path = entry.map_err(Error::Secret)?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(name) = name.map(str::to_ascii_lowercase) else {
            continue;
        };
        if NO_HEADERS.iter().any(|other| name.starts_with(other)) {
            continue;
        }
        let value = std::fs::read_to_string(&path).map_err(Error::Secret)?;
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Error::Header)?;
        let mut value = HeaderValue::from_str(value.trim()).map_err(|_| Error::Header)?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

/// A file of a web server.
#[derive(Debug)]
pub(super) struct WebFile<'a> {
    pub(super) client: &'a Client,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    /// SHA-256 that its bytes must have.
    pub(super) expected: Option<B256>,
}

impl WebFile<'_> {
    /// Downloads it, going on where a try broke off as long as the halves must be of the same file.
    ///
    /// # Errors
    /// What was wrong with the last try.
    pub(super) async fn download(&self, transfer: &mut Transfer) -> Result<(), Error> {
        let mut validator = None;
        let mut pause = PAUSE;
        for _ in 1..TRIES {
            let resume = Resume::decide(transfer.written(), validator.as_ref(), self.expected);
            match self.ask(resume, &mut validator, transfer).await {
                Err(error) if error.may_pass() => tokio::time::sleep(pause).await,
                result => return result,
            }
            pause *= 2;
        }
        let resume = Resume::decide(transfer.written(), validator.as_ref(), self.expected);
        self.ask(resume, &mut validator, transfer).await
    }

    /// Asks once for the rest of the file, or for all of it.
    async fn ask(
        &self,
        resume: Resume,
        validator: &mut Option<HeaderValue>,
        transfer: &mut Transfer,
    ) -> Result<(), Error> {
        let mut response = self.answer(&resume, transfer.written()).await?;
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

    /// The answer at the end of all redirects. They may lead from http to https and not back; the Secret's headers go to the
    /// origin that the catalog names, and to no other.
    async fn answer(&self, resume: &Resume, written: u64) -> Result<Response, Error> {
        let mut url = self.url.clone();
        for _ in 0..=REDIRECTS {
            // Bytes are hashed and counted as they travel, and a range is one of those bytes.
            let mut request = self.client.get(url.clone());
            request = request.header(ACCEPT_ENCODING, "identity");
            if url.origin() == self.url.origin() {
                request = request.headers(self.headers.clone());
            }
            if let Resume::From(start, condition) = resume {
                request = request.header(RANGE, format!("bytes={start}-"));
                if let Some(condition) = condition {
                    request = request.header(IF_RANGE, condition);
                }
            }
            let response = request.send().await.map_err(broken(written))?;
            if !is_redirect(response.status()) {
                return Ok(response);
            }
            let target = response.headers().get(LOCATION);
            let target = target.and_then(|target| url.join(target.to_str().ok()?).ok());
            let target = target.ok_or(Error::Status(response.status()))?;
            if !is_no_weaker(url.scheme(), target.scheme()) {
                return Err(Error::Redirect("to a weaker scheme"));
            }
            url = target;
        }
        Err(Error::Redirect("too often"))
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

/// Redirects that a GET follows as a GET (RFC 9110, section 15.4).
const fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
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
