//! What was read goes into the ledger: rows and cursor in one transaction.

use super::error::Error;
use super::identity::Opened;
use super::plan::{self, Known, Seen};
use super::read::Batch;
use super::worker::Follower;
use crate::ids::DeploymentId;
use crate::ledger::cursors::{Horizons, Position};
use crate::ledger::{self, blocks, cursors, logs, readings};
use crate::worker::Progress;

impl Follower {
    /// Commits what was read, unless another follower was faster.
    pub(super) async fn apply(
        &mut self,
        opened: &Opened,
        position: Position,
        known: Known,
        seen: &Seen,
        batch: Batch,
    ) -> Result<Progress, Error> {
        let horizons = self.horizons_after(known, seen, &batch);
        let horizons = self.within_quorum(opened.id, horizons, batch.to).await?;
        self.begin_acting(opened, &horizons).await?;
        let committed = match self
            .commit(opened.id, &position, &horizons, &batch, false)
            .await
        {
            Err(Error::Ledger(error)) if logs::is_duplicate(&error) => {
                tracing::info!(
                    to = batch.to.number,
                    met_again = logs::ranges_met_again() + 1,
                    "some logs up to block {} are recorded already",
                    batch.to
                );
                self.commit(opened.id, &position, &horizons, &batch, true)
                    .await
            }
            committed => committed,
        }?;
        if !committed {
            self.history = None;
            return Ok(Progress::Idle);
        }
        tracing::debug!(
            recorded = batch.to.number,
            logs = batch.logs.len(),
            "recorded up to block {}",
            batch.to
        );
        Ok(Progress::More)
    }

    /// The horizons once a batch is recorded.
    pub(super) fn horizons_after(&self, mut known: Known, seen: &Seen, batch: &Batch) -> Horizons {
        known.recorded = batch.to;
        for block in &batch.blocks {
            known.window.insert(block.at.number, block.at.hash);
        }
        plan::horizons(&known, seen, self.following.act_at)
    }

    /// One transaction: cursor first, then blocks and logs. `over`: some rows are there already.
    async fn commit(
        &self,
        deployment: DeploymentId,
        position: &Position,
        horizons: &Horizons,
        batch: &Batch,
        over: bool,
    ) -> Result<bool, Error> {
        let mut transaction = self.ledger.begin().await?;
        if batch.history {
            cursors::need_not_be_durable(&mut transaction).await?;
        }
        let moved = cursors::advance_recorded(
            &mut transaction,
            deployment,
            position,
            batch.to,
            batch.proven,
            horizons,
        )
        .await?;
        if !moved {
            return Ok(false);
        }
        for (range, provider) in &batch.readings {
            readings::record(&mut transaction, deployment, *range, provider).await?;
        }
        let revived = blocks::record(&mut transaction, deployment, &batch.blocks).await?;
        if !revived.is_empty() {
            let count = logs::revive(&mut transaction, deployment, &revived).await?;
            tracing::info!(
                blocks = revived.len(),
                logs = count,
                "the chain returned to orphaned blocks, up to {}",
                batch.to
            );
        }
        if over || !revived.is_empty() {
            logs::record_over(&mut transaction, deployment, &batch.logs).await?;
        } else {
            logs::record(&mut transaction, deployment, &batch.logs).await?;
        }
        cursors::tell_recorded(&mut transaction, deployment).await?;
        ledger::commit(transaction).await?;
        Ok(true)
    }
}
