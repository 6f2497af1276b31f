use alloy::primitives::{Address, B256, U256};

use crate::ids::{AgreementId, ConditionId, Did};

/// A decoded log of a followed keeper contract. Which contract it came from is part of the variant: two pairs of the keeper's
/// contracts share an event signature, so a signature alone decides nothing.
///
/// Strings in events may hold NUL or broken UTF-8; they are kept as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeeperEvent {
    /// `ComputeExecutionCondition.Fulfilled`: the provider says that the job may run. It proves neither payment nor state.
    ComputeFulfilled {
        /// The agreement named by the caller.
        agreement: AgreementId,
        /// The asset named by the caller.
        did: Did,
        /// The consumer named by the caller.
        consumer: Address,
        /// The condition's id as the contract computed it from the three.
        condition: ConditionId,
    },
    /// `LockRewardCondition.Fulfilled`: somebody paid.
    LockFulfilled {
        /// The agreement named by the payer.
        agreement: AgreementId,
        /// Who was paid; only the escrow counts.
        reward_address: Address,
        /// The condition's id as the contract computed it.
        condition: ConditionId,
        /// In the token's smallest unit.
        amount: U256,
    },
    /// `EscrowReward.Fulfilled`: the escrow was released, or refunded (then the receiver is the sender).
    EscrowFulfilled {
        /// The agreement named by the caller.
        agreement: AgreementId,
        /// Who was paid.
        receiver: Address,
        /// The condition's id as the contract computed it.
        condition: ConditionId,
        /// In the token's smallest unit.
        amount: U256,
    },
    /// `ConditionStoreManager.ConditionCreated`.
    ConditionCreated {
        /// The condition.
        condition: ConditionId,
        /// The contract that may fulfil it.
        type_ref: Address,
        /// Who created it (the agreement store).
        by: Address,
    },
    /// `ConditionStoreManager.ConditionUpdated`: the only event that carries the true state.
    ConditionUpdated {
        /// The condition.
        condition: ConditionId,
        /// The contract that may fulfil it.
        type_ref: Address,
        /// 1 unfulfilled, 2 fulfilled, 3 aborted; 2 and 3 are final.
        state: u8,
        /// Who updated it.
        by: Address,
    },
    /// `AgreementStoreManager.AgreementCreated` (0.13.2 only).
    AgreementCreated {
        /// The agreement.
        agreement: AgreementId,
        /// Its asset.
        did: Did,
        /// The template contract, or whoever created it directly.
        by: Address,
        /// Block number as the contract states it.
        created_at: U256,
    },
    /// `AgreementStoreManager.AgreementActorAdded` (0.13.2, directly created agreements only).
    AgreementActorAdded {
        /// The agreement.
        agreement: AgreementId,
        /// The actor.
        actor: Address,
        /// keccak256 of `consumer` or `provider`.
        actor_type: B256,
    },
    /// `EscrowComputeExecutionTemplate.AgreementCreated`: carries the windows.
    TemplateAgreementCreated {
        /// The agreement.
        agreement: AgreementId,
        /// Its asset.
        did: Did,
        /// The consumer.
        consumer: Address,
        /// The asset's owner.
        provider: Address,
        /// Blocks before a condition may be fulfilled, in the order compute, lock, escrow.
        time_locks: Vec<U256>,
        /// Blocks after which it no longer may; 0 never ends.
        time_outs: Vec<U256>,
    },
    /// `DIDRegistry.DIDAttributeRegistered`.
    DidRegistered {
        /// The asset.
        did: Did,
        /// Its owner.
        owner: Address,
        /// The registered checksum.
        checksum: B256,
        /// The registered value: a URL or a document.
        value: Vec<u8>,
        /// Who registered it.
        by: Address,
    },
    /// `DIDRegistry.DIDOwnershipTransferred`.
    DidOwnershipTransferred {
        /// The asset.
        did: Did,
        /// Who owned it.
        from: Address,
        /// Who owns it now.
        to: Address,
    },
    /// `DIDRegistry.DIDProviderAdded`.
    DidProviderAdded {
        /// The asset.
        did: Did,
        /// The new provider.
        provider: Address,
    },
    /// `DIDRegistry.DIDProviderRemoved`.
    DidProviderRemoved {
        /// The asset.
        did: Did,
        /// Who no longer is its provider.
        provider: Address,
    },
    /// `DIDRegistry.DIDPermissionGranted`.
    DidPermissionGranted {
        /// The asset, or the agreement whose id it is.
        did: Did,
        /// Its owner, who gave the permission.
        owner: Address,
        /// Who has it now.
        grantee: Address,
    },
    /// `DIDRegistry.DIDPermissionRevoked`.
    DidPermissionRevoked {
        /// The asset, or the agreement whose id it is.
        did: Did,
        /// Its owner, who took the permission back.
        owner: Address,
        /// Who no longer has it.
        grantee: Address,
    },
    /// `TemplateStoreManager.TemplateProposed` (0.13.2).
    TemplateProposed {
        /// keccak256 of the template's name.
        template: B256,
        /// The contracts of its conditions, in order.
        condition_types: Vec<Address>,
    },
    /// `TemplateStoreManager.TemplateApproved` (0.13.2).
    TemplateApproved {
        /// The template.
        template: B256,
    },
    /// `TemplateStoreManager.TemplateRevoked` (0.13.2).
    TemplateRevoked {
        /// The template.
        template: B256,
    },
    /// A proxy's implementation was replaced (EIP-1967 and its forerunners).
    Upgraded {
        /// The proxy.
        proxy: Address,
        /// What it runs from now on.
        implementation: Address,
    },
}

/// What an event is about: the keys under which the judge finds it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// An agreement.
    Agreement(AgreementId),
    /// A condition.
    Condition(ConditionId),
    /// An asset.
    Did(Did),
}

impl KeeperEvent {
    /// The subjects of the event, at most two.
    pub fn subjects(&self) -> Vec<Subject> {
        match self {
            Self::ComputeFulfilled {
                agreement,
                condition,
                ..
            }
            | Self::LockFulfilled {
                agreement,
                condition,
                ..
            }
            | Self::EscrowFulfilled {
                agreement,
                condition,
                ..
            } => {
                vec![
                    Subject::Agreement(*agreement),
                    Subject::Condition(*condition),
                ]
            }
            Self::ConditionCreated { condition, .. } | Self::ConditionUpdated { condition, .. } => {
                vec![Subject::Condition(*condition)]
            }
            Self::AgreementCreated { agreement, .. }
            | Self::AgreementActorAdded { agreement, .. }
            | Self::TemplateAgreementCreated { agreement, .. } => {
                vec![Subject::Agreement(*agreement)]
            }
            Self::DidRegistered { did, .. }
            | Self::DidOwnershipTransferred { did, .. }
            | Self::DidProviderAdded { did, .. }
            | Self::DidProviderRemoved { did, .. }
            | Self::DidPermissionGranted { did, .. }
            | Self::DidPermissionRevoked { did, .. } => vec![Subject::Did(*did)],
            Self::TemplateProposed { .. }
            | Self::TemplateApproved { .. }
            | Self::TemplateRevoked { .. }
            | Self::Upgraded { .. } => Vec::new(),
        }
    }
}
