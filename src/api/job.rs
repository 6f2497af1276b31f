use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::admittance::View;
use super::notation::{address, hash, time};
use crate::engine::{Isolation, Stage, StageObservation};
use crate::jobs::{Oep12Status, Outcome, Phase, Reason, Status};
use crate::ledger::reader::{
    AttemptRow, AwaitedRow, DetailsRow, JobRow, QueueRow, VerdictRow, WorkflowRow,
};

/// A job as lists show it: everything but what needs further rows.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct JobSummary {
    /// `job-` and the first 32 hexadecimal digits of keccak256(abi.encode(chain id, contract, key)).
    #[schema(example = "job-0123456789abcdef0123456789abcdef")]
    id: String,
    /// What owes it: `keeper`.
    trigger: String,
    /// EIP-155 chain id.
    chain_id: u64,
    /// The contract whose event owes it.
    keeper: String,
    /// The service agreement.
    agreement_id: String,
    /// The compute condition.
    condition_id: String,
    /// The asset.
    #[schema(example = "did:op:0000000000000000000000000000000000000000000000000000000000000001")]
    did: String,
    /// For whom it is.
    consumer: String,
    /// Whose asset it computes on; null until that is judged.
    provider: Option<String>,
    /// Where it stands.
    #[schema(value_type = String)]
    phase: Phase,
    /// How it ended; null while it has not.
    #[schema(value_type = Option<String>)]
    outcome: Option<Outcome>,
    /// Why it stands where it stands.
    reason: Option<ReasonShown>,
    /// The same for clients of OEP-12.
    oep12: Oep12Shown,
    /// The attempt that was started last; 0 before the first.
    attempt: u32,
    /// What was paid.
    payment: Option<Payment>,
    /// The block of its event.
    block: Block,
    /// The event's transaction.
    transaction_hash: String,
    /// The event's place in its block.
    log_index: u64,
    /// When it was recorded.
    #[schema(format = DateTime)]
    created_at: String,
    /// When an engine first worked on it.
    #[schema(format = DateTime)]
    started_at: Option<String>,
    /// When it ended.
    #[schema(format = DateTime)]
    finished_at: Option<String>,
}

/// A job in full.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct JobDetails {
    #[serde(flatten)]
    summary: JobSummary,
    /// The verdict in force.
    verdict: Option<Verdict>,
    /// What runs, once it is frozen.
    workflow: Option<Workflow>,
    /// What is looked for elsewhere, while the job is `awaiting_document`.
    awaited: Option<Awaited>,
    /// Where it stands, while it is queued.
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<Queued>,
    /// Each start, with its stages.
    attempts: Vec<AttemptShown>,
    /// The algorithm's, of the last attempt that has one. An algorithm can speak through it: for those who may hear it.
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
}

/// Why a job stands where it stands.
#[derive(Debug, Serialize, ToSchema)]
struct ReasonShown {
    /// Stable code.
    code: String,
    /// The same as a sentence.
    message: &'static str,
}

/// OEP-12's status.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Oep12Shown {
    /// Its number.
    #[schema(example = 70)]
    status: u16,
    /// Its words.
    status_text: &'static str,
}

/// A payment.
#[derive(Debug, Serialize, ToSchema)]
struct Payment {
    /// In the token's smallest unit.
    #[schema(example = "10")]
    amount: String,
    /// Who paid.
    payer: Option<String>,
}

/// A block.
#[derive(Debug, Serialize, ToSchema)]
struct Block {
    /// Its height.
    number: u64,
    /// Its hash.
    hash: String,
    /// By its maker's clock; null while the block itself is not recorded.
    #[schema(format = DateTime)]
    timestamp: Option<String>,
    /// Whether it is on the chain.
    canonical: bool,
    /// Whether it can no longer be rolled back.
    irreversible: bool,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Verdict {
    /// Whether the job is owed.
    admitted: bool,
    /// `admitted`, `awaiting_payment`, `undecided`, `refused`, `skipped` or `withdrawn`.
    verdict: String,
    /// SHA-256 of the catalog that judged; null when none was needed.
    policy_version: Option<String>,
    /// Each rule's answer in order: `{rule, answer, detail, evidence}`, the evidence with its place on the chain.
    #[schema(value_type = Vec<Object>)]
    rules: Value,
    /// The block up to which events were considered.
    judged_block: u64,
    /// When.
    #[schema(format = DateTime)]
    judged_at: String,
}

/// Something that is looked for elsewhere.
#[derive(Debug, Serialize, ToSchema)]
struct Awaited {
    /// `workflow`, `asset` or `algorithm` (documents), `code` (the algorithm's file), `image` (its digest).
    what: Option<String>,
    /// Since when it is looked for.
    #[schema(format = DateTime)]
    since: String,
    /// Until when; then the job is refused.
    #[schema(format = DateTime)]
    until: Option<String>,
    /// How often it was looked for in vain.
    tries: i32,
    /// Why it could not be had the last time, without the address.
    problem: Option<String>,
}

/// A place in the queue.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Queued {
    /// 1 for the next. Payers take turns, so jobs that come later can still come before.
    place: i64,
    /// What it waits for.
    waits_for: WaitsFor,
}

