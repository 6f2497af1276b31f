//! The resolver: freezes what an admitted job runs, or refuses it.
//!
//! It takes admitted jobs one by one, oldest first, in one transaction each: the document that counts, the policy's word, the
//! frozen specification and the move. It has no effect outside of the ledger, so that a lock on the row is lease enough.
//!
//! A job is resolved only when its block is deep enough to act on. Before that a reorganisation could put another registration
//! in the place of the one that was frozen, and what is frozen stays.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::watch;

use super::Error;
use crate::admission::{Answer, Evidence, Recorded, RuleAnswer};
use crate::ids::DeploymentId;
use crate::jobs::{Outcome, Phase, Reason, Status};
use crate::keeper::{self, Deployment, KeeperEvent};
use crate::ledger::specs::{NewSpec, Unresolved};
use crate::ledger::verdicts::{Basis, WORKFLOW_RULE};
use crate::ledger::{
    self, Connection, Ledger, Transaction, documents, judging, policies, specs, status, subjects,
    verdicts,
};
use crate::worker::{Progress, Worker};
use crate::workflows::{Catalog, Frozen, JobSpec, Refusal, Resolution, resolve};

/// Name that the resolver signs transitions with.
const WORKER: &str = "resolver";

/// The worker that freezes specifications.
#[derive(Debug)]
pub struct Resolver {
    ledger: Ledger,
    deployment_id: DeploymentId,
    deployment: Deployment,
    catalog: watch::Receiver<Arc<Catalog>>,
}

impl Resolver {
    /// A resolver of that deployment, which takes the newest catalog for every job.
    pub const fn new(
        ledger: Ledger,
        deployment_id: DeploymentId,
        deployment: Deployment,
        catalog: watch::Receiver<Arc<Catalog>>,
    ) -> Self {
        Self {
            ledger,
            deployment_id,
            deployment,
            catalog,
        }
    }

    /// The registry's events that can hold the consumer's choice: about the DID that is the agreement's id, and about every DID
    /// with a document that names the agreement.
    async fn registrations(
        &self,
        connection: &mut Connection,
        job: &Unresolved,
    ) -> Result<Vec<Recorded>, Error> {
        let (id, up_to) = (self.deployment_id, job.judged.number);
        let agreement = [job.agreement.0];
        let naming =
            judging::list_about(connection, id, subjects::AGREEMENT, &agreement, up_to).await?;
        let mut dids = vec![job.agreement.0];
        dids.extend(naming.iter().filter_map(|(_, logged)| {
            match keeper::decode(&self.deployment, &logged.log) {
                Ok(Some(KeeperEvent::DidRegistered { did, .. })) => Some(did.0),
                _ => None,
            }
        }));
        let logs = judging::list_about(connection, id, subjects::DID, &dids, up_to).await?;
        Ok(logs
            .iter()
            .filter_map(|(_, logged)| {
                let event = keeper::decode(&self.deployment, &logged.log).ok()??;
                Some(Recorded {
                    log: logged.id,
                    block: logged.log.block,
                    transaction: logged.log.transaction_hash,
                    transaction_index: logged.log.transaction_index,
                    log_index: logged.log.log_index,
                    event,
                })
            })
            .collect())
    }

    async fn settle(
        &self,
        transaction: &mut Transaction,
        job: &Unresolved,
        catalog: &Catalog,
    ) -> Result<(), Error> {
        let registrations = self.registrations(transaction, job).await?;
        let answer = resolve(&Resolution {
            agreement: job.agreement,
            did: job.did,
            consumer: job.consumer,
            agreement_created: job.agreement_created,
            decided_at: job.decided_at,
            registrations: &registrations,
            catalog,
        });
        policies::record(transaction, catalog.sha256, &catalog.bytes).await?;
        match answer {
            Ok(frozen) => freeze(transaction, job, catalog, &frozen).await,
            Err(refusal) => refuse(transaction, job, catalog, &refusal).await,
        }
    }
}

async fn freeze(
    transaction: &mut Transaction,
    job: &Unresolved,
    catalog: &Catalog,
    frozen: &Frozen,
) -> Result<(), Error> {
    let body = frozen
        .spec
        .to_bytes()
        .map_err(ledger::Error::unreadable("job_specs"))?;
    let source = frozen.source.as_str();
    let document = match &frozen.document {
        Some(document) => Some(documents::record(transaction, document, source).await?),
        None => None,
    };
    let spec = NewSpec {
        body: &body,
        sha256: JobSpec::digest(&body),
        source,
        document,
        policy: catalog.sha256,
    };
    specs::freeze(transaction, job.job, &spec).await?;
    if let Some(log) = frozen.registration {
        verdicts::record_evidence(transaction, &[(job.job, "workflow", log)]).await?;
    }
    move_to(transaction, job, |attempt| {
        Status::of_phase(Phase::Queued, attempt)
    })
    .await
}

async fn refuse(
    transaction: &mut Transaction,
    job: &Unresolved,
    catalog: &Catalog,
    refusal: &Refusal,
) -> Result<(), Error> {
    let (outcome, word) = match refusal.reason {
        Reason::NotOurAsset => (Outcome::Skipped, "skipped"),
        _ => (Outcome::Refused, "refused"),
    };
    if let Some(log) = refusal.registration {
        verdicts::record_evidence(transaction, &[(job.job, "workflow", log)]).await?;
    }
    let mut locked = status::lock(transaction, job.job).await?;
    let answer = RuleAnswer {
        rule: WORKFLOW_RULE.to_owned(),
        answer: Answer::Fails,
        detail: refusal.sentence.clone(),
        evidence: refusal.registration.map(Evidence::Log),
    };
    let basis = Basis {
        policy: Some(catalog.sha256),
        judged: job.judged,
    };
    // The rules of admission held; they stay readable before the one that did not.
    let mut rules = verdicts::find_last_judged(transaction, job.job)
        .await?
        .and_then(|last| last.rules.as_array().cloned())
        .unwrap_or_default();
    rules.push(json!(answer));
    let words = (word, Some(refusal.reason));
    verdicts::append(transaction, job.job, words, &json!(rules), &basis).await?;
    let attempt = locked.status.attempt;
    let end = Status::finished(outcome, Some(refusal.reason), attempt);
    status::advance(transaction, &mut locked, end, WORKER).await?;
    Ok(())
}

async fn move_to(
    transaction: &mut Transaction,
    job: &Unresolved,
    status: impl FnOnce(u32) -> Status,
) -> Result<(), Error> {
    let mut locked = status::lock(transaction, job.job).await?;
    let target = status(locked.status.attempt);
    status::advance(transaction, &mut locked, target, WORKER).await?;
    Ok(())
}

impl Worker for Resolver {
    type Error = Error;

    const NAME: &'static str = WORKER;

    async fn tick(&mut self) -> Result<Progress, Error> {
        let catalog = Arc::clone(&self.catalog.borrow_and_update());
        let mut transaction = self.ledger.begin().await?;
        let found = specs::lock_unresolved(&mut transaction, self.deployment_id).await?;
        let Some(job) = found else {
            return Ok(Progress::Idle);
        };
        self.settle(&mut transaction, &job, &catalog).await?;
        ledger::commit(transaction).await?;
        Ok(Progress::More)
    }
}
