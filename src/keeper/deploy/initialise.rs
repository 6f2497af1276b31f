//! What each contract is told once after its creation, whether it stands behind a proxy or not.

use alloy::primitives::Address;
use alloy::sol_types::SolCall;

use crate::keeper::abi::{
    AgreementStoreManager, ComputeExecutionCondition, ConditionStoreManager, DIDRegistry,
    Dispenser, EscrowComputeExecutionTemplate, EscrowReward, LockRewardCondition, OceanToken,
    TemplateStoreManager,
};
use crate::keeper::account::Call;
use crate::keeper::deployment::Contracts;

/// The calls of the contracts' owner, in an order in which each finds what it needs.
pub(super) fn initialise(owner: Address, at: &Contracts, dispenser: Address) -> Vec<Call> {
    let mut calls = initialise_registries(owner, at, dispenser);
    calls.extend(initialise_stores(owner, at));
    calls.extend(initialise_conditions(owner, at));
    calls.extend(initialise_template(owner, at));
    calls
}

fn initialising(name: &str, contract: Address, data: &impl SolCall) -> Call {
    Call::to(contract, data.abi_encode(), format!("initialise {name}"))
}

fn initialise_registries(owner: Address, at: &Contracts, dispenser: Address) -> Vec<Call> {
    vec![
        initialising(
            "DIDRegistry",
            at.did_registry,
            &DIDRegistry::initializeCall { _owner: owner },
        ),
        // The owner becomes a minter too, and the token refuses the same account twice: so the faucet is the initial minter.
        initialising(
            "OceanToken",
            at.ocean_token,
            &OceanToken::initializeCall {
                _owner: owner,
                _initialMinter: dispenser,
            },
        ),
        initialising(
            "Dispenser",
            dispenser,
            &Dispenser::initializeCall {
                _oceanTokenAddress: at.ocean_token,
                _owner: owner,
            },
        ),
    ]
}

fn initialise_stores(owner: Address, at: &Contracts) -> Vec<Call> {
    let conditions = at.condition_store_manager;
    let delegate = ConditionStoreManager::delegateCreateRoleCall {
        delegatee: at.agreement_store_manager,
    };
    vec![
        initialising(
            "TemplateStoreManager",
            at.template_store_manager,
            &TemplateStoreManager::initializeCall { _owner: owner },
        ),
        initialising(
            "ConditionStoreManager",
            conditions,
            &ConditionStoreManager::initializeCall { _owner: owner },
        ),
        Call::to(
            conditions,
            delegate.abi_encode(),
            "let AgreementStoreManager create conditions",
        ),
        initialising(
            "AgreementStoreManager",
            at.agreement_store_manager,
            &AgreementStoreManager::initializeCall {
                _owner: owner,
                _conditionStoreManagerAddress: conditions,
                _templateStoreManagerAddress: at.template_store_manager,
                _didRegistryAddress: at.did_registry,
            },
        ),
    ]
}

fn initialise_conditions(owner: Address, at: &Contracts) -> Vec<Call> {
    let conditions = at.condition_store_manager;
    vec![
        initialising(
            "LockRewardCondition",
            at.lock_reward_condition,
            &LockRewardCondition::initializeCall {
                _owner: owner,
                _conditionStoreManagerAddress: conditions,
                _tokenAddress: at.ocean_token,
            },
        ),
        initialising(
            "EscrowReward",
            at.escrow_reward,
            &EscrowReward::initializeCall {
                _owner: owner,
                _conditionStoreManagerAddress: conditions,
                _tokenAddress: at.ocean_token,
            },
        ),
        initialising(
            "ComputeExecutionCondition",
            at.compute_execution_condition,
            &ComputeExecutionCondition::initializeCall {
                _owner: owner,
                _conditionStoreManagerAddress: conditions,
                _agreementStoreManagerAddress: at.agreement_store_manager,
            },
        ),
    ]
}

/// The template contract is initialised last, since its conditions' contracts must be there; its order is compute, lock, escrow.
fn initialise_template(owner: Address, at: &Contracts) -> Option<Call> {
    let template = at.escrow_compute_execution_template?;
    let data = EscrowComputeExecutionTemplate::initializeCall {
        _owner: owner,
        _agreementStoreManagerAddress: at.agreement_store_manager,
        _didRegistryAddress: at.did_registry,
        _computeExecutionConditionAddress: at.compute_execution_condition,
        _lockRewardConditionAddress: at.lock_reward_condition,
        _escrowRewardAddress: at.escrow_reward,
    };
    Some(initialising(
        "EscrowComputeExecutionTemplate",
        template,
        &data,
    ))
}
