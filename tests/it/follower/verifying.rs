//! History counts as verified only when it was read twice, and what the first reading left out is found.

use std::sync::atomic::Ordering;

use tidewatch::chain::Provider;
use tidewatch::fault::Fault;
use tidewatch::follower::{Follower, Following, Verifier};
use tidewatch::ids::DeploymentId;
use tidewatch::worker::{Chain as Sentence, Progress, Worker};

use super::liar::{self, Lies};
use super::{Bench, LOGS, settle};

/// Ticks until there is nothing more to verify.
pub(super) async fn verify(verifier: &mut Verifier) {
    for _ in 0..1_000 {
        if verifier.tick().await.unwrap() == Progress::Idle {
            return;
        }
    }
    panic!("the verifier does not come to rest");
}

impl Bench {
    fn verifier(
        &self,
        providers: Vec<Provider>,
        following: &Following,
        deployment: DeploymentId,
    ) -> Verifier {
        let ledger = self.database.ledger.clone();
        Verifier::new(ledger, providers, following.clone(), deployment, None)
    }

    async fn unverified(&self) -> Option<String> {
        sqlx::query_scalar("SELECT unverified FROM ledger.cursors")
            .fetch_one(&self.database.pool)
            .await
            .unwrap()
    }

    async fn repairs(&self) -> Vec<(i64, i32, i32, String, String)> {
        sqlx::query_as(
            "SELECT block_number, missing, disproved, found_by, proof FROM tidewatch.repairs ORDER BY block_number",
        )
        .fetch_all(&self.database.pool)
        .await
        .unwrap()
    }

    /// A follower on one provider, which has recorded all that this one gives.
    async fn followed_on(&self, provider: Provider, following: &Following) -> DeploymentId {
        let ledger = self.database.ledger.clone();
        let mut follower = Follower::new(ledger, provider, following.clone());
        let deployment = follower.open().await.unwrap();
        settle(&mut follower).await.unwrap();
        deployment
    }
}

#[tokio::test]
async fn one_reading_verifies_nothing_and_a_second_one_all() {
    let bench = Bench::start().await;
    bench.echo(0..60).await;
    let following = bench.following();
    let deployment = bench.followed_on(bench.provider(), &following).await;
    assert_eq!(bench.cursor(deployment).await.verified, 0);

    let mut verifier = bench.verifier(vec![bench.provider()], &following, deployment);
    verify(&mut verifier).await;
    let cursor = bench.cursor(deployment).await;
    // The blocks above the irreversible one were proven by their receipts: with history verified, all of it is.
    assert_eq!(cursor.verified, cursor.position.recorded.number);
    assert_eq!(bench.repairs().await, []);
    let once = "SELECT count(*) FROM ledger.blocks WHERE proof = 'single_read' AND number > 0";
    assert_eq!(bench.count(once).await, 0);

    // From now on proven blocks are verified as they come, without the verifier.
    bench.echo(60..63).await;
    let mut follower = bench.follower(&following);
    settle(&mut follower).await.unwrap();
    let cursor = bench.cursor(deployment).await;
    assert_eq!(cursor.verified, bench.node.head().await);
}

#[tokio::test]
async fn what_a_pruned_provider_left_out_is_mended_by_another_before_it_counts_as_verified() {
    let bench = Bench::start().await;
    bench.echo(0..60).await;
    let (following, lies) = (bench.following(), Lies::default());
    lies.logs_below.store(31, Ordering::SeqCst);
    let pruned = liar::before(bench.node.url(), "localhost", &lies).await;
    let deployment = bench.followed_on(pruned.clone(), &following).await;
    let truth = bench.truth().await;
    assert!(bench.rows(true).await.len() < truth.len());

    let providers = vec![pruned, bench.provider()];
    let mut verifier = bench.verifier(providers, &following, deployment);
    let mut follower = bench.follower(&following);
    loop {
        let progress = verifier.tick().await.unwrap();
        let cursor = bench.cursor(deployment).await;
        let mut due = truth.iter().filter(|row| row.number <= cursor.verified);
        let rows = bench.rows(true).await;
        assert!(
            due.all(|row| rows.contains(row)),
            "verified up to {} without every row",
            cursor.verified
        );
        if progress == Progress::Idle {
            break;
        }
    }
    assert_eq!(bench.rows(true).await, truth);
    let repairs = bench.repairs().await;
    // Block 1 holds the contract's creation and no log; 2 to 30 were left out.
    let expected: Vec<_> = (2..31)
        .map(|number| (number, 2, 0, "second_reading".to_owned(), "root".to_owned()))
        .collect();
    assert_eq!(repairs, expected);
    let late = bench.count("SELECT count(*) FROM ledger.late_blocks WHERE cause = 'repaired'");
    assert_eq!(late.await, 29);
    settle(&mut follower).await.unwrap();
    let cursor = bench.cursor(deployment).await;
    assert_eq!(cursor.verified, cursor.position.recorded.number);
}

