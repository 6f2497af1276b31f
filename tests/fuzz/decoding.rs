//! Any topics and data at any of the followed addresses: decoding and description answer, and never panic.
#![no_main]

use std::sync::LazyLock;

use alloy::primitives::{Address, B256};
use libfuzzer_sys::fuzz_target;
use tidewatch::chain::RawLog;
use tidewatch::ids::BlockRef;
use tidewatch::keeper::{Contract, Deployment, decode, describe};

static DEPLOYMENT: LazyLock<Deployment> = LazyLock::new(|| {
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
});

// The first byte chooses the contract, the second the number of topics; topics follow, and the rest is data.
fuzz_target!(|bytes: &[u8]| {
    let [contract, count, rest @ ..] = bytes else {
        return;
    };
    let contract = Contract::ALL[usize::from(*contract) % Contract::ALL.len()];
    let topics: Vec<B256> = rest
        .chunks_exact(32)
        .take(usize::from(*count) % 5)
        .map(B256::from_slice)
        .collect();
    let log = RawLog {
        block: BlockRef {
            number: 7,
            hash: B256::repeat_byte(7),
        },
        transaction_hash: B256::repeat_byte(8),
        transaction_index: 0,
        log_index: 3,
        address: DEPLOYMENT.contracts.address(contract).unwrap(),
        data: rest[topics.len() * 32..].to_vec().into(),
        topics,
    };
    let decoded = decode(&DEPLOYMENT, &log);
    let described = describe(&DEPLOYMENT, &log);
    assert!(
        !described.arguments.to_string().contains("\\u0000"),
        "no database takes NUL as text: {described:?}"
    );
    if let Ok(Some(event)) = decoded {
        drop(event.subjects());
    }
});
