//! Work starts only on blocks that a quorum of providers names; recording waits for nobody.

use std::sync::atomic::Ordering;

use serde_json::json;
use tidewatch::follower::Follower;

use super::liar::{self, Lies};
use super::{Bench, settle};

#[tokio::test]
async fn a_disagreement_holds_acting_back_and_says_who_said_what() {
    let bench = Bench::start().await;
    bench.echo(0..10).await;
    let lies = Lies::default();
    lies.headers_only.store(true, Ordering::SeqCst);
    let other = liar::before(bench.node.url(), "localhost", &lies).await;
    let ledger = bench.database.ledger.clone();
    let providers = vec![bench.provider(), other.clone()];
    let mut follower = Follower::new(ledger, providers, bench.following()).requiring(2);
    let deployment = follower.open().await.unwrap();
    settle(&mut follower).await.unwrap();
    let head = bench.node.head().await;
    assert_eq!(bench.cursor(deployment).await.act, Some(head));

    // The other provider stays on the old chain for the three newest blocks.
    for number in head - 2..=head {
        let asked = json!([format!("{number:#x}"), false]);
        let header = bench.node.request("eth_getBlockByNumber", asked).await;
        lies.headers.lock().unwrap().insert(number, header);
    }
    bench.node.reorganise(3).await;
    settle(&mut follower).await.unwrap();
    let cursor = bench.cursor(deployment).await;
    assert_eq!(cursor.position.recorded.number, head);
    assert_eq!(bench.rows(true).await, bench.truth().await);
    assert_eq!((cursor.act, cursor.halt), (Some(head - 3), None));
    let said: Vec<(i64, Vec<u8>, String, Vec<u8>)> = sqlx::query_as(
        "SELECT block_number, recorded_hash, provider, named_hash FROM tidewatch.disagreements",
    )
    .fetch_all(&bench.database.pool)
    .await
    .unwrap();
    let (number, recorded, provider, named) = said.last().unwrap();
    assert_eq!(u64::try_from(*number).unwrap(), head);
    assert_eq!(recorded, cursor.position.recorded.hash.as_slice());
    assert_eq!(provider, other.name());
    let stale = lies.headers.lock().unwrap()[&head]["hash"].clone();
    assert_eq!(json!(alloy::primitives::B256::from_slice(named)), stale);

    // It comes round, and no new block is needed to see it.
    lies.headers.lock().unwrap().clear();
    settle(&mut follower).await.unwrap();
    assert_eq!(bench.cursor(deployment).await.act, Some(head));
}

#[tokio::test]
async fn one_provider_is_no_quorum_and_recording_goes_on() {
    let bench = Bench::start().await;
    bench.echo(0..10).await;
    let ledger = bench.database.ledger.clone();
    let two_of_one_host = vec![bench.provider(), bench.provider()];
    let mut follower = Follower::new(ledger, two_of_one_host, bench.following()).requiring(2);
    let deployment = follower.open().await.unwrap();
    settle(&mut follower).await.unwrap();
    let cursor = bench.cursor(deployment).await;
    assert_eq!(cursor.act, None);
    assert_eq!(bench.rows(true).await, bench.truth().await);
}