#[tokio::test]
async fn a_second_reading_that_leaves_rows_out_verifies_nothing_and_takes_no_row_away() {
    let bench = Bench::start().await;
    bench.echo(0..60).await;
    let (following, lies) = (bench.following(), Lies::default());
    let deployment = bench.followed_on(bench.provider(), &following).await;

    let other = liar::before(bench.node.url(), "localhost", &lies).await;
    lies.logs_below.store(31, Ordering::SeqCst);
    let providers = vec![bench.provider(), other];
    let mut verifier = bench.verifier(providers, &following, deployment);
    let error = verifier.tick().await.unwrap_err();
    assert_eq!(error.fault(), Fault::Transient);
    let sentence = Sentence(&error).to_string();
    assert!(
        sentence.contains("pruned, still indexing, or damaged"),
        "{sentence}"
    );
    assert_eq!(bench.cursor(deployment).await.verified, 0);
    assert_eq!(bench.unverified().await, Some(sentence));
    assert_eq!(bench.rows(true).await, bench.truth().await);

    lies.logs_below.store(0, Ordering::SeqCst);
    verify(&mut verifier).await;
    assert_eq!(bench.unverified().await, None);
    let cursor = bench.cursor(deployment).await;
    assert_eq!(cursor.verified, cursor.position.recorded.number);
    assert_eq!(bench.repairs().await, []);
}

#[tokio::test]
async fn a_provider_that_is_alone_and_leaves_rows_out_is_not_what_history_is_verified_by() {
    let bench = Bench::start().await;
    bench.echo(0..60).await;
    let (following, lies) = (bench.following(), Lies::default());
    let provider = liar::before(bench.node.url(), "localhost", &lies).await;
    let deployment = bench.followed_on(provider.clone(), &following).await;

    lies.logs_below.store(31, Ordering::SeqCst);
    let mut verifier = bench.verifier(vec![provider], &following, deployment);
    verify(&mut verifier).await;
    let cursor = bench.cursor(deployment).await;
    assert_eq!(cursor.verified, cursor.position.recorded.number);
    assert_eq!(bench.rows(true).await, bench.truth().await);
    assert_eq!(bench.repairs().await, []);
}

#[tokio::test]
async fn without_receipts_two_providers_that_agree_decide() {
    let bench = Bench::start().await;
    bench.echo(0..60).await;
    let following = bench.following();
    let (pruned, old) = (Lies::default(), Lies::default());
    for lies in [&pruned, &old] {
        lies.receipts.store(true, Ordering::SeqCst);
    }
    pruned.logs_below.store(5, Ordering::SeqCst);
    let first = liar::before(bench.node.url(), "localhost", &pruned).await;
    let deployment = bench.followed_on(first.clone(), &following).await;

    let second = liar::before(bench.node.url(), "127.0.0.1", &old).await;
    let two = vec![first.clone(), second.clone()];
    let error = bench
        .verifier(two, &following, deployment)
        .tick()
        .await
        .unwrap_err();
    let sentence = Sentence(&error).to_string();
    assert!(sentence.contains("no provider proves them"), "{sentence}");
    assert_eq!(bench.cursor(deployment).await.verified, 0);

    let third = liar::before(bench.node.url(), "127.0.0.1", &old).await;
    let mut verifier = bench.verifier(vec![first, second, third], &following, deployment);
    verify(&mut verifier).await;
    assert_eq!(bench.rows(true).await, bench.truth().await);
    let proofs: Vec<_> = bench.repairs().await.into_iter().map(|row| row.4).collect();
    assert_eq!(proofs, ["two_reads"; 3]);
}

