//! What transactions leave in a block: events of the keeper's contracts, bytes that no honest contract would write, and the noise
//! of others.

use alloy::consensus::Eip658Value;
use alloy::primitives::{Address, B256, Log, LogData, U256};
use alloy::sol_types::SolEvent;
use tidewatch::keeper::abi::{
    AgreementStoreManager, ComputeExecutionCondition, ConditionStoreManager, DIDRegistry,
    EscrowComputeExecutionTemplate, EscrowReward, LockRewardCondition, OceanToken, Proxy,
};
use tidewatch::keeper::{Contract, Deployment};

use super::dice::Dice;

/// A transaction as its receipt shows it. The same one can be in blocks of several forks.
#[derive(Clone, Debug)]
pub(super) struct Transaction {
    pub(super) hash: B256,
    /// EIP-2718 type.
    pub(super) kind: u8,
    pub(super) outcome: Eip658Value,
    pub(super) gas: u64,
    pub(super) logs: Vec<Log>,
}

impl Transaction {
    /// Some transaction. `modern` chains have typed transactions and a status in their receipts.
    pub(super) fn thrown(dice: &mut Dice, deployment: &Deployment, modern: bool) -> Self {
        let count = dice.one_of(&[0, 0, 1, 1, 1, 2, 2, 3]);
        let logs = (0..count).map(|_| log(dice, deployment)).collect();
        Self {
            hash: dice.hash(),
            kind: if modern {
                dice.one_of(&[0, 1, 2, 2, 3, 4])
            } else {
                0
            },
            outcome: if modern {
                Eip658Value::success()
            } else {
                Eip658Value::PostState(dice.hash())
            },
            gas: dice.between(21_000..=300_000),
            logs,
        }
    }
}

fn log(dice: &mut Dice, deployment: &Deployment) -> Log {
    match dice.place(10) {
        0 => noise(dice, deployment),
        1 => malformed(dice, deployment),
        _ => event(dice, deployment),
    }
}

/// An event as the contracts make it, with content at its extremes now and then.
fn event(dice: &mut Dice, deployment: &Deployment) -> Log {
    let contracts = &deployment.contracts;
    let (agreement, id) = (dice.hash(), dice.hash());
    let somebody = dice.address();
    let amount = dice.one_of(&[U256::ZERO, U256::from(10), U256::MAX]);
    let of = |address: Address, data: LogData| Log { address, data };
    match dice.place(9) {
        0 | 1 => {
            let fulfilled = ComputeExecutionCondition::Fulfilled {
                _agreementId: agreement,
                _did: dice.hash(),
                _computeConsumer: somebody,
                _conditionId: id,
            };
            of(
                contracts.compute_execution_condition,
                fulfilled.encode_log_data(),
            )
        }
        2 => {
            let locked = LockRewardCondition::Fulfilled {
                _agreementId: agreement,
                _rewardAddress: contracts.escrow_reward,
                _conditionId: id,
                _amount: amount,
            };
            of(contracts.lock_reward_condition, locked.encode_log_data())
        }
        3 => {
            let released = EscrowReward::Fulfilled {
                _agreementId: agreement,
                _receiver: somebody,
                _conditionId: id,
                _amount: amount,
            };
            of(contracts.escrow_reward, released.encode_log_data())
        }
        4 => of(contracts.condition_store_manager, {
            ConditionStoreManager::ConditionCreated {
                _id: id,
                _typeRef: contracts.compute_execution_condition,
                _who: contracts.agreement_store_manager,
            }
            .encode_log_data()
        }),
        5 => of(contracts.condition_store_manager, {
            ConditionStoreManager::ConditionUpdated {
                _id: id,
                _typeRef: contracts.lock_reward_condition,
                _state: 2,
                _who: somebody,
            }
            .encode_log_data()
        }),
        6 => of(contracts.agreement_store_manager, {
            AgreementStoreManager::AgreementCreated {
                agreementId: agreement,
                did: id,
                createdBy: somebody,
                createdAt: amount,
            }
            .encode_log_data()
        }),
        7 => template_agreement(dice, deployment, agreement),
        _ => registration(dice, deployment),
    }
}

/// An agreement whose windows may never end.
fn template_agreement(dice: &mut Dice, deployment: &Deployment, agreement: B256) -> Log {
    let contracts = &deployment.contracts;
    let template = contracts.escrow_compute_execution_template;
    let created = EscrowComputeExecutionTemplate::AgreementCreated {
        _agreementId: agreement,
        _did: dice.hash(),
        _accessConsumer: dice.address(),
        _accessProvider: dice.address(),
        _timeLocks: vec![U256::ZERO, U256::MAX, U256::ZERO],
        _timeOuts: vec![U256::MAX; 3],
    };
    Log {
        address: template.unwrap_or(contracts.agreement_store_manager),
        data: created.encode_log_data(),
    }
}

/// A registration whose value may hold what no database takes as text.
fn registration(dice: &mut Dice, deployment: &Deployment) -> Log {
    let registered = DIDRegistry::DIDAttributeRegistered {
        _did: dice.hash(),
        _owner: dice.address(),
        _checksum: dice.hash(),
        _value: "https://aquarius.example/ddo".to_owned(),
        _lastUpdatedBy: dice.address(),
        _blockNumberUpdated: U256::from(7),
    };
    let mut data = registered.encode_log_data();
    let value = dice.one_of(&[&b"https"[..], b"a\0b\0c", b"\xff\xfe\xc0\x80h"]);
    let mut bytes = data.data.to_vec();
    // The string begins after its offset, the two other words, and its length.
    bytes[4 * 32..4 * 32 + value.len()].copy_from_slice(value);
    data.data = bytes.into();
    Log {
        address: deployment.contracts.did_registry,
        data,
    }
}

/// Bytes at an address of the keeper's that no honest contract writes, as a proxy may that was upgraded to other code.
fn malformed(dice: &mut Dice, deployment: &Deployment) -> Log {
    let known = [
        ComputeExecutionCondition::Fulfilled::SIGNATURE_HASH,
        LockRewardCondition::Fulfilled::SIGNATURE_HASH,
        EscrowComputeExecutionTemplate::AgreementCreated::SIGNATURE_HASH,
        DIDRegistry::DIDOwnershipTransferred::SIGNATURE_HASH,
        Proxy::Upgraded::SIGNATURE_HASH,
        dice.hash(),
    ];
    let contract = dice.one_of(&[
        Contract::ComputeExecutionCondition,
        Contract::LockRewardCondition,
        Contract::EscrowComputeExecutionTemplate,
        Contract::DIDRegistry,
        Contract::OceanToken,
    ]);
    let topics = match dice.place(5) {
        0 => Vec::new(),
        count => std::iter::once(dice.one_of(&known))
            .chain((1..count).map(|_| dice.hash()))
            .collect(),
    };
    let address = deployment.contracts.address(contract);
    Log::new_unchecked(address.unwrap_or_default(), topics, dice.bytes(100).into())
}

/// What a followed address is passed by, or what another contract writes with our topics: both leave bits in the bloom filter.
fn noise(dice: &mut Dice, deployment: &Deployment) -> Log {
    let stranger = Log::new_unchecked(
        dice.address(),
        vec![ComputeExecutionCondition::Fulfilled::SIGNATURE_HASH],
        dice.bytes(64).into(),
    );
    let transfer = OceanToken::Transfer {
        from: dice.address(),
        to: dice.address(),
        value: U256::from(1),
    };
    let transfer = Log {
        address: deployment.contracts.ocean_token,
        data: transfer.encode_log_data(),
    };
    if dice.percent(50) { stranger } else { transfer }
}
