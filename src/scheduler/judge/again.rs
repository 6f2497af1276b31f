//! What another catalog would have made of the jobs that there are. It reads the ledger and nothing else, and writes nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use alloy::primitives::{Address, Bytes};
use tokio::sync::watch;

use super::intake::Intake;
use super::late::Late;
use super::{Docket, Judge};
use crate::admission::{Decision, Verdict};
use crate::ids::{AgreementId, DeploymentId, JobName};
use crate::jobs::Reason;
use crate::keeper::{ContractCalls, Deployment, KeeperEvent};
use crate::ledger::past::{self, Past};
use crate::ledger::{Ledger, job_documents, judging, registrations, specs};
use crate::scheduler::Error;
use crate::workflows::{Catalog, Conclusion, Found, JobSpec, Resolution, Want, resolve};

/// Agreements that are judged again at a time.
const PAGE: i64 = 200;

/// A job of which another catalog would have made something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The job.
    pub job: JobName,
    /// Its agreement.
    pub agreement: AgreementId,
    /// What became of it.
    pub then: String,
    /// What would have become of it.
    pub now: String,
}

/// Judges and resolves every job of a deployment again under another catalog, from the events, facts and documents that the ledger
/// holds, and answers where the result differs. What the ledger lacks for the other catalog is said, not fetched.
///
/// # Errors
/// Those of the ledger.
pub async fn rejudge(
    ledger: &Ledger,
    deployment_id: DeploymentId,
    deployment: &Deployment,
    catalog: &Catalog,
) -> Result<Vec<Difference>, Error> {
    let (_, unused) = watch::channel(Arc::new(Catalog::empty()));
    let judge = Judge::new(
        ledger.clone(),
        deployment_id,
        deployment.clone(),
        Nobody,
        unused,
    );
    let mut connection = ledger.acquire().await?;
    let Some(seen) = judging::find_horizons(&mut connection, deployment_id).await? else {
        return Ok(Vec::new());
    };
    let docket = Docket {
        to: seen.judged,
        seen,
        logs: Vec::new(),
        taken_in: None,
        late: Late::default(),
        due: Vec::new(),
    };
    let held = judge.held(&docket, false).await?;
    let (mut differences, mut after) = (Vec::new(), None);
    loop {
        let page = past::list_agreements(&mut connection, deployment_id, after, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(differences);
        };
        after = Some(*last);
        let agreements: BTreeSet<_> = page.into_iter().collect();
        for matter in judge
            .gather(agreements, &Intake::default(), &docket)
            .await?
        {
            let hearing = judge.hear(matter, docket.horizon(), catalog, &held).await;
            for (trigger, verdict) in &hearing.verdicts {
                let KeeperEvent::ComputeFulfilled { condition, did, .. } = trigger.event else {
                    continue;
                };
                let job = past::find(&mut connection, deployment_id, condition).await?;
                // Whose asset it was is asked before anything that only calls could tell.
                let is_foreign = |job: &Past| {
                    job.reason.as_deref() == Some(Reason::NotOurAsset.as_str())
                        && catalog.find(did).is_none()
                };
                if let Some(job) = job.filter(|job| !is_foreign(job)) {
                    differences.extend(judge.compare(&job, verdict, catalog).await?);
                }
            }
        }
    }
}

impl Judge<Nobody> {
    async fn compare(
        &self,
        job: &Past,
        verdict: &Verdict,
        catalog: &Catalog,
    ) -> Result<Option<Difference>, Error> {
        let (then, now) = (Fate::of_past(job)?, self.fate(job, verdict, catalog).await?);
        Ok(now.differs_from(&then).map(|now| Difference {
            job: job.name.clone(),
            agreement: job.agreement,
            then: then.words(),
            now,
        }))
    }

