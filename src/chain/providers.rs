use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alloy::primitives::{Address, Bytes};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::BlockId;
use super::announcements::Announced;
use super::block::Header;
use super::error::Error;
use super::provider::{Provider, ProviderStatus};
use super::refusal::Refusal;
use crate::ids::BlockRef;

/// A second provider is asked when the first takes so many times its mean.
const SLOW: u32 = 4;
/// But not sooner than this: below it a second question costs more than it gains.
const SOONEST_HEDGE: Duration = Duration::from_millis(500);
/// The same for a provider whose mean is not known yet.
const FIRST_HEDGE: Duration = Duration::from_secs(2);
/// Blocks behind the best that are no lag: nodes hear of a block at different times.
const LAG: u64 = 2;

/// All providers of one chain. Cheap to clone; clones share everything.
///
/// A question goes to the one that will answer soonest, goes on to the next when it is refused, and to a second beside the first
/// when that is slow. Each provider shows that it is on the expected chain before it is asked, and again whenever its connection
/// failed since.
#[derive(Clone)]
pub struct Providers(pub(super) Arc<Pool>);

pub(super) struct Pool {
    providers: Vec<Provider>,
    expected: Mutex<Option<ChainIdentity>>,
    pub(super) announced: watch::Sender<Option<Announced>>,
    /// Subscriptions that live.
    pub(super) listening: AtomicUsize,
}

/// What tells one chain from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainIdentity {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Blocks that can never be others, such as block 0.
    pub anchors: Vec<BlockRef>,
}

impl fmt::Debug for Providers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0.providers).finish()
    }
}

impl From<Provider> for Providers {
    fn from(provider: Provider) -> Self {
        Self::from(vec![provider])
    }
}

impl From<Vec<Provider>> for Providers {
    fn from(providers: Vec<Provider>) -> Self {
        Self(Arc::new(Pool {
            providers,
            expected: Mutex::default(),
            announced: watch::Sender::new(None),
            listening: AtomicUsize::new(0),
        }))
    }
}

