use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;

use super::attempt::Attempt;
use super::ending::{PodEnding, read, started_at};
use super::{Answer, Decision, ObjectRef};
use crate::cluster::gate::{compare, is_gated};
use crate::cluster::manifests::GUARD_MARGIN_SECONDS;
use crate::cluster::status::{StageStatus, from_kubernetes};
use crate::engine::Stage;
use crate::jobs::{Phase, Reason};

/// How long a Job's controller has to make its pod before admission is asked why there is none.
const POD_MAKING: TimeDelta = TimeDelta::seconds(3);
/// How often admission is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(10);

impl Attempt<'_> {
    /// The next step of a stage that is not over.
    pub(super) fn follow(&self, stage: &StageStatus) -> Decision {
        let job = self.world.jobs.iter().find(|job| {
            job.metadata.uid.as_deref() == Some(&stage.job_uid)
                && job.metadata.deletion_timestamp.is_none()
        });
        let Some(recorded) = &stage.pod_uid else {
            return self.without_pod(stage, job);
        };
        let mut pods = self.world.pods.iter();
        match pods.find(|pod| pod.metadata.uid.as_ref() == Some(recorded)) {
            Some(pod) => self.with_pod(stage, job, pod),
            None => self.over(stage, PodEnding::missing()),
        }
    }

    fn with_pod(&self, stage: &StageStatus, job: Option<&Job>, pod: &Pod) -> Decision {
        if let Some(ending) = read(stage.stage, pod) {
            // That it ran is said first, also of a program that ended before it was seen: people follow the phases.
            return match ending.started_at.filter(|_| stage.started_at.is_none()) {
                Some(started) => self.changed(stage, |known| known.started_at = Some(started)),
                None => self.over(stage, ending),
            };
        }
        if stage.reason.is_some() {
            return end(stage, job, pod);
        }
        if let Some(reason) = self.stop_of(stage) {
            return self.decided(stage, reason, None);
        }
        if is_gated(pod) {
            return match job {
                _ if is_terminating(pod) => Decision::Wait(None),
                None => self.decided(stage, Reason::PodMissing, None),
                Some(_) if self.is_suspended() => Decision::Wait(None),
                // Once more: some of a pod may be changed after it was made.
                Some(_) => self.unless_altered(stage, pod, || Decision::Release(reference(pod))),
            };
        }
        match started_at(stage.stage, pod) {
            Some(started) => self.running(stage, pod, started),
            None => self.starting(stage, pod),
        }
    }

    /// What follows for a pod that is what was rendered. Another one ends the stage.
    fn unless_altered(
        &self,
        stage: &StageStatus,
        pod: &Pod,
        then: impl FnOnce() -> Decision,
    ) -> Decision {
        let Some(rendered) = self.rendered(stage.stage, stage.repetition) else {
            return Decision::Wait(None);
        };
        match compare(&rendered, pod) {
            Ok(()) => then(),
            Err(difference) => {
                self.decided(stage, Reason::PodAltered, Some(difference.to_string()))
            }
        }
    }

    fn running(&self, stage: &StageStatus, pod: &Pod, started: DateTime<Utc>) -> Decision {
        if stage.started_at.is_none() {
            return self.changed(stage, |known| known.started_at = Some(started));
        }
        let limit = self.world.workflow.spec.job.resources.max_execution_seconds;
        match shorter_deadline(pod, started, limit) {
            Some(seconds) if stage.stage == Stage::Algorithm => {
                Decision::Shorten(reference(pod), seconds)
            }
            _ => Decision::Wait(None),
        }
    }

    fn starting(&self, stage: &StageStatus, pod: &Pod) -> Decision {
        let made = pod.metadata.creation_timestamp.as_ref();
        let Some(since) = stage.released_at.or_else(|| made.map(from_kubernetes)) else {
            return Decision::Wait(None);
        };
        let allowed = self.world.workflow.spec.job.start_deadline_seconds;
        let left = since + TimeDelta::seconds(i64::from(allowed)) - self.world.now;
        match left.to_std() {
            Ok(left) if !left.is_zero() => Decision::Wait(Some(left)),
            _ if waits_for_image(pod) => self.decided(stage, Reason::ImageUnavailable, None),
            _ => self.decided(stage, Reason::StartTimeExceeded, None),
        }
    }

    fn without_pod(&self, stage: &StageStatus, job: Option<&Job>) -> Decision {
        let mut pods: Vec<_> = self.pods_of(&stage.job_uid).collect();
        pods.sort_by_key(|pod| {
            (
                is_terminating(pod),
                pod.metadata.creation_timestamp.clone(),
                pod.metadata.name.clone(),
            )
        });
        match (stage.reason, job) {
            (Some(_), Some(job)) => Decision::DeleteJob(job_reference(job)),
            (Some(_), None) if pods.is_empty() => self.over(stage, PodEnding::missing()),
            (Some(_), None) => Decision::Wait(None),
            (None, _) if self.stop_of(stage).is_some() => {
                let reason = self.stop_of(stage).unwrap_or(Reason::StoppedByOperator);
                self.decided(stage, reason, None)
            }
            (None, None) => self.decided(stage, Reason::PodMissing, None),
            (None, Some(job)) => match pods.first() {
                Some(pod) if !is_terminating(pod) => self.choose(stage, pod),
                _ => self.unmade(stage, job),
            },
        }
    }

    /// Takes a pod for the stage's own. The algorithm's only if it is what was rendered; from then on it may be let go.
    fn choose(&self, stage: &StageStatus, pod: &Pod) -> Decision {
        if stage.stage != Stage::Algorithm {
            return self.changed(stage, |known| name_pod(known, pod));
        }
        if self.is_suspended() {
            return Decision::Wait(None);
        }
        self.unless_altered(stage, pod, || {
            self.changed(stage, |known| {
                name_pod(known, pod);
                known.released_at = Some(self.world.now);
            })
        })
    }

    /// The Job has no pod (yet).
    fn unmade(&self, stage: &StageStatus, job: &Job) -> Decision {
        if let Some(reason) = job_failure(job) {
            return self.decided(stage, reason, None);
        }
        let made = job.metadata.creation_timestamp.as_ref();
        let waited = made.map_or(TimeDelta::zero(), |made| {
            self.world.now - from_kubernetes(made)
        });
        if let Ok(left) = (POD_MAKING - waited).to_std()
            && !left.is_zero()
        {
            return Decision::Wait(Some(left));
        }
        match self.world.answer {
            None => self
                .rendered(stage.stage, stage.repetition)
                .map_or(Decision::Wait(None), |job| Decision::Ask(Box::new(job))),
            Some(Answer::Refused) => self.decided(stage, Reason::ClusterRefused, None),
            Some(Answer::Admitted | Answer::NoRoom) => Decision::Wait(Some(ASK_AGAIN)),
        }
    }

    /// Why this stage has to end, if it has to. Publishing is finished: it is bounded, and brings the log out.
    fn stop_of(&self, stage: &StageStatus) -> Option<Reason> {
        self.stop().filter(|_| stage.stage != Stage::Publish)
    }

    fn decided(&self, stage: &StageStatus, reason: Reason, message: Option<String>) -> Decision {
        self.changed(stage, |known| {
            known.reason = Some(reason);
            known.message = message;
        })
    }

    /// Nothing of the stage runs any more. A reason that was decided before stays.
    fn over(&self, stage: &StageStatus, ending: PodEnding) -> Decision {
        let mut status = self.status.clone();
        if let Some(known) = status.stage_mut(stage.stage) {
            known.finished_at = Some(self.world.now);
            known.exit_code = ending.exit_code;
            known.signal = ending.signal;
            known.reason = known.reason.or(ending.reason);
            known.message = known.message.take().or(ending.message);
            known.isolation = ending.isolation;
        }
        if stage.stage == Stage::Publish {
            status.published = ending.published;
        }
        Decision::Record(Box::new(status))
    }

    fn changed(&self, stage: &StageStatus, change: impl FnOnce(&mut StageStatus)) -> Decision {
        let mut status = self.status.clone();
        if let Some(known) = status.stage_mut(stage.stage) {
            change(known);
            if known.stage == Stage::Algorithm && known.started_at.is_some() {
                status.phase = Some(Phase::Running);
            }
        }
        Decision::Record(Box::new(status))
    }
}

