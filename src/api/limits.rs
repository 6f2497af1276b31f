use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::Problem;

/// Requests that are answered at once: each takes a database connection sooner or later, of which there are ten.
const AT_ONCE: usize = 256;
/// Longest time until an answer begins. The database gives a statement ten seconds.
const DEADLINE: Duration = Duration::from_secs(15);
/// Streams that are open at once: each costs a socket and a few kilobytes.
const STREAMS: usize = 2000;
/// The same for one address.
const STREAMS_OF_ONE: usize = 64;
/// Judgements of intended purchases at once: each may ask a registry.
const PREFLIGHTS: usize = 4;
/// Questions to a node on behalf of sign-ins at once: each may take it seconds.
const WALLETS: usize = 8;
/// How often addresses that have not asked for a while are forgotten.
const FORGETTING: Duration = Duration::from_secs(60);

/// How much is answered, to all and to each.
#[derive(Debug)]
pub(super) struct Limits {
    rate: Option<DefaultKeyedRateLimiter<IpAddr>>,
    at_once: Semaphore,
    streams: Arc<Semaphore>,
    streams_of: Arc<Mutex<HashMap<IpAddr, usize>>>,
    preflights: Semaphore,
    wallets: Semaphore,
}

/// Who asks, as far as limits are concerned; `None`: this machine itself, which is not limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asker(Option<IpAddr>);

impl Limits {
    /// At most `rate` requests a second from one address, on average, and as many at once; `None`: any number.
    pub(super) fn new(rate: Option<NonZeroU32>) -> Self {
        Self {
            rate: rate.map(|rate| RateLimiter::keyed(Quota::per_second(rate))),
            at_once: Semaphore::new(AT_ONCE),
            streams: Arc::new(Semaphore::new(STREAMS)),
            streams_of: Arc::default(),
            preflights: Semaphore::new(PREFLIGHTS),
            wallets: Semaphore::new(WALLETS),
        }
    }

    /// Forgets addresses that have not asked for a while, until dropped.
    pub(super) async fn forget(&self) {
        loop {
            tokio::time::sleep(FORGETTING).await;
            if let Some(rate) = &self.rate {
                rate.retain_recent();
                rate.shrink_to_fit();
            }
        }
    }

    fn admit(&self, asker: Asker) -> Result<(), Problem> {
        let (Some(rate), Some(address)) = (&self.rate, asker.0) else {
            return Ok(());
        };
        rate.check_key(&address).map_err(|refused| {
            let wait = refused.wait_time_from(DefaultClock::default().now());
            let detail =
                "This address asks too often; the header Retry-After says when to ask again.";
            Problem::too_many_requests(detail, wait.as_secs().saturating_add(1))
        })
    }

    /// A place for a judgement of an intended purchase.
    pub(super) fn preflight(&self) -> Result<tokio::sync::SemaphorePermit<'_>, Problem> {
        self.preflights
            .try_acquire()
            .map_err(|_| Problem::overloaded())
    }

    /// A place for a question to a node on behalf of a sign-in.
    pub(super) fn wallet(&self) -> Result<tokio::sync::SemaphorePermit<'_>, Problem> {
        self.wallets
            .try_acquire()
            .map_err(|_| Problem::overloaded())
    }

    /// A place for a stream, held until dropped.
    pub(super) fn stream(&self, asker: Asker) -> Result<StreamPermit, Problem> {
        let permit = Arc::clone(&self.streams).try_acquire_owned();
        let all = permit.map_err(|_| Problem::overloaded())?;
        if let Some(address) = asker.0 {
            let mut open = self
                .streams_of
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let count = open.entry(address).or_default();
            if *count >= STREAMS_OF_ONE {
                let detail =
                    "This address has as many streams open as one may have; close one first.";
                return Err(Problem::too_many_requests(detail, 30));
            }
            *count += 1;
        }
        Ok(StreamPermit {
            _all: all,
            asker,
            streams_of: Arc::clone(&self.streams_of),
        })
    }
}

/// A place for a stream.
#[derive(Debug)]
pub(super) struct StreamPermit {
    _all: OwnedSemaphorePermit,
    asker: Asker,
    streams_of: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Drop for StreamPermit {
    fn drop(&mut self) {
        let Some(address) = self.asker.0 else { return };
        let mut open = self
            .streams_of
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.remove(&address);
            }
        }
    }
}

/// Lets a request pass if there is a place for it, and ends it when it takes too long.
pub(super) async fn limit(
    State(limits): State<Arc<Limits>>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let asker = Asker::of(peer.map(|peer| peer.0.ip()), request.headers());
    request.extensions_mut().insert(asker);
    if let Err(refused) = limits.admit(asker) {
        return refused.into_response();
    }
    let Ok(_place) = limits.at_once.try_acquire() else {
        return Problem::overloaded().into_response();
    };
    match tokio::time::timeout(DEADLINE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::timed_out().into_response(),
    }
}

impl Asker {
    /// Somebody on this machine is believed whom it asks for (a proxy beside us); anybody else could say anything.
    fn of(peer: Option<IpAddr>, headers: &HeaderMap) -> Self {
        let Some(peer) = peer.map(|peer| peer.to_canonical()) else {
            return Self(None);
        };
        if !peer.is_loopback() {
            return Self(Some(narrowed(peer)));
        }
        // The last entry is the one that the proxy itself wrote.
        let told = headers.get_all("x-forwarded-for").iter().next_back();
        let told =
            told.and_then(|value| value.to_str().ok()?.rsplit(',').next()?.trim().parse().ok());
        Self(told.map(|address: IpAddr| narrowed(address.to_canonical())))
    }
}

/// Somebody who has one address of IPv6 has 2^64 of them.
fn narrowed(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asker(peer: &str, told: Option<&'static str>) -> Asker {
        let mut headers = HeaderMap::new();
        if let Some(told) = told {
            headers.insert("x-forwarded-for", told.parse().unwrap());
        }
        Asker::of(Some(peer.parse().unwrap()), &headers)
    }

    #[test]
    fn only_this_machine_is_believed_whom_it_asks_for() {
        let told = Some("198.51.100.1, 203.0.113.9");
        let last = Asker(Some("203.0.113.9".parse().unwrap()));
        assert_eq!(asker("127.0.0.1", told), last);
        assert_eq!(asker("::ffff:127.0.0.1", told), last);
        assert_eq!(asker("127.0.0.1", None), Asker(None));
        let other = Asker(Some("192.0.2.7".parse().unwrap()));
        assert_eq!(asker("192.0.2.7", told), other);
        assert_eq!(asker("2001:db8::1", None), asker("2001:db8::2", None));
    }

    #[test]
    fn an_address_has_its_share_of_streams_and_gives_it_back() {
        let limits = Limits::new(None);
        let asker = Asker(Some("192.0.2.7".parse().unwrap()));
        let mut open: Vec<_> = (0..STREAMS_OF_ONE)
            .map(|_| limits.stream(asker).unwrap())
            .collect();
        assert!(limits.stream(asker).is_err());
        assert!(limits.stream(Asker(None)).is_ok());
        open.pop();
        assert!(limits.stream(asker).is_ok());
    }
}
