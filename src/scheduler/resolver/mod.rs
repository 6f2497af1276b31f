//! The resolver: freezes what an admitted job runs, or refuses it.
//!
//! A tick takes the oldest job that is due and decides it in one transaction, from what the ledger holds: the registry's events,
//! the catalog, and what was found outside so far (`conclusion.rs` writes the result). A lock on the row is lease enough for that.
//! When something from outside is missing, the tick notes what, takes a lease, and looks for it beside the ticks that follow
//! (`errand.rs`), with no transaction open; what it finds is recorded, and the job decided anew from the rows. So a crash anywhere
//! costs one fetch, and two replicas never disagree: a finding is final, whoever came first.
//!
//! What the agent found when it approved an agreement is taken over as it is and not looked for: nobody can put something else in
//! its place between the approval and the job. Nor can a catalog that changed meanwhile (`governing.rs` of the scheduler).
//!
//! What cannot be had now is looked for again with growing delay until a deadline, both by the database's clock; then that it could
//! not be had is the finding, and parked: an operator can have it looked for again. Only so many jobs are out on errands at once; a slow server holds up nobody else.
//!
//! A job is resolved only when its block is deep enough to act on. Before that a reorganisation could put another registration
//! in the place of the one that was frozen, and what is frozen stays.

mod conclusion;
mod errand;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Error;
use super::governing::{Versions, governing};
use crate::documents::{Documents, NO_DIGEST};
use crate::ids::DeploymentId;
use crate::keeper::Deployment;
use crate::ledger::agent::{approvals, documents};
use crate::ledger::specs::{self, Unresolved};
use crate::ledger::{self, Ledger, Transaction, job_documents, leases, policies, registrations};
use crate::worker::{Progress, Worker};
use crate::workflows::{Catalog, Conclusion, Finding, Found, Resolution, Want, resolve};
use errand::Errand;

/// Name that the resolver signs transitions with.
const WORKER: &str = "resolver";

/// Most jobs that wait for a stranger's server at once; each may hold half a megabyte.
const ERRANDS: usize = 16;

/// How long a tick waits for an errand to end when there is nothing else to do.
const POLL: Duration = Duration::from_millis(250);

/// The worker that freezes specifications.
#[derive(Debug)]
pub struct Resolver {
    ledger: Ledger,
    deployment_id: DeploymentId,
    deployment: Deployment,
    catalog: watch::Receiver<Arc<Catalog>>,
    documents: Documents,
    settings: ResolverSettings,
    versions: Versions,
    errands: JoinSet<Result<(), Error>>,
}

/// How long the resolver waits for what cannot be had.
#[derive(Clone, Copy, Debug)]
pub struct ResolverSettings {
    /// The pause before the second try; each later one is twice as long, up to [`Self::longest_pause`].
    pub pause: Duration,
    /// The longest pause between tries.
    pub longest_pause: Duration,
    /// How long something is looked for in all before the job is refused.
    pub patience: Duration,
}

impl Default for ResolverSettings {
    /// From 5 seconds to 10 minutes, for a day: a server that is down overnight costs no consumer a job.
    fn default() -> Self {
        Self {
            pause: Duration::from_secs(5),
            longest_pause: Duration::from_secs(600),
            patience: Duration::from_secs(24 * 3600),
        }
    }
}

impl ResolverSettings {
    /// The pause after so many tries that found nothing.
    fn pause_after(&self, tries: u32) -> Duration {
        let doublings = tries.saturating_sub(1).min(16);
        (self.pause * 2_u32.pow(doublings)).min(self.longest_pause)
    }
}

impl Resolver {
    /// A resolver of that deployment, which takes the newest catalog for every job that was not approved under another, and fetches through `documents`.
    pub fn new(
        ledger: Ledger,
        deployment_id: DeploymentId,
        deployment: Deployment,
        catalog: watch::Receiver<Arc<Catalog>>,
        documents: Documents,
    ) -> Self {
        Self {
            ledger,
            deployment_id,
            deployment,
            catalog,
            documents,
            settings: ResolverSettings::default(),
            versions: Versions::default(),
            errands: JoinSet::new(),
        }
    }

    /// The same resolver with other waits.
    #[must_use]
    pub fn waiting(self, settings: ResolverSettings) -> Self {
        Self { settings, ..self }
    }

    /// The version of the catalog that judges a job: the newest, or the one that the agent approved it under.
    async fn governing(
        &mut self,
        transaction: &mut Transaction,
        job: &Unresolved,
    ) -> Result<Arc<Catalog>, Error> {
        let newest = Arc::clone(&self.catalog.borrow_and_update());
        let approved = match approvals::find_of_job(transaction, job.job).await? {
            Some(sha256) => self.versions.find(transaction, sha256, &newest).await?,
            None => None,
        };
        Ok(Arc::clone(governing(approved.as_ref(), &newest, job.did)))
    }

