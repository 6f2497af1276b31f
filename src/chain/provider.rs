use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use url::{Host, Url};

use super::condition::Condition;
use super::error::Error;
use super::http::Http;
use super::refusal::Refusal;
use super::rpc::{Answers, Call};
use super::websocket::WebSocket;
use crate::ids::BlockRef;

/// Longest wait for an answer, its body included: hosted providers cut expensive requests off at 10 to 30 seconds.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest wait for a provider's next slot inside a question; a longer one is the caller's to spend.
const LONGEST_REST: Duration = Duration::from_secs(2);

/// An Ethereum node, or a service in front of many. Cheap to clone; clones share connection and condition.
///
/// Whatever is asked here is asked of this one. Every question goes through its pace, and every outcome into its condition.
#[derive(Clone)]
pub struct Provider(Arc<Inner>);

struct Inner {
    name: String,
    operator: String,
    transport: Transport,
    condition: Mutex<Condition>,
}

enum Transport {
    Http(Http),
    WebSocket(WebSocket),
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Provider").field(&self.0.name).finish()
    }
}

/// What people are told of a provider.
#[derive(Clone, Debug)]
pub struct ProviderStatus {
    /// Host and port.
    pub name: String,
    /// Whether it is passed over as long as there is another.
    pub sick: bool,
    /// Mean time from question to answer; `None` before the first answer.
    pub latency: Option<Duration>,
    /// The newest block that it named.
    pub head: Option<BlockRef>,
    /// Blocks that it is asked for at once.
    pub range: u64,
    /// Requests sent since the process began.
    pub calls: u64,
    /// Refusals by kind since the process began.
    pub refusals: Vec<(&'static str, u64)>,
}

impl Provider {
    /// A provider at an `http`, `https`, `ws` or `wss` URL. Asks nothing yet.
    ///
    /// # Errors
    /// [`Error::Url`] and [`Error::Client`], both fatal; neither repeats the URL.
    pub fn new(url: &str) -> Result<Self, Error> {
        Self::with_timeout(url, ANSWER_TIMEOUT)
    }

