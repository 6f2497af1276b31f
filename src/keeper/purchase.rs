//! The transactions of a purchase as data, for the demo and for tests: the consumer's, the provider's and the owner's side.
//!
//! Every field of a [`Purchase`] can be overridden, since the contracts accept what no honest party would send.

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::sol_types::{SolCall, SolValue};

use super::abi::{
    AgreementStoreManager, ComputeExecutionCondition, DIDRegistry, Dispenser,
    EscrowComputeExecutionTemplate, EscrowReward, LockRewardCondition, OceanToken,
    TemplateStoreManager,
};
use super::account::Call;
use super::condition_ids::{EscrowTerms, compute_id, escrow_id, lock_id};
use super::deployment::{Contracts, Deployment};
use crate::ids::{AgreementId, ConditionId, Did};

/// A purchase of one compute job, made by a template contract or directly under a template id (0.13.2).
///
/// [`Purchase::new`] gives an honest one. Arrays are in the template's order: compute, lock, escrow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purchase {
    /// The contracts it is made with.
    pub contracts: Contracts,
    /// The template contract that makes it; `None`: it is made directly.
    pub template_contract: Option<Address>,
    /// The template id that a directly made one names.
    pub template: B256,
    /// The agreement's id, free and unique.
    pub agreement: AgreementId,
    /// The asset that the agreement names.
    pub did: Did,
    /// The asset that the compute condition names; honestly the same.
    pub condition_did: Did,
    /// Who gets the job.
    pub consumer: Address,
    /// In the token's smallest unit.
    pub amount: U256,
    /// Where the payment goes; honestly the escrow.
    pub reward_address: Address,
    /// Whom the escrow pays.
    pub receiver: Address,
    /// Whom the escrow refunds; honestly the consumer.
    pub sender: Address,
    /// Blocks before each condition may be fulfilled.
    pub time_locks: [u64; 3],
    /// Blocks after which each may no longer be; 0 never ends.
    pub time_outs: [u64; 3],
    /// Consumer and provider as a directly made agreement lists them.
    pub actors: Vec<Address>,
    /// Ids to create instead of the right ones, at most three.
    pub foreign_conditions: Option<Vec<ConditionId>>,
}

/// What an honest purchase is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// The agreement's id.
    pub agreement: AgreementId,
    /// The asset.
    pub did: Did,
    /// Who buys.
    pub consumer: Address,
    /// Who sells and is paid.
    pub provider: Address,
    /// In the token's smallest unit.
    pub amount: U256,
}

impl Purchase {
    /// An honest purchase, made directly under the deployment's first template id, or by its template contract where it has no
    /// template id. Its compute condition can be fulfilled for 1000 blocks, so that an unanswered one can be refunded; the other
    /// two never end.
    pub fn new(deployment: &Deployment, order: Order) -> Self {
        let by_contract = deployment.template_ids.is_empty();
        let template_contract = deployment.contracts.escrow_compute_execution_template;
        Self {
            contracts: deployment.contracts.clone(),
            template_contract: template_contract.filter(|_| by_contract),
            template: deployment.template_ids.first().copied().unwrap_or_default(),
            agreement: order.agreement,
            did: order.did,
            condition_did: order.did,
            consumer: order.consumer,
            amount: order.amount,
            reward_address: deployment.contracts.escrow_reward,
            receiver: order.provider,
            sender: order.consumer,
            time_locks: [0; 3],
            time_outs: [1000, 0, 0],
            actors: vec![order.consumer, order.provider],
            foreign_conditions: None,
        }
    }

    /// Id of the lock condition that these fields make.
    pub fn lock_id(&self) -> ConditionId {
        lock_id(
            &self.contracts,
            self.agreement,
            self.reward_address,
            self.amount,
        )
    }

    /// Id of the compute condition that these fields make.
    pub fn compute_id(&self) -> ConditionId {
        compute_id(
            &self.contracts,
            self.agreement,
            self.condition_did,
            self.consumer,
        )
    }

    /// Id of the escrow condition that these fields make.
    pub fn escrow_id(&self) -> ConditionId {
        let terms = EscrowTerms {
            amount: self.amount,
            receiver: self.receiver,
            sender: self.sender,
            lock: self.lock_id(),
            release: self.compute_id(),
        };
        escrow_id(&self.contracts, self.agreement, &terms)
    }

