//! The keeper contracts as they really are, on anvil.

use alloy::primitives::{Address, Bytes, U256, keccak256};
use alloy::providers::{Provider, RootProvider};
use alloy::rpc::types::TransactionRequest;
use alloy::transports::TransportError;
use serde_json::{Value, json};
use tidewatch::chain::RawLog;
use tidewatch::ids::{BlockRef, Did};
use tidewatch::keeper::{
    self, AccountError, ContractCalls, Deployment, Facts, KeeperEvent, KeeperVersion, Mined,
    Purchase, decode, describe, purchase,
};

use crate::support::keeper::{Chain, artifacts, artifacts_of};

pub(crate) fn decoded(chain: &Chain, mined: &Mined) -> Vec<KeeperEvent> {
    mined
        .logs
        .iter()
        .filter_map(|log| decode(&chain.deployment, log).unwrap())
        .collect()
}

pub(crate) fn names(chain: &Chain, mined: &Mined) -> Vec<String> {
    mined
        .logs
        .iter()
        .map(|log| {
            let described = describe(&chain.deployment, log);
            format!("{}.{}", described.contract, described.name)
        })
        .collect()
}

#[tokio::test]
async fn a_deployment_has_code_everywhere_and_survives_its_file() {
    let chain = Chain::start().await;
    let deployment = &chain.deployment;
    assert_eq!(deployment.keeper_version, KeeperVersion::V0_13_2);
    assert_eq!((deployment.chain_id, deployment.start_block), (8996, 1));
    for address in deployment.addresses() {
        let code = chain.node.provider().get_code_at(address).await.unwrap();
        assert!(!code.is_empty(), "{address} has no code");
    }
    let file = deployment.to_yaml().unwrap();
    assert_eq!(&Deployment::parse(&file).unwrap(), deployment);
    assert!(file.contains("keeperVersion: \"0.13.2\""), "{file}");
}

#[tokio::test]
async fn a_purchase_emits_its_events_in_order() {
    let chain = Chain::start().await;
    let purchase = chain.order(chain.asset().await);
    let (created, locked) = chain.pay(&purchase).await;
    assert_eq!(
        decoded(&chain, &created),
        created_events(&chain, &purchase, &created)
    );
    assert_eq!(
        names(&chain, &locked),
        [
            "OceanToken.Transfer",
            "OceanToken.Approval",
            "ConditionStoreManager.ConditionUpdated",
            "LockRewardCondition.Fulfilled"
        ]
    );
    let contracts = &chain.deployment.contracts;
    let (agreement, amount) = (purchase.agreement, purchase.amount);
    let paid = KeeperEvent::LockFulfilled {
        agreement,
        reward_address: contracts.escrow_reward,
        condition: purchase.lock_id(),
        amount,
    };
    let updated = |condition, type_ref| KeeperEvent::ConditionUpdated {
        condition,
        type_ref,
        state: 2,
        by: type_ref,
    };
    assert_eq!(
        decoded(&chain, &locked),
        [
            updated(purchase.lock_id(), contracts.lock_reward_condition),
            paid
        ]
    );

    let fulfilled = chain.provider.send(purchase.fulfil()).await.unwrap();
    let answered = KeeperEvent::ComputeFulfilled {
        agreement,
        did: purchase.did,
        consumer: chain.consumer.address(),
        condition: purchase.compute_id(),
    };
    assert_eq!(
        decoded(&chain, &fulfilled),
        [
            updated(purchase.compute_id(), contracts.compute_execution_condition),
            answered
        ]
    );

    let released = chain.stranger.send(purchase.release()).await.unwrap();
    assert_eq!(names(&chain, &released)[0], "OceanToken.Transfer");
    let earned = KeeperEvent::EscrowFulfilled {
        agreement,
        receiver: chain.provider.address(),
        condition: purchase.escrow_id(),
        amount,
    };
    assert_eq!(
        decoded(&chain, &released),
        [
            updated(purchase.escrow_id(), contracts.escrow_reward),
            earned
        ]
    );
}

