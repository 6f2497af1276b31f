use std::collections::BTreeMap;

use alloy::primitives::Address;

use super::data_url::Value;
use super::document::Document;
use super::resolve::Resolution;
use crate::admission::{Position, Recorded};
use crate::ids::{AgreementId, Did};
use crate::keeper::KeeperEvent;

/// What the consumer said on chain about the workflow of an agreement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Choice<'a> {
    /// This value, the consumer's last.
    Value {
        /// The registration.
        log: i64,
        /// The registered bytes.
        value: &'a [u8],
    },
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
    last_of_consumer: Option<(Position, i64, &'a [u8])>,
}

/// Folds the registry's events up to the moment that decides into the consumer's choice.
///
/// What counts is the consumer's last value in a DID that the consumer owns at that moment: the DID that is the agreement's id,
/// or any other whose document names the agreement. When both exist the later one counts.
pub(super) fn choice<'a>(question: &Resolution<'a>) -> Choice<'a> {
    let own = Did(question.agreement.0);
    let entries = fold(question);
    let chosen = entries
        .iter()
        .filter(|(_, entry)| entry.owner == Some(question.consumer))
        .filter_map(|(did, entry)| entry.last_of_consumer.map(|last| (*did, last)))
        .filter(|(did, (_, _, value))| {
            *did == own || named_agreement(value) == Some(question.agreement)
        })
        .max_by_key(|(_, (position, _, _))| *position);
    if let Some((_, (_, log, value))) = chosen {
        return Choice::Value { log, value };
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

fn fold<'a>(question: &Resolution<'a>) -> BTreeMap<Did, Entry<'a>> {
    let mut events: Vec<&'a Recorded> = question
        .registrations
        .iter()
        .filter(|recorded| recorded.position() <= question.decided_at)
        .collect();
    events.sort_by_key(|recorded| recorded.position());
    let mut entries = BTreeMap::<Did, Entry<'a>>::new();
    for recorded in events {
        let position = recorded.position();
        match &recorded.event {
            KeeperEvent::DidRegistered {
                did, owner, value, ..
            } => {
                let entry = entries.entry(*did).or_default();
                entry.first.get_or_insert((position, *owner));
                entry.owner = Some(*owner);
                if *owner == question.consumer {
                    entry.last_of_consumer = Some((position, recorded.log, value.as_slice()));
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

/// The agreement that a registered value names, if it is an inline workflow document that names one: how a document registered
/// under a DID of the consumer's own is found again.
pub fn named_agreement(value: &[u8]) -> Option<AgreementId> {
    let Value::Inline(body) = Value::read(value) else {
        return None;
    };
    Document::parse(&body).ok()?.agreement
}
