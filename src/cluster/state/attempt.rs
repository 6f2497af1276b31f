use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::outcome::{end_after, pause_before_repeating};
use super::{Decision, FINISHED, PLAN_ERASED, World};
use crate::cluster::manifests::{Leaving, Subject, algorithm, claim, configure, filter, publish};
use crate::cluster::observation::footing;
use crate::cluster::status::{ClaimStatus, ComputeWorkflowStatus, StageStatus, Why};
use crate::engine::Stage;
use crate::jobs::{Footing, Outcome, Phase, Reason};
use crate::workflows::Release;

/// The stages of an attempt, in order; not every asset has a filter.
const STAGES: [Stage; 4] = [
    Stage::Configure,
    Stage::Algorithm,
    Stage::Filter,
    Stage::Publish,
];

/// How long to wait for the garbage collector to take an object of an earlier workflow with the same name.
const FOREIGN_OBJECT: Duration = Duration::from_secs(10);

/// An attempt under way.
pub(super) struct Attempt<'a> {
    pub(super) world: &'a World<'a>,
    pub(super) status: ComputeWorkflowStatus,
    subject: Subject<'a>,
}

impl<'a> Attempt<'a> {
    pub(super) fn new(world: &'a World<'a>, status: ComputeWorkflowStatus) -> Option<Self> {
        let subject = Subject::new(world.workflow, status.attempt)?;
        Some(Self {
            world,
            status,
            subject,
        })
    }

    pub(super) fn step(&self) -> Decision {
        if self.status.claim().is_none() {
            return self.claim();
        }
        for stage in STAGES {
            if stage == Stage::Filter && !self.wants_filter() {
                continue;
            }
            let Some(known) = self.status.stage(stage) else {
                return self.begin(stage, 0);
            };
            if !known.is_over() {
                return self.follow(known);
            }
            if let Some(again) = self.repeat(known) {
                return again;
            }
            if let Some(end) = end_after(known, &self.status) {
                return self.finish(end);
            }
            if stage == Stage::Configure && !self.status.is(PLAN_ERASED) {
                return self.forget(self.with_plan_erased());
            }
        }
        self.finish(None)
    }

    /// Why everything has to end, if it has to.
    pub(super) fn stop(&self) -> Option<Reason> {
        if self.world.workflow.metadata.deletion_timestamp.is_some() {
            return Some(Reason::WorkflowDeleted);
        }
        if self.footing() == Footing::Withdrawn {
            return Some(Reason::EventWithdrawn);
        }
        self.world
            .workflow
            .spec
            .stop
            .then_some(Reason::StoppedByOperator)
    }

    fn footing(&self) -> Footing {
        footing(self.world.workflow, self.status.attempt)
    }

    pub(super) const fn is_suspended(&self) -> bool {
        self.world.workflow.spec.suspend
    }

    /// The Job of a stage, as it is rendered; `None` for the filter where there is none.
    pub(super) fn rendered(&self, stage: Stage, repetition: u32) -> Option<Job> {
        match stage {
            Stage::Configure => Some(configure(&self.subject, repetition)),
            Stage::Algorithm => Some(algorithm(&self.subject)),
            Stage::Filter => filter(&self.subject, repetition),
            Stage::Publish => Some(publish(&self.subject, self.leaving(), repetition)),
        }
    }

    /// Whether the filter has something to do: it is not begun for a job that is stopped, nor for results that are none.
    fn wants_filter(&self) -> bool {
        if self.status.stage(Stage::Filter).is_some() {
            return true;
        }
        let rule = self.subject.job().release;
        let something = rule.logs == Release::Filtered
            || rule.results == Release::Filtered && self.is_complete();
        self.subject.job().filter.is_some() && self.stop().is_none() && something
    }

    /// Whether the algorithm ended well.
    fn is_complete(&self) -> bool {
        let algorithm = self.status.stage(Stage::Algorithm);
        algorithm.is_some_and(|stage| stage.is_over() && stage.reason.is_none())
    }

    /// What may leave. The results of an algorithm that did not end well are no results; where the filter failed nothing leaves; and
    /// what should have gone through it and did not stays in.
    fn leaving(&self) -> Leaving {
        let rule = self.subject.job().release;
        let filter = self.status.stage(Stage::Filter);
        let passed = filter.map(|stage| stage.is_over() && stage.reason.is_none());
        let through = |release| match (release, passed) {
            (_, Some(false)) | (Release::Filtered, None) => Release::None,
            (release, _) => release,
        };
        Leaving {
            results: if self.is_complete() && self.footing().lets_out() {
                through(rule.results)
            } else {
                Release::None
            },
            logs: through(rule.logs),
        }
    }

    /// The stage once more, if the cluster was at fault and not what the stage does; `None` when it is not repeated.
    fn repeat(&self, stage: &StageStatus) -> Option<Decision> {
        let pause = pause_before_repeating(stage)?;
        let stopped = self.stop().is_some() && stage.stage != Stage::Publish;
        if stopped || !self.has_claim() {
            return None;
        }
        let left = (stage.finished_at? + pause - self.world.now).to_std();
        Some(match left {
            Ok(left) if !left.is_zero() => Decision::Wait(Some(left)),
            _ => self.begin(stage.stage, stage.repetition + 1),
        })
    }