/// What creating an honest agreement directly must emit; its ids are recomputed, the chain's come from the log.
fn created_events(chain: &Chain, purchase: &Purchase, created: &Mined) -> Vec<KeeperEvent> {
    let contracts = &chain.deployment.contracts;
    let (agreement, did) = (purchase.agreement, purchase.did);
    let (consumer, provider) = (chain.consumer.address(), chain.provider.address());
    let condition_created = |condition, type_ref| KeeperEvent::ConditionCreated {
        condition,
        type_ref,
        by: contracts.agreement_store_manager,
    };
    let actor_added = |actor, name: &str| KeeperEvent::AgreementActorAdded {
        agreement,
        actor,
        actor_type: keccak256(name),
    };
    vec![
        condition_created(purchase.compute_id(), contracts.compute_execution_condition),
        condition_created(purchase.lock_id(), contracts.lock_reward_condition),
        condition_created(purchase.escrow_id(), contracts.escrow_reward),
        actor_added(consumer, "consumer"),
        actor_added(provider, "provider"),
        KeeperEvent::AgreementCreated {
            agreement,
            did,
            by: consumer,
            created_at: U256::from(created.block.number),
        },
    ]
}

#[tokio::test]
async fn an_unanswered_purchase_is_aborted_and_refunded() {
    let chain = Chain::start().await;
    let did = chain.asset().await;
    let mut purchase = chain.order(did);
    purchase.time_outs = [20, 0, 0];
    chain.pay(&purchase).await;
    let early = chain.stranger.send(purchase.abort_compute()).await;
    let told = early.unwrap_err().to_string();
    assert!(told.contains("needs to be timed out"), "{told}");

    chain.node.mine(30).await;
    let aborted = chain.stranger.send(purchase.abort_compute()).await.unwrap();
    let compute = chain.deployment.contracts.compute_execution_condition;
    assert_eq!(
        decoded(&chain, &aborted),
        [KeeperEvent::ConditionUpdated {
            condition: purchase.compute_id(),
            type_ref: compute,
            state: 3,
            by: compute,
        }]
    );
    let refunded = chain.stranger.send(purchase.release()).await.unwrap();
    let receivers: Vec<_> = decoded(&chain, &refunded)
        .into_iter()
        .filter_map(|event| match event {
            KeeperEvent::EscrowFulfilled { receiver, .. } => Some(receiver),
            _ => None,
        })
        .collect();
    assert_eq!(receivers, [chain.consumer.address()]);
}

#[tokio::test]
async fn the_contract_takes_a_hostile_purchase_and_a_strangers_answer_reverts() {
    let chain = Chain::start().await;
    let did = chain.asset().await;
    let other = Did(chain.fresh());
    chain.register(&chain.stranger, other, b"mine").await;

    let refused = chain.stranger.send(chain.order(did).fulfil()).await;
    let Err(AccountError::Reverted { reason, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert!(reason.contains("Invalid DID owner/provider"), "{reason}");

    let mut hostile = chain.order(did);
    hostile.condition_did = other;
    hostile.receiver = chain.stranger.address();
    chain.pay(&hostile).await;
    let fulfilled = chain.stranger.send(hostile.fulfil()).await.unwrap();
    let event = decoded(&chain, &fulfilled).pop().unwrap();
    assert!(
        matches!(event, KeeperEvent::ComputeFulfilled { did, .. } if did == other),
        "{event:?}"
    );
}

#[tokio::test]
async fn the_faucet_gives_tokens_that_pay() {
    let chain = Chain::start().await;
    let purchase = chain.order(chain.asset().await);
    let taken = purchase::dispense(chain.dispenser, purchase.amount);
    let calls = vec![
        taken,
        purchase.approve(),
        purchase.create(),
        purchase.lock(),
    ];
    let mined = chain.consumer.send_all(calls).await.unwrap();
    assert_eq!(names(&chain, &mined[0]), ["OceanToken.Transfer"]);
    assert_eq!(decoded(&chain, &mined[3]).len(), 2);

    let greedy = purchase::dispense(chain.dispenser, U256::from(10).pow(U256::from(24)));
    let told = chain.stranger.send(greedy).await.unwrap_err().to_string();
    assert!(told.contains("Exceeded maxMintAmount"), "{told}");
}

#[tokio::test]
async fn several_calls_share_a_block() {
    let chain = Chain::start().await;
    let did = chain.asset().await;
    let purchase = chain.order(did);
    chain.fund(&purchase).await;
    let mined = chain
        .in_one_block(vec![
            (&chain.consumer, purchase.create()),
            (&chain.consumer, purchase.lock()),
            (&chain.consumer, chain.order(did).create()),
        ])
        .await;
    assert_eq!(mined.len(), 3);
    assert!(mined.iter().all(|one| one.block == mined[0].block));
    assert_eq!(decoded(&chain, &mined[1]).len(), 2);
}

/// What `chain` will be for the service: the port on a plain provider.
pub(crate) struct Calls<'a>(pub(crate) &'a RootProvider);

impl ContractCalls for Calls<'_> {
    type Error = TransportError;

    async fn call(
        &self,
        to: Address,
        data: Bytes,
        at: Option<u64>,
    ) -> Result<Bytes, TransportError> {
        let request = TransactionRequest::default().to(to).input(data.into());
        match at {
            Some(block) => self.0.call(request).block(block.into()).await,
            None => self.0.call(request).await,
        }
    }
}

