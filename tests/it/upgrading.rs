//! The older contracts, proxies, and the upgrade to the newer ones, on anvil.

use alloy::primitives::{B256, U256};
use alloy::providers::Provider;
use tidewatch::app::anvil::{Anvil, Options};
use tidewatch::keeper::{self, Account, Deployment, Facts, KeeperVersion};

use crate::keeper::{Calls, decoded, names};
use crate::support::keeper::{Chain, artifacts};
use crate::support::service::TIDEWATCH;

#[tokio::test]
async fn the_older_contracts_behind_proxies_are_upgraded_while_an_agreement_runs() {
    let options = Options::default();
    let mut chain = Chain::deployed(options, KeeperVersion::V0_12_7, true).await;
    let older = chain.deployment.clone();
    assert_eq!(older.keeper_version, KeeperVersion::V0_12_7);
    assert!(older.template_ids.is_empty());
    for address in older.addresses().iter().chain(&older.implementations) {
        let code = chain.node.provider().get_code_at(*address).await.unwrap();
        assert!(!code.is_empty(), "{address} has no code");
    }
    let file = older.to_yaml().unwrap();
    assert_eq!(Deployment::parse(&file).unwrap(), older);
    let did = chain.asset().await;
    let running = chain.order(did);
    let (created, _) = chain.pay(&running).await;
    assert_eq!(
        names(&chain, &created),
        [
            "ConditionStoreManager.ConditionCreated",
            "ConditionStoreManager.ConditionCreated",
            "ConditionStoreManager.ConditionCreated",
            "EscrowComputeExecutionTemplate.AgreementCreated"
        ]
    );

    chain.upgrade().await;
    let newer = &chain.deployment;
    assert_eq!(newer.keeper_version, KeeperVersion::V0_13_2);
    assert_eq!(newer.contracts_hash(), older.contracts_hash());
    assert_eq!(newer.implementations.len(), older.implementations.len() + 4);
    let fulfilled = chain.provider.send(running.fulfil()).await.unwrap();
    assert_eq!(decoded(&chain, &fulfilled).len(), 2);
    let direct = chain.order(did);
    let (created, _) = chain.pay(&direct).await;
    assert_eq!(
        names(&chain, &created)[5],
        "AgreementStoreManager.AgreementCreated"
    );
    let again = keeper::upgrade(&chain.owner, &chain.admin, newer, &artifacts().await).await;
    let told = again.unwrap_err().to_string();
    assert!(told.contains("only 0.12.7 can be upgraded"), "{told}");
}

#[tokio::test]
async fn the_program_deploys_and_upgrades_as_an_operator_asks_it_to() {
    let node = crate::support::anvil::Node::start().await;
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    for (name, number) in [("owner", 0), ("admin", 4)] {
        let key = Anvil::key(number).unwrap();
        std::fs::write(path(name), key.to_string()).unwrap();
    }
    let rpc = node.url().to_string();
    let run = async |arguments: &[&str]| {
        let output = tokio::process::Command::new(TIDEWATCH)
            .arg("keeper")
            .args(arguments)
            .args(["--rpc", &rpc, "--key-file", &path("owner")])
            .env("TIDEWATCH_CACHE", crate::support::cache())
            .output()
            .await
            .unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        (output.status.success(), told)
    };
    let owner = Account::connect(node.url(), &Anvil::key(0).unwrap()).await;
    let admin = Account::connect(node.url(), &Anvil::key(4).unwrap()).await;
    let (owner, admin) = (
        owner.unwrap().address().to_string(),
        admin.unwrap().address().to_string(),
    );
    let (old, new) = (path("old.yaml"), path("new.yaml"));
    let deploy = ["deploy", "--keeper-version", "0.12.7", "-o", &old];
    let (done, told) = run(&[&deploy[..], &["--proxy-admin", &owner]].concat()).await;
    assert!(
        !done && told.contains("cannot call what stands behind it"),
        "{told}"
    );
    let (done, told) = run(&[&deploy[..], &["--proxy-admin", &admin]].concat()).await;
    assert!(done, "{told}");
    let (done, told) = run(&[
        "upgrade",
        "--admin-key-file",
        &path("admin"),
        "--keeper",
        &old,
        "-o",
        &new,
    ])
    .await;
    assert!(done, "{told}");
    let read = |file: &str| Deployment::parse(&std::fs::read_to_string(file).unwrap()).unwrap();
    let (old, new) = (read(&old), read(&new));
    assert_eq!(old.keeper_version, KeeperVersion::V0_12_7);
    assert_eq!(new.keeper_version, KeeperVersion::V0_13_2);
    assert_eq!(old.contracts, new.contracts);
    assert_eq!(new.template_ids, [keeper::template_id()]);
}

/// What a template contract makes reads back as its contract's address under 0.12.7, and as nothing under 0.13.2.
#[tokio::test]
async fn an_agreement_of_the_template_contract_reads_back_through_an_upgrade() {
    let options = Options::default();
    let mut chain = Chain::deployed(options, KeeperVersion::V0_12_7, true).await;
    let purchase = chain.order(chain.asset().await);
    let (created, _) = chain.pay(&purchase).await;
    let template = purchase.template_contract.unwrap();
    for expected in [template.into_word(), B256::ZERO] {
        let calls = Calls(chain.node.provider());
        let facts = Facts::new(&calls, &chain.deployment.contracts);
        let its = facts.agreement(purchase.agreement, None).await.unwrap();
        let its = its.unwrap();
        assert_eq!(its.template_id, expected);
        assert_eq!(its.conditions, purchase.condition_ids());
        assert_eq!(its.last_updated_by, template);
        assert_eq!(its.block_number_updated, U256::from(created.block.number));
        if expected != B256::ZERO {
            chain.upgrade().await;
        }
    }
}