    /// Decides a job from what the ledger holds.
    async fn decide(
        &self,
        transaction: &mut Transaction,
        job: &Unresolved,
        catalog: &Catalog,
    ) -> Result<Conclusion, Error> {
        let (followed, up_to) = ((self.deployment_id, &self.deployment), job.judged.number);
        let said =
            registrations::list_of_agreement(transaction, followed, job.agreement, up_to).await?;
        let question = Resolution {
            agreement: job.agreement,
            did: job.did,
            consumer: job.consumer,
            agreement_created: job.agreement_created,
            decided_at: job.decided_at,
            registrations: &said,
            catalog,
        };
        let mut found = Found::default();
        for (want, finding) in job_documents::list_findings(transaction, job.job).await? {
            found.put(want, finding);
        }
        loop {
            match resolve(&question, &found) {
                Conclusion::Wants(Want::Registrations { did }) => {
                    let events =
                        registrations::list_of_did(transaction, followed, did, up_to).await?;
                    found.put_registrations(did, events);
                }
                Conclusion::Wants(want) => match self.agent_found(transaction, job, &want).await? {
                    Some(finding) => found.put(want, finding),
                    None => return Ok(Conclusion::Wants(want)),
                },
                conclusion => return Ok(conclusion),
            }
        }
    }

    /// What the agent found of it when it approved the agreement: then the job rests on the same, and not on what a server or a tag
    /// says by now.
    async fn agent_found(
        &self,
        transaction: &mut Transaction,
        job: &Unresolved,
        want: &Want,
    ) -> Result<Option<Finding>, Error> {
        let id = self.deployment_id;
        let found = documents::find(transaction, id, job.agreement, want).await?;
        if let Some(finding) = &found {
            job_documents::ask(transaction, job.job, want, self.settings.patience).await?;
            job_documents::record(transaction, job.job, want, finding).await?;
        }
        Ok(found)
    }

    /// Notes what a job needs, leases it, and looks for it beside the ticks that follow.
    async fn send_out(
        &mut self,
        mut transaction: Transaction,
        job: Unresolved,
        want: Want,
    ) -> Result<(), Error> {
        job_documents::ask(&mut transaction, job.job, &want, self.settings.patience).await?;
        let leased = if self.errands.len() < ERRANDS {
            leases::take(&mut transaction, &[job.job.0], WORKER, errand::LEASE).await?
        } else {
            Vec::new()
        };
        ledger::commit(transaction).await?;
        if let Some(lease) = leased.into_iter().next() {
            let errand = Errand {
                ledger: self.ledger.clone(),
                documents: self.documents.clone(),
                settings: self.settings,
                deployment: self.deployment_id,
                job: job.job,
                name: job.name,
                lease,
                want,
            };
            self.errands.spawn(errand.run());
        }
        Ok(())
    }

    /// Waits a moment for an errand to end.
    async fn await_errand(&mut self) -> Result<Progress, Error> {
        match timeout(POLL, self.errands.join_next()).await {
            Ok(Some(Ok(done))) => done.map(|()| Progress::More),
            // One that panicked or was cut off leaves its lease to end by itself.
            Ok(Some(Err(error))) => {
                tracing::error!(%error, "looking for a document was cut off");
                Ok(Progress::More)
            }
            Ok(None) | Err(_) => Ok(Progress::Idle),
        }
    }
}

impl Worker for Resolver {
    type Error = Error;

    const NAME: &'static str = WORKER;

    async fn tick(&mut self) -> Result<Progress, Error> {
        while let Some(ended) = self.errands.try_join_next() {
            if let Ok(done) = ended {
                done?;
            }
        }
        let mut transaction = self.ledger.begin().await?;
        let is_full = self.errands.len() >= ERRANDS;
        let found = specs::lock_unresolved(&mut transaction, self.deployment_id, is_full).await?;
        let Some(job) = found else {
            drop(transaction);
            return self.await_errand().await;
        };
        let catalog = self.governing(&mut transaction, &job).await?;
        let conclusion = self.decide(&mut transaction, &job, &catalog).await?;
        if let Conclusion::Wants(want) = conclusion {
            self.send_out(transaction, job, want).await?;
            return Ok(Progress::More);
        }
        policies::record(&mut transaction, catalog.sha256, &catalog.bytes).await?;
        match conclusion {
            Conclusion::Frozen(mut frozen) => {
                if !self.documents.asks_registries() {
                    // Also of an image that the catalog pins: what is not run is not named as what ran.
                    NO_DIGEST.clone_into(&mut frozen.spec.algorithm.digest);
                }
                conclusion::freeze(&mut transaction, &job, &catalog, &frozen).await?;
            }
            Conclusion::Refused(refusal) => {
                conclusion::refuse(&mut transaction, &job, &catalog, &refusal).await?;
            }
            Conclusion::Wants(_) => {}
        }
        ledger::commit(transaction).await?;
        Ok(Progress::More)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let settings = ResolverSettings::default();
        let pauses: Vec<_> = (1..=9)
            .map(|tries| settings.pause_after(tries).as_secs())
            .collect();
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 320, 600, 600]);
        assert_eq!(settings.pause_after(u32::MAX).as_secs(), 600);
    }
}
