use chrono::{DateTime, Utc};
use k8s_openapi::api::core::v1::{ContainerStateTerminated, Pod};

use crate::cluster::manifests::container_of;
use crate::cluster::status::from_kubernetes;
use crate::engine::{Isolation, Published, Stage};
use crate::jobs::Reason;
use crate::stages::Ending;

/// How a pod ended, as far as the kubelet and our own stage say it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct PodEnding {
    /// When the stage's program started; absent when it never did.
    pub(super) started_at: Option<DateTime<Utc>>,
    pub(super) exit_code: Option<i32>,
    pub(super) signal: Option<i32>,
    /// Why it failed; absent when it went well.
    pub(super) reason: Option<Reason>,
    /// Our own stage's words.
    pub(super) message: Option<String>,
    pub(super) published: Option<Published>,
    /// What the algorithm's isolation rested on, as the guard saw it.
    pub(super) isolation: Option<Isolation>,
}

/// Most characters of a detail that are kept.
const DETAIL_CHARACTERS: usize = 1000;

/// How a pod ended; `None` while anything of it may still run. The kubelet reports `Succeeded` and `Failed` only when every
/// container has stopped.
pub(super) fn read(stage: Stage, pod: &Pod) -> Option<PodEnding> {
    let phase = pod.status.as_ref()?.phase.as_deref()?;
    if phase != "Succeeded" && phase != "Failed" {
        return None;
    }
    let terminated = terminated(stage, pod);
    let said = terminated
        .and_then(|terminated| terminated.message.as_deref())
        .and_then(|message| serde_json::from_str(message).ok());
    Some(match (stage, terminated) {
        (_, None) => PodEnding {
            reason: Some(never_ran(stage, pod)),
            ..PodEnding::default()
        },
        (Stage::Configure, Some(ended)) => configure(pod, ended, said),
        (Stage::Filter, Some(ended)) => filter(pod, ended),
        (Stage::Algorithm, Some(ended)) => algorithm(pod, ended, said),
        (Stage::Publish, Some(ended)) => publish(pod, ended, said),
    })
}

/// When the stage's program started, if it has.
pub(super) fn started_at(stage: Stage, pod: &Pod) -> Option<DateTime<Utc>> {
    let state = state(stage, pod)?;
    let running = state.running.as_ref().and_then(|it| it.started_at.as_ref());
    let ended = terminated(stage, pod).and_then(|it| it.started_at.as_ref());
    running.or(ended).map(from_kubernetes)
}

fn state(stage: Stage, pod: &Pod) -> Option<&k8s_openapi::api::core::v1::ContainerState> {
    let containers = pod.status.as_ref()?.container_statuses.as_ref()?;
    let named = |name: &str| containers.iter().find(|status| status.name == name);
    named(container_of(stage))?.state.as_ref()
}

/// The end of the stage's container, if it ever ran. A runtime that could not start it reports an end as well, by these reasons.
fn terminated(stage: Stage, pod: &Pod) -> Option<&ContainerStateTerminated> {
    let ended = state(stage, pod)?.terminated.as_ref()?;
    let never_started = ["StartError", "ContainerCannotRun", "ContainerStatusUnknown"];
    let reason = ended.reason.as_deref().unwrap_or_default();
    (!never_started.contains(&reason)).then_some(ended)
}

fn never_ran(stage: Stage, pod: &Pod) -> Reason {
    by_cluster(stage, pod).unwrap_or(match stage {
        Stage::Configure => Reason::DataProvisioningFailed,
        Stage::Filter => Reason::FilterFailed,
        Stage::Algorithm => Reason::AlgorithmProvisioningFailed,
        Stage::Publish => Reason::PublishingFailed,
    })
}

fn configure(pod: &Pod, ended: &ContainerStateTerminated, said: Option<Ending>) -> PodEnding {
    let (reason, detail) = match said {
        Some(Ending::Configure { reason, detail }) => (reason, detail),
        _ => (None, None),
    };
    let failed = ended.exit_code != 0;
    let unsaid = || {
        let from_outside = by_cluster(Stage::Configure, pod).or_else(|| by_deletion(pod));
        from_outside.or(Some(Reason::DataProvisioningFailed))
    };
    PodEnding {
        reason: reason.or_else(|| failed.then(unsaid).flatten()),
        message: detail.map(shortened),
        ..of_container(ended)
    }
}

/// The filter is the publisher's own program, but it read what a stranger left: of its words nothing is kept.
fn filter(pod: &Pod, ended: &ContainerStateTerminated) -> PodEnding {
    let failed = ended.exit_code != 0;
    let why = || by_cluster(Stage::Filter, pod).unwrap_or(Reason::FilterFailed);
    PodEnding {
        reason: failed.then(why),
        ..of_container(ended)
    }
}

