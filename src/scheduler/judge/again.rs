//! What another catalog would have made of the jobs that there are. It reads the ledger, asks contracts for what no event carries,
//! and writes nothing. Strangers' servers are not asked: what they answer now says nothing about then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::watch;

use super::gathering::Matter;
use super::hearing::Heard;
use super::intake::Intake;
use super::late::Late;
use super::{Docket, Judge};
use crate::admission::{Admission, Decision, Recorded, Verdict};
use crate::ids::{AgreementId, BlockRef, DeploymentId, JobName};
use crate::jobs::Reason;
use crate::keeper::{ContractCalls, Deployment, KeeperEvent};
use crate::ledger::past::{self, Past};
use crate::ledger::{Ledger, job_documents, judging, registrations};
use crate::scheduler::Error;
use crate::scheduler::governing::Governing;
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
/// holds, and answers where the result differs. Facts that nobody needed so far (those of an asset that was somebody else's) are
/// asked of the contracts through `calls`; documents are not fetched: that they would be looked for is the answer.
///
/// # Errors
/// Those of the ledger. A node that does not answer is none: what hangs on it is said to be undecided.
pub async fn rejudge<C: ContractCalls>(
    (ledger, calls): (&Ledger, C),
    deployment_id: DeploymentId,
    deployment: &Deployment,
    catalog: &Catalog,
) -> Result<Vec<Difference>, Error> {
    let (_, unused) = watch::channel(Arc::new(Catalog::empty()));
    let judge = Judge::new(
        ledger.clone(),
        deployment_id,
        deployment.clone(),
        calls,
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
    // what was approved is asked too: that is what the publisher wants to know first
    let by = Governing::only(Arc::new(catalog.clone()));
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
            let jobs = judge.considered(&matter, catalog).await?;
            if jobs.is_empty() {
                continue;
            }
            let hearing = judge.hear(matter, docket.horizon(), &by, &held).await;
            for Heard {
                trigger, verdict, ..
            } in &hearing.heard
            {
                if let Some(job) = jobs.get(&trigger.log) {
                    let fate = judge
                        .fate(job, (trigger, verdict), docket.to, catalog)
                        .await?;
                    differences.extend(difference(job, &fate)?);
                }
            }
        }
    }
}

fn difference(job: &Past, now: &Fate) -> Result<Option<Difference>, Error> {
    let then = Fate::of_past(job)?;
    Ok(now.differs_from(&then).map(|now| Difference {
        job: job.name.clone(),
        agreement: job.agreement,
        then: then.words(),
        now,
    }))
}

impl<C: ContractCalls> Judge<C> {
    /// The jobs of an agreement by their events' logs, without those that were somebody else's and still are: of these nothing is
    /// asked, and one keeper may have very many.
    async fn considered(
        &self,
        matter: &Matter,
        catalog: &Catalog,
    ) -> Result<BTreeMap<i64, Past>, Error> {
        let mut connection = self.ledger.acquire().await?;
        let mut jobs = BTreeMap::new();
        for trigger in &matter.triggers {
            let KeeperEvent::ComputeFulfilled { condition, did, .. } = trigger.event else {
                continue;
            };
            let job = past::find(&mut connection, self.deployment_id, condition).await?;
            let is_foreign = |job: &Past| {
                job.reason.as_deref() == Some(Reason::NotOurAsset.as_str())
                    && catalog.find(did).is_none()
            };
            jobs.extend(
                job.filter(|job| !is_foreign(job))
                    .map(|job| (trigger.log, job)),
            );
        }
        Ok(jobs)
    }

    async fn fate(
        &self,
        job: &Past,
        (trigger, verdict): (&Recorded, &Verdict),
        judged: BlockRef,
        catalog: &Catalog,
    ) -> Result<Fate, Error> {
        match &verdict.decision {
            Decision::Admitted(admission) => {
                self.workflow(job, (trigger, admission), judged, catalog)
                    .await
            }
            Decision::AwaitingPayment { .. } => Ok(Fate::waits("awaiting_payment")),
            Decision::Undecided { .. } => Ok(Fate::waits("undecided")),
            Decision::Refused(reason) | Decision::Skipped(reason) => {
                Ok(Fate::Ends((*reason).as_str().to_owned()))
            }
        }
    }

    /// What an admitted job would run, as far as the ledger holds what was found for it.
    async fn workflow(
        &self,
        job: &Past,
        (trigger, admission): (&Recorded, &Admission),
        judged: BlockRef,
        catalog: &Catalog,
    ) -> Result<Fate, Error> {
        let KeeperEvent::ComputeFulfilled { did, consumer, .. } = trigger.event else {
            return Ok(Fate::waits("undecided"));
        };
        let mut connection = self.ledger.acquire().await?;
        let (followed, up_to) = ((self.deployment_id, &self.deployment), judged.number);
        let said =
            registrations::list_of_agreement(&mut connection, followed, job.agreement, up_to)
                .await?;
        let question = Resolution {
            agreement: job.agreement,
            did,
            consumer,
            agreement_created: admission.agreement_created,
            decided_at: admission.owed_from,
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
                Conclusion::Wants(want) => {
                    return Ok(Fate::Waits {
                        phase: "awaiting_document",
                        looked_for: Some(want.words()),
                    });
                }
            }
        }
    }
}

/// What becomes of a job by judging alone.
#[derive(Debug)]
enum Fate {
    Runs(Box<JobSpec>),
    Ends(String),
    Waits {
        phase: &'static str,
        /// What would be looked for outside of the ledger.
        looked_for: Option<&'static str>,
    },
}

impl Fate {
    const fn waits(phase: &'static str) -> Self {
        Self::Waits {
            phase,
            looked_for: None,
        }
    }

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
            ("awaiting_payment", None) => Self::waits("awaiting_payment"),
            ("admitted", None) => Self::waits("awaiting_document"),
            _ => Self::waits("undecided"),
        })
    }

    fn words(&self) -> String {
        match self {
            Self::Runs(_) => "runs".to_owned(),
            Self::Ends(reason) => reason.clone(),
            Self::Waits { phase, .. } => (*phase).to_owned(),
        }
    }

    /// The same, with what it would wait for.
    fn told(&self) -> String {
        match self {
            Self::Waits {
                phase,
                looked_for: Some(what),
            } => format!("{phase}: it would be considered, and the {what} looked for"),
            _ => self.words(),
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
            _ => (self.words() != then.words()).then(|| self.told()),
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
