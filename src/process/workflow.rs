use alloy::primitives::B256;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::engine::{
    Isolation, Observation, Published, Stage, StageObservation, WorkflowPlan, WorkflowUid,
};
use crate::ids::JobName;
use crate::jobs::{Footing, Outcome, Phase, Reason, Status};
use crate::workflows::JobSpec;

/// All that is written down of a workflow. Nothing else is remembered between two looks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Workflow {
    /// Its identity; another one under the same name has another.
    pub uid: String,
    /// The job.
    pub job: JobName,
    /// What it runs. It holds source URLs, so the file is its owner's alone.
    pub spec: JobSpec,
    /// SHA-256 of the frozen bytes.
    pub spec_sha256: B256,
    /// User of the algorithm, where this is run by root.
    pub run_as: u32,
    /// Attempts that earlier workflows of this job had.
    pub attempts_before: u32,
    /// The attempt that was asked for last, by the job's count; 0 while it is inert.
    pub attempt: u32,
    /// Whether somebody asked to end it.
    pub stop: bool,
    /// Whether publishing waits, because the job's event is off the chain.
    pub hold_publishing: bool,
    /// The last attempt whose event is gone for good; 0 for none.
    pub withdrawn: u32,
    /// Whether outcome and log are in the ledger, so that it may be removed.
    pub released: bool,
    /// Whether somebody asked to remove it.
    pub deleting: bool,
    /// What has become of the attempt that was begun last.
    pub run: Option<Run>,
}

/// An attempt under way, or over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Its number, by the job's count.
    pub attempt: u32,
    /// Where it stands.
    pub phase: Phase,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Why it ended so.
    pub reason: Option<Reason>,
    /// Its stages in the order they began, repetitions included.
    pub stages: Vec<StageRun>,
    /// What publishing handed over.
    pub published: Option<Published>,
}

/// One stage of an attempt, once it was decided to begin it. Its program is started after that was written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StageRun {
    /// Which stage.
    pub stage: Stage,
    /// 0, or which repetition. The algorithm is never repeated.
    pub repetition: u32,
    /// When it was decided to begin it.
    pub begun_at: DateTime<Utc>,
    /// When its program was first seen to live, or to have lived.
    pub started_at: Option<DateTime<Utc>>,
    /// When it was decided to end it; `reason` says why.
    pub ending_since: Option<DateTime<Utc>>,
    /// When it was seen to be over, and nothing of it to run any more.
    pub finished_at: Option<DateTime<Utc>>,
    /// Exit code.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Why it failed, or is being ended; absent when it went well.
    pub reason: Option<Reason>,
    /// What our own stage said about it, for operators. Never the algorithm's words.
    pub message: Option<String>,
    /// What the algorithm's isolation from the network rested on, once it has ended.
    pub isolation: Option<Isolation>,
}

impl Workflow {
    /// The inert workflow of a plan.
    pub(super) fn inert(plan: &WorkflowPlan, uid: String) -> Self {
        Self {
            uid,
            job: plan.job.clone(),
            spec: plan.spec.clone(),
            spec_sha256: plan.spec_digest,
            run_as: plan.run_as,
            attempts_before: plan.attempts_before,
            attempt: 0,
            stop: false,
            hold_publishing: false,
            withdrawn: 0,
            released: false,
            deleting: false,
            run: None,
        }
    }

    /// The attempt that was asked for last, or that earlier workflows had.
    pub(super) const fn last_attempt(&self) -> u32 {
        if self.attempt == 0 {
            self.attempts_before
        } else {
            self.attempt
        }
    }

    /// What it was told of the event of an attempt.
    pub(super) const fn footing(&self, attempt: u32) -> Footing {
        if attempt > 0 && self.withdrawn >= attempt {
            Footing::Withdrawn
        } else if self.hold_publishing {
            Footing::Orphaned
        } else {
            Footing::Canonical
        }
    }

    /// What has become of the attempt that was asked for last; `None` while that has not begun.
    pub(super) fn current(&self) -> Option<&Run> {
        self.run.as_ref().filter(|run| run.attempt == self.attempt)
    }

    /// Whether something of it may run, or has to be begun.
    pub(super) fn is_busy(&self) -> bool {
        let over = |run: &Run| run.phase == Phase::Finished;
        self.attempt > 0 && !self.current().is_some_and(over)
    }

    /// As schedulers see it.
    pub(super) fn observation(&self) -> Observation {
        let run = self.current();
        Observation {
            uid: WorkflowUid(self.uid.clone()),
            status: run.map(Run::status),
            attempt: self.attempt,
            stages: run.map(|run| run.observed(&self.uid)).unwrap_or_default(),
            published: run.and_then(|run| run.published.clone()),
            deleting: self.deleting,
            footing: self.footing(self.attempt),
        }
    }
}

impl Run {
    /// The beginning of an attempt.
    pub(super) const fn begin(attempt: u32) -> Self {
        Self {
            attempt,
            phase: Phase::Configuring,
            outcome: None,
            reason: None,
            stages: Vec::new(),
            published: None,
        }
    }

    /// A stage in its last repetition.
    pub fn stage(&self, stage: Stage) -> Option<&StageRun> {
        self.stages.iter().rev().find(|known| known.stage == stage)
    }

    /// The stage that is not over, if one is.
    pub(super) fn unfinished(&self) -> Option<&StageRun> {
        self.stages.last().filter(|stage| !stage.is_over())
    }

    fn status(&self) -> Status {
        Status {
            phase: self.phase,
            outcome: self.outcome,
            reason: self.reason,
            attempt: self.attempt,
        }
    }

    fn observed(&self, uid: &str) -> Vec<StageObservation> {
        let last = |stage: &&StageRun| self.stage(stage.stage) == Some(*stage);
        let seen = self
            .stages
            .iter()
            .filter(last)
            .map(|known| StageObservation {
                stage: known.stage,
                runner: Some(format!(
                    "process {uid}/{}-{}",
                    known.stage, known.repetition
                )),
                started_at: known.started_at,
                finished_at: known.finished_at,
                exit_code: known.exit_code,
                isolation: known.isolation,
            });
        let mut seen: Vec<_> = seen.collect();
        seen.sort_by_key(|stage| stage.stage);
        seen
    }
}

impl StageRun {
    /// A stage that is to be begun now.
    pub(super) const fn begin(stage: Stage, repetition: u32, now: DateTime<Utc>) -> Self {
        Self {
            stage,
            repetition,
            begun_at: now,
            started_at: None,
            ending_since: None,
            finished_at: None,
            exit_code: None,
            signal: None,
            reason: None,
            message: None,
            isolation: None,
        }
    }

    /// Whether it has ended.
    pub const fn is_over(&self) -> bool {
        self.finished_at.is_some()
    }
}
