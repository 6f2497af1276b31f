use alloy::hex;
use alloy::primitives::{Address, B256, U256, keccak256};
use alloy::sol_types::{SolCall, SolEvent};
use serde_json::Value;
use tidewatch::ids::{ConditionId, Did};
use tidewatch::keeper::abi::{
    ComputeExecutionCondition, ConditionStoreManager, EscrowComputeExecutionTemplate,
    LegacyTemplateStoreManager,
};
use tidewatch::keeper::{
    Account, Call, KeeperVersion, Purchase, approve_template_contract, purchase,
};

use super::{Deal, PLENTY};
use crate::admission::place::Place;
use crate::support::bytecode::{batch, create_announcer, create_batcher, create_timeless};
use crate::support::keeper::{Chain, artifacts_of};

/// People and contracts beside the genuine ones.
#[derive(Clone)]
pub(in crate::admission) struct Cast {
    pub(in crate::admission) consumer: Address,
    pub(in crate::admission) stranger: Address,
    /// An asset that the stranger owns.
    pub(in crate::admission) strangers_asset: Did,
    /// Makes several calls in one transaction; a provider of every asset.
    pub(in crate::admission) batcher: Address,
    /// Emits whatever it is told.
    pub(in crate::admission) announcer: Address,
    /// The same conditions as the template, approved on chain, and not in the deployment file.
    pub(in crate::admission) twin: Template,
    /// Proposed, and not approved.
    pub(in crate::admission) unapproved: Template,
    /// Compute and lock only, approved and in the deployment file.
    pub(in crate::admission) short: Template,
    /// A second one in the deployment file.
    pub(in crate::admission) revocable: Template,
    timeless: Address,
}

/// What an agreement is made under.
#[derive(Clone, Copy)]
pub(in crate::admission) enum Template {
    Contract(Address),
    Id(B256),
}

impl Template {
    pub(in crate::admission) const fn put(self, purchase: &mut Purchase) {
        match self {
            Self::Contract(contract) => purchase.template_contract = Some(contract),
            Self::Id(template) => purchase.template = template,
        }
    }
}

impl Cast {
    pub(super) async fn gather(chain: &Chain, place: Place) -> Self {
        let asset = Did(chain.fresh());
        chain.register(&chain.stranger, asset, b"mine").await;
        let template = |name: &str| Template::Id(keccak256(name));
        let (twin, unapproved) = if place.is_direct() {
            (template("twin"), template("unapproved"))
        } else {
            (
                twin_contract(chain, true).await,
                twin_contract(chain, false).await,
            )
        };
        Self {
            consumer: chain.consumer.address(),
            stranger: chain.stranger.address(),
            strangers_asset: asset,
            batcher: create(&chain.stranger, create_batcher()).await,
            announcer: create(&chain.stranger, create_announcer()).await,
            timeless: create(&chain.stranger, create_timeless()).await,
            twin,
            unapproved,
            short: template("short"),
            revocable: template("revocable"),
        }
    }

    /// Templates beside the deployment's own, as 0.13.2 has them.
    pub(super) async fn register_templates(&mut self, chain: &mut Chain) {
        let contracts = chain.deployment.contracts.clone();
        let types = [
            contracts.compute_execution_condition,
            contracts.lock_reward_condition,
            contracts.escrow_reward,
        ];
        for (name, conditions, approved, named) in [
            ("twin", 3, true, false),
            ("unapproved", 3, false, false),
            ("short", 2, true, true),
            ("revocable", 3, true, true),
        ] {
            let (template, types) = (keccak256(name), types[..conditions].to_vec());
            let proposed = purchase::propose_template(&contracts, template, types, name);
            chain.stranger.send(proposed).await.unwrap();
            if approved {
                let approved = purchase::approve_template(&contracts, template);
                chain.owner.send(approved).await.unwrap();
            }
            if named {
                chain.deployment.template_ids.push(template);
            }
        }
    }

    /// Tokens and approvals for everybody who ever pays.
    pub(super) async fn give_tokens(&self, chain: &Chain) {
        let contracts = &chain.deployment.contracts;
        let any = Purchase {
            amount: U256::MAX,
            ..chain.order(self.strangers_asset)
        };
        for account in [self.consumer, self.stranger, self.batcher] {
            let minted = purchase::mint(contracts, account, PLENTY);
            chain.owner.send(minted).await.unwrap();
        }
        chain.consumer.send(any.approve()).await.unwrap();
        chain.stranger.send(any.approve()).await.unwrap();
        let by_batcher = Call::to(self.batcher, batch(&[any.approve()]), "approve");
        chain.stranger.send(by_batcher).await.unwrap();
    }

