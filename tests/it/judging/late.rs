//! What an older version could not read, or read otherwise, is read again by a newer one, from the ledger alone.

use tidewatch::keeper::DECODER;

use super::bench::{Bench, default_workflow, exhaust};

async fn execute(bench: &Bench, statement: &'static str) {
    sqlx::query(statement).execute(&bench.pool).await.unwrap();
}

async fn count(bench: &Bench, statement: &'static str) -> i64 {
    sqlx::query_scalar(statement)
        .fetch_one(&bench.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn what_an_older_decoder_could_not_read_is_decoded_and_judged_without_reading_the_chain_again()
 {
    let mut bench = Bench::start().await;
    let did = bench.chain.asset().await;
    bench.offer(&[(did, &default_workflow())]);
    let purchase = bench.chain.order(did);
    bench.chain.buy(&purchase).await;
    bench.follow().await;
    // The ledger as a version left it that knows no compute conditions: it judged everything, decoded that one event not at all, and
    // parked it.
    execute(
        &bench,
        "WITH seen AS (UPDATE ledger.cursors SET judged_number = recorded_number, judged_hash = recorded_hash, decoder = 0
                       RETURNING deployment_id)
         INSERT INTO ledger.parked (deployment_id, kind, key, reason)
         SELECT l.deployment_id, 'log', l.id::text, 'unknown' FROM ledger.logs l JOIN seen USING (deployment_id)",
    )
    .await;
    let named = "SELECT count(*) FROM tidewatch.keeper_events WHERE name IS NOT NULL";
    assert_eq!(count(&bench, named).await, 0);
    let logs = count(&bench, "SELECT count(*) FROM ledger.logs").await;
    let shown = count(
        &bench,
        "SELECT count(*) FROM tidewatch.keeper_events WHERE topics IS NOT NULL",
    )
    .await;
    assert_eq!(shown, logs);

    exhaust(&mut bench.judge()).await;
    exhaust(&mut bench.resolver()).await;
    assert_eq!(bench.job(purchase.agreement).await.status, "queued");
    assert_eq!(count(&bench, named).await, logs);
    assert_eq!(
        count(&bench, "SELECT count(*) FROM ledger.late_blocks").await,
        0
    );
    let parked = "SELECT count(*) FROM ledger.parked WHERE replayed_at IS NULL";
    assert_eq!(count(&bench, parked).await, 0);
    let decoder = count(&bench, "SELECT decoder::bigint FROM ledger.cursors").await;
    assert_eq!(decoder, i64::from(DECODER));
}

#[tokio::test]
async fn an_older_judge_stands_still_once_a_newer_one_judges() {
    let mut bench = Bench::start().await;
    let did = bench.chain.asset().await;
    bench.offer(&[(did, &default_workflow())]);
    bench.settle().await;
    execute(&bench, "UPDATE ledger.cursors SET decoder = decoder + 1").await;
    let purchase = bench.chain.order(did);
    bench.chain.buy(&purchase).await;
    bench.settle().await;
    assert!(bench.jobs(purchase.agreement).await.is_empty());
    execute(&bench, "UPDATE ledger.cursors SET decoder = decoder - 1").await;
    bench.settle().await;
    assert_eq!(bench.job(purchase.agreement).await.status, "queued");
}

#[tokio::test]
async fn a_creation_that_comes_late_lets_the_job_be_admitted() {
    let mut bench = Bench::start().await;
    let did = bench.chain.asset().await;
    bench.offer(&[(did, &default_workflow())]);
    let purchase = bench.chain.order(did);
    bench.chain.consumer.send(purchase.create()).await.unwrap();
    let created = bench.chain.node.head().await;
    bench.chain.fund(&purchase).await;
    bench.chain.consumer.send(purchase.lock()).await.unwrap();
    bench.chain.provider.send(purchase.fulfil()).await.unwrap();
    bench.follow().await;
    // The creation's block was left out when it was read.
    sqlx::query("UPDATE ledger.logs SET canonical = false WHERE block_number = $1")
        .bind(i64::try_from(created).unwrap())
        .execute(&bench.pool)
        .await
        .unwrap();
    exhaust(&mut bench.judge()).await;
    assert_ne!(bench.job(purchase.agreement).await.status, "queued");

    bench.chain.node.mine(10).await;
    bench.follow().await;
    let node = tidewatch::chain::Provider::new(bench.chain.node.url().as_str()).unwrap();
    let found = bench
        .verifier(vec![node])
        .resync(created, false)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.repairs.len(), 1);
    exhaust(&mut bench.judge()).await;
    exhaust(&mut bench.resolver()).await;
    assert_eq!(bench.job(purchase.agreement).await.status, "queued");
}
