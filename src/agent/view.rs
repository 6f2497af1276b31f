use crate::admission::Horizon;
use crate::ids::{BlockRef, DeploymentId};
use crate::ledger::{Connection, Error, cursors, judging, operator_actions, upgrades};

/// How far the ledger is, and whether the agent may begin anything.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    /// Grows with every rollback.
    pub(super) epoch: i64,
    /// Up to it every consequence is drawn.
    pub(super) judged: BlockRef,
    /// Highest block on whose strength something may be sent: deep enough by the operator's rule, proven complete, judged.
    pub(super) act: Option<u64>,
    /// Highest block that may never roll back.
    pub(super) irreversible: Option<u64>,
    /// First followed block.
    pub(super) first: u64,
    /// What was paid before it is not answered.
    pub(super) act_from: Option<u64>,
    /// Halted by the follower, paused by an operator, or a contract runs code that nobody vouches for: nothing new is begun.
    pub(super) is_held: bool,
}

impl View {
    /// Looks; `None` before the first block was followed.
    pub(super) async fn find(
        connection: &mut Connection,
        deployment: DeploymentId,
    ) -> Result<Option<Self>, Error> {
        let Some(horizons) = judging::find_horizons(connection, deployment).await? else {
            return Ok(None);
        };
        let cursor = cursors::get(connection, deployment).await?;
        let is_paused = operator_actions::find_pause(connection).await?.is_some();
        let judged = cursor.judged;
        // from then on a genuine address may say anything
        let unvouched = upgrades::list_held(connection, deployment, judged.number).await?;
        Ok(Some(Self {
            epoch: cursor.position.epoch,
            judged,
            act: cursor
                .act
                .map(|act| act.min(cursor.verified).min(judged.number)),
            irreversible: cursor.irreversible.map(|block| block.number),
            first: horizons.start,
            act_from: horizons.act_from,
            is_held: cursor.halt.is_some() || is_paused || !unvouched.is_empty(),
        }))
    }

    /// For judging as if something happened in block `supposed`, later than every event.
    pub(super) fn horizon(&self, supposed: u64) -> Horizon {
        Horizon {
            judged: supposed,
            // no later than what is judged: only there can the absence of an event be told
            irreversible: self
                .irreversible
                .map(|number| number.min(self.judged.number)),
            first: self.first,
            act_from: self.act_from,
        }
    }
}
