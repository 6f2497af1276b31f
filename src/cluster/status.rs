use chrono::{DateTime, Utc};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::engine::{Isolation, Published, Stage};
use crate::jobs::{Outcome, Phase, Reason};

/// What the operator has worked out of a workflow. All it ever knows is here or in the cluster's objects: it has no other memory.
///
/// A field that is absent is written as null, so that a merge patch takes an older value away.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComputeWorkflowStatus {
    /// The generation of the workflow that this was worked out from.
    pub observed_generation: Option<i64>,
    /// The attempt that the fields below speak of; 0 before the first.
    #[serde(default)]
    pub attempt: u32,
    /// `configuring`, `running`, `filtering`, `publishing` or `finished`.
    #[schemars(with = "Option<String>")]
    pub phase: Option<Phase>,
    /// How it ended, once it has.
    #[schemars(with = "Option<String>")]
    pub outcome: Option<Outcome>,
    /// Why it ended so, by a stable code.
    #[schemars(with = "Option<String>")]
    pub reason: Option<Reason>,
    /// Conditions, for people and `kubectl wait`.
    #[serde(default)]
    pub conditions: Vec<Condition>,
    /// The volumes of all attempts.
    #[serde(default)]
    pub claims: Vec<ClaimStatus>,
    /// The stages of all attempts, in the order they began.
    #[serde(default)]
    pub stages: Vec<StageStatus>,
    /// What publishing handed over in this attempt.
    #[serde(default)]
    #[schemars(schema_with = "any_object")]
    pub published: Option<Published>,
}

/// The volume of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimStatus {
    /// The attempt.
    pub attempt: u32,
    /// Name of the claim.
    pub name: String,
    /// Its uid: another claim under the same name is not ours.
    pub uid: String,
}

/// One stage of an attempt.
///
/// A stage whose `reason` is set while `finishedAt` is not is being ended: the decision comes first, so that a crash between
/// decision and deed changes neither.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StageStatus {
    /// Which stage.
    #[schemars(with = "String")]
    pub stage: Stage,
    /// Of which attempt.
    pub attempt: u32,
    /// 0, or which repetition of the stage within the attempt. The algorithm is never repeated.
    #[serde(default)]
    pub repetition: u32,
    /// Its Job.
    pub job_name: String,
    /// The Job's uid.
    pub job_uid: String,
    /// Its pod.
    pub pod_name: Option<String>,
    /// The pod's uid. For the algorithm: the one pod that may ever be let go in this attempt.
    pub pod_uid: Option<String>,
    /// When it was decided to let the algorithm's pod go.
    #[serde(default)]
    #[schemars(schema_with = "optional_time")]
    pub released_at: Option<DateTime<Utc>>,
    /// When its program started.
    #[serde(default)]
    #[schemars(schema_with = "optional_time")]
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended, and nothing of it ran any more.
    #[serde(default)]
    #[schemars(schema_with = "optional_time")]
    pub finished_at: Option<DateTime<Utc>>,
    /// Exit code.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Why it failed, or is being ended; absent when it went well.
    #[schemars(with = "Option<String>")]
    pub reason: Option<Reason>,
    /// What our own stage said about it, for operators. Never the algorithm's words.
    pub message: Option<String>,
    /// `proven`, `unproven` or `open`: what the algorithm's isolation from the network rested on, once it has ended.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub isolation: Option<Isolation>,
}

impl StageStatus {
    /// A stage whose Job was just seen.
    pub const fn begun(stage: Stage, attempt: u32, job_name: String, job_uid: String) -> Self {
        Self {
            stage,
            attempt,
            repetition: 0,
            job_name,
            job_uid,
            pod_name: None,
            pod_uid: None,
            released_at: None,
            started_at: None,
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

impl ComputeWorkflowStatus {
    /// A stage of the attempt that this status speaks of, in its last repetition.
    pub fn stage(&self, stage: Stage) -> Option<&StageStatus> {
        self.stages
            .iter()
            .rev()
            .find(|status| status.stage == stage && status.attempt == self.attempt)
    }

    /// The same, to be changed.
    pub fn stage_mut(&mut self, stage: Stage) -> Option<&mut StageStatus> {
        let attempt = self.attempt;
        self.stages
            .iter_mut()
            .rev()
            .find(|status| status.stage == stage && status.attempt == attempt)
    }

    /// The volume of the attempt that this status speaks of.
    pub fn claim(&self) -> Option<&ClaimStatus> {
        self.claims
            .iter()
            .find(|claim| claim.attempt == self.attempt)
    }

    /// Whether a condition is `True`.
    pub fn is(&self, condition: &str) -> bool {
        self.conditions
            .iter()
            .any(|known| known.type_ == condition && known.status == "True")
    }

    /// Sets a condition; its time moves only when its status does.
    pub fn set_condition(&mut self, type_: &str, holds: bool, why: &Why<'_>) {
        let status = if holds { "True" } else { "False" };
        let before = self.conditions.iter().find(|known| known.type_ == type_);
        let since = before.filter(|known| known.status == status).map_or_else(
            || to_kubernetes(why.now),
            |k| k.last_transition_time.clone(),
        );
        let condition = Condition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: why.reason.to_owned(),
            message: why.message.to_owned(),
            last_transition_time: since,
            observed_generation: self.observed_generation,
        };
        match self
            .conditions
            .iter_mut()
            .find(|known| known.type_ == type_)
        {
            Some(known) => *known = condition,
            None => self.conditions.push(condition),
        }
    }
}

/// What a condition says beside its status.
#[derive(Clone, Copy, Debug)]
pub struct Why<'a> {
    /// A stable code.
    pub reason: &'a str,
    /// A sentence.
    pub message: &'a str,
    /// The present moment.
    pub now: DateTime<Utc>,
}

/// Kubernetes' form of a time. Whole seconds, which is what Kubernetes keeps.
pub(super) fn to_kubernetes(time: DateTime<Utc>) -> Time {
    Time(Timestamp::from_second(time.timestamp()).unwrap_or(Timestamp::UNIX_EPOCH))
}

/// Our form of a time of Kubernetes.
pub fn from_kubernetes(time: &Time) -> DateTime<Utc> {
    DateTime::from_timestamp(time.0.as_second(), 0).unwrap_or(DateTime::UNIX_EPOCH)
}

fn optional_time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time", "nullable": true})
}

fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "description": "What publishing handed over in this attempt.",
        "type": "object",
        "nullable": true,
        "x-kubernetes-preserve-unknown-fields": true
    })
}
