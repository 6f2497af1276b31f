//! Decoding of logs that no honest contract makes: any bytes, colliding signatures, wrong addresses.

use alloy::primitives::{Address, B256, U256};
use alloy::sol_types::SolEvent;
use proptest::prelude::*;
use tidewatch::chain::RawLog;
use tidewatch::ids::{BlockRef, ConditionId};
use tidewatch::keeper::abi::{
    self, ComputeExecutionCondition, EscrowReward, LockRewardCondition, Proxy,
};
use tidewatch::keeper::{Contract, Deployment, KeeperEvent, decode, describe};

fn somewhere() -> Deployment {
    let contracts: Vec<_> = Contract::ALL
        .iter()
        .zip(1..)
        .map(|(contract, byte)| format!("{contract}: \"{}\"", Address::repeat_byte(byte)))
        .collect();
    Deployment::parse(&format!(
        "{{chainId: 1, keeperVersion: 0.13.2, startBlock: 1, contracts: {{{}}}}}",
        contracts.join(", ")
    ))
    .unwrap()
}

fn log(address: Address, topics: Vec<B256>, data: Vec<u8>) -> RawLog {
    RawLog {
        block: BlockRef {
            number: 7,
            hash: B256::repeat_byte(7),
        },
        transaction_hash: B256::repeat_byte(8),
        transaction_index: 0,
        log_index: 3,
        address,
        topics,
        data: data.into(),
    }
}

#[test]
fn one_signature_is_two_events_by_address() {
    assert_eq!(
        EscrowReward::Fulfilled::SIGNATURE_HASH,
        LockRewardCondition::Fulfilled::SIGNATURE_HASH
    );
    let deployment = somewhere();
    let contracts = &deployment.contracts;
    let who = Address::repeat_byte(0x77);
    let topics = vec![
        LockRewardCondition::Fulfilled::SIGNATURE_HASH,
        B256::repeat_byte(1),
        who.into_word(),
    ];
    let data = [B256::repeat_byte(2), B256::from(U256::from(10))].concat();
    let (agreement, condition) = (
        B256::repeat_byte(1).into(),
        ConditionId(B256::repeat_byte(2)),
    );
    let decoded =
        |address| decode(&deployment, &log(address, topics.clone(), data.clone())).unwrap();
    assert_eq!(
        decoded(contracts.lock_reward_condition),
        Some(KeeperEvent::LockFulfilled {
            agreement,
            reward_address: who,
            condition,
            amount: U256::from(10)
        })
    );
    assert_eq!(
        decoded(contracts.escrow_reward),
        Some(KeeperEvent::EscrowFulfilled {
            agreement,
            receiver: who,
            condition,
            amount: U256::from(10)
        })
    );
    // The same signature from a contract that has no such event, and from outside the deployment, is nobody's event.
    assert_eq!(decoded(contracts.compute_execution_condition), None);
    assert_eq!(decoded(Address::repeat_byte(0x99)), None);
}

#[test]
fn what_does_not_fit_its_signature_is_undecodable() {
    let deployment = somewhere();
    let compute = deployment.contracts.compute_execution_condition;
    let signature = ComputeExecutionCondition::Fulfilled::SIGNATURE_HASH;
    let wide = B256::repeat_byte(0xff);
    let narrow = Address::repeat_byte(3).into_word();
    for (topics, data) in [
        (vec![signature], vec![]),
        (vec![signature, wide, wide, narrow], vec![0; 31]),
        (vec![signature, wide, wide, wide], vec![0; 32]),
        (vec![signature, wide, wide], vec![0; 32]),
    ] {
        let log = log(compute, topics, data);
        let told = decode(&deployment, &log).unwrap_err().to_string();
        assert!(
            told.starts_with("log 3 of block 7 is no ComputeExecutionCondition.Fulfilled: "),
            "{told}"
        );
        let described = describe(&deployment, &log);
        assert_eq!(described.contract, "ComputeExecutionCondition");
        assert_eq!(described.name, "Fulfilled");
    }
    let upgraded = log(
        deployment.contracts.ocean_token,
        vec![Proxy::Upgraded::SIGNATURE_HASH, narrow],
        vec![],
    );
    assert_eq!(
        decode(&deployment, &upgraded).unwrap(),
        Some(KeeperEvent::Upgraded {
            proxy: deployment.contracts.ocean_token,
            implementation: Address::repeat_byte(3)
        })
    );
    assert_eq!(describe(&deployment, &upgraded).name, "Upgraded");
    assert_eq!(
        decode(&deployment, &log(compute, vec![], vec![1])),
        Ok(None)
    );
}

/// Every signature of every ABI file, and one that is in none.
fn signatures() -> Vec<B256> {
    let events = [
        abi::AgreementStoreManager::abi::events(),
        abi::ComputeExecutionCondition::abi::events(),
        abi::ConditionStoreManager::abi::events(),
        abi::DIDRegistry::abi::events(),
        abi::EscrowComputeExecutionTemplate::abi::events(),
        abi::EscrowReward::abi::events(),
        abi::OceanToken::abi::events(),
        abi::TemplateStoreManager::abi::events(),
        abi::Proxy::abi::events(),
    ];
    let known = events
        .into_iter()
        .flat_map(|named| named.into_values().flatten());
    known
        .map(|event| event.selector())
        .chain([B256::repeat_byte(0xab)])
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    /// Any bytes at all, shaped a little like ABI words so that offsets and lengths get interesting.
    #[test]
    fn no_bytes_make_the_decoder_panic(
        contract in 0..Contract::ALL.len(),
        signature in prop::sample::select(signatures()),
        topics in prop::collection::vec(any::<[u8; 32]>(), 0..5),
        words in prop::collection::vec(
            prop_oneof![
                any::<[u8; 32]>(),
                (0u64..300).prop_map(|number| U256::from(number).to_be_bytes()),
                any::<u64>().prop_map(|number| U256::from(number).to_be_bytes()),
            ],
            0..12,
        ),
        cut in 0usize..32,
    ) {
        let deployment = somewhere();
        let address = deployment.contracts.address(Contract::ALL[contract]).unwrap();
        let topics = std::iter::once(signature).chain(topics.into_iter().map(B256::from)).take(4).collect();
        let mut data = words.concat();
        data.truncate(data.len().saturating_sub(cut));
        let log = log(address, topics, data);
        let decoded = decode(&deployment, &log);
        let described = describe(&deployment, &log);
        // Nothing that a database refuses may come out, and what decodes is always described by its arguments.
        prop_assert!(!described.arguments.to_string().contains("\\u0000"));
        if let Ok(Some(_)) = decoded {
            prop_assert!(described.arguments.get("topics").is_none(), "{described:?}");
        }
    }
}
