use chrono::{DateTime, Utc};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting,
    ContainerStatus, PersistentVolumeClaim, Pod, PodCondition, PodStatus,
};

use super::{Answer, Decision, World, decide};
use crate::cluster::fixture;
use crate::cluster::manifests::container_of;
use crate::cluster::status::ComputeWorkflowStatus;
use crate::cluster::workflow::{ComputeWorkflow, FilterFacts};
use crate::engine::{Completeness, Isolation, LogSummary, Published, Stage};
use crate::jobs::{Outcome, Phase, Reason};
use crate::stages::Ending;
use crate::workflows::Release;

/// A cluster of one workflow: it does what is decided, and plays the parts of the Job controller, the kubelet and people.
pub(super) struct Simulation {
    pub(super) workflow: ComputeWorkflow,
    pub(super) claim: Option<PersistentVolumeClaim>,
    pub(super) jobs: Vec<Job>,
    pub(super) pods: Vec<Pod>,
    pub(super) answer: Option<Answer>,
    pub(super) seconds: i64,
    /// Uids of the pods that were let go.
    pub(super) released: Vec<String>,
    pub(super) forgotten: usize,
    made: usize,
}

impl Simulation {
    pub(super) fn started() -> Self {
        Self {
            workflow: fixture::workflow(1),
            claim: None,
            jobs: Vec::new(),
            pods: Vec::new(),
            answer: None,
            seconds: 0,
            released: Vec::new(),
            forgotten: 0,
            made: 0,
        }
    }

    /// A workflow whose stages went well up to the pod of `stage`, which runs.
    pub(super) fn running(stage: Stage) -> Self {
        let mut simulation = Self::started();
        simulation.settle();
        simulation.go_on_to(stage, &[Stage::Configure, Stage::Algorithm]);
        simulation
    }

    /// The same where the publisher has a filter for results and logs.
    pub(super) fn filtered(stage: Stage) -> Self {
        let mut simulation = Self::started();
        let job = &mut simulation.workflow.spec.job;
        job.filter = Some(FilterFacts {
            image: "registry.test/filter@sha256:ff".to_owned(),
            entrypoint: None,
        });
        (job.release.results, job.release.logs) = (Release::Filtered, Release::Filtered);
        simulation.settle();
        let before = [Stage::Configure, Stage::Algorithm, Stage::Filter];
        simulation.go_on_to(stage, &before);
        simulation
    }

    fn go_on_to(&mut self, stage: Stage, before: &[Stage]) {
        for before in before {
            if *before == stage {
                break;
            }
            self.begin_pod(*before);
            self.end_well(*before);
            self.settle();
        }
        self.begin_pod(stage);
    }

    /// The Job controller makes a stage's pod, and the kubelet starts its program.
    pub(super) fn begin_pod(&mut self, stage: Stage) {
        self.make_pod(stage);
        self.settle();
        self.run(stage);
        self.settle();
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        fixture::moment(self.seconds)
    }

    pub(super) fn decide(&self) -> Decision {
        decide(&World {
            workflow: &self.workflow,
            claim: self.claim.as_ref(),
            jobs: &self.jobs,
            pods: &self.pods,
            answer: self.answer,
            now: self.now(),
        })
    }

    /// Does what is decided until there is nothing to do.
    pub(super) fn settle(&mut self) -> Decision {
        for _ in 0..50 {
            let decision = self.decide();
            match decision.clone() {
                Decision::Wait(_) | Decision::Ask(_) => return decision,
                Decision::CreateClaim(claim) => {
                    let uid = self.uid("claim");
                    let mut claim = *claim;
                    claim.metadata.uid = Some(uid);
                    self.claim = Some(claim);
                }
                Decision::CreateJob(job) => {
                    let mut job = *job;
                    job.metadata.uid = Some(self.uid("job"));
                    job.metadata.creation_timestamp = Some(fixture::time(self.seconds));
                    self.jobs.push(job);
                }
                Decision::Record(status) => self.workflow.status = Some(*status),
                Decision::Forget(_, status) => {
                    self.forgotten += 1;
                    self.workflow.status = Some(*status);
                }
                Decision::Release(pod) => {
                    let found = self.pods.iter_mut();
                    let pod = found
                        .into_iter()
                        .find(|it| it.metadata.uid.as_ref() == Some(&pod.uid))
                        .unwrap();
                    pod.spec.as_mut().unwrap().scheduling_gates = None;
                    self.released.push(pod.metadata.uid.clone().unwrap());
                }
                Decision::Shorten(pod, seconds) => {
                    let found = self.pods.iter_mut();
                    let pod = found
                        .into_iter()
                        .find(|it| it.metadata.uid.as_ref() == Some(&pod.uid))
                        .unwrap();
                    pod.spec.as_mut().unwrap().active_deadline_seconds = Some(seconds);
                }
                Decision::DeleteJob(job) => {
                    self.jobs
                        .retain(|it| it.metadata.uid.as_ref() != Some(&job.uid));
                    self.pods.retain(|pod| {
                        let owners = pod.metadata.owner_references.as_ref().unwrap();
                        owners[0].uid != job.uid
                    });
                }
            }
        }
        panic!("no end to {:?}", self.decide());
    }

    fn uid(&mut self, kind: &str) -> String {
        self.made += 1;
        format!("{kind}-{}", self.made)
    }

