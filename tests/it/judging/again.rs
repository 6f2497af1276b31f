//! What another catalog would have made of past purchases: nothing is changed by asking, and no stranger's server is asked.

use tidewatch::chain::Provider;
use tidewatch::ids::JobName;
use tidewatch::scheduler::{Difference, rejudge};
use tidewatch::workflows::Catalog;

use super::bench::{Bench, DIGEST, default_workflow, document, inline};

/// The differences that a catalog with one asset of these keys would make, as job and words.
async fn differences(bench: &Bench, asset: &str) -> Vec<(JobName, String, String)> {
    let text = format!("policy: {{images: [docker.io/library/python]}}\nassets: [{asset}]\n");
    let catalog = Catalog::parse(text.as_bytes()).unwrap();
    let deployment = &bench.chain.deployment;
    let calls = Provider::new(bench.chain.node.url().as_str()).unwrap();
    let found = rejudge((&bench.ledger, calls), bench.id, deployment, &catalog)
        .await
        .unwrap();
    let words = |it: Difference| (it.job, it.then, it.now);
    found.into_iter().map(words).collect()
}

#[tokio::test]
async fn a_new_catalog_says_which_purchases_it_would_have_decided_otherwise() {
    let mut bench = Bench::start().await;
    let did = bench.chain.asset().await;
    let open = format!(
        "privacy: {{allowRawAlgorithm: true}}, {}",
        default_workflow()
    );
    bench.offer(&[(did, &open)]);
    let by_default = bench.chain.order(did);
    bench.chain.buy(&by_default).await;
    let raw = bench.chain.order(did);
    let said = document("python $ALGO");
    bench.chain.document(&raw, &inline(&said)).await;
    bench.chain.buy(&raw).await;
    let elsewhere = bench.chain.order(bench.chain.asset().await);
    bench.chain.buy(&elsewhere).await;
    bench.settle().await;
    let rows = async || -> (i64, i64) {
        sqlx::query_as("SELECT (SELECT count(*) FROM ledger.verdicts), (SELECT count(*) FROM ledger.transitions)")
            .fetch_one(&bench.pool)
            .await
            .unwrap()
    };
    let before = rows().await;

    let asset = |keys: &str| format!("{{did: '{did}', {keys}}}");
    let same = asset(&format!("minimumPrice: 10, {open}"));
    assert_eq!(differences(&bench, &same).await, []);

    let dear = differences(&bench, &asset(&format!("minimumPrice: 11, {open}"))).await;
    assert_eq!(dear.len(), 2, "{dear:?}");
    assert!(
        dear.iter()
            .all(|(_, then, now)| then == "runs" && now == "underpaid"),
        "{dear:?}"
    );

    let closed = asset(&format!("minimumPrice: 10, {}", default_workflow()));
    let closed = differences(&bench, &closed).await;
    assert_eq!(closed.len(), 1, "{closed:?}");
    assert_eq!(
        (closed[0].1.as_str(), closed[0].2.as_str()),
        ("runs", "raw_algorithm_not_allowed")
    );

    let larger = asset(&format!(
        "minimumPrice: 10, resources: {{memory: 2Gi}}, {open}"
    ));
    let larger = differences(&bench, &larger).await;
    assert_eq!(larger.len(), 2, "{larger:?}");
    assert!(
        larger
            .iter()
            .all(|(_, _, now)| now == "runs with another ceiling"),
        "{larger:?}"
    );

    let other = format!(
        "{{did: '{}', minimumPrice: 10, {}}}",
        elsewhere.did,
        default_workflow()
    );
    let other = differences(&bench, &other).await;
    let words: Vec<_> = other
        .iter()
        .map(|(_, then, now)| (then.as_str(), now.as_str()))
        .collect();
    assert_eq!(other.len(), 3, "{other:?}");
    // nobody needed to know what it was made under, so the contracts are asked now
    assert!(words.contains(&("not_our_asset", "runs")), "{words:?}");
    assert_eq!(
        words
            .iter()
            .filter(|it| **it == ("runs", "not_our_asset"))
            .count(),
        2
    );

    // a workflow that has to be looked for is not looked for
    let unpinned = default_workflow().replace(&format!("checksum: '{DIGEST}'"), "tag: '3'");
    let unpinned = format!("{{did: '{}', minimumPrice: 10, {unpinned}}}", elsewhere.did);
    let said = differences(&bench, &unpinned).await;
    let considered = "awaiting_document: it would be considered, and the image's digest looked for";
    assert!(
        said.iter()
            .any(|(_, then, now)| then == "not_our_asset" && now == considered),
        "{said:?}"
    );

    assert_eq!(rows().await, before, "asking changes nothing");
}