    /// The ids that the agreement is created with.
    pub fn condition_ids(&self) -> Vec<ConditionId> {
        self.foreign_conditions
            .clone()
            .unwrap_or_else(|| vec![self.compute_id(), self.lock_id(), self.escrow_id()])
    }

    /// Creates the agreement; anybody may.
    pub fn create(&self) -> Call {
        let ids: Vec<B256> = self.condition_ids().iter().map(|id| id.0).collect();
        let of_each = |blocks: &[u64; 3]| -> Vec<U256> {
            let blocks = blocks.iter().copied().map(U256::from);
            blocks.take(ids.len()).collect()
        };
        let (time_locks, time_outs) = (of_each(&self.time_locks), of_each(&self.time_outs));
        if let Some(template) = self.template_contract {
            let data = EscrowComputeExecutionTemplate::createAgreementCall {
                _id: self.agreement.0,
                _did: self.did.0,
                _conditionIds: ids,
                _timeLocks: time_locks,
                _timeOuts: time_outs,
                _accessConsumer: self.consumer,
            };
            return self.call(template, &data, "create");
        }
        let data = AgreementStoreManager::createAgreementCall {
            _id: self.agreement.0,
            _did: self.did.0,
            _templateId: self.template,
            _conditionIds: ids,
            _timeLocks: time_locks,
            _timeOuts: time_outs,
            _actors: self.actors.clone(),
        };
        self.call(self.contracts.agreement_store_manager, &data, "create")
    }

    /// Lets the lock condition take the amount; sent by whoever pays.
    pub fn approve(&self) -> Call {
        let data = OceanToken::approveCall {
            spender: self.contracts.lock_reward_condition,
            value: self.amount,
        };
        self.call(self.contracts.ocean_token, &data, "approve the payment of")
    }

    /// Pays; anybody with tokens and an approval may.
    pub fn lock(&self) -> Call {
        let data = LockRewardCondition::fulfillCall {
            _agreementId: self.agreement.0,
            _rewardAddress: self.reward_address,
            _amount: self.amount,
        };
        self.call(self.contracts.lock_reward_condition, &data, "pay")
    }

    /// Says that the job may run; only the owner or a provider of `condition_did` may.
    pub fn fulfil(&self) -> Call {
        let data = ComputeExecutionCondition::fulfillCall {
            _agreementId: self.agreement.0,
            _did: self.condition_did.0,
            _computeConsumer: self.consumer,
        };
        self.call(
            self.contracts.compute_execution_condition,
            &data,
            "answer with compute",
        )
    }

    /// Pays the receiver, or refunds the sender if the compute condition was aborted; anybody may.
    pub fn release(&self) -> Call {
        let data = EscrowReward::fulfillCall {
            _agreementId: self.agreement.0,
            _amount: self.amount,
            _receiver: self.receiver,
            _sender: self.sender,
            _lockCondition: self.lock_id().0,
            _releaseCondition: self.compute_id().0,
        };
        self.call(self.contracts.escrow_reward, &data, "release the escrow of")
    }

    /// Aborts the compute condition once its window is over; anybody may.
    pub fn abort_compute(&self) -> Call {
        let data = ComputeExecutionCondition::abortByTimeOutCall {
            _id: self.compute_id().0,
        };
        self.call(
            self.contracts.compute_execution_condition,
            &data,
            "abort the compute condition of",
        )
    }

    /// Aborts the lock condition once its window is over; anybody may.
    pub fn abort_lock(&self) -> Call {
        let data = LockRewardCondition::abortByTimeOutCall {
            _id: self.lock_id().0,
        };
        self.call(
            self.contracts.lock_reward_condition,
            &data,
            "abort the lock condition of",
        )
    }

    fn call(&self, contract: Address, data: &impl SolCall, verb: &str) -> Call {
        let what = format!("{verb} agreement {}", self.agreement);
        Call::to(contract, data.abi_encode(), what)
    }
}

/// Registers an asset, or a consumer's workflow document under its agreement's id. The first to do so owns it; the value, a URL or
/// a document of at most 2048 bytes, need not be UTF-8 for the contract.
pub fn register_did(
    contracts: &Contracts,
    did: Did,
    checksum: B256,
    providers: &[Address],
    value: &[u8],
) -> Call {
    // The generated call takes a Rust string; bytes have the same encoding and can be anything.
    let arguments = (
        did.0,
        checksum,
        providers.to_vec(),
        Bytes::copy_from_slice(value),
    );
    let mut data = DIDRegistry::registerAttributeCall::SELECTOR.to_vec();
    data.extend(arguments.abi_encode_params());
    Call::to(contracts.did_registry, data, format!("register {did}"))
}

