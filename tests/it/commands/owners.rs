//! `check` asks the registry who owns what the catalog trusts by its DID alone: whoever registers a free one first is paid for the
//! asset, or says what the algorithm is.

use alloy::primitives::B256;
use tidewatch::ids::Did;

use super::Desk;
use crate::support::keeper::Chain;

/// A free DID.
fn free(number: u8) -> Did {
    Did(B256::repeat_byte(0xe0 + number))
}

/// An asset of a catalog, with these trusted algorithms.
fn asset(did: Did, trusted: &str) -> String {
    format!(
        "  - {{did: \"{did}\", minimumPrice: 10, privacy: {{trustedAlgorithms: [{trusted}]}}}}\n"
    )
}

/// What `check` says of owners under a catalog.
async fn said(desk: &Desk, policy: &str, assets: &[String]) -> String {
    let file = desk.directory.path().join("catalog.yaml");
    let text = format!("policy: {{{policy}}}\nassets:\n{}", assets.concat());
    std::fs::write(&file, text).unwrap();
    let variables = [("TIDEWATCH_CATALOG", file.to_str().unwrap())];
    let check = ["check", "--role", "follower,judge"];
    let output = desk.run_with(&check, &variables).await;
    let told = String::from_utf8(output.stdout).unwrap();
    let line = told.lines().find(|line| line.contains(" owners: "));
    let line = line.unwrap_or_else(|| panic!("nothing about owners in {told}"));
    assert_eq!(line.starts_with("ok"), output.status.success(), "{told}");
    line.to_owned()
}

#[tokio::test]
async fn a_did_that_the_catalog_trusts_and_nobody_owns_is_named_with_its_remedy() {
    let desk = Desk::over_fresh().await;
    let chain: &Chain = &desk.bench.chain;
    let (owned, algorithm) = (chain.asset().await, chain.asset().await);
    let by_did = format!("'{algorithm}'");
    let well = said(&desk, "", &[asset(owned, &by_did)]).await;
    let expected =
        "ok     owners: all 2 DIDs that the catalog trusts by their owners are registered";
    assert_eq!(well, expected);

    let wrong = said(&desk, "", &[asset(owned, ""), asset(free(1), "")]).await;
    let named = format!("wrong  owners: nobody registered the asset {}:", free(1));
    assert!(wrong.starts_with(&named), "{wrong}");
    assert!(wrong.contains("register them, or name payees"), "{wrong}");

    // who is named as payee is paid, whoever owns the asset; who owns an algorithm says what it is all the same
    let payee = format!("payees: [\"{}\"]", chain.provider.address());
    let well = said(&desk, &payee, &[asset(free(1), "")]).await;
    assert!(well.contains("all 0 DIDs"), "{well}");
    let trusted = format!("'{}'", free(2));
    let wrong = said(&desk, &payee, &[asset(free(1), &trusted)]).await;
    let named = format!("nobody registered the algorithm {}:", free(2));
    assert!(wrong.contains(&named), "{wrong}");

    // nor does it matter who owns what is pinned in all its parts, and only then
    let (hash, did) = ("ab".repeat(32), free(2));
    let two = format!("{{did: '{did}', file: 'sha256:{hash}', container: 'sha256:{hash}'}}");
    let wrong = said(&desk, &payee, &[asset(owned, &two)]).await;
    assert!(wrong.contains(&named), "{wrong}");
    let three = two.replace('}', ", entrypoint: python}");
    let well = said(&desk, &payee, &[asset(owned, &three)]).await;
    assert!(well.contains("all 0 DIDs"), "{well}");
}

#[tokio::test]
async fn of_many_free_dids_five_are_named_and_the_others_counted() {
    let desk = Desk::over_fresh().await;
    let assets: Vec<String> = (1..=7).map(|number| asset(free(number), "")).collect();
    let wrong = said(&desk, "", &assets).await;
    for number in 1..=5 {
        assert!(wrong.contains(&free(number).to_string()), "{wrong}");
    }
    assert!(!wrong.contains(&free(6).to_string()), "{wrong}");
    assert!(wrong.contains(" and 2 more: "), "{wrong}");
}
