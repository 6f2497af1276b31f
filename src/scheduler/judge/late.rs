use super::Judge;
use super::intake::Touched;
use crate::keeper::{ContractCalls, DECODER};
use crate::ledger::judging::{self, Horizons, Logged};
use crate::ledger::{self, late_blocks, parked};
use crate::scheduler::Error;
use crate::worker::Progress;

/// Most late blocks of a tick. All logs of a block are taken in again, since what one is about can follow from its neighbours.
const BATCH: i64 = 50;

/// Logs below the judged cursor that are taken in once more, whole blocks.
#[derive(Debug, Default)]
pub(super) struct Late {
    pub(super) numbers: Vec<u64>,
    pub(super) logs: Vec<Logged>,
}

impl Late {
    pub(super) const fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }
}

impl<C: ContractCalls> Judge<C> {
    /// The late blocks of a tick. What they are about is judged on every event up to the cursor, as it always is: the cursor
    /// itself does not go back, or verdicts would be given that leave out what is known to have come later.
    pub(super) async fn late_logs(
        &self,
        connection: &mut ledger::Connection,
        seen: &Horizons,
    ) -> Result<Late, Error> {
        let id = self.deployment_id;
        let numbers = late_blocks::list(connection, id, seen.judged.number, BATCH).await?;
        let mut logs = Vec::new();
        for number in &numbers {
            let before = number.saturating_sub(1);
            logs.extend(judging::list_recorded(connection, id, before, *number, i64::MAX).await?);
        }
        Ok(Late { numbers, logs })
    }

    /// Takes late logs in; those that were parked and can be read now are parked no longer.
    pub(super) async fn take_in_late(&self, late: &Late) -> Result<Touched, Error> {
        if late.logs.is_empty() {
            return Ok(Touched::default());
        }
        let touched = self.take_in(&late.logs).await?;
        let (_, unreadable) = self.decode(&late.logs);
        let is_readable = |id: &i64| unreadable.iter().all(|(log, _)| log != id);
        let ids = late.logs.iter().map(|logged| logged.id);
        let readable: Vec<i64> = ids.filter(is_readable).collect();
        let mut connection = self.ledger.acquire().await?;
        parked::close_logs(&mut connection, self.deployment_id, &readable).await?;
        Ok(touched)
    }

    /// This program's decoder is newer than the one that judged so far: what that one read is queued, and older judges stand
    /// still from now on.
    pub(super) async fn begin_decoder(&self) -> Result<Progress, Error> {
        let mut transaction = self.ledger.begin().await?;
        let id = self.deployment_id;
        let blocks = late_blocks::queue_for_decoder(&mut transaction, id, DECODER).await?;
        ledger::commit(transaction).await?;
        tracing::info!(
            deployment = id.0,
            decoder = DECODER,
            blocks,
            "{blocks} blocks are decoded once more by the newer decoder {DECODER}"
        );
        Ok(Progress::More)
    }
}
