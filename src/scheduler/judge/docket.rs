use super::intake::Intake;
use super::late::Late;
use super::{BATCH, Judge, QUEUE_BATCH};
use crate::admission::Horizon;
use crate::ids::{AgreementId, BlockRef};
use crate::keeper::{ContractCalls, DECODER};
use crate::ledger::judging::{self, Horizons, Logged};
use crate::ledger::{self, judge_queue};
use crate::scheduler::Error;

/// The work of one tick.
pub(super) struct Docket {
    pub(super) seen: Horizons,
    pub(super) to: BlockRef,
    /// Empty when they are taken in already.
    pub(super) logs: Vec<Logged>,
    pub(super) taken_in: Option<Intake>,
    pub(super) late: Late,
    pub(super) due: Vec<AgreementId>,
}

/// A batch that was taken in while the one before it was written.
#[derive(Debug)]
pub(super) struct Ahead {
    epoch: i64,
    after: BlockRef,
    to: BlockRef,
    intake: Intake,
}

impl Ahead {
    /// Whether it begins where the cursor stands, and no rollback came in between.
    fn continues(&self, seen: &Horizons) -> bool {
        (self.epoch, self.after) == (seen.epoch, seen.judged)
    }
}

impl Docket {
    pub(super) const fn horizon(&self) -> Horizon {
        Horizon {
            judged: self.to.number,
            irreversible: self.seen.irreversible,
            first: self.seen.start,
            act_from: self.seen.act_from,
        }
    }
}

impl<C: ContractCalls> Judge<C> {
    /// What the ledger has for a tick.
    pub(super) async fn docket(&self, ahead: Option<Ahead>) -> Result<Option<Docket>, Error> {
        let mut connection = self.ledger.acquire().await?;
        let Some(seen) = judging::find_horizons(&mut connection, self.deployment_id).await? else {
            return Ok(None);
        };
        if seen.decoder > DECODER {
            tracing::debug!(
                ours = DECODER,
                theirs = seen.decoder,
                "a newer program judges"
            );
            return Ok(None);
        }
        let late = self.late_logs(&mut connection, &seen).await?;
        // A late log can say of which agreement a condition is that logs after it name; those are then looked at again.
        let ahead = ahead.filter(|ahead| ahead.continues(&seen) && late.is_empty());
        let (logs, to) = match &ahead {
            Some(ahead) => (Vec::new(), ahead.to),
            None => self.next_logs(&mut connection, &seen).await?,
        };
        let settled = seen.irreversible.map(|number| number.min(to.number));
        let due = judge_queue::list_due(&mut connection, self.deployment_id, settled, QUEUE_BATCH)
            .await?;
        Ok(Some(Docket {
            seen,
            to,
            logs,
            taken_in: ahead.map(|ahead| ahead.intake),
            late,
            due,
        }))
    }

    /// The next recorded logs, whole blocks only, and the block that is judged once they are.
    async fn next_logs(
        &self,
        connection: &mut ledger::Connection,
        seen: &Horizons,
    ) -> Result<(Vec<Logged>, BlockRef), Error> {
        let (after, up_to) = (seen.judged.number, seen.recorded.number);
        if after >= up_to {
            return Ok((Vec::new(), seen.judged));
        }
        let id = self.deployment_id;
        let mut logs = judging::list_recorded(connection, id, after, up_to, BATCH + 1).await?;
        if i64::try_from(logs.len()).is_ok_and(|count| count <= BATCH) {
            return Ok((logs, seen.recorded));
        }
        let first = logs.first().map(|logged| logged.log.block);
        let last = logs.last().map(|logged| logged.log.block);
        if first == last
            && let Some(block) = first
        {
            let (before, number) = (block.number.saturating_sub(1), block.number);
            logs = judging::list_recorded(connection, id, before, number, i64::MAX).await?;
            return Ok((logs, block));
        }
        logs.retain(|logged| Some(logged.log.block) != last);
        let to = logs.last().map_or(seen.judged, |logged| logged.log.block);
        Ok((logs, to))
    }

    /// Takes in what follows a batch, if that is recorded.
    pub(super) async fn take_in_ahead(&self, docket: &Docket) -> Result<Option<Ahead>, Error> {
        let expected = Horizons {
            judged: docket.to,
            ..docket.seen
        };
        if docket.to.number >= docket.seen.recorded.number {
            return Ok(None);
        }
        let mut connection = self.ledger.acquire().await?;
        let (logs, to) = self.next_logs(&mut connection, &expected).await?;
        drop(connection);
        Ok(Some(Ahead {
            epoch: expected.epoch,
            after: expected.judged,
            to,
            intake: self.take_in(&logs).await?,
        }))
    }
}