#[tokio::test]
async fn facts_are_read_by_call() {
    let chain = Chain::start().await;
    let calls = Calls(chain.node.provider());
    let contracts = &chain.deployment.contracts;
    let facts = Facts::new(&calls, contracts);
    let did = chain.asset().await;
    let mut purchase = chain.order(did);
    purchase.time_locks = [1, 0, 0];
    purchase.time_outs = [500, 600, 0];
    assert_eq!(
        facts.agreement(purchase.agreement, None).await.unwrap(),
        None
    );
    assert_eq!(
        facts.condition(purchase.lock_id(), None).await.unwrap(),
        None
    );
    let (created, locked) = chain.pay(&purchase).await;

    let agreement = facts.agreement(purchase.agreement, None).await.unwrap();
    let agreement = agreement.unwrap();
    assert_eq!(agreement.did, did);
    assert_eq!(agreement.did_owner, chain.provider.address());
    assert_eq!(agreement.template_id, keeper::template_id());
    assert_eq!(agreement.conditions, purchase.condition_ids());
    assert_eq!(agreement.last_updated_by, chain.consumer.address());
    let block = U256::from(created.block.number);
    assert_eq!(agreement.block_number_updated, block);
    let text = serde_json::to_string(&agreement).unwrap();
    assert_eq!(
        serde_json::from_str::<keeper::AgreementFact>(&text).unwrap(),
        agreement
    );

    let compute = facts.condition(purchase.compute_id(), None).await.unwrap();
    let compute = compute.unwrap();
    assert_eq!(compute.type_ref, contracts.compute_execution_condition);
    assert_eq!((compute.state, compute.block_number), (1, block));
    assert_eq!(
        (compute.time_lock, compute.time_out),
        (U256::from(1), U256::from(500))
    );
    let state = async |at| {
        let lock = facts.condition(purchase.lock_id(), at).await.unwrap();
        lock.unwrap().state
    };
    assert_eq!(state(None).await, 2);
    assert_eq!(state(Some(locked.block.number - 1)).await, 1);

    let provider = chain.provider.address();
    let stranger = chain.stranger.address();
    assert_eq!(facts.did_owner(did, None).await.unwrap(), Some(provider));
    let unknown = Did(chain.fresh());
    assert_eq!(facts.did_owner(unknown, None).await.unwrap(), None);
    assert!(!facts.is_did_provider(did, stranger, None).await.unwrap());
    let added = purchase::add_did_provider(contracts, did, stranger);
    let added = chain.provider.send(added).await.unwrap();
    assert!(facts.is_did_provider(did, stranger, None).await.unwrap());
    let before = Some(added.block.number - 1);
    assert!(!facts.is_did_provider(did, stranger, before).await.unwrap());
    let template = keeper::template_id();
    assert!(facts.is_template_approved(template, None).await.unwrap());
    assert!(!facts.is_template_approved(unknown.0, None).await.unwrap());

    let mut nowhere = contracts.clone();
    nowhere.did_registry = Address::repeat_byte(9);
    let blind = Facts::new(&calls, &nowhere).did_owner(did, None).await;
    let told = blind.unwrap_err().to_string();
    assert!(told.contains("not of its form"), "{told}");
}

