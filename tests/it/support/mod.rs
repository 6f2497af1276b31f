//! Real parts for tests: each test gets its own, ended when the test ends.

pub(crate) mod anvil;
pub(crate) mod bytecode;
pub(crate) mod cluster;
pub(crate) mod database;
pub(crate) mod documents;
pub(crate) mod holding;
pub(crate) mod inputs;
pub(crate) mod job;
pub(crate) mod keeper;
pub(crate) mod registry;
pub(crate) mod runtime;
pub(crate) mod service;
pub(crate) mod world;

use std::future::Future;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::time::Duration;

use alloy::primitives::{B256, keccak256};
use futures::FutureExt;
use tokio::time::Instant;

/// The cache of downloaded packages that tests share with the program: `TIDEWATCH_CACHE`, else `~/.cache/tidewatch`.
#[expect(
    clippy::disallowed_methods,
    reason = "tests read where the machine keeps things"
)]
pub(crate) fn cache() -> PathBuf {
    std::env::var("TIDEWATCH_CACHE").map_or_else(
        |_| PathBuf::from(std::env::var("HOME").expect("HOME is set")).join(".cache/tidewatch"),
        PathBuf::from,
    )
}

/// A variable that `tests/run` sets.
#[expect(
    clippy::disallowed_methods,
    reason = "tests find their parts in the environment"
)]
pub(crate) fn required(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: start the tests by tests/run, which makes what they need")
    })
}

/// Asks again and again until there is an answer, and fails with `what` if there is none in time.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    patience: Duration,
    mut ask: impl FnMut() -> F,
) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(
            Instant::now() < deadline,
            "within {patience:?} it did not come true that {what}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The address that a program logs behind these words. Its log is read to the end, so that it never waits for anybody to do that.
pub(crate) async fn logged_address(log: impl Read + Send + 'static, words: &'static str) -> String {
    let (tell, told) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut tell = Some(tell);
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            let Some((_, rest)) = line.split_once(words) else {
                continue;
            };
            let address = rest.split([',', '"', ' ']).next().unwrap_or_default();
            if let Some(tell) = tell.take() {
                _ = tell.send(address.to_owned());
            }
        }
    });
    let told = told.await;
    told.unwrap_or_else(|_| panic!("the program ended before it logged {words:?}"))
}

/// Polls a future at most `polls` times and drops it where it then is, as a crash would.
pub(crate) async fn dies_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = Box::pin(future);
    let mut left = polls;
    std::future::poll_fn(move |context| {
        if left == 0 {
            return std::task::Poll::Ready(None);
        }
        left -= 1;
        future.poll_unpin(context).map(Some)
    })
    .await
}

/// 32 bytes that nobody used before.
pub(crate) fn random_hash() -> B256 {
    keccak256(uuid::Uuid::new_v4())
}