impl Providers {
    /// The providers at these URLs, at least one. Asks nothing yet.
    ///
    /// # Errors
    /// [`Error::Url`] and [`Error::Client`], both fatal; neither repeats a URL.
    pub fn new<'a>(urls: impl IntoIterator<Item = &'a str>) -> Result<Self, Error> {
        let providers: Vec<_> = urls
            .into_iter()
            .map(Provider::new)
            .collect::<Result<_, _>>()?;
        if providers.is_empty() {
            return Err(Error::Url {
                problem: "there is none",
            });
        }
        Ok(Self::from(providers))
    }

    /// All of them, in the order of the configuration.
    pub fn list(&self) -> &[Provider] {
        &self.0.providers
    }

    /// What people are told of each.
    pub fn status(&self) -> Vec<ProviderStatus> {
        self.list().iter().map(Provider::status).collect()
    }

    /// All of them, the one that will answer soonest first and the sick last.
    pub fn ranked(&self) -> Vec<Provider> {
        self.ranked_after(None)
    }

    fn ranked_after(&self, last: Option<&Provider>) -> Vec<Provider> {
        let now = Instant::now();
        let mut ranked: Vec<_> = self.list().to_vec();
        ranked.sort_by_cached_key(|provider| {
            let (is_sick, delay) = provider.condition().rank(now);
            (
                is_sick,
                last.is_some_and(|last| last.is_same(provider)),
                delay,
            )
        });
        ranked
    }

    /// Blocks that a range may have for some healthy provider to take it, as far as is known.
    pub fn range_limit(&self) -> u64 {
        let now = Instant::now();
        let limits = self.list().iter().map(|provider| {
            let condition = provider.condition();
            (!condition.is_sick(now), condition.limits.width())
        });
        limits.max().map_or(1, |(_, width)| width)
    }

    /// Weighs what a provider has just called its newest block against what others have: one that is behind is passed over for a
    /// while, one that is not is welcome again.
    pub fn weigh(&self, provider: &Provider) {
        let now = Instant::now();
        let head = |provider: &Provider| provider.condition().head.map(|head| head.number);
        let best = self
            .list()
            .iter()
            .filter(|other| !other.is_same(provider) && !other.condition().is_sick(now))
            .filter_map(head)
            .max();
        let Some((best, head)) = best.zip(head(provider)) else {
            return;
        };
        if head.saturating_add(LAG) < best {
            provider.condition().shun(now);
        } else {
            provider.condition().welcome();
        }
    }

    /// Whether some provider announces its blocks, as far as is known.
    pub fn is_listening(&self) -> bool {
        self.0.listening.load(Ordering::Relaxed) > 0
    }

    /// The highest block that any provider has named.
    pub(super) fn best_head(&self) -> u64 {
        let heads = self
            .list()
            .iter()
            .filter_map(|provider| provider.condition().head);
        heads.map(|head| head.number).max().unwrap_or(0)
    }

    /// The newest block that was announced, by whichever provider.
    pub fn announced(&self) -> Option<Announced> {
        *self.0.announced.borrow()
    }

    /// From now on, only providers on this chain are asked.
    pub fn expect(&self, identity: ChainIdentity) {
        let mut expected = self
            .0
            .expected
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if expected.as_ref() != Some(&identity) {
            for provider in self.list() {
                provider.condition().compared = None;
            }
            *expected = Some(identity);
        }
    }

    /// Another provider than this one, healthy and on the expected chain, if there is one.
    pub async fn other_than(&self, provider: &Provider) -> Option<Provider> {
        self.healthy(|other| !other.is_same(provider)).await
    }

    /// A provider of another operator than this one's, healthy and on the expected chain, if there is one: a second witness.
    pub async fn witness_beside(&self, provider: &Provider) -> Option<Provider> {
        self.healthy(|other| other.operator() != provider.operator())
            .await
    }

    async fn healthy(&self, is_wanted: impl Fn(&Provider) -> bool) -> Option<Provider> {
        let now = Instant::now();
        for other in self.ranked() {
            if !is_wanted(&other) || other.condition().is_sick(now) {
                continue;
            }
            if self.compare(&other).await.is_ok() {
                return Some(other);
            }
        }
        None
    }

    /// Asks one provider after another until one answers, and a second beside the first when that is slow. Answers who answered.
    ///
    /// # Errors
    /// The first provider's [`Error`] when none answers; that of a reverted call at once.
    pub async fn ask<T, F>(&self, question: impl Fn(Provider) -> F) -> Result<(T, Provider), Error>
    where
        F: Future<Output = Result<T, Error>> + Send,
        T: Send,
    {
        self.ask_after(None, question).await
    }

    /// As [`Self::ask`], but the provider that was asked last is asked only after every healthy other one.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub async fn ask_after<T, F>(
        &self,
        last: Option<&Provider>,
        question: impl Fn(Provider) -> F,
    ) -> Result<(T, Provider), Error>
    where
        F: Future<Output = Result<T, Error>> + Send,
        T: Send,
    {
        type Asking<'a, T> =
            Pin<Box<dyn Future<Output = Result<(T, Provider), Error>> + Send + 'a>>;
        let begin = |provider: Provider| -> Asking<'_, T> {
            let answer = question(provider.clone());
            Box::pin(async move {
                self.compare(&provider).await?;
                answer.await.map(|answer| (answer, provider))
            })
        };
        let mut candidates = self.ranked_after(last).into_iter();
        let (mut running, mut failed, mut patience) = (FuturesUnordered::new(), None, FIRST_HEDGE);
        let mut next = candidates.next();
        loop {
            if let Some(provider) = next.take() {
                patience = patience_with(&provider);
                running.push(begin(provider));
            }
            tokio::select! {
                answer = running.next() => match answer {
                    Some(Ok(answer)) => return Ok(answer),
                    Some(Err(error)) if error.refusal() == Refusal::Reverted => return Err(error),
                    Some(Err(error)) => {
                        failed.get_or_insert(error);
                        next = candidates.next();
                        if next.is_none() && running.is_empty() {
                            return Err(failed.unwrap_or(NOBODY));
                        }
                    }
                    None => return Err(failed.unwrap_or(NOBODY)),
                },
                () = sleep(patience), if candidates.len() > 0 => next = candidates.next(),
            }
        }
    }

    /// What a contract's function answers, without a transaction.
    ///
    /// # Errors
    /// As [`Self::ask`]; rejected if the call was reverted, else transient.
    pub async fn call(&self, to: Address, data: Bytes, at: BlockId) -> Result<Bytes, Error> {
        let question = move |provider: Provider| {
            let data = data.clone();
            async move { provider.call(to, data, at).await }
        };
        Ok(self.ask(question).await?.0)
    }

    /// What code that is on no chain returns on the newest state, as if it made a contract.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn run(&self, code: Bytes) -> Result<Bytes, Error> {
        let question = move |provider: Provider| {
            let code = code.clone();
            async move { provider.run(code).await }
        };
        Ok(self.ask(question).await?.0)
    }

    /// The newest block that one provider has.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub async fn head(&self) -> Result<Header, Error> {
        let question = |provider: Provider| async move { provider.head().await };
        Ok(self.ask(question).await?.0)
    }

    /// Makes sure that a provider is on the expected chain, once per connection.
    async fn compare(&self, provider: &Provider) -> Result<(), Error> {
        let expected = self
            .0
            .expected
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let Some(expected) = expected else {
            return Ok(());
        };
        let connection = {
            let condition = provider.condition();
            if condition.compared == Some(condition.connection) {
                return Ok(());
            }
            condition.connection
        };
        provider.compare(&expected).await?;
        provider.condition().compared = Some(connection);
        Ok(())
    }
}

/// There is at least one provider, by construction.
const NOBODY: Error = Error::Url {
    problem: "there is none",
};

fn patience_with(provider: &Provider) -> Duration {
    let mean = provider.condition().mean_latency();
    mean.map_or(FIRST_HEDGE, |mean| (mean * SLOW).max(SOONEST_HEDGE))
}