#[tokio::test]
async fn an_assets_value_is_kept_byte_for_byte() {
    let chain = Chain::start().await;
    let value = b"a\0b\xff\xfec\xc3";
    let did = Did(chain.fresh());
    let mined = chain.register(&chain.provider, did, value).await;
    assert_eq!(
        decoded(&chain, &mined),
        [KeeperEvent::DidRegistered {
            did,
            owner: chain.provider.address(),
            checksum: keccak256(value),
            value: value.to_vec(),
            by: chain.provider.address(),
        }]
    );
    let described = describe(&chain.deployment, &mined.logs[0]);
    assert_eq!(described.contract, "DIDRegistry");
    assert_eq!(described.name, "DIDAttributeRegistered");
    assert_eq!(
        described.arguments,
        json!({
            "did": did.0,
            "owner": chain.provider.address().to_string(),
            "checksum": keccak256(value),
            "value": "a\u{fffd}b\u{fffd}\u{fffd}c\u{fffd}",
            "lastUpdatedBy": chain.provider.address().to_string(),
            "blockNumberUpdated": mined.block.number.to_string(),
        })
    );
}

#[tokio::test]
async fn the_registrys_other_events_and_the_template_stores_decode() {
    let chain = Chain::start().await;
    let contracts = &chain.deployment.contracts;
    let did = chain.asset().await;
    let (from, to) = (chain.provider.address(), chain.stranger.address());
    let mut events = Vec::new();
    for call in [
        purchase::add_did_provider(contracts, did, to),
        purchase::remove_did_provider(contracts, did, to),
        purchase::grant_permission(contracts, did, to),
        purchase::revoke_permission(contracts, did, to),
        purchase::transfer_did(contracts, did, to),
    ] {
        events.extend(decoded(&chain, &chain.provider.send(call).await.unwrap()));
    }
    assert_eq!(
        events,
        [
            KeeperEvent::DidProviderAdded { did, provider: to },
            KeeperEvent::DidProviderRemoved { did, provider: to },
            KeeperEvent::DidPermissionGranted {
                did,
                owner: from,
                grantee: to
            },
            KeeperEvent::DidPermissionRevoked {
                did,
                owner: from,
                grantee: to
            },
            KeeperEvent::DidOwnershipTransferred { did, from, to },
        ]
    );

    let logs = chain.node.request(
        "eth_getLogs",
        json!([{"fromBlock": "0x0", "address": contracts.template_store_manager}]),
    );
    let logs: Vec<alloy::rpc::types::Log> = serde_json::from_value(logs.await).unwrap();
    let events: Vec<_> = logs
        .iter()
        .filter_map(|log| decode(&chain.deployment, &raw(log)).unwrap())
        .collect();
    let template = keeper::template_id();
    assert_eq!(
        events,
        [
            KeeperEvent::TemplateProposed {
                template,
                condition_types: vec![
                    contracts.compute_execution_condition,
                    contracts.lock_reward_condition,
                    contracts.escrow_reward,
                ],
            },
            KeeperEvent::TemplateApproved { template },
        ]
    );
}

fn raw(log: &alloy::rpc::types::Log) -> RawLog {
    RawLog {
        block: BlockRef {
            number: log.block_number.unwrap(),
            hash: log.block_hash.unwrap(),
        },
        transaction_hash: log.transaction_hash.unwrap(),
        transaction_index: log.transaction_index.unwrap(),
        log_index: log.log_index.unwrap(),
        address: log.address(),
        topics: log.topics().to_vec(),
        data: log.data().data.clone(),
    }
}

/// `abi/` holds facts about the published contracts: every entry must be in the package's artifact.
#[tokio::test]
async fn the_abi_files_are_the_packages() {
    let (newer, older) = (
        artifacts().await,
        artifacts_of(KeeperVersion::V0_12_7).await,
    );
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("abi");
    let read = |path: &std::path::Path| -> Value {
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    };
    let bare = |entry: &Value| {
        let mut entry = entry.as_object().unwrap().clone();
        for key in ["constant", "payable", "signature"] {
            entry.remove(key);
        }
        Value::Object(entry)
    };
    let mut files = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.extension().is_none_or(|kind| kind != "json") || name == "Proxy" {
            continue;
        }
        let artifact = match name.strip_suffix("-0.12.7") {
            Some(name) => older.join(format!("{name}.development.json")),
            None => newer.join(format!("{name}.development.json")),
        };
        let artifact = read(&artifact);
        let published: Vec<_> = artifact["abi"]
            .as_array()
            .unwrap()
            .iter()
            .map(bare)
            .collect();
        for entry in read(&path).as_array().unwrap() {
            assert!(published.contains(entry), "{name}: {entry}");
        }
        files += 1;
    }
    assert_eq!(files, 11);
}
