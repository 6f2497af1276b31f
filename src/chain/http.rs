use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use url::Url;

use super::error::{Error, cut};
use super::rpc::{Answers, Call, body};

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Largest answer that is read. The receipts of the fullest blocks take less; a range that needs more is asked for in parts.
pub(super) const LARGEST_ANSWER: usize = 32 << 20;

/// JSON-RPC over HTTP.
#[derive(Debug)]
pub(super) struct Http {
    client: reqwest::Client,
    url: Url,
}

impl Http {
    pub(super) fn new(provider: &str, url: Url, timeout: Duration) -> Result<Self, Error> {
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(timeout)
            .tcp_nodelay(true)
            .build()
            .map_err(|source| Error::Client {
                provider: provider.to_owned(),
                source: source.without_url(),
            })?;
        Ok(Self { client, url })
    }

    pub(super) async fn send(&self, provider: &str, calls: &[Call]) -> Result<Answers, Error> {
        let method = calls.first().map_or("nothing", |call| call.method);
        let asked = Asked { provider, method };
        let response = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(body(calls))
            .send()
            .await
            .map_err(|error| asked.unreachable(error))?;
        let status = response.status();
        let retry_after = retry_after(&response);
        let body = asked.read(response).await?;
        match Answers::read(provider, calls, body) {
            // Many services put a JSON-RPC error under a status that is not success: its words say more.
            Ok(answers) if status.is_success() || answers.refusals().next().is_some() => {
                asked.limited(status, retry_after, None)?;
                Ok(answers)
            }
            Ok(_) => Err(asked.status(status, retry_after, String::new())),
            Err(Error::NotJson { text, .. }) if !status.is_success() => {
                Err(asked.status(status, retry_after, text))
            }
            Err(error) => {
                asked.limited(status, retry_after, Some(&error))?;
                Err(error)
            }
        }
    }
}

/// What errors name.
#[derive(Clone, Copy)]
struct Asked<'a> {
    provider: &'a str,
    method: &'static str,
}

impl Asked<'_> {
    /// Reads a body up to the largest that is taken.
    async fn read(self, mut response: Response) -> Result<Vec<u8>, Error> {
        let length = response
            .content_length()
            .and_then(|length| usize::try_from(length).ok());
        let mut body = Vec::with_capacity(length.unwrap_or_default().min(LARGEST_ANSWER));
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > LARGEST_ANSWER => {
                    return Err(Error::TooLarge {
                        provider: self.provider.to_owned(),
                        method: self.method,
                        limit: LARGEST_ANSWER,
                    });
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => return Ok(body),
                Err(error) if error.is_timeout() => return Err(self.unreachable(error)),
                Err(error) => {
                    return Err(Error::Cut {
                        provider: self.provider.to_owned(),
                        method: self.method,
                        read: body.len(),
                        source: Box::new(error.without_url()),
                    });
                }
            }
        }
    }

    /// The status 429 says what is meant whatever the body's words are.
    fn limited(
        self,
        status: StatusCode,
        retry_after: Option<Duration>,
        error: Option<&Error>,
    ) -> Result<(), Error> {
        if status == StatusCode::TOO_MANY_REQUESTS {
            let text = error.map(ToString::to_string).unwrap_or_default();
            return Err(self.status(status, retry_after, text));
        }
        Ok(())
    }

    fn status(self, status: StatusCode, retry_after: Option<Duration>, text: String) -> Error {
        Error::Status {
            provider: self.provider.to_owned(),
            method: self.method,
            status: status.as_u16(),
            retry_after,
            text: cut(&text),
        }
    }

    fn unreachable(self, error: reqwest::Error) -> Error {
        Error::Unreachable {
            provider: self.provider.to_owned(),
            method: self.method,
            timed_out: error.is_timeout() && !error.is_connect(),
            source: Box::new(error.without_url()),
        }
    }
}

/// Retry-After in seconds (RFC 9110, section 10.2.3). Its other form, a date, depends on two clocks and is treated as absent.
fn retry_after(response: &Response) -> Option<Duration> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}
