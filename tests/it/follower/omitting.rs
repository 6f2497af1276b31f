//! One provider, and nobody to compare it with, that leaves logs out of its answers without a word.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alloy::primitives::keccak256;
use serde_json::Value;
use tidewatch::chain::Provider;
use tidewatch::follower::{Follower, Verifier};
use tidewatch::worker::{Progress, Worker};

use super::misbehaving::{Service, number};
use super::{Bench, LOGS};

/// Blocks with logs, of which the last twenty are live.
const BLOCKS: u64 = 90;

/// Looks and readings in which all must have come right: each second answer is wrong, so a handful do.
const TRIES: u32 = 200;

#[tokio::test]
async fn nothing_is_lost_to_a_single_provider_that_leaves_logs_out() {
    let bench = Bench::start().await;
    bench.echo(0..BLOCKS).await;
    let service = Service::before(bench.node.url()).await;
    let truth = bench.truth().await;
    for filters in [None, Some("00"), Some("ff")] {
        let omitted = Arc::new(AtomicU64::new(0));
        service.alter(omit(filters, Arc::clone(&omitted)));
        let bench = bench.with_another_ledger().await;
        let following = bench.following();
        let provider = Provider::new(&service.url).unwrap();
        let ledger = bench.database.ledger.clone();
        let mut follower = Follower::new(ledger.clone(), provider.clone(), following.clone());
        let deployment = follower.open().await.unwrap();
        let mut verifier = Verifier::new(ledger, vec![provider], following, deployment, None);
        let head = bench.node.head().await;
        let mut tries = 0;
        while bench.cursor(deployment).await.verified < head {
            while follower.tick().await.unwrap() == Progress::More {}
            // A reading that is shown to leave something out is an error, said and tried again.
            while matches!(verifier.tick().await, Ok(Progress::More)) {}
            tries += 1;
            assert!(tries < TRIES, "filters {filters:?}: it does not come right");
        }
        assert_eq!(bench.rows(true).await, truth, "filters {filters:?}");
        assert_eq!(bench.rows(false).await, []);
        assert!(omitted.load(Ordering::SeqCst) > 0, "something was left out");
        // Live blocks were proven by their receipts, whatever else was said of them; nothing else is called proven that was not.
        let live = "number > (SELECT irreversible_number FROM ledger.cursors)";
        let live = proofs(&bench, live).await;
        assert_eq!(live, [("root".to_owned(), 20)], "filters {filters:?}");
        let weak = proofs(&bench, "number > 1 AND proof IN ('bloom', 'single_read')").await;
        assert_eq!(weak, [], "filters {filters:?}");
        assert_eq!(truth.len(), usize::try_from(BLOCKS).unwrap() * LOGS);
    }
}

/// Half of the answers for a range lack their last log, and one of a live block's two logs is never given. Filters are true, or
/// made of one byte.
fn omit(
    filters: Option<&'static str>,
    omitted: Arc<AtomicU64>,
) -> impl Fn(&Value, &mut Value) + Send + Sync {
    let answers = AtomicU64::new(0);
    move |call, answer| {
        if let Some(byte) = filters
            && answer["result"]["logsBloom"].is_string()
        {
            answer["result"]["logsBloom"] = format!("0x{}", byte.repeat(256)).into();
        }
        let Some(logs) = answer["result"].as_array_mut() else {
            return;
        };
        if call["method"] != "eth_getLogs" {
            return;
        }
        let is_live = number(&call["params"][0]["fromBlock"]).is_none();
        let turn = answers.fetch_add(1, Ordering::SeqCst);
        let is_chosen = keccak256(turn.to_be_bytes())[0] < 128;
        if (is_live || is_chosen) && logs.pop().is_some() {
            omitted.fetch_add(1, Ordering::SeqCst);
        }
    }
}

async fn proofs(bench: &Bench, which: &str) -> Vec<(String, i64)> {
    let statement =
        format!("SELECT proof, count(*) FROM ledger.blocks WHERE {which} GROUP BY proof");
    sqlx::query_as(sqlx::AssertSqlSafe(statement))
        .fetch_all(&bench.database.pool)
        .await
        .unwrap()
}