/// What keeps a queued job from being started.
#[derive(Debug, Serialize, ToSchema)]
struct WaitsFor {
    /// `block`, `halt`, `pause`, `parked`, `depth`, `verification`, `retry` or `turn`.
    code: String,
    /// The same as a sentence.
    message: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
struct Workflow {
    /// Who named it: `consumer`, `asset`, `service` or `catalog`.
    source: String,
    /// The algorithm's DID; null for raw code.
    algorithm: Option<String>,
    /// Image repository.
    image: Option<String>,
    /// The image's tag, for people.
    tag: Option<String>,
    /// The image's digest: what runs. `none` where images are not run.
    digest: Option<String>,
    /// Ceilings: `cpu`, `memory`, `disk`, `maxExecutionSeconds`.
    #[schema(value_type = Option<Object>)]
    resources: Option<Value>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AttemptShown {
    /// 1 for the first.
    number: i32,
    /// When it was started.
    #[schema(format = DateTime)]
    started_at: String,
    /// When it ended.
    #[schema(format = DateTime)]
    finished_at: Option<String>,
    /// Its stages, in order.
    stages: Vec<StageShown>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct StageShown {
    /// `configure`, `algorithm`, `filter` or `publish`.
    #[schema(value_type = String)]
    stage: Stage,
    /// When it began.
    #[schema(format = DateTime)]
    started_at: Option<String>,
    /// When it ended.
    #[schema(format = DateTime)]
    finished_at: Option<String>,
    /// Of the algorithm, once it has ended, what its isolation from the network rested on: `proven`, `unproven` or `open`.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    isolation: Option<Isolation>,
    /// What ran it, for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    runner: Option<String>,
    /// Its exit code, for those who may read its log.
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
}

impl From<JobRow> for JobSummary {
    fn from(row: JobRow) -> Self {
        let known = oep12(&row);
        let oep12 = Oep12Shown {
            status: known.status,
            status_text: known.status_text,
        };
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
    /// Puts a job together, as somebody may see it: what the algorithm could choose goes where its log goes.
    pub(super) fn new(row: DetailsRow, view: &View) -> Self {
        let exit_code = row
            .attempts
            .iter()
            .rev()
            .flat_map(|attempt| &attempt.stages)
            .find(|stage| stage.stage == Stage::Algorithm)
            .and_then(|stage| stage.exit_code)
            .filter(|_| view.shows_exit_codes());
        Self {
            summary: row.job.into(),
            verdict: row.verdict.map(Verdict::from),
            workflow: row.workflow.map(Workflow::from),
            awaited: row.awaited.map(Awaited::from),
            queue: None,
            attempts: row
                .attempts
                .into_iter()
                .map(|attempt| AttemptShown::new(attempt, view))
                .collect(),
            exit_code,
        }
    }
}

impl JobDetails {
    /// The same, with its place in the queue.
    pub(super) fn queued(self, row: Option<QueueRow>) -> Self {
        Self {
            queue: row.map(Queued::from),
            ..self
        }
    }
}

impl From<QueueRow> for Queued {
    fn from(row: QueueRow) -> Self {
        let message = held_back_by(&row.waits_for);
        Self {
            place: row.ahead + 1,
            waits_for: WaitsFor {
                code: row.waits_for,
                message,
            },
        }
    }
}

/// What a queued job waits for, as a sentence.
pub(super) fn held_back_by(waits_for: &str) -> &'static str {
    match waits_for {
        "block" => "Its event is not on the chain now.",
        "halt" => "Following is halted until an operator looks at it.",
        "pause" => "The operator has paused the start of jobs.",
        "parked" => "It could not be handed over, and waits for an operator.",
        "depth" => "Its block is not deep enough to act on yet.",
        "verification" => "History up to its block is not verified yet.",
        "retry" => "It could not be started just now, and is tried again.",
        _ => "It waits for its turn.",
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

impl From<AwaitedRow> for Awaited {
    fn from(row: AwaitedRow) -> Self {
        Self {
            what: row.what,
            since: time(row.since),
            until: row.until.map(time),
            tries: row.tries,
            problem: row.problem,
        }
    }
}

impl AttemptShown {
    fn new(row: AttemptRow, view: &View) -> Self {
        let stage = |stage: StageObservation| StageShown {
            stage: stage.stage,
            started_at: stage.started_at.map(time),
            finished_at: stage.finished_at.map(time),
            isolation: stage.isolation,
            runner: stage.runner.filter(|_| view.shows_runners()),
            exit_code: stage.exit_code.filter(|_| view.shows_exit_codes()),
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
