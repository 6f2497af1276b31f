use std::collections::BTreeMap;

use alloy::primitives::{Address, B256};

use super::data_url::Value;
use super::document::Document;
use super::resolve::Resolution;
use crate::admission::{Position, Recorded};
use crate::ids::{AgreementId, Did};
use crate::keeper::KeeperEvent;

/// A value in the registry, with the event that set it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Registered<'a> {
    /// The DID.
    pub(super) did: Did,
    /// The registration.
    pub(super) log: i64,
    /// The registered bytes.
    pub(super) value: &'a [u8],
    /// The registered checksum; zero when its author had none.
    pub(super) checksum: B256,
}

/// What the consumer said on chain about the workflow of an agreement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Choice<'a> {
    /// This value, the consumer's last.
    Value(Registered<'a>),
    /// A stranger took the agreement's id as a DID before the agreement was created, and the consumer said nothing elsewhere.
    Taken,
    /// Nothing.
    Nothing,
}

/// A DID at one moment, as far as its consumer is concerned.
#[derive(Default)]
struct Entry<'a> {
    owner: Option<Address>,
    first: Option<(Position, Address)>,
    last: Option<Registered<'a>>,
    last_of_consumer: Option<(Position, Registered<'a>)>,
}

/// Folds the registry's events up to the moment that decides into the consumer's choice.
///
/// What counts is the consumer's last value in a DID that the consumer owns at that moment: the DID that is the agreement's id,
/// or any other whose document names the agreement. When both exist the later one counts.
pub(super) fn choice<'a>(question: &Resolution<'a>) -> Choice<'a> {
    let own = Did(question.agreement.0);
    let entries = fold(question, question.registrations);
    let chosen = entries
        .iter()
        .filter(|(_, entry)| entry.owner == Some(question.consumer))
        .filter_map(|(_, entry)| entry.last_of_consumer)
        .filter(|(_, said)| {
            said.did == own || named_agreement(said.value) == Some(question.agreement)
        })
        .max_by_key(|(position, _)| *position);
    if let Some((_, said)) = chosen {
        return Choice::Value(said);
    }
    let taken = entries
        .get(&own)
        .and_then(|entry| entry.first)
        .is_some_and(|(position, owner)| {
            owner != question.consumer && position < question.agreement_created
        });
    if taken {
        Choice::Taken
    } else {
        Choice::Nothing
    }
}

/// The last value that a DID had at the moment that decides, whoever owned it then.
pub(super) fn value_of<'a>(
    question: &Resolution<'_>,
    did: Did,
    events: &'a [Recorded],
) -> Option<Registered<'a>> {
    fold(question, events).get(&did)?.last
}

fn fold<'a>(question: &Resolution<'_>, events: &'a [Recorded]) -> BTreeMap<Did, Entry<'a>> {
    let mut events: Vec<&'a Recorded> = events
        .iter()
        .filter(|recorded| recorded.position() <= question.decided_at)
        .collect();
    events.sort_by_key(|recorded| recorded.position());
    let mut entries = BTreeMap::<Did, Entry<'a>>::new();
    for recorded in events {
        let position = recorded.position();
        match &recorded.event {
            KeeperEvent::DidRegistered {
                did,
                owner,
                value,
                checksum,
                ..
            } => {
                let said = Registered {
                    did: *did,
                    log: recorded.log,
                    value: value.as_slice(),
                    checksum: *checksum,
                };
                let entry = entries.entry(*did).or_default();
                entry.first.get_or_insert((position, *owner));
                entry.owner = Some(*owner);
                entry.last = Some(said);
                if *owner == question.consumer {
                    entry.last_of_consumer = Some((position, said));
                }
            }
            KeeperEvent::DidOwnershipTransferred { did, to, .. } => {
                entries.entry(*did).or_default().owner = Some(*to);
            }
            _ => {}
        }
    }
    entries
}

/// The agreement that a registered value names: how a document registered under a DID of the consumer's own is found again. An
/// inline document says it (`agreementId`), and so does the fragment of an address.
pub fn named_agreement(value: &[u8]) -> Option<AgreementId> {
    match Value::read(value) {
        Value::Inline(body) => Document::parse(&body).ok()?.agreement,
        Value::Address(address) => address.agreement,
        Value::Elsewhere | Value::Malformed(_) => None,
    }
}