impl PodEnding {
    fn missing() -> Self {
        Self {
            reason: Some(Reason::PodMissing),
            ..Self::default()
        }
    }
}

/// Ends a pod. One that is bound to a node gets a deadline that has passed: the kubelet then stops it and keeps its state and log.
/// One that is not bound runs nothing, and goes with its Job.
fn end(stage: &StageStatus, job: Option<&Job>, pod: &Pod) -> Decision {
    let spec = pod.spec.as_ref();
    let bound = spec.is_some_and(|spec| spec.node_name.is_some());
    let deadline = spec.and_then(|spec| spec.active_deadline_seconds);
    debug_assert!(stage.reason.is_some());
    match job {
        _ if bound && deadline != Some(1) => Decision::Shorten(reference(pod), 1),
        Some(job) if !bound => Decision::DeleteJob(job_reference(job)),
        _ => Decision::Wait(None),
    }
}

/// The deadline that a pod should have once its program runs, if it is shorter than the one it has. It counts from the pod's own
/// start, pulling of images included.
fn shorter_deadline(pod: &Pod, started: DateTime<Utc>, limit: u32) -> Option<i64> {
    let pod_start = from_kubernetes(pod.status.as_ref()?.start_time.as_ref()?);
    let before = (started - pod_start).num_seconds().max(0);
    let wanted = before + i64::from(limit) + GUARD_MARGIN_SECONDS;
    let has = pod.spec.as_ref()?.active_deadline_seconds;
    has.is_none_or(|has| has > wanted).then_some(wanted)
}

