use std::collections::BTreeSet;

use super::Judge;
use crate::ids::AgreementId;
use crate::keeper::{ContractCalls, DECODER};
use crate::ledger::judging::{self, Horizons, Logged};
use crate::ledger::{self, late_blocks, parked, standings, subjects};
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

/// The agreements that late logs are about.
#[derive(Debug, Default)]
pub(super) struct LateAgreements {
    fulfilled: BTreeSet<AgreementId>,
    about: BTreeSet<AgreementId>,
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

    /// Takes late logs in, before others, and answers the agreements that they are about. Those that were parked and can be read
    /// now are parked no longer.
    pub(super) async fn take_in_late(&self, late: &Late) -> Result<LateAgreements, Error> {
        if late.logs.is_empty() {
            return Ok(LateAgreements::default());
        }
        let intake = self.take_in(&late.logs).await?;
        let (_, unreadable) = self.decode(&late.logs);
        let ids: Vec<i64> = late.logs.iter().map(|logged| logged.id).collect();
        let is_readable = |id: &i64| unreadable.iter().all(|(log, _)| log != id);
        let readable: Vec<i64> = ids.iter().copied().filter(is_readable).collect();

        let mut transaction = self.ledger.begin().await?;
        let id = self.deployment_id;
        parked::close_logs(&mut transaction, id, &readable).await?;
        // A late log may be the one that says of which agreement a condition is whose other logs came long before.
        let others = subjects::list_of_same_conditions(&mut transaction, id, &ids).await?;
        let linked = subjects::link_conditions(&mut transaction, id, &others).await?;
        ledger::commit(transaction).await?;
        let mut about: BTreeSet<_> = intake.agreements().collect();
        about.extend(linked.into_iter().map(|(agreement, _)| agreement));
        Ok(LateAgreements {
            fulfilled: intake.fulfilled,
            about,
        })
    }

    /// Those of the agreements that have to be looked at: with a compute event among the late logs, or with a job.
    pub(super) async fn late_agreements(
        &self,
        late: LateAgreements,
    ) -> Result<BTreeSet<AgreementId>, Error> {
        let mut agreements = late.fulfilled;
        let others: Vec<_> = late.about.difference(&agreements).copied().collect();
        if !others.is_empty() {
            let mut connection = self.ledger.acquire().await?;
            let id = self.deployment_id;
            agreements.extend(standings::list_with_jobs(&mut connection, id, &others).await?);
        }
        Ok(agreements)
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