    /// The last Job of a stage.
    pub(super) fn job(&self, stage: Stage) -> &Job {
        let part = format!("-{stage}");
        let mut jobs = self.jobs.iter().rev();
        jobs.find(|job| job.metadata.name.as_ref().unwrap().contains(&part))
            .unwrap()
    }

    /// The Job controller makes a stage's pod.
    pub(super) fn make_pod(&mut self, stage: Stage) {
        let uid = self.uid("pod");
        let mut pod = fixture::admitted(self.job(stage), &uid);
        pod.metadata.creation_timestamp = Some(fixture::time(self.seconds));
        self.pods.push(pod);
    }

    pub(super) fn pod_mut(&mut self) -> &mut Pod {
        self.pods.last_mut().unwrap()
    }

    /// The scheduler binds the last pod to a node.
    pub(super) fn bind(&mut self) {
        self.pod_mut().spec.as_mut().unwrap().node_name = Some("node".to_owned());
    }

    /// The kubelet starts the last pod's program.
    pub(super) fn run(&mut self, stage: Stage) {
        self.bind();
        let running = ContainerState {
            running: Some(ContainerStateRunning {
                started_at: Some(fixture::time(self.seconds + 2)),
            }),
            ..ContainerState::default()
        };
        self.set_state(stage, "Running", None, running);
    }

    /// The last pod's container waits.
    pub(super) fn wait(&mut self, stage: Stage, reason: &str) {
        self.bind();
        let waiting = ContainerState {
            waiting: Some(ContainerStateWaiting {
                message: None,
                reason: Some(reason.to_owned()),
            }),
            ..ContainerState::default()
        };
        self.set_state(stage, "Pending", None, waiting);
    }

    /// The last pod's program ends.
    pub(super) fn end(&mut self, stage: Stage, code: i32, message: &str, end: End) {
        let terminated = ContainerState {
            terminated: Some(ContainerStateTerminated {
                exit_code: code,
                message: Some(message.to_owned()),
                reason: end.container.map(str::to_owned),
                started_at: Some(fixture::time(self.seconds)),
                ..ContainerStateTerminated::default()
            }),
            ..ContainerState::default()
        };
        let phase = if code == 0 { "Succeeded" } else { "Failed" };
        self.set_state(stage, phase, end.pod, terminated);
        if let Some(reason) = end.disrupted {
            self.pod_mut().status.as_mut().unwrap().conditions = Some(vec![PodCondition {
                type_: "DisruptionTarget".to_owned(),
                status: "True".to_owned(),
                reason: Some(reason.to_owned()),
                ..PodCondition::default()
            }]);
        }
    }

    pub(super) fn end_well(&mut self, stage: Stage) {
        let message = serde_json::to_string(&well(stage)).unwrap();
        self.end(stage, 0, &message, End::default());
    }

    fn set_state(
        &mut self,
        stage: Stage,
        phase: &str,
        reason: Option<&str>,
        state: ContainerState,
    ) {
        let start = fixture::time(self.seconds);
        self.pod_mut().status = Some(PodStatus {
            phase: Some(phase.to_owned()),
            reason: reason.map(str::to_owned),
            start_time: Some(start),
            container_statuses: Some(vec![ContainerStatus {
                name: container_of(stage).to_owned(),
                state: Some(state),
                ..ContainerStatus::default()
            }]),
            ..PodStatus::default()
        });
    }

    pub(super) fn status(&self) -> &ComputeWorkflowStatus {
        self.workflow.status.as_ref().unwrap()
    }

    pub(super) fn end_of_job(&self) -> (Option<Phase>, Option<Outcome>, Option<Reason>) {
        let status = self.status();
        (status.phase, status.outcome, status.reason)
    }

    pub(super) fn names_of_jobs(&self) -> Vec<&str> {
        let names = self.jobs.iter();
        names
            .map(|job| job.metadata.name.as_deref().unwrap())
            .map(|name| name.rsplit('-').next().unwrap())
            .collect()
    }
}

/// What the cluster says of an end besides the exit code.
#[derive(Clone, Copy, Default)]
pub(super) struct End {
    /// The container's reason.
    pub(super) container: Option<&'static str>,
    /// The pod's reason.
    pub(super) pod: Option<&'static str>,
    /// The reason of the condition DisruptionTarget.
    pub(super) disrupted: Option<&'static str>,
}

/// What a stage says when it went well.
pub(super) fn well(stage: Stage) -> Ending {
    match stage {
        Stage::Configure | Stage::Filter => Ending::Configure {
            reason: None,
            detail: None,
        },
        Stage::Algorithm => guard(Some(0), None, None),
        Stage::Publish => Ending::Publish {
            published: Some(published()),
            reason: None,
            detail: None,
        },
    }
}

pub(super) fn guard(code: Option<i32>, signal: Option<i32>, reason: Option<Reason>) -> Ending {
    Ending::Algorithm {
        exit_code: code,
        signal,
        reason,
        isolation: Some(Isolation::Proven),
        log: log(),
    }
}

pub(super) fn published() -> Published {
    Published {
        manifest_key: "job/1/manifest.json".to_owned(),
        manifest_sha256: alloy::primitives::B256::repeat_byte(3),
        files: 1,
        bytes: 10,
        log: log(),
        filtered_log: None,
    }
}

const fn log() -> LogSummary {
    LogSummary {
        bytes: 3,
        sha256: alloy::primitives::B256::repeat_byte(4),
        completeness: Completeness::Complete,
    }
}