    /// A provider whose answers are waited for so long, their bodies included.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_timeout(url: &str, timeout: Duration) -> Result<Self, Error> {
        let bad = |problem| Error::Url { problem };
        let url = Url::parse(url).map_err(|_| bad("it cannot be parsed"))?;
        let host = url.host().ok_or_else(|| bad("it names no host"))?;
        let name = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_string(),
        };
        let operator = operator(&host);
        let transport = match url.scheme() {
            "http" | "https" => Transport::Http(Http::new(&name, url, timeout)?),
            "ws" | "wss" => Transport::WebSocket(WebSocket::new(url, timeout)),
            _ => return Err(bad("its scheme is none of http, https, ws, wss")),
        };
        Ok(Self(Arc::new(Inner {
            name,
            operator,
            transport,
            condition: Mutex::new(Condition::new(Instant::now())),
        })))
    }

    /// The provider's host and port: its name wherever people read.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Who runs it, as far as its URL tells: the last two labels of the host's name, or its address. Two providers of one
    /// operator are one witness. Names under a public suffix of two labels (`co.uk`) count as one operator: too careful, never
    /// too trusting.
    pub fn operator(&self) -> &str {
        &self.0.operator
    }

    /// What people are told of it.
    pub fn status(&self) -> ProviderStatus {
        let condition = self.condition();
        ProviderStatus {
            name: self.0.name.clone(),
            sick: condition.is_sick(Instant::now()),
            latency: condition.mean_latency(),
            head: condition.head,
            range: condition.limits.width(),
            calls: condition.calls,
            refusals: condition
                .refusals
                .iter()
                .map(|(kind, count)| (*kind, *count))
                .collect(),
        }
    }

    /// Blocks that a range may have for the provider to take it, as far as is known.
    pub fn range_limit(&self) -> u64 {
        self.condition().limits.width()
    }

    /// Passes over the provider for a while if there is another: its answers are well formed and of no use, as those of one that
    /// lags behind what is known already.
    pub fn shun(&self) {
        self.condition().shun(Instant::now());
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// What is known of it. Never held across an await.
    pub(super) fn condition(&self) -> MutexGuard<'_, Condition> {
        self.0
            .condition
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks one question.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub(super) async fn ask_one(&self, call: Call) -> Result<Answers, Error> {
        self.ask(&[call]).await
    }

    /// Asks several questions: in one batch, or in several as the provider's limit on batches demands.
    ///
    /// # Errors
    /// [`Error`] when there are no answers; a refusal of one call is an error of that one alone, see [`Answers::get`].
    pub(super) async fn ask(&self, calls: &[Call]) -> Result<Answers, Error> {
        let mut asked = Answers::none(self.name());
        let mut rest = calls;
        while !rest.is_empty() {
            let limit = self.condition().limits.batch();
            let (some, others) = rest.split_at(limit.min(rest.len()));
            match self.send(some).await {
                Ok(answers) => {
                    asked.append(answers);
                    rest = others;
                }
                // The limit was just learned; it falls with every such refusal, down to single calls.
                Err(error)
                    if some.len() > 1 && matches!(error.refusal(), Refusal::BatchTooLarge(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(asked)
    }

    async fn send(&self, calls: &[Call]) -> Result<Answers, Error> {
        let wait = self.slot()?;
        if !wait.is_zero() {
            sleep(wait).await;
        }
        let mut asking = Asking::begin(self);
        let outcome = match &self.0.transport {
            Transport::Http(http) => http.send(self.name(), calls).await,
            Transport::WebSocket(socket) => socket.send(self.name(), calls).await,
        };
        asking.is_done = true;
        self.learn(calls, &outcome, asking.begin);
        outcome
    }

    fn slot(&self) -> Result<Duration, Error> {
        let now = Instant::now();
        let mut condition = self.condition();
        let wait = condition.pace.wait(now);
        if wait > LONGEST_REST {
            return Err(Error::Resting {
                provider: self.0.name.clone(),
                wait,
            });
        }
        Ok(condition.pace.take(now))
    }

    fn learn(&self, calls: &[Call], outcome: &Result<Answers, Error>, begin: Instant) {
        let now = Instant::now();
        let mut condition = self.condition();
        match outcome {
            Ok(answers) => {
                let mut refusals: Vec<_> =
                    answers.refusals().map(|error| of_call(&error)).collect();
                refusals.dedup();
                if refusals.iter().all(|refusal| refusal.is_an_answer()) {
                    condition.answered(now - begin);
                }
                for refusal in refusals {
                    condition.refused(refusal, now);
                }
            }
            Err(error) => {
                let refusal = error.refusal();
                if matches!(refusal, Refusal::BatchTooLarge(_)) {
                    condition
                        .limits
                        .refused(u64::try_from(calls.len()).unwrap_or(1), refusal);
                }
                condition.refused(refusal, now);
            }
        }
    }

    pub(super) fn malformed(&self, method: &'static str, problem: String) -> Error {
        self.condition().refused(Refusal::Nonsense, Instant::now());
        Error::Malformed {
            provider: self.0.name.clone(),
            method,
            problem,
        }
    }

    pub(super) fn other_chain(&self, problem: String) -> Error {
        let now = Instant::now();
        let mut condition = self.condition();
        condition.refused(Refusal::Foreign, now);
        condition.shun(now);
        Error::OtherChain {
            provider: self.0.name.clone(),
            problem,
        }
    }

    pub(super) fn missing(&self, block: &dyn fmt::Display) -> Error {
        Error::Missing {
            provider: self.0.name.clone(),
            block: block.to_string(),
        }
    }

    /// The WebSocket, where the provider has one.
    pub(super) fn websocket(&self) -> Option<&WebSocket> {
        match &self.0.transport {
            Transport::WebSocket(socket) => Some(socket),
            Transport::Http(_) => None,
        }
    }
}

/// A request that is under way. One that is dropped unanswered was slow, or nobody would have gone on without it.
struct Asking<'a> {
    provider: &'a Provider,
    begin: Instant,
    is_done: bool,
}

impl<'a> Asking<'a> {
    fn begin(provider: &'a Provider) -> Self {
        let mut condition = provider.condition();
        condition.in_flight += 1;
        condition.calls += 1;
        Self {
            provider,
            begin: Instant::now(),
            is_done: false,
        }
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let mut condition = self.provider.condition();
        condition.in_flight -= 1;
        if !self.is_done {
            condition.given_up(self.begin.elapsed());
        }
    }
}

/// What the refusal of one call says. A block or a tag that is refused in unknown words is one that the provider does not know.
fn of_call(error: &Error) -> Refusal {
    match error {
        Error::Refused {
            method: "eth_getBlockByNumber" | "eth_getBlockByHash",
            ..
        } if error.refusal() == Refusal::Unknown => Refusal::Lagging,
        error => error.refusal(),
    }
}

fn operator(host: &Host<&str>) -> String {
    match host {
        Host::Domain(name) => {
            let labels: Vec<&str> = name.trim_end_matches('.').rsplit('.').take(2).collect();
            labels.into_iter().rev().collect::<Vec<_>>().join(".")
        }
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_provider_is_named_by_its_host_alone() {
        let provider = Provider::new("https://user:secret@node.example:8545/v3/key?x=1").unwrap();
        assert_eq!(provider.name(), "node.example:8545");
        assert_eq!(format!("{provider:?}"), r#"Provider("node.example:8545")"#);
        let error = Provider::new("ftp://user:secret@node.example").unwrap_err();
        assert!(!error.to_string().contains("secret"));
    }

    #[tokio::test]
    async fn an_operator_is_the_registered_name_or_the_address() {
        for (url, operator) in [
            ("https://mainnet.infura.example/v3/key", "infura.example"),
            ("wss://eth.node.infura.example", "infura.example"),
            ("http://geth:8545", "geth"),
            ("http://127.0.0.1:8545", "127.0.0.1"),
            ("http://[::1]:8545", "::1"),
        ] {
            assert_eq!(Provider::new(url).unwrap().operator(), operator);
        }
    }
}
