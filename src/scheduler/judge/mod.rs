//! The judge: draws the consequences of what the follower recorded. Chain facts come through a port; everything else is in the
//! ledger.
//!
//! A tick takes a bounded number of recorded logs in (`intake.rs`), looks at every agreement that they or the queue name
//! (`gathering.rs`: events and facts; `hearing.rs`: the verdicts; `opinion.rs`: what the contracts say to them), and writes all of
//! it in one transaction that begins by moving the judged cursor by compare-and-set (`writing.rs`: what is new;
//! `moving.rs`: what is there; `ruling.rs`: what follows for a job). Calls to the node are made while no transaction is open.
//!
//! Everything is read and written in sets, a statement per tick and not per agreement: history comes at tens of thousands of
//! events a second, and what is judged at the head is a set of one. Only jobs that exist and move are handled one by one, under
//! their lock.
//!
//! After a followed proxy was given code that nobody vouches for, genuine addresses may say anything: what was said since is judged
//! once an operator released it (`hold.rs`).
//!
//! Logs that come late, below the cursor (`late.rs`: mended history, or an older decoder's), are taken in beside the next ones.
//!
//! Judging is level-triggered: a verdict is made anew from all events whenever one of them appears, is orphaned, or something
//! that was awaited is due. So a tick that was cut off anywhere, or done by two judges at once, is healed by the next one: the
//! rows made before the cursor moves are derived and may be made again, and whoever loses the compare-and-set starts over.
//!
//! A job that was handed to an engine is never moved here, whatever became of its events; it is anchored and marked only.
//!
//! The same verdicts under another catalog, for a publisher who wants to know first, are `again.rs`: it writes nothing.

mod again;
mod gathering;
mod hearing;
mod hold;
mod intake;
mod late;
mod moving;
mod opinion;
mod ruling;
mod writing;

pub use again::{Difference, rejudge};

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt};
use tokio::sync::watch;

use self::intake::Intake;
use super::Error;
use crate::admission::Horizon;
use crate::ids::{AgreementId, BlockRef, DeploymentId};
use crate::keeper::{ContractCalls, DECODER, Deployment};
use crate::ledger::judging::{self, Horizons, Logged};
use crate::ledger::upgrades::{self, Upgrade};
use crate::ledger::{self, Ledger, judge_queue, late_blocks, policies, standings};
use crate::worker::{Progress, Worker};
use crate::workflows::Catalog;

/// Most logs that a tick takes in, but for a block that holds more: enough that a tick's statements cost little per log, and few
/// enough that what is judged of them at once (some 10 KiB per job) stays small beside the rest of the process.
const BATCH: i64 = 2000;

/// Most queued agreements of a tick.
const QUEUE_BATCH: i64 = 100;

/// Agreements that are looked at side by side, since each may wait for the node.
const SIDE_BY_SIDE: usize = 8;

/// How soon something that could not be read is asked for again, unless told otherwise.
const RETRY: Duration = Duration::from_secs(15);

/// The worker that judges the events of one deployment.
#[derive(Debug)]
pub struct Judge<C> {
    ledger: Ledger,
    deployment_id: DeploymentId,
    deployment: Deployment,
    calls: C,
    catalog: watch::Receiver<Arc<Catalog>>,
    retry: Duration,
}

impl<C: ContractCalls> Judge<C> {
    /// A judge of that deployment, which asks for facts through `calls` and takes the newest catalog for every tick.
    pub const fn new(
        ledger: Ledger,
        deployment_id: DeploymentId,
        deployment: Deployment,
        calls: C,
        catalog: watch::Receiver<Arc<Catalog>>,
    ) -> Self {
        Self {
            ledger,
            deployment_id,
            deployment,
            calls,
            catalog,
            retry: RETRY,
        }
    }

    /// The same judge, which asks for what could not be read again after `retry`.
    #[must_use]
    pub const fn retrying_after(mut self, retry: Duration) -> Self {
        self.retry = retry;
        self
    }

