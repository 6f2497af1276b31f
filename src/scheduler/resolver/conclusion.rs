//! What a conclusion does to a job's rows, inside of one transaction.

use serde_json::json;

use super::WORKER;
use crate::admission::{Answer, Evidence, RuleAnswer};
use crate::jobs::{Outcome, Phase, Reason, Status};
use crate::ledger::specs::{NewSpec, Unresolved};
use crate::ledger::verdicts::{Basis, WORKFLOW_RULE};
use crate::ledger::{self, Transaction, documents, specs, status, verdicts};
use crate::scheduler::Error;
use crate::workflows::{Catalog, Frozen, JobSpec, Refusal};

/// Freezes what the job runs and queues it.
pub(super) async fn freeze(
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
    let logs = frozen.registrations.iter();
    let evidence: Vec<_> = logs.map(|log| (job.job, "workflow", *log)).collect();
    verdicts::record_evidence(transaction, &evidence).await?;
    move_to(transaction, job, |attempt| {
        Status::of_phase(Phase::Queued, attempt)
    })
    .await
}

/// Refuses the job, with the rule that did not hold after those that did.
pub(super) async fn refuse(
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
        rule: WORKFLOW_RULE.into(),
        answer: Answer::Fails,
        detail: refusal.sentence.clone().into(),
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
