//! Who may read what a job printed and made: the parties of its agreement, as the chain says it. Pure.
//!
//! - the **consumer** whom the event names;
//! - the **owner of the asset at the event's block**, from the job's verdict; who bought the asset since has no part in it;
//! - the asset's **providers at the event's block**, as far as events tell: those whom the owner added one by one. Those whom a
//!   registration names in its call are in no event, and a new registration replaces all of them without a word, so from then on
//!   nobody of those before counts;
//! - the accounts to whom **the consumer granted it** on chain (`grantPermission` with the agreement's id as the DID), as of the
//!   newest judged block, so that a revocation counts. Only the consumer's own grants do: the id may have been somebody else's DID.

use std::collections::BTreeSet;

use alloy::primitives::Address;

use crate::admission::{Position, Recorded};
use crate::ids::Did;
use crate::keeper::KeeperEvent;

/// The parties of an agreement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parties(BTreeSet<Address>);

impl Parties {
    /// Consumer and owner, with whom the events add: those about the asset up to the event at `at`, and all of those about the DID
    /// that is the agreement's id. Both in the order of the chain.
    pub(super) fn of(
        (consumer, owner): (Address, Option<Address>),
        (asset, at, about_asset): (Did, Position, &[Recorded]),
        (agreement, about_agreement): (Did, &[Recorded]),
    ) -> Self {
        let mut parties = BTreeSet::from([consumer]);
        parties.extend(owner);
        let before = about_asset.iter().filter(|event| event.position() < at);
        parties.extend(providers(asset, before));
        parties.extend(grantees(agreement, consumer, about_agreement));
        Self(parties)
    }

    /// Whether an account is one of them. No address of nobody is.
    pub(super) fn includes(&self, account: Address) -> bool {
        account != Address::ZERO && self.0.contains(&account)
    }
}

fn providers<'a>(asset: Did, events: impl Iterator<Item = &'a Recorded>) -> BTreeSet<Address> {
    let mut providers = BTreeSet::new();
    for recorded in events {
        match &recorded.event {
            KeeperEvent::DidRegistered { did, .. } if *did == asset => providers.clear(),
            KeeperEvent::DidProviderAdded { did, provider } if *did == asset => {
                providers.insert(*provider);
            }
            KeeperEvent::DidProviderRemoved { did, provider } if *did == asset => {
                providers.remove(provider);
            }
            _ => {}
        }
    }
    providers
}

/// A revocation counts whoever owned the DID by then: where two readings differ, nobody is let in.
fn grantees(agreement: Did, consumer: Address, events: &[Recorded]) -> BTreeSet<Address> {
    let mut grantees = BTreeSet::new();
    for recorded in events {
        match &recorded.event {
            KeeperEvent::DidPermissionGranted {
                did,
                owner,
                grantee,
            } if *did == agreement && *owner == consumer => {
                grantees.insert(*grantee);
            }
            KeeperEvent::DidPermissionRevoked { did, grantee, .. } if *did == agreement => {
                grantees.remove(grantee);
            }
            _ => {}
        }
    }
    grantees
}

#[cfg(test)]
mod tests {
    use alloy::primitives::B256;

    use super::*;
    use crate::ids::BlockRef;

    const ASSET: Did = Did(B256::repeat_byte(0xa));
    const AGREEMENT: Did = Did(B256::repeat_byte(0xb));
    const CONSUMER: Address = Address::repeat_byte(1);
    const OWNER: Address = Address::repeat_byte(2);
    const ONE: Address = Address::repeat_byte(3);
    const TWO: Address = Address::repeat_byte(4);

    fn recorded(events: Vec<KeeperEvent>) -> Vec<Recorded> {
        let events = events.into_iter().zip(1..);
        let placed = events.map(|(event, number)| Recorded {
            log: 1,
            block: BlockRef {
                number,
                hash: B256::ZERO,
            },
            transaction: B256::ZERO,
            transaction_index: 0,
            log_index: 0,
            event,
        });
        placed.collect()
    }

    fn added(provider: Address) -> KeeperEvent {
        KeeperEvent::DidProviderAdded {
            did: ASSET,
            provider,
        }
    }

    fn granted(owner: Address, grantee: Address) -> KeeperEvent {
        KeeperEvent::DidPermissionGranted {
            did: AGREEMENT,
            owner,
            grantee,
        }
    }

    fn revoked(owner: Address, grantee: Address) -> KeeperEvent {
        KeeperEvent::DidPermissionRevoked {
            did: AGREEMENT,
            owner,
            grantee,
        }
    }

    /// Who is in, of the four, when the job's event is at block `at`.
    fn parties(asset: Vec<KeeperEvent>, at: u64, agreement: Vec<KeeperEvent>) -> Vec<Address> {
        let at = Position {
            block: at,
            log_index: 0,
        };
        let parties = Parties::of(
            (CONSUMER, Some(OWNER)),
            (ASSET, at, &recorded(asset)),
            (AGREEMENT, &recorded(agreement)),
        );
        let all = [CONSUMER, OWNER, ONE, TWO];
        let all = all.into_iter();
        all.filter(|account| parties.includes(*account)).collect()
    }

    #[test]
    fn providers_are_those_at_the_events_block() {
        let removed = KeeperEvent::DidProviderRemoved {
            did: ASSET,
            provider: ONE,
        };
        let registered = KeeperEvent::DidRegistered {
            did: ASSET,
            owner: OWNER,
            checksum: B256::ZERO,
            value: Vec::new(),
            by: OWNER,
        };
        let both = vec![CONSUMER, OWNER];
        let with_one = vec![CONSUMER, OWNER, ONE];
        assert_eq!(parties(vec![], 9, vec![]), both);
        assert_eq!(parties(vec![added(ONE)], 2, vec![]), with_one);
        assert_eq!(parties(vec![added(ONE)], 1, vec![]), both);
        let history = vec![added(ONE), removed, added(TWO)];
        assert_eq!(parties(history.clone(), 2, vec![]), with_one);
        assert_eq!(parties(history.clone(), 3, vec![]), both);
        let replaced = vec![added(ONE), registered, added(TWO)];
        assert_eq!(parties(replaced, 9, vec![]), vec![CONSUMER, OWNER, TWO]);
        let other = KeeperEvent::DidProviderAdded {
            did: AGREEMENT,
            provider: ONE,
        };
        assert_eq!(parties(vec![other], 9, vec![]), both);
    }

    #[test]
    fn only_the_consumers_own_grants_count_and_every_revocation() {
        let both = vec![CONSUMER, OWNER];
        let grants = |events| parties(vec![], 1, events);
        assert_eq!(
            grants(vec![granted(CONSUMER, ONE)]),
            vec![CONSUMER, OWNER, ONE]
        );
        assert_eq!(grants(vec![granted(TWO, ONE)]), both);
        assert_eq!(
            grants(vec![granted(CONSUMER, ONE), revoked(CONSUMER, ONE)]),
            both
        );
        assert_eq!(
            grants(vec![granted(CONSUMER, ONE), revoked(TWO, ONE)]),
            both
        );
        let again = vec![
            granted(CONSUMER, ONE),
            revoked(CONSUMER, ONE),
            granted(CONSUMER, ONE),
        ];
        assert_eq!(grants(again), vec![CONSUMER, OWNER, ONE]);
        assert_eq!(grants(vec![granted(CONSUMER, Address::ZERO)]), both);
        assert!(!Parties::default().includes(Address::ZERO));
    }
}