    async fn fate(&self, job: &Past, verdict: &Verdict, catalog: &Catalog) -> Result<Fate, Error> {
        match &verdict.decision {
            Decision::Admitted(_) => {}
            Decision::AwaitingPayment { .. } => return Ok(Fate::Waits("awaiting_payment")),
            Decision::Undecided { .. } => return Ok(Fate::Waits("undecided")),
            Decision::Refused(reason) | Decision::Skipped(reason) => {
                return Ok(Fate::Ends((*reason).as_str().to_owned()));
            }
        }
        let mut connection = self.ledger.acquire().await?;
        let Some(asked) = specs::find_admitted(&mut connection, job.job).await? else {
            return Ok(Fate::Waits("undecided"));
        };
        let (followed, up_to) = ((self.deployment_id, &self.deployment), asked.judged.number);
        let said =
            registrations::list_of_agreement(&mut connection, followed, job.agreement, up_to)
                .await?;
        let question = Resolution {
            agreement: asked.agreement,
            did: asked.did,
            consumer: asked.consumer,
            agreement_created: asked.agreement_created,
            decided_at: asked.decided_at,
            registrations: &said,
            catalog,
        };
        let mut found = Found::default();
        for (want, finding) in job_documents::list_findings(&mut connection, job.job).await? {
            found.put(want, finding);
        }
        loop {
            match resolve(&question, &found) {
                Conclusion::Frozen(frozen) => return Ok(Fate::Runs(Box::new(frozen.spec))),
                Conclusion::Refused(refusal) => {
                    return Ok(Fate::Ends(refusal.reason.as_str().to_owned()));
                }
                Conclusion::Wants(Want::Registrations { did }) => {
                    let events =
                        registrations::list_of_did(&mut connection, followed, did, up_to).await?;
                    found.put_registrations(did, events);
                }
                Conclusion::Wants(_) => return Ok(Fate::Waits("awaiting_document")),
            }
        }
    }
}

/// What becomes of a job by judging alone.
#[derive(Debug)]
enum Fate {
    Runs(Box<JobSpec>),
    Ends(String),
    Waits(&'static str),
}

impl Fate {
    fn of_past(job: &Past) -> Result<Self, Error> {
        if let Some(body) = &job.spec {
            let spec = serde_json::from_slice(body).map_err(|source| Error::SpecUnreadable {
                job: job.name.clone(),
                source: source.into(),
            })?;
            return Ok(Self::Runs(Box::new(spec)));
        }
        Ok(match (job.verdict.as_str(), &job.reason) {
            (_, Some(reason)) => Self::Ends(reason.clone()),
            ("awaiting_payment", None) => Self::Waits("awaiting_payment"),
            ("admitted", None) => Self::Waits("awaiting_document"),
            _ => Self::Waits("undecided"),
        })
    }

    fn words(&self) -> String {
        match self {
            Self::Runs(_) => "runs".to_owned(),
            Self::Ends(reason) => reason.clone(),
            Self::Waits(phase) => (*phase).to_owned(),
        }
    }

    /// The words for this fate, if it is not the one that was.
    fn differs_from(&self, then: &Self) -> Option<String> {
        match (self, then) {
            (Self::Runs(now), Self::Runs(then)) => {
                let parts = changed(now, then);
                (!parts.is_empty()).then(|| format!("runs with another {}", parts.join(", ")))
            }
            // Its chain says so, and no catalog changes that.
            (_, Self::Ends(reason)) if reason == Reason::EventWithdrawn.as_str() => None,
            _ => (self.words() != then.words()).then(|| self.words()),
        }
    }
}

/// The parts of a specification that differ.
fn changed(now: &JobSpec, then: &JobSpec) -> Vec<&'static str> {
    [
        ("algorithm", now.algorithm != then.algorithm),
        ("input", now.inputs != then.inputs),
        ("ceiling", now.resources != then.resources),
        ("network access", now.allow_network != then.allow_network),
        ("release rule", now.release != then.release),
    ]
    .into_iter()
    .filter_map(|(part, differs)| differs.then_some(part))
    .collect()
}

/// A node that is not asked: what the ledger does not hold stays unknown.
#[derive(Clone, Copy, Debug)]
struct Nobody;

/// Nobody was asked.
#[derive(Debug, thiserror::Error)]
#[error("only the ledger is asked")]
struct NotAsked;

impl ContractCalls for Nobody {
    type Error = NotAsked;

    async fn call(&self, _: Address, _: Bytes, _: Option<u64>) -> Result<Bytes, NotAsked> {
        Err(NotAsked)
    }
}