    /// Lets the stranger set a condition's state; only the store's owner may.
    pub(in crate::admission) fn delegate(&self, deal: &Deal, condition: ConditionId) -> Call {
        let data = ConditionStoreManager::delegateUpdateRoleCall {
            _id: condition.0,
            delegatee: self.stranger,
        };
        let store = deal.purchase.contracts.condition_store_manager;
        Call::to(store, data.abi_encode(), "delegate a condition")
    }

    /// Sets a condition's state, as its delegate.
    pub(in crate::admission) fn set_state(deal: &Deal, condition: ConditionId, state: u8) -> Call {
        let data = ConditionStoreManager::updateConditionStateCall {
            _id: condition.0,
            _newState: state,
        };
        let store = deal.purchase.contracts.condition_store_manager;
        Call::to(store, data.abi_encode(), "set a condition's state")
    }

    /// Says at an address that runs the announcing code what the compute condition says when it is fulfilled.
    pub(in crate::admission) fn announce(
        &self,
        at: Address,
        deal: &Deal,
        condition: ConditionId,
    ) -> Call {
        let purchase = &deal.purchase;
        let words = [
            ComputeExecutionCondition::Fulfilled::SIGNATURE_HASH,
            purchase.agreement.0,
            purchase.did.0,
            self.consumer.into_word(),
            condition.0,
        ];
        Call::to(at, words.concat(), "announce a fulfilled condition")
    }

    /// The same at the compute condition's address, without the word that names the condition.
    pub(in crate::admission) fn mumble(&self, deal: &Deal) -> Call {
        let genuine = deal.purchase.contracts.compute_execution_condition;
        let mut call = self.announce(genuine, deal, deal.purchase.compute_id());
        call.data.truncate(4 * 32);
        call
    }

    /// Revokes the template contract, as 0.12.7's store does it; its owner may.
    pub(in crate::admission) fn revoke_template_contract(&self, deal: &Deal) -> Call {
        let contracts = &deal.purchase.contracts;
        let template = contracts.escrow_compute_execution_template.unwrap();
        let data = LegacyTemplateStoreManager::revokeTemplateCall { _id: template };
        let store = contracts.template_store_manager;
        Call::to(store, data.abi_encode(), "revoke the template contract")
    }

    /// Creates a condition store of the chain's version whose library has no sense of time.
    pub(super) async fn timeless_store(&self, chain: &Chain) -> Address {
        let version = chain.deployment.keeper_version;
        let library = format!("{:_<40}", "__EpochLibrary");
        let code = code_of("ConditionStoreManager", version).await;
        let code = code.replace(&library, &hex::encode(self.timeless));
        let call = Call::create(hex::decode(code).unwrap(), "create a timeless store");
        create(&chain.stranger, call).await
    }
}

/// Another template contract of the same code.
async fn twin_contract(chain: &Chain, approved: bool) -> Template {
    let code = code_of("EscrowComputeExecutionTemplate", KeeperVersion::V0_12_7).await;
    let call = Call::create(hex::decode(code).unwrap(), "create a template contract");
    let twin = create(&chain.stranger, call).await;
    let contracts = &chain.deployment.contracts;
    let data = EscrowComputeExecutionTemplate::initializeCall {
        _owner: chain.stranger.address(),
        _agreementStoreManagerAddress: contracts.agreement_store_manager,
        _didRegistryAddress: contracts.did_registry,
        _computeExecutionConditionAddress: contracts.compute_execution_condition,
        _lockRewardConditionAddress: contracts.lock_reward_condition,
        _escrowRewardAddress: contracts.escrow_reward,
    };
    let initialised = Call::to(twin, data.abi_encode(), "initialise a template contract");
    chain.stranger.send(initialised).await.unwrap();
    let [proposal, approval] = approve_template_contract(contracts, twin);
    chain.stranger.send(proposal).await.unwrap();
    if approved {
        chain.owner.send(approval).await.unwrap();
    }
    Template::Contract(twin)
}

async fn code_of(name: &str, version: KeeperVersion) -> String {
    let path = artifacts_of(version)
        .await
        .join(format!("{name}.development.json"));
    let artifact: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    artifact["bytecode"].as_str().unwrap().to_owned()
}

/// Sends a creation and answers the new contract's address, which follows from sender and nonce.
async fn create(account: &Account, call: Call) -> Address {
    let nonce = account.next_nonce().await.unwrap();
    account.send(call).await.unwrap();
    account.address().create(nonce)
}