/// Why a Job failed without a pod that could tell.
fn job_failure(job: &Job) -> Option<Reason> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    let failed = conditions.iter().find(|condition| {
        matches!(condition.type_.as_str(), "Failed" | "FailureTarget") && condition.status == "True"
    })?;
    Some(match failed.reason.as_deref() {
        Some("DeadlineExceeded") => Reason::StartTimeExceeded,
        _ => Reason::PodMissing,
    })
}

/// The kubelet's words for an image that it cannot have.
fn waits_for_image(pod: &Pod) -> bool {
    let status = pod.status.as_ref();
    let main = status.and_then(|status| status.container_statuses.as_ref());
    let init = status.and_then(|status| status.init_container_statuses.as_ref());
    let containers = main.into_iter().chain(init).flatten();
    let reasons = containers.filter_map(|status| {
        let waiting = status.state.as_ref()?.waiting.as_ref()?;
        waiting.reason.as_deref()
    });
    reasons.into_iter().any(|reason| {
        matches!(
            reason,
            "ErrImagePull"
                | "ImagePullBackOff"
                | "InvalidImageName"
                | "ErrImageNeverPull"
                | "ImageInspectError"
                | "RegistryUnavailable"
                | "SignatureValidationFailed"
        )
    })
}

fn name_pod(stage: &mut StageStatus, pod: &Pod) {
    stage.pod_name.clone_from(&pod.metadata.name);
    stage.pod_uid.clone_from(&pod.metadata.uid);
}

const fn is_terminating(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

fn reference(pod: &Pod) -> ObjectRef {
    ObjectRef {
        name: pod.metadata.name.clone().unwrap_or_default(),
        uid: pod.metadata.uid.clone().unwrap_or_default(),
    }
}

fn job_reference(job: &Job) -> ObjectRef {
    ObjectRef {
        name: job.metadata.name.clone().unwrap_or_default(),
        uid: job.metadata.uid.clone().unwrap_or_default(),
    }
}
