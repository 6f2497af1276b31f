use alloy::primitives::B256;
use alloy::sol_types::abi::{AbiDecoderConfig, decode_sequence_with_config};
use alloy::sol_types::{SolEvent, SolType, sol_data};

use super::abi::{
    AgreementStoreManager as Agreements, ComputeExecutionCondition as Compute,
    ConditionStoreManager as Conditions, DIDRegistry as Registry,
    EscrowComputeExecutionTemplate as Template, EscrowReward as Escrow,
    LockRewardCondition as Lock, Proxy, TemplateStoreManager as Templates,
};
use super::deployment::{Contract, Deployment};
use super::event::KeeperEvent;
use crate::chain::RawLog;

/// Version of what [`decode`] and [`describe`](super::describe()) answer; raised whenever either would answer an old log differently, so
/// that rows derived from it are made again.
pub const DECODER: i32 = 2;

/// Decodes a log of a followed contract by its address and first topic, never by the topic alone.
///
/// `Ok(None)` is a log that no rule reads: another event of a keeper contract (token transfers, changes of ownership), an
/// anonymous one, or a log of an address that is not of this deployment. Any bytes are safe to pass.
///
/// # Errors
/// [`Undecodable`] when address and signature are known and the rest is not what the contract's ABI says. The log is a fact all
/// the same: the caller keeps it and goes on.
pub fn decode(deployment: &Deployment, log: &RawLog) -> Result<Option<KeeperEvent>, Undecodable> {
    let (Some(contract), Some(signature)) = (
        deployment.contracts.at(log.address),
        log.topics.first().copied(),
    ) else {
        return Ok(None);
    };
    let reading = Reading {
        contract,
        signature,
        log,
    };
    // A proxy's own event can come from any of the addresses.
    if signature == Proxy::Upgraded::SIGNATURE_HASH {
        return reading.upgraded().map(Some);
    }
    match contract {
        Contract::ComputeExecutionCondition => reading.compute(),
        Contract::LockRewardCondition => reading.lock(),
        Contract::EscrowReward => reading.escrow(),
        Contract::ConditionStoreManager => reading.conditions(),
        Contract::AgreementStoreManager => reading.agreements(),
        Contract::EscrowComputeExecutionTemplate => reading.template(),
        Contract::DIDRegistry => reading.registry(),
        Contract::TemplateStoreManager => reading.templates(),
        Contract::OceanToken => Ok(None),
    }
}

/// A log whose signature is known and whose topics or data are not what that event has.
///
/// No honest contract makes one; a proxy that was upgraded to other code can.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("log {log_index} of block {block_number} is no {contract}.{event}: {detail}")]
pub struct Undecodable {
    /// The block.
    pub block_number: u64,
    /// The log's place in it.
    pub log_index: u64,
    /// The contract whose address the log has.
    pub contract: Contract,
    /// The event whose signature it has.
    pub event: &'static str,
    /// What does not fit.
    pub detail: String,
}

/// Refuses words that are wider than their type, instead of cutting them off.
const VALIDATING: AbiDecoderConfig = AbiDecoderConfig::new().validate(true);

type Decoded = Result<Option<KeeperEvent>, Undecodable>;

/// A log on its way to an event.
struct Reading<'a> {
    contract: Contract,
    signature: B256,
    log: &'a RawLog,
}

