//! The judge: draws the consequences of what the follower recorded. Chain facts come through a port; everything else is in the
//! ledger.
//!
//! A tick takes a bounded number of recorded logs in (`docket.rs`, `intake.rs`), looks at every agreement that they or the queue name
//! (`gathering.rs`: events and facts; `hearing.rs`: the verdicts; `opinion.rs`: what the contracts say to them), and writes all of
//! it in one transaction that begins by moving the judged cursor by compare-and-set (`writing.rs`: what is new;
//! `moving.rs`: what is there; `ruling.rs`: what follows for a job). Calls to the node are made while no transaction is open.
//!
//! Everything is read and written in sets, a statement per tick and not per agreement: history comes at tens of thousands of
//! events a second, and what is judged at the head is a set of one. Only jobs that exist and move are handled one by one, under
//! their lock.
//!
//! Under which version of the catalog an event is judged is for `governing.rs` of the scheduler to say: the agent's word stands.
//!
//! After a followed proxy was given code that nobody vouches for, genuine addresses may say anything: what was said since is judged
//! once an operator released it (`hold.rs`).
//!
//! Logs that come late, below the cursor (`late.rs`: mended history, or an older decoder's), are taken in beside the next ones.
//!
//! While a batch is written the next one is taken in: that needs no cursor, since what it writes is derived from logs and may be
//! made again. It is used only if the cursor then stands where it was expected to, in the same epoch.
//!
//! Judging is level-triggered: a verdict is made anew from all events whenever one of them appears, is orphaned, or something
//! that was awaited is due. So a tick that was cut off anywhere, or done by two judges at once, is healed by the next one: the
//! rows made before the cursor moves are derived and may be made again, and whoever loses the compare-and-set starts over.
//!
//! A job that was handed to an engine keeps its phase, whatever became of its events: it is anchored and marked. Once its event is
//! gone for good its attempt is marked as withdrawn, in the transaction of the verdict that says so; the dispatcher then has the engine
//! end it. A job that ran and was withdrawn stays so should its event come back, since only an operator may run it again.
//!
//! The same verdicts under another catalog, for a publisher who wants to know first, are `again.rs`: it writes nothing.

mod again;
mod docket;
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

use self::docket::{Ahead, Docket};
use self::gathering::Matter;
use self::hearing::Hearing;
use self::intake::Intake;
use self::opinion::Taken;
use super::Error;
use super::governing::{Governing, Versions};
use crate::ids::{AgreementId, DeploymentId};
use crate::keeper::{ContractCalls, DECODER, Deployment};
use crate::ledger::agent::approvals;
use crate::ledger::upgrades::{self, Upgrade};
use crate::ledger::{self, Ledger, judging, late_blocks, policies, standings};
use crate::worker::{Progress, Worker};
use crate::workflows::Catalog;

/// Most logs that a tick takes in, but for a block that holds more: enough that a tick's statements cost little per log, and few
/// enough that what is judged of them at once (some 10 KiB per job) stays small beside the rest of the process.
const BATCH: i64 = 2000;

/// Most queued agreements of a tick.
const QUEUE_BATCH: i64 = 100;

/// Agreements that are looked at side by side, since each may wait for the node.
const SIDE_BY_SIDE: usize = 8;

/// How soon an orphaned event is looked for again whose fork is irreversible, while later blocks are still to be recorded or judged:
/// it may be in one of those.
const BEHIND: Duration = Duration::from_secs(1);

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
    versions: Versions,
    /// What the next tick finds taken in already.
    ahead: Option<Ahead>,
}