#[tokio::test]
async fn two_verifiers_at_once_mend_each_block_once() {
    let bench = Bench::start().await;
    bench.echo(0..60).await;
    let (following, lies) = (bench.following(), Lies::default());
    lies.logs_below.store(31, Ordering::SeqCst);
    let pruned = liar::before(bench.node.url(), "localhost", &lies).await;
    let deployment = bench.followed_on(pruned.clone(), &following).await;
    let two = || {
        let providers = vec![pruned.clone(), bench.provider()];
        bench.verifier(providers, &following, deployment)
    };
    let (mut first, mut second) = (two(), two());
    tokio::join!(verify(&mut first), verify(&mut second));
    assert_eq!(bench.rows(true).await, bench.truth().await);
    assert_eq!(bench.rows(true).await.len(), 60 * LOGS);
    assert_eq!(bench.repairs().await.len(), 29);
}

#[tokio::test]
async fn dropped_at_any_await_the_verifier_is_healed_by_the_next() {
    let bench = Bench::start().await;
    bench.echo(0..40).await;
    let (following, lies) = (bench.following(), Lies::default());
    lies.logs_below.store(12, Ordering::SeqCst);
    let pruned = liar::before(bench.node.url(), "localhost", &lies).await;
    let deployment = bench.followed_on(pruned.clone(), &following).await;
    for polls in (0..120).step_by(3) {
        let providers = vec![pruned.clone(), bench.provider()];
        let mut verifier = bench.verifier(providers, &following, deployment);
        poll_only(polls, verifier.tick()).await;
    }
    let providers = vec![pruned.clone(), bench.provider()];
    verify(&mut bench.verifier(providers, &following, deployment)).await;
    assert_eq!(bench.rows(true).await, bench.truth().await);
    assert_eq!(bench.repairs().await.len(), 10);
    let cursor = bench.cursor(deployment).await;
    assert_eq!(cursor.verified, cursor.position.recorded.number);
}

/// Polls a future so many times and drops it, whether it is ready or not.
async fn poll_only<T>(polls: usize, future: impl Future<Output = T>) {
    let mut future = std::pin::pin!(future);
    for _ in 0..polls {
        let ended = std::future::poll_fn(|context| {
            std::task::Poll::Ready(future.as_mut().poll(context).is_ready())
        });
        if ended.await {
            return;
        }
        // What it waits for needs the reactor, which only turns while this task waits.
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_resync_finds_missing_and_made_up_rows_and_mends_them_without_going_back() {
    let bench = Bench::start().await;
    bench.echo(0..60).await;
    let following = bench.following();
    let deployment = bench.followed_on(bench.provider(), &following).await;
    let mut verifier = bench.verifier(vec![bench.provider()], &following, deployment);
    verify(&mut verifier).await;
    let before = bench.cursor(deployment).await;

    // As after a damaged disk or a hand in the tables: one row is gone from the canonical ones, another says something else.
    for statement in [
        "UPDATE ledger.logs SET canonical = false WHERE block_number = 7 AND log_index = 1",
        "UPDATE ledger.logs SET data = '\\x00' WHERE block_number = 9 AND log_index = 0",
    ] {
        sqlx::query(statement)
            .execute(&bench.database.pool)
            .await
            .unwrap();
    }
    let found = verifier.resync(1, true).await.unwrap().unwrap();
    assert_eq!((found.from, found.to, found.repairs.len()), (1, 41, 2));
    assert_eq!(bench.repairs().await, []);
    let found = verifier.resync(1, false).await.unwrap().unwrap();
    assert_eq!(found.repairs.len(), 2);
    assert!(verifier.resync(42, false).await.unwrap().is_none());
    let resync = |number, missing, disproved| {
        let words = ("resync".to_owned(), "root".to_owned());
        (number, missing, disproved, words.0, words.1)
    };
    assert_eq!(bench.repairs().await, [resync(7, 1, 0), resync(9, 1, 1)]);
    assert_eq!(bench.rows(true).await, bench.truth().await);
    let after = bench.cursor(deployment).await;
    assert_eq!(after.position.recorded, before.position.recorded);
    assert_eq!(after.verified, before.verified);
}