impl Reading<'_> {
    fn compute(&self) -> Decoded {
        if self.signature != Compute::Fulfilled::SIGNATURE_HASH {
            return Ok(None);
        }
        let event: Compute::Fulfilled = self.event()?;
        Ok(Some(KeeperEvent::ComputeFulfilled {
            agreement: event._agreementId.into(),
            did: event._did.into(),
            consumer: event._computeConsumer,
            condition: event._conditionId.into(),
        }))
    }

    fn lock(&self) -> Decoded {
        if self.signature != Lock::Fulfilled::SIGNATURE_HASH {
            return Ok(None);
        }
        let event: Lock::Fulfilled = self.event()?;
        Ok(Some(KeeperEvent::LockFulfilled {
            agreement: event._agreementId.into(),
            reward_address: event._rewardAddress,
            condition: event._conditionId.into(),
            amount: event._amount,
        }))
    }

    fn escrow(&self) -> Decoded {
        if self.signature != Escrow::Fulfilled::SIGNATURE_HASH {
            return Ok(None);
        }
        let event: Escrow::Fulfilled = self.event()?;
        Ok(Some(KeeperEvent::EscrowFulfilled {
            agreement: event._agreementId.into(),
            receiver: event._receiver,
            condition: event._conditionId.into(),
            amount: event._amount,
        }))
    }

    fn conditions(&self) -> Decoded {
        Ok(Some(match self.signature {
            Conditions::ConditionCreated::SIGNATURE_HASH => {
                let event: Conditions::ConditionCreated = self.event()?;
                KeeperEvent::ConditionCreated {
                    condition: event._id.into(),
                    type_ref: event._typeRef,
                    by: event._who,
                }
            }
            Conditions::ConditionUpdated::SIGNATURE_HASH => {
                let event: Conditions::ConditionUpdated = self.event()?;
                KeeperEvent::ConditionUpdated {
                    condition: event._id.into(),
                    type_ref: event._typeRef,
                    state: event._state,
                    by: event._who,
                }
            }
            _ => return Ok(None),
        }))
    }

    fn agreements(&self) -> Decoded {
        Ok(Some(match self.signature {
            Agreements::AgreementCreated::SIGNATURE_HASH => {
                let event: Agreements::AgreementCreated = self.event()?;
                KeeperEvent::AgreementCreated {
                    agreement: event.agreementId.into(),
                    did: event.did.into(),
                    by: event.createdBy,
                    created_at: event.createdAt,
                }
            }
            Agreements::AgreementActorAdded::SIGNATURE_HASH => {
                let event: Agreements::AgreementActorAdded = self.event()?;
                KeeperEvent::AgreementActorAdded {
                    agreement: event.agreementId.into(),
                    actor: event.actor,
                    actor_type: event.actorType,
                }
            }
            _ => return Ok(None),
        }))
    }

    fn template(&self) -> Decoded {
        if self.signature != Template::AgreementCreated::SIGNATURE_HASH {
            return Ok(None);
        }
        let event: Template::AgreementCreated = self.event()?;
        Ok(Some(KeeperEvent::TemplateAgreementCreated {
            agreement: event._agreementId.into(),
            did: event._did.into(),
            consumer: event._accessConsumer,
            provider: event._accessProvider,
            time_locks: event._timeLocks,
            time_outs: event._timeOuts,
        }))
    }

    fn registry(&self) -> Decoded {
        Ok(Some(match self.signature {
            Registry::DIDAttributeRegistered::SIGNATURE_HASH => return self.registered().map(Some),
            Registry::DIDOwnershipTransferred::SIGNATURE_HASH => {
                let event: Registry::DIDOwnershipTransferred = self.event()?;
                KeeperEvent::DidOwnershipTransferred {
                    did: event._did.into(),
                    from: event._previousOwner,
                    to: event._newOwner,
                }
            }
            Registry::DIDProviderAdded::SIGNATURE_HASH => {
                let event: Registry::DIDProviderAdded = self.event()?;
                KeeperEvent::DidProviderAdded {
                    did: event._did.into(),
                    provider: event._provider,
                }
            }
            Registry::DIDProviderRemoved::SIGNATURE_HASH => {
                let event: Registry::DIDProviderRemoved = self.event()?;
                KeeperEvent::DidProviderRemoved {
                    did: event._did.into(),
                    provider: event._provider,
                }
            }
            Registry::DIDPermissionGranted::SIGNATURE_HASH => {
                let event: Registry::DIDPermissionGranted = self.event()?;
                KeeperEvent::DidPermissionGranted {
                    did: event._did.into(),
                    owner: event._owner,
                    grantee: event._grantee,
                }
            }
            Registry::DIDPermissionRevoked::SIGNATURE_HASH => {
                let event: Registry::DIDPermissionRevoked = self.event()?;
                KeeperEvent::DidPermissionRevoked {
                    did: event._did.into(),
                    owner: event._owner,
                    grantee: event._grantee,
                }
            }
            _ => return Ok(None),
        }))
    }

    /// The generated decoding turns a string that is no UTF-8 into another string; so the bytes are taken from its tokens, one
    /// step before that.
    fn registered(&self) -> Result<KeeperEvent, Undecodable> {
        type Event = Registry::DIDAttributeRegistered;
        type Tokens<'a> = <Event as SolEvent>::DataToken<'a>;
        let wrong = |error| self.undecodable::<Event>(error);
        let (_, did, owner, checksum) =
            Event::decode_topics_with_config(self.log.topics.iter().copied(), VALIDATING)
                .map_err(wrong)?;
        let (value, by, _) =
            decode_sequence_with_config::<Tokens<'_>>(&self.log.data, VALIDATING).map_err(wrong)?;
        sol_data::Address::type_check(&by).map_err(wrong)?;
        Ok(KeeperEvent::DidRegistered {
            did: did.into(),
            owner,
            checksum,
            value: value.as_slice().to_vec(),
            by: sol_data::Address::detokenize(by),
        })
    }

    fn templates(&self) -> Decoded {
        Ok(Some(match self.signature {
            Templates::TemplateProposed::SIGNATURE_HASH => {
                let event: Templates::TemplateProposed = self.event()?;
                KeeperEvent::TemplateProposed {
                    template: event.Id,
                    condition_types: event.conditionTypes,
                }
            }
            Templates::TemplateApproved::SIGNATURE_HASH => {
                let event: Templates::TemplateApproved = self.event()?;
                KeeperEvent::TemplateApproved { template: event.Id }
            }
            Templates::TemplateRevoked::SIGNATURE_HASH => {
                let event: Templates::TemplateRevoked = self.event()?;
                KeeperEvent::TemplateRevoked { template: event.Id }
            }
            _ => return Ok(None),
        }))
    }

    fn upgraded(&self) -> Result<KeeperEvent, Undecodable> {
        let event: Proxy::Upgraded = self.event()?;
        Ok(KeeperEvent::Upgraded {
            proxy: self.log.address,
            implementation: event.implementation,
        })
    }

    fn event<E: SolEvent>(&self) -> Result<E, Undecodable> {
        E::decode_raw_log_with_config(self.log.topics.iter().copied(), &self.log.data, VALIDATING)
            .map_err(|error| self.undecodable::<E>(error))
    }

    fn undecodable<E: SolEvent>(&self, detail: alloy::sol_types::Error) -> Undecodable {
        Undecodable {
            block_number: self.log.block.number,
            log_index: self.log.log_index,
            contract: self.contract,
            event: E::SIGNATURE.split('(').next().unwrap_or(E::SIGNATURE),
            detail: detail.to_string(),
        }
    }
}
