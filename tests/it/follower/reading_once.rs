//! Blocks that no receipts prove: one reading is no proof, and a second one counts only if another operator made it, or time has passed.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tidewatch::chain::Provider;
use tidewatch::follower::{Follower, Following, Verifier};
use tidewatch::ids::DeploymentId;
use tidewatch::worker::{Chain as Sentence, Worker};

use super::liar::{self, Lies};
use super::verifying::verify;
use super::{Bench, settle};

/// Follows a chain whose nodes serve no receipts; answers the deployment and how its newest blocks were proven.
async fn follow(bench: &Bench, providers: &[Provider]) -> DeploymentId {
    let (ledger, following) = (bench.database.ledger.clone(), bench.following());
    let mut follower = Follower::new(ledger, providers.to_vec(), following);
    let deployment = follower.open().await.unwrap();
    settle(&mut follower).await.unwrap();
    deployment
}

fn verifier(bench: &Bench, providers: &[Provider], later: Duration) -> Verifier {
    let ledger = bench.database.ledger.clone();
    let following: Following = bench.following();
    Verifier::new(ledger, providers.to_vec(), following, DeploymentId(1), None)
        .asking_again_after(later)
}

/// How the blocks that can still change were proven.
async fn proofs(bench: &Bench) -> BTreeMap<String, i64> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "SELECT proof, count(*) FROM ledger.blocks b JOIN ledger.cursors c ON c.deployment_id = b.deployment_id
         WHERE b.canonical AND b.number > c.irreversible_number GROUP BY proof",
    )
    .fetch_all(&bench.database.pool)
    .await
    .unwrap();
    rows.into_iter().collect()
}

fn all(proof: &str) -> BTreeMap<String, i64> {
    BTreeMap::from([(proof.to_owned(), 20)])
}

async fn without_receipts(bench: &Bench, host: &str) -> (Provider, Lies) {
    let lies = Lies::default();
    lies.receipts.store(true, Ordering::SeqCst);
    let provider = liar::before(bench.node.url(), host, &lies).await;
    (provider, lies)
}

#[tokio::test]
async fn a_single_operator_is_asked_again_later_and_until_then_nothing_counts_as_verified() {
    let bench = Bench::start().await;
    bench.echo(0..40).await;
    let (one, _) = without_receipts(&bench, "localhost").await;
    // Another endpoint of the same operator is no second witness.
    let twin = Provider::new(&format!("http://{}/twin", one.name())).unwrap();
    let providers = [one, twin];
    let deployment = follow(&bench, &providers).await;
    assert_eq!(proofs(&bench).await, all("single_read"));

    let mut too_early = verifier(&bench, &providers, Duration::from_secs(3600));
    verify(&mut too_early).await;
    let cursor = bench.cursor(deployment).await;
    assert_eq!(cursor.verified, cursor.irreversible.unwrap().number);
    assert_eq!(proofs(&bench).await, all("single_read"));

    verify(&mut verifier(&bench, &providers, Duration::ZERO)).await;
    let cursor = bench.cursor(deployment).await;
    assert_eq!(cursor.verified, cursor.position.recorded.number);
    assert_eq!(proofs(&bench).await, all("two_reads"));
    assert_eq!(bench.rows(true).await, bench.truth().await);
}

#[tokio::test]
async fn another_operator_reads_at_once_or_as_soon_as_it_answers() {
    let bench = Bench::start().await;
    bench.echo(0..40).await;
    let (one, _) = without_receipts(&bench, "localhost").await;
    let (other, lies) = without_receipts(&bench, "127.0.0.1").await;
    let both = [one.clone(), other.clone()];
    let deployment = follow(&bench, &both).await;
    assert_eq!(proofs(&bench).await, all("two_reads"));

    // The other one is away while the next blocks are read, and then for a while longer.
    lies.headers_only.store(true, Ordering::SeqCst);
    bench.echo(40..60).await;
    follow(&bench, std::slice::from_ref(&one)).await;
    assert_eq!(proofs(&bench).await, all("single_read"));
    let mut verifier = verifier(&bench, &both, Duration::ZERO);
    let error = loop {
        match verifier.tick().await {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(
        Sentence(&error).to_string().contains(other.name()),
        "{error}"
    );
    let held = bench.cursor(deployment).await.verified;
    assert!(held < bench.node.head().await, "nobody confirms himself");

    lies.headers_only.store(false, Ordering::SeqCst);
    verify(&mut verifier).await;
    assert_eq!(
        bench.cursor(deployment).await.verified,
        bench.node.head().await
    );
    assert_eq!(proofs(&bench).await, all("two_reads"));
}

#[tokio::test]
async fn what_a_node_left_out_of_a_fresh_block_is_found_by_the_second_reading() {
    let bench = Bench::start().await;
    bench.echo(0..30).await;
    let (one, lies) = without_receipts(&bench, "localhost").await;
    let providers = [one];
    let deployment = follow(&bench, &providers).await;
    verify(&mut verifier(&bench, &providers, Duration::ZERO)).await;

    // It knows the next blocks and has not indexed their logs.
    lies.logs_below.store(u64::MAX, Ordering::SeqCst);
    bench.echo(30..33).await;
    follow(&bench, &providers).await;
    assert!(bench.rows(true).await.len() < bench.truth().await.len());
    let verified = bench.cursor(deployment).await.verified;
    assert_eq!(verified + 3, bench.node.head().await, "one reading");

    lies.logs_below.store(0, Ordering::SeqCst);
    verify(&mut verifier(&bench, &providers, Duration::ZERO)).await;
    assert_eq!(bench.rows(true).await, bench.truth().await);
    let late = "SELECT count(*) FROM ledger.late_blocks WHERE cause = 'repaired'";
    assert_eq!(bench.count(late).await, 3, "they are judged");
    assert_eq!(
        bench.cursor(deployment).await.verified,
        bench.node.head().await
    );
}