impl<C: ContractCalls> Judge<C> {
    /// A judge of that deployment, which asks for facts through `calls` and takes the newest catalog for every tick.
    pub fn new(
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
            versions: Versions::default(),
            ahead: None,
        }
    }

    /// The same judge, which asks for what could not be read again after `retry`.
    #[must_use]
    pub fn retrying_after(mut self, retry: Duration) -> Self {
        self.retry = retry;
        self
    }

    /// Which version of the catalog judges each of the events: the newest, or the one that the agent approved it under.
    async fn governing(
        &mut self,
        matters: &[Matter],
        newest: Arc<Catalog>,
    ) -> Result<Governing, Error> {
        let mut by = Governing::only(newest);
        let triggers = matters.iter().flat_map(|matter| &matter.triggers);
        let transactions: Vec<_> = triggers.map(|trigger| trigger.transaction).collect();
        if transactions.is_empty() {
            return Ok(by);
        }
        let mut connection = self.ledger.acquire().await?;
        let approvals = approvals::list(&mut connection, self.deployment_id, &transactions).await?;
        for (approval, sha256) in approvals {
            let version = self.versions.find(&mut connection, sha256, &by.newest);
            by.approved
                .extend(version.await?.map(|version| (approval, version)));
        }
        Ok(by)
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

impl<C: ContractCalls + 'static> Worker for Judge<C> {
    type Error = Error;

    const NAME: &'static str = "judge";

    async fn tick(&mut self) -> Result<Progress, Error> {
        let catalog = Arc::clone(&self.catalog.borrow_and_update());
        let ahead = self.ahead.take();
        let Some(mut docket) = self.docket(ahead).await? else {
            return Ok(Progress::Idle);
        };
        if docket.seen.decoder < DECODER {
            return self.begin_decoder().await;
        }
        if docket.to == docket.seen.judged && docket.due.is_empty() && docket.late.is_empty() {
            return Ok(Progress::Idle);
        }
        let late = self.take_in_late(&docket.late).await?;
        let intake = match docket.taken_in.take() {
            Some(intake) => intake,
            None => self.take_in(&docket.logs).await?,
        };
        let mut agreements = self.agreements(&docket, &intake).await?;
        agreements.extend(self.late_agreements(late).await?);
        let matters = self.gather(agreements, &intake, &docket).await?;
        let held = self.held(&docket, matters.is_empty()).await?;
        let by = self.governing(&matters, Arc::clone(&catalog)).await?;
        let (this, horizon) = (&*self, docket.horizon());
        let (by, held) = (&by, held.as_slice());
        let mut hearings: Vec<_> = stream::iter(matters)
            .map(|matter| this.hear(matter, horizon, by, held))
            .buffered(SIDE_BY_SIDE)
            .collect()
            .await;
        let taken = self.weigh_opinions(&mut hearings, horizon).await?;

        let (written, ahead) = tokio::join!(
            self.write(&docket, &catalog, &hearings, &taken),
            self.take_in_ahead(&docket)
        );
        if written? {
            // What went wrong ahead goes wrong again in its turn, and is told then.
            self.ahead = ahead.ok().flatten();
        } else {
            tracing::debug!(to = %docket.to, "somebody else judged meanwhile, or a rollback came");
        }
        Ok(Progress::More)
    }
}

impl<C: ContractCalls> Judge<C> {
    /// Writes what was concluded, unless the cursor has been moved (`false`).
    async fn write(
        &self,
        docket: &Docket,
        catalog: &Catalog,
        hearings: &[Hearing],
        opinions: &[Taken],
    ) -> Result<bool, Error> {
        let (id, seen) = (self.deployment_id, &docket.seen);
        let mut transaction = self.ledger.begin().await?;
        if !judging::advance(&mut transaction, id, seen, docket.to).await? {
            return Ok(false);
        }
        late_blocks::remove(&mut transaction, id, &docket.late.numbers).await?;
        if !hearings.is_empty() {
            policies::record(&mut transaction, catalog.sha256, &catalog.bytes).await?;
        }
        self.rule(&mut transaction, docket, catalog, hearings)
            .await?;
        self.record_opinions(&mut transaction, opinions, hearings)
            .await?;
        ledger::commit(transaction).await?;
        Ok(true)
    }
}
