use alloy::signers::Signer;
use alloy::sol_types::SolEvent;
use chrono::TimeDelta;

use super::view::View;
use super::{Agent, Error, Kind};
use crate::ids::AgreementId;
use crate::keeper::ContractCalls;
use crate::keeper::abi::LockRewardCondition;
use crate::ledger::agent::{acts, discovery};
use crate::ledger::{self, subjects};
use crate::preflight::Sale;
use crate::workflows::Catalog;

/// Blocks that are searched for payments in one go.
const STEP: u64 = 50_000;
/// Ended jobs that are taken in one go.
const BATCH: i64 = 500;
/// How much of what was seen is looked at again: longer than the transaction that ends a job can take to commit.
const OVERLAP: TimeDelta = TimeDelta::hours(1);

impl<C: ContractCalls, S: Signer + Send + Sync> Agent<C, S> {
    /// Records an act for every payment and every ended job that calls for one. Answers whether there may be more.
    pub(super) async fn discover(&mut self, view: &View, catalog: &Catalog) -> Result<bool, Error> {
        let mut more = false;
        if self.settings.kinds.contains(&Kind::Approve) {
            more |= self.discover_payments(view, catalog).await?;
        }
        if self.settings.kinds.contains(&Kind::Release) {
            more |= self.discover_ended().await?;
        }
        Ok(more)
    }

    /// Payments up to the block on which may be acted. After a rollback everything that can have changed is looked at again.
    async fn discover_payments(&self, view: &View, catalog: &Catalog) -> Result<bool, Error> {
        let (Some(act), Some(act_from)) = (view.act, view.act_from) else {
            return Ok(false);
        };
        let mut connection = self.ledger.acquire().await?;
        let found = discovery::find_considered(&mut connection, self.deployment_id).await?;
        let before = act_from.max(view.first).saturating_sub(1);
        let after = match found {
            Some(considered) if considered.epoch == view.epoch => considered.number,
            Some(considered) => {
                acts::reopen_declined(&mut connection, self.deployment_id, view.epoch).await?;
                let settled = view.irreversible.unwrap_or_default();
                considered.number.min(settled.max(before))
            }
            None => before,
        };
        if after >= act && found.is_some_and(|considered| considered.epoch == view.epoch) {
            return Ok(false);
        }
        let up_to = act.min(after.saturating_add(STEP)).max(after);
        let event = (
            self.deployment.contracts.lock_reward_condition,
            LockRewardCondition::Fulfilled::SIGNATURE_HASH,
        );
        let paid =
            discovery::list_paid(&mut connection, self.deployment_id, event, after, up_to).await?;
        for agreement in paid {
            if self
                .is_ours(&mut connection, agreement, up_to, catalog)
                .await?
            {
                acts::ensure(
                    &mut connection,
                    self.deployment_id,
                    Kind::Approve,
                    agreement,
                    None,
                )
                .await?;
            }
        }
        let considered = discovery::Considered {
            number: up_to,
            epoch: view.epoch,
        };
        discovery::set_considered(&mut connection, self.deployment_id, considered).await?;
        Ok(up_to < act)
    }

    /// Whether an agreement is about an asset of this publisher's. One keeper serves many.
    async fn is_ours(
        &self,
        connection: &mut ledger::Connection,
        agreement: AgreementId,
        up_to: u64,
        catalog: &Catalog,
    ) -> Result<bool, Error> {
        let events = self
            .events_about(connection, subjects::AGREEMENT, &[agreement.0], up_to)
            .await?;
        let did = Sale::asset(&events, agreement);
        Ok(did.is_some_and(|did| catalog.find(did).is_some()))
    }

    /// Jobs that ended. The first look after a start is at all of them, however long this was away.
    async fn discover_ended(&mut self) -> Result<bool, Error> {
        let mut connection = self.ledger.acquire().await?;
        let since = self.seen_ended.map(|moment| moment - OVERLAP);
        let ended =
            discovery::list_ended(&mut connection, self.deployment_id, since, BATCH).await?;
        for one in &ended {
            discovery::ensure_release(&mut connection, self.deployment_id, one).await?;
        }
        let newest = ended.iter().map(|one| one.finished_at).max();
        self.seen_ended = self.seen_ended.max(newest);
        Ok(i64::try_from(ended.len()).is_ok_and(|count| count == BATCH))
    }
}