/// Makes an account a provider of an asset; only its owner may.
pub fn add_did_provider(contracts: &Contracts, did: Did, provider: Address) -> Call {
    let data = DIDRegistry::addDIDProviderCall {
        _did: did.0,
        _provider: provider,
    };
    let what = format!("make {provider} a provider of {did}");
    Call::to(contracts.did_registry, data.abi_encode(), what)
}

/// Takes an account from an asset's providers; only its owner may.
pub fn remove_did_provider(contracts: &Contracts, did: Did, provider: Address) -> Call {
    let data = DIDRegistry::removeDIDProviderCall {
        _did: did.0,
        _provider: provider,
    };
    let what = format!("remove the provider {provider} of {did}");
    Call::to(contracts.did_registry, data.abi_encode(), what)
}

/// Gives an asset to another owner; only its owner may.
pub fn transfer_did(contracts: &Contracts, did: Did, new_owner: Address) -> Call {
    let data = DIDRegistry::transferDIDOwnershipCall {
        _did: did.0,
        _newOwner: new_owner,
    };
    let what = format!("give {did} to {new_owner}");
    Call::to(contracts.did_registry, data.abi_encode(), what)
}

/// Lets an account read what belongs to a DID; only its owner may. A consumer who registered the agreement's id names so who else
/// may read the logs and results of the agreement's job.
pub fn grant_permission(contracts: &Contracts, did: Did, grantee: Address) -> Call {
    let data = DIDRegistry::grantPermissionCall {
        _did: did.0,
        _grantee: grantee,
    };
    let what = format!("let {grantee} read what belongs to {did}");
    Call::to(contracts.did_registry, data.abi_encode(), what)
}

/// Takes such a permission back; only the DID's owner may.
pub fn revoke_permission(contracts: &Contracts, did: Did, grantee: Address) -> Call {
    let data = DIDRegistry::revokePermissionCall {
        _did: did.0,
        _grantee: grantee,
    };
    let what = format!("let {grantee} no longer read what belongs to {did}");
    Call::to(contracts.did_registry, data.abi_encode(), what)
}

/// Makes tokens for an account; only a minter may (whoever deployed the contracts is one).
pub fn mint(contracts: &Contracts, account: Address, amount: U256) -> Call {
    let data = OceanToken::mintCall {
        to: account,
        value: amount,
    };
    let what = format!("mint {amount} for {account}");
    Call::to(contracts.ocean_token, data.abi_encode(), what)
}

/// Takes tokens from a development chain's faucet for whoever sends it. It refuses what exceeds its limit (`Exceeded
/// maxMintAmount`).
pub fn dispense(dispenser: Address, amount: U256) -> Call {
    let data = Dispenser::requestTokensCall { amount };
    Call::to(
        dispenser,
        data.abi_encode(),
        format!("take {amount} from the faucet"),
    )
}

/// Proposes a template: its id, the contracts of its conditions in order, and its name. Anybody may.
pub fn propose_template(
    contracts: &Contracts,
    template: B256,
    condition_types: Vec<Address>,
    name: &str,
) -> Call {
    let data = TemplateStoreManager::proposeTemplateCall {
        _id: template,
        _conditionTypes: condition_types,
        _actorTypeIds: ["consumer", "provider"]
            .map(alloy::primitives::keccak256)
            .to_vec(),
        name: name.to_owned(),
    };
    let what = format!("propose the template {name}");
    Call::to(contracts.template_store_manager, data.abi_encode(), what)
}

/// Revokes an approved template; only its proposer or the store's owner may. Agreements that were made under it stay.
pub fn revoke_template(contracts: &Contracts, template: B256) -> Call {
    let data = TemplateStoreManager::revokeTemplateCall { _id: template };
    let what = format!("revoke the template {template}");
    Call::to(contracts.template_store_manager, data.abi_encode(), what)
}

/// Approves a proposed template; only the store's owner may.
pub fn approve_template(contracts: &Contracts, template: B256) -> Call {
    let data = TemplateStoreManager::approveTemplateCall { _id: template };
    let what = format!("approve the template {template}");
    Call::to(contracts.template_store_manager, data.abi_encode(), what)
}
