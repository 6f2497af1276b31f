//! Which agreements a new deployment accepts: 0.12.7 those of a template contract, 0.13.2 those that name a template's id.

use alloy::primitives::{Address, B256, keccak256};
use alloy::sol_types::SolCall;

use crate::keeper::abi::{LegacyTemplateStoreManager, TemplateStoreManager};
use crate::keeper::account::Call;
use crate::keeper::deployment::Contracts;
use crate::keeper::purchase;

/// Name of the compute template that a deployment of 0.13.2 approves; its id is the name's keccak256, as the contract derives it.
pub const TEMPLATE: &str = "EscrowComputeExecutionTemplate";

/// Id of the template that a deployment of 0.13.2 approves.
pub fn template_id() -> B256 {
    keccak256(TEMPLATE)
}

/// Proposes a template contract to 0.12.7's store and approves it; the store's owner sends both.
pub fn approve_template_contract(at: &Contracts, template: Address) -> [Call; 2] {
    let store = at.template_store_manager;
    let proposal = LegacyTemplateStoreManager::proposeTemplateCall { _id: template };
    let approval = LegacyTemplateStoreManager::approveTemplateCall { _id: template };
    [
        Call::to(
            store,
            proposal.abi_encode(),
            format!("propose the template contract {template}"),
        ),
        Call::to(
            store,
            approval.abi_encode(),
            format!("approve the template contract {template}"),
        ),
    ]
}

/// Registers the actors of 0.13.2's agreements, and proposes and approves the compute template.
pub(super) fn approve_template_id(at: &Contracts) -> Vec<Call> {
    let store = at.template_store_manager;
    let actor = |name: &str| {
        let data = TemplateStoreManager::registerTemplateActorTypeCall {
            _actorType: name.to_owned(),
        };
        Call::to(
            store,
            data.abi_encode(),
            format!("register the actor type {name}"),
        )
    };
    let condition_types = vec![
        at.compute_execution_condition,
        at.lock_reward_condition,
        at.escrow_reward,
    ];
    vec![
        actor("consumer"),
        actor("provider"),
        purchase::propose_template(at, template_id(), condition_types, TEMPLATE),
        purchase::approve_template(at, template_id()),
    ]
}