    /// What the ledger has for a tick.
    async fn docket(&self) -> Result<Option<Docket>, Error> {
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
        let (logs, to) = self.next_logs(&mut connection, &seen).await?;
        let late = self.late_logs(&mut connection, &seen).await?;
        let settled = seen.irreversible.map(|number| number.min(to.number));
        let due = judge_queue::list_due(&mut connection, self.deployment_id, settled, QUEUE_BATCH)
            .await?;
        Ok(Some(Docket {
            seen,
            to,
            logs,
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

    /// Upgrades up to the tick's end that hold admission back; nothing is asked when nothing is judged.
    async fn held(&self, docket: &Docket, is_idle: bool) -> Result<Vec<Upgrade>, Error> {
        if is_idle {
            return Ok(Vec::new());
        }
        let mut connection = self.ledger.acquire().await?;
        let up_to = docket.to.number;
        Ok(upgrades::list_held(&mut connection, self.deployment_id, up_to).await?)
    }

    /// The agreements that a tick has to look at: those that are due, and those among the logs' that have a job or get one.
    async fn agreements(
        &self,
        docket: &Docket,
        intake: &Intake,
    ) -> Result<BTreeSet<AgreementId>, Error> {
        let mut agreements: BTreeSet<_> = docket.due.iter().copied().collect();
        let mut connection = self.ledger.acquire().await?;
        // Those with a compute event are looked at in any case.
        agreements.extend(&intake.fulfilled);
        let others: Vec<_> = intake
            .agreements()
            .filter(|agreement| !agreements.contains(agreement))
            .collect();
        let known = standings::list_with_jobs(&mut connection, self.deployment_id, &others).await?;
        agreements.extend(known);
        Ok(agreements)
    }
}

/// The work of one tick.
struct Docket {
    seen: Horizons,
    to: BlockRef,
    logs: Vec<Logged>,
    late: late::Late,
    due: Vec<AgreementId>,
}

impl Docket {
    const fn horizon(&self) -> Horizon {
        Horizon {
            judged: self.to.number,
            irreversible: self.seen.irreversible,
            first: self.seen.start,
            act_from: self.seen.act_from,
        }
    }
}

impl<C: ContractCalls + 'static> Worker for Judge<C> {
    type Error = Error;

    const NAME: &'static str = "judge";

    async fn tick(&mut self) -> Result<Progress, Error> {
        let catalog = Arc::clone(&self.catalog.borrow_and_update());
        let Some(docket) = self.docket().await? else {
            return Ok(Progress::Idle);
        };
        if docket.seen.decoder < DECODER {
            return self.begin_decoder().await;
        }
        if docket.to == docket.seen.judged && docket.due.is_empty() && docket.late.is_empty() {
            return Ok(Progress::Idle);
        }
        let late = self.take_in_late(&docket.late).await?;
        let intake = self.take_in(&docket.logs).await?;
        let mut agreements = self.agreements(&docket, &intake).await?;
        agreements.extend(self.late_agreements(late).await?);
        let matters = self.gather(agreements, &intake, &docket).await?;
        let held = self.held(&docket, matters.is_empty()).await?;
        let (this, horizon) = (&*self, docket.horizon());
        let (by, held) = (&catalog, held.as_slice());
        let mut hearings: Vec<_> = stream::iter(matters)
            .map(|matter| this.hear(matter, horizon, by, held))
            .buffered(SIDE_BY_SIDE)
            .collect()
            .await;
        let taken = self.weigh_opinions(&mut hearings, horizon).await?;

        let mut transaction = self.ledger.begin().await?;
        if !judging::advance(
            &mut transaction,
            self.deployment_id,
            &docket.seen,
            docket.to,
        )
        .await?
        {
            tracing::debug!(to = %docket.to, "somebody else judged meanwhile, or a rollback came");
            return Ok(Progress::More);
        }
        late_blocks::remove(&mut transaction, self.deployment_id, &docket.late.numbers).await?;
        if !hearings.is_empty() {
            policies::record(&mut transaction, catalog.sha256, &catalog.bytes).await?;
        }
        self.rule(&mut transaction, &docket, &catalog, &hearings)
            .await?;
        self.record_opinions(&mut transaction, &taken, &hearings)
            .await?;
        ledger::commit(transaction).await?;
        Ok(Progress::More)
    }
}
