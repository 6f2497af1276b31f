//! Which version of the catalog judges a purchase.
//!
//! The newest, with one exception: what the agent approved is judged under the version that it was approved under. An approval is
//! the publisher's word, given by a transaction of the publisher's own key after the whole judgement, catalog and policy included,
//! and the consumer cannot get the money back once it is given: a condition that is fulfilled can no longer be aborted. A catalog
//! that became stricter or dearer in the seconds until the job is judged must not turn that word into a refusal that was paid for.
//! Every version that judged anything is kept in the ledger, so the rule holds after a restart and on any replica, and a job that is
//! judged again years later is judged the same.
//!
//! - The agent approved what one of its own transactions fulfilled. What an owner or another provider fulfilled by hand, though the
//!   agent may have looked at it too, is judged under the newest version: that hand saw no catalog.
//! - `enabled: false` is the operator's way to stop an asset now, whatever was promised: where the newest version says so, it judges,
//!   and the job is refused as `asset_disabled`. An asset that merely is not in the file any more was not stopped in so many words: a
//!   file can lose an asset by a slip, and a listing that ends does not end what was sold.
//! - The network address of a file, its checksum and the publisher's filter come from the approving version too: they belong to what
//!   was approved. Who moves files while jobs are on their way keeps the old address until those have run.
//! - A version that this release of the program cannot read any more binds nobody: the newest judges, and operators are told.
//!
//! Why not the whole catalog as of the payment's block: the chain does not know the publisher's file, and without an approval nobody
//! said anything on its strength.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use alloy::primitives::B256;

use crate::admission::Recorded;
use crate::ids::{AgreementId, Did};
use crate::keeper::KeeperEvent;
use crate::ledger::{self, Connection, policies};
use crate::worker::Chain;
use crate::workflows::Catalog;

/// Most versions that are held in memory beside the newest. Nearly always it is one, for a moment after a reload.
const HELD: usize = 4;

/// Versions of the catalog, read from the ledger when they are asked for.
#[derive(Debug, Default)]
pub(super) struct Versions {
    /// `None`: this release cannot read it.
    read: HashMap<B256, Option<Arc<Catalog>>>,
}

impl Versions {
    /// A version by its hash; `None` when the ledger lacks it or this release cannot read it.
    pub(super) async fn find(
        &mut self,
        connection: &mut Connection,
        sha256: B256,
        newest: &Arc<Catalog>,
    ) -> Result<Option<Arc<Catalog>>, ledger::Error> {
        if sha256 == newest.sha256 {
            return Ok(Some(Arc::clone(newest)));
        }
        if let Some(known) = self.read.get(&sha256) {
            return Ok(known.clone());
        }
        let Some(body) = policies::find(connection, sha256).await? else {
            return Ok(None);
        };
        let version = match Catalog::parse(&body) {
            Ok(catalog) => Some(Arc::new(catalog)),
            Err(error) => {
                tracing::error!(%sha256, error = %Chain(&error),
                    "a version of the catalog under which the agent approved cannot be read any more; the newest judges instead");
                None
            }
        };
        if self.read.len() >= HELD {
            self.read.clear();
        }
        self.read.insert(sha256, version.clone());
        Ok(version)
    }
}

/// The versions that judge a set of compute events.
#[derive(Debug)]
pub(super) struct Governing {
    pub(super) newest: Arc<Catalog>,
    /// By agreement and transaction.
    pub(super) approved: BTreeMap<(AgreementId, B256), Arc<Catalog>>,
}

impl Governing {
    /// One version that judges everything.
    pub(super) const fn only(newest: Arc<Catalog>) -> Self {
        Self {
            newest,
            approved: BTreeMap::new(),
        }
    }

    /// The version that judges a compute event.
    pub(super) fn of(&self, trigger: &Recorded) -> &Arc<Catalog> {
        let KeeperEvent::ComputeFulfilled { agreement, did, .. } = trigger.event else {
            return &self.newest;
        };
        let approved = self.approved.get(&(agreement, trigger.transaction));
        governing(approved, &self.newest, did)
    }
}

/// The version that judges a purchase of an asset.
pub(super) fn governing<'a>(
    approved: Option<&'a Arc<Catalog>>,
    newest: &'a Arc<Catalog>,
    did: Did,
) -> &'a Arc<Catalog> {
    let is_stopped = newest.find(did).is_some_and(|asset| !asset.enabled);
    approved.filter(|_| !is_stopped).unwrap_or(newest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog(asset: &str) -> Arc<Catalog> {
        let text = format!("schemaVersion: 1\nassets: [{asset}]\n");
        Arc::new(Catalog::parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn an_approval_binds_until_the_asset_is_stopped_in_so_many_words() {
        let did = Did(B256::repeat_byte(7));
        let offered = |rest: &str| catalog(&format!("{{did: \"{did}\", minimumPrice: 10{rest}}}"));
        let approved = offered("");
        let cases = [
            ("the same", offered(""), true),
            (
                "dearer",
                catalog(&format!("{{did: \"{did}\", minimumPrice: 99}}")),
                true,
            ),
            ("gone from the file", catalog(""), true),
            ("enabled in so many words", offered(", enabled: true"), true),
            ("stopped", offered(", enabled: false"), false),
        ];
        for (what, newest, binds) in cases {
            let by = governing(Some(&approved), &newest, did);
            assert_eq!(Arc::ptr_eq(by, &approved), binds, "{what}");
            assert!(
                Arc::ptr_eq(governing(None, &newest, did), &newest),
                "{what}"
            );
        }
    }
}