    /// The pods that a Job made.
    pub(super) fn pods_of(&self, job_uid: &str) -> impl Iterator<Item = &'a Pod> {
        let owner = Some(job_uid.to_owned());
        let pods = self.world.pods.iter();
        pods.filter(move |pod| controller(&pod.metadata) == owner.as_deref())
    }

    fn owns(&self, metadata: &ObjectMeta) -> bool {
        controller(metadata) == Some(self.subject.uid())
    }

    fn claim(&self) -> Decision {
        if let Some(reason) = self.stop() {
            return self.finish(Some(reason));
        }
        match self.world.claim {
            Some(claim) if self.owns(&claim.metadata) => {
                let mut status = self.status.clone();
                status.claims.push(ClaimStatus {
                    attempt: status.attempt,
                    name: claim.metadata.name.clone().unwrap_or_default(),
                    uid: claim.metadata.uid.clone().unwrap_or_default(),
                });
                Decision::Record(Box::new(status))
            }
            Some(_) => Decision::Wait(Some(FOREIGN_OBJECT)),
            None if self.is_suspended() => Decision::Wait(None),
            None => Decision::CreateClaim(Box::new(claim(&self.subject))),
        }
    }

    fn begin(&self, stage: Stage, repetition: u32) -> Decision {
        let stop = self.stop().filter(|_| stage != Stage::Publish);
        let name = self.subject.names().job(stage, repetition);
        let named = |job: &&Job| job.metadata.name.as_ref() == Some(&name);
        let known = self.world.jobs.iter().find(named);
        match known {
            Some(job) if self.owns(&job.metadata) => {
                let uid = job.metadata.uid.clone().unwrap_or_default();
                let mut status = self.status.clone();
                let attempt = status.attempt;
                status.stages.push(StageStatus {
                    repetition,
                    ..StageStatus::begun(stage, attempt, name, uid)
                });
                match stage {
                    Stage::Filter => status.phase = Some(Phase::Filtering),
                    Stage::Publish => status.phase = Some(Phase::Publishing),
                    Stage::Configure | Stage::Algorithm => {}
                }
                Decision::Record(Box::new(status))
            }
            Some(_) => Decision::Wait(Some(FOREIGN_OBJECT)),
            None if stop.is_some() => self.finish(stop),
            None if !self.has_claim() => self.give_up(Reason::PodMissing),
            None if self.is_held(stage) && self.stop().is_none() => Decision::Wait(None),
            None => match self.rendered(stage, repetition) {
                Some(job) => Decision::CreateJob(Box::new(job)),
                None => Decision::Wait(None),
            },
        }
    }

    /// Whether a stage may not begin now. Where the whole job is stopped it may: then publishing lets nothing but the log out.
    fn is_held(&self, stage: Stage) -> bool {
        self.is_suspended() || (stage == Stage::Publish && !self.footing().lets_out())
    }

    /// Whether the recorded claim is there to stay.
    fn has_claim(&self) -> bool {
        let recorded = self.status.claim().map(|claim| claim.uid.as_str());
        self.world.claim.is_some_and(|claim| {
            claim.metadata.uid.as_deref() == recorded && claim.metadata.deletion_timestamp.is_none()
        })
    }

    /// Ends the job where it cannot go on: with what the algorithm ended with if that is known, with the stop that was asked for, else
    /// with `reason`.
    pub(super) fn give_up(&self, reason: Reason) -> Decision {
        let algorithm = self.status.stage(Stage::Algorithm);
        let known = algorithm.and_then(|stage| stage.reason);
        self.finish(Some(known.or_else(|| self.stop()).unwrap_or(reason)))
    }

    /// Why a run that went well shows no results: it was stopped while they could not leave.
    fn withheld(&self) -> Option<Reason> {
        self.stop().filter(|_| !self.footing().lets_out())
    }

    fn finish(&self, reason: Option<Reason>) -> Decision {
        let reason = reason.or_else(|| self.withheld());
        let code = reason.map_or(Outcome::Succeeded.as_str(), Reason::as_str);
        let sentence = reason.map_or("Everything that may leave is stored.", Reason::sentence);
        let mut status = self.with_plan_erased();
        status.phase = Some(Phase::Finished);
        status.outcome = Some(reason.map_or(Outcome::Succeeded, Reason::outcome));
        status.reason = reason;
        let why = Why {
            reason: code,
            message: sentence,
            now: self.world.now,
        };
        status.set_condition(FINISHED, true, &why);
        // Again, although it was erased after configuring: a dispatcher that was stalled may have made it late.
        self.forget(status)
    }

    fn forget(&self, then: ComputeWorkflowStatus) -> Decision {
        Decision::Forget(self.subject.names().plan(), Box::new(then))
    }

    fn with_plan_erased(&self) -> ComputeWorkflowStatus {
        let mut status = self.status.clone();
        let why = Why {
            reason: "deleted",
            message: "The Secret with the source URLs was deleted.",
            now: self.world.now,
        };
        status.set_condition(PLAN_ERASED, true, &why);
        status
    }
}

/// Uid of the object that controls another.
pub(super) fn controller(metadata: &ObjectMeta) -> Option<&str> {
    let owners = metadata.owner_references.as_ref()?;
    let owner = owners.iter().find(|owner| owner.controller == Some(true))?;
    Some(owner.uid.as_str())
}
