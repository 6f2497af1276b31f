use serde::Serialize;
use serde_json::Value;

use super::notation::{address, hash, time};
use crate::engine::{Isolation, Stage, StageObservation};
use crate::jobs::{Oep12Status, Outcome, Phase, Reason, Status};
use crate::ledger::reader::{AttemptRow, JobRow, VerdictRow, WorkflowRow};

/// A job as lists show it: everything but what needs further rows.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct JobSummary {
    id: String,
    trigger: String,
    chain_id: u64,
    keeper: String,
    agreement_id: String,
    condition_id: String,
    did: String,
    consumer: String,
    provider: Option<String>,
    phase: Phase,
    outcome: Option<Outcome>,
    reason: Option<ReasonShown>,
    oep12: Oep12Status,
    attempt: u32,
    payment: Option<Payment>,
    block: Block,
    transaction_hash: String,
    log_index: u64,
    created_at: String,
    started_at: Option<String>,
    finished_at: Option<String>,
}

/// A job in full.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct JobDetails {
    #[serde(flatten)]
    summary: JobSummary,
    verdict: Option<Verdict>,
    workflow: Option<Workflow>,
    attempts: Vec<AttemptShown>,
    /// The algorithm's, of the last attempt that has one. An algorithm can speak through it: for those who may hear it.
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
}

/// Why a job stands where it stands.
#[derive(Debug, Serialize)]
struct ReasonShown {
    code: String,
    message: &'static str,
}

#[derive(Debug, Serialize)]
struct Payment {
    amount: String,
    payer: Option<String>,
}

#[derive(Debug, Serialize)]
struct Block {
    number: u64,
    hash: String,
    timestamp: Option<String>,
    canonical: bool,
    irreversible: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Verdict {
    admitted: bool,
    verdict: String,
    policy_version: Option<String>,
    rules: Value,
    judged_block: u64,
    judged_at: String,
}

#[derive(Debug, Serialize)]
struct Workflow {
    source: String,
    algorithm: Option<String>,
    image: Option<String>,
    tag: Option<String>,
    digest: Option<String>,
    resources: Option<Value>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AttemptShown {
    number: i32,
    started_at: String,
    finished_at: Option<String>,
    stages: Vec<StageShown>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct StageShown {
    stage: Stage,
    started_at: Option<String>,
    finished_at: Option<String>,
    /// Of the algorithm, once it has ended: what its isolation from the network rested on.
    #[serde(skip_serializing_if = "Option::is_none")]
    isolation: Option<Isolation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    runner: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
}

impl From<JobRow> for JobSummary {
    fn from(row: JobRow) -> Self {
        let oep12 = oep12(&row);
        Self {
            id: row.name.to_string(),
            trigger: row.trigger,
            chain_id: row.chain_id,
            keeper: address(row.contract),
            agreement_id: row.agreement.to_string(),
            condition_id: hash(row.key),
            did: row.did.to_string(),
            consumer: address(row.consumer),
            provider: row.provider.map(address),
            phase: row.phase,
            outcome: row.outcome,
            reason: row.reason.map(ReasonShown::new),
            oep12,
            attempt: row.attempt,
            payment: row.payment.map(|amount| Payment {
                amount,
                payer: row.payer.map(address),
            }),
            block: Block {
                number: row.block.number,
                hash: hash(row.block.hash),
                timestamp: row.block_made_at.map(time),
                canonical: row.block_canonical,
                irreversible: row.block_irreversible,
            },
            transaction_hash: hash(row.transaction_hash),
            log_index: row.log_index,
            created_at: time(row.created_at),
            started_at: row.started_at.map(time),
            finished_at: row.finished_at.map(time),
        }
    }
}

impl JobDetails {
    /// Puts a job together. `for_operator` adds what the algorithm could choose.
    pub(super) fn new(
        row: JobRow,
        verdict: Option<VerdictRow>,
        workflow: Option<WorkflowRow>,
        attempts: Vec<AttemptRow>,
        for_operator: bool,
    ) -> Self {
        let exit_code = attempts
            .iter()
            .rev()
            .flat_map(|attempt| &attempt.stages)
            .find(|stage| stage.stage == Stage::Algorithm)
            .and_then(|stage| stage.exit_code)
            .filter(|_| for_operator);
        Self {
            summary: row.into(),
            verdict: verdict.map(Verdict::from),
            workflow: workflow.map(Workflow::from),
            attempts: attempts
                .into_iter()
                .map(|attempt| AttemptShown::new(attempt, for_operator))
                .collect(),
            exit_code,
        }
    }
}

impl ReasonShown {
    fn new(code: String) -> Self {
        let message = code.parse().map_or(
            "This version of the API does not know this reason.",
            Reason::sentence,
        );
        Self { code, message }
    }
}

impl From<VerdictRow> for Verdict {
    fn from(row: VerdictRow) -> Self {
        Self {
            admitted: row.admitted,
            verdict: row.verdict,
            policy_version: row.policy.map(hash),
            rules: row.rules,
            judged_block: row.judged.number,
            judged_at: time(row.judged_at),
        }
    }
}

impl From<WorkflowRow> for Workflow {
    fn from(row: WorkflowRow) -> Self {
        Self {
            source: row.source,
            algorithm: row.algorithm,
            image: row.image,
            tag: row.tag,
            digest: row.digest,
            resources: row.resources,
        }
    }
}

impl AttemptShown {
    fn new(row: AttemptRow, for_operator: bool) -> Self {
        let stage = |stage: StageObservation| StageShown {
            stage: stage.stage,
            started_at: stage.started_at.map(time),
            finished_at: stage.finished_at.map(time),
            isolation: stage.isolation,
            runner: stage.runner.filter(|_| for_operator),
            exit_code: stage.exit_code.filter(|_| for_operator),
        };
        Self {
            number: row.number,
            started_at: time(row.started_at),
            finished_at: row.finished_at.map(time),
            stages: row.stages.into_iter().map(stage).collect(),
        }
    }
}

/// The code that OEP-12's clients know. A reason of a newer version counts as none: the outcome still decides.
pub(super) fn oep12(row: &JobRow) -> Oep12Status {
    Oep12Status::of(&Status {
        phase: row.phase,
        outcome: row.outcome,
        reason: row.reason.as_deref().and_then(|code| code.parse().ok()),
        attempt: row.attempt,
    })
}