fn publish(pod: &Pod, ended: &ContainerStateTerminated, said: Option<Ending>) -> PodEnding {
    let (published, reason, detail) = match said {
        Some(Ending::Publish {
            published,
            reason,
            detail,
        }) => (published, reason, detail),
        _ => (None, None, None),
    };
    let failed = ended.exit_code != 0 || published.is_none();
    let unsaid = || {
        let from_outside = by_cluster(Stage::Publish, pod).or_else(|| by_deletion(pod));
        from_outside.or(Some(Reason::PublishingFailed))
    };
    PodEnding {
        reason: reason.or_else(|| failed.then(unsaid).flatten()),
        message: detail.map(shortened),
        published: published.filter(|_| !failed),
        ..of_container(ended)
    }
}

/// The guard's message counts only where it fits the exit code that the kubelet saw, and of its reasons only those that a guard
/// has: nothing that a program could write there may be taken for the cluster's word. Its text is never kept.
fn algorithm(pod: &Pod, ended: &ContainerStateTerminated, said: Option<Ending>) -> PodEnding {
    let container = of_container(ended);
    let said = match said {
        Some(Ending::Algorithm {
            exit_code,
            signal,
            reason,
            isolation,
            ..
        }) => Some(((exit_code, signal, reason.filter(is_guards)), isolation))
            .filter(|(said, _)| fits(*said, ended.exit_code)),
        _ => None,
    };
    let (said, isolation) = said.unzip();
    let (exit_code, signal, guard_reason) =
        said.unwrap_or((container.exit_code, container.signal, None));
    let failed = ended.exit_code != 0;
    let reason = guard_reason
        .or_else(|| by_cluster(Stage::Algorithm, pod))
        .or_else(|| (failed && out_of_memory(ended)).then_some(Reason::MemoryExceeded))
        .or_else(|| (failed && is_killed(said, pod)).then_some(Reason::PodMissing))
        .or_else(|| failed.then_some(Reason::AlgorithmFailed));
    PodEnding {
        exit_code,
        signal,
        reason,
        isolation: isolation.flatten(),
        ..container
    }
}

fn is_guards(reason: &Reason) -> bool {
    matches!(
        reason,
        Reason::TimeExceeded
            | Reason::DiskExceeded
            | Reason::NoShell
            | Reason::AlgorithmProvisioningFailed
            | Reason::AlgorithmFailed
            | Reason::NetworkUnproven
    )
}

fn fits(said: (Option<i32>, Option<i32>, Option<Reason>), seen: i32) -> bool {
    match said {
        (_, _, Some(_)) => seen != 0,
        (Some(code), _, None) => code == seen,
        (None, Some(signal), None) => signal.checked_add(128) == Some(seen),
        (None, None, None) => false,
    }
}

/// What the cluster itself did to a pod.
fn by_cluster(stage: Stage, pod: &Pod) -> Option<Reason> {
    let status = pod.status.as_ref()?;
    match status.reason.as_deref() {
        Some("DeadlineExceeded") => Some(match stage {
            Stage::Configure => Reason::DataProvisioningFailed,
            Stage::Filter => Reason::FilterFailed,
            Stage::Algorithm => Reason::TimeExceeded,
            Stage::Publish => Reason::PublishingTimeExceeded,
        }),
        Some("Evicted" | "Preempting" | "NodeShutdown" | "Terminated") => Some(Reason::Evicted),
        // The kubelet's refusals of a pod that was bound to its node: OutOfcpu, OutOfmemory, NodeAffinity, …
        Some(reason) if reason.starts_with("OutOf") || reason.starts_with("Node") => {
            Some(Reason::ClusterRefused)
        }
        Some("UnexpectedAdmissionError") => Some(Reason::ClusterRefused),
        _ => {
            let conditions = status.conditions.as_deref().unwrap_or_default();
            let disrupted = conditions.iter().find(|condition| {
                condition.type_ == "DisruptionTarget" && condition.status == "True"
            })?;
            Some(match disrupted.reason.as_deref() {
                Some("DeletionByPodGC") => Reason::PodMissing,
                _ => Reason::Evicted,
            })
        }
    }
}

/// Somebody deleted the pod, and our own program ended by that, without a word.
fn by_deletion(pod: &Pod) -> Option<Reason> {
    let deleted = pod.metadata.deletion_timestamp.is_some();
    deleted.then_some(Reason::PodMissing)
}

fn out_of_memory(ended: &ContainerStateTerminated) -> bool {
    ended.reason.as_deref() == Some("OOMKilled")
}

/// Whether the pod was deleted and the algorithm ended by that: by a signal, or without a word of the guard.
fn is_killed(said: Option<(Option<i32>, Option<i32>, Option<Reason>)>, pod: &Pod) -> bool {
    let by_signal = said.is_none_or(|(_, signal, _)| signal.is_some());
    pod.metadata.deletion_timestamp.is_some() && by_signal
}

fn of_container(ended: &ContainerStateTerminated) -> PodEnding {
    PodEnding {
        started_at: ended.started_at.as_ref().map(from_kubernetes),
        exit_code: Some(ended.exit_code),
        signal: ended.signal,
        ..PodEnding::default()
    }
}

fn shortened(detail: String) -> String {
    detail.chars().take(DETAIL_CHARACTERS).collect()
}
