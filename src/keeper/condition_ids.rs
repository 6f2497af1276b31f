//! Recomputes condition ids. The chain accepts any 32 bytes as an id; only an id that comes out of these functions says what
//! its condition is about. Each is keccak256 of Solidity's `abi.encodePacked`, as the contracts' `generateId` and `hashValues`
//! compute it.

use alloy::primitives::{Address, B256, U256, keccak256};
use alloy::sol_types::SolValue;

use super::deployment::Contracts;
use crate::ids::{AgreementId, ConditionId, Did};

/// The condition that `amount` (in the token's smallest unit) is paid to `reward_address`, honestly the escrow.
pub fn lock_id(
    contracts: &Contracts,
    agreement: AgreementId,
    reward_address: Address,
    amount: U256,
) -> ConditionId {
    let values = keccak256((reward_address, amount).abi_encode_packed());
    condition_id(agreement, contracts.lock_reward_condition, values)
}

/// The condition that the provider runs a job on `did` for `consumer`.
pub fn compute_id(
    contracts: &Contracts,
    agreement: AgreementId,
    did: Did,
    consumer: Address,
) -> ConditionId {
    let values = keccak256((did.0, consumer).abi_encode_packed());
    condition_id(agreement, contracts.compute_execution_condition, values)
}

/// What an escrow does with the money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EscrowTerms {
    /// In the token's smallest unit.
    pub amount: U256,
    /// Who is paid when the release condition is fulfilled.
    pub receiver: Address,
    /// Who is refunded when it is aborted.
    pub sender: Address,
    /// The condition by which the money came in.
    pub lock: ConditionId,
    /// The condition that decides where it goes; honestly the compute condition.
    pub release: ConditionId,
}

/// The condition that the escrow pays or refunds under `terms`.
pub fn escrow_id(
    contracts: &Contracts,
    agreement: AgreementId,
    terms: &EscrowTerms,
) -> ConditionId {
    let EscrowTerms {
        amount,
        receiver,
        sender,
        lock,
        release,
    } = *terms;
    let values = keccak256((amount, receiver, sender, lock.0, release.0).abi_encode_packed());
    condition_id(agreement, contracts.escrow_reward, values)
}

fn condition_id(agreement: AgreementId, condition: Address, values: B256) -> ConditionId {
    ConditionId(keccak256(
        (agreement.0, condition, values).abi_encode_packed(),
    ))
}
