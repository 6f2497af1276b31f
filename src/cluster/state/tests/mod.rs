//! What is decided, played through in a cluster of one workflow; `stops.rs`: what is stopped, withdrawn, held or tried again;
//! `filtering.rs`: what goes through the publisher's filter; `letting_go.rs`: which pod of the algorithm runs.

mod filtering;
mod letting_go;
mod stops;

use std::time::Duration;

use super::simulation::{End, Simulation, guard, published};
use super::{Answer, Decision};
use crate::cluster::fixture;
use crate::engine::{Isolation, Stage};
use crate::jobs::{Outcome, Phase, Reason};
use crate::stages::Ending;

const START_DEADLINE: i64 = 600;

fn said(ending: &Ending) -> String {
    serde_json::to_string(ending).unwrap()
}

fn finished(outcome: Outcome, reason: Reason) -> (Option<Phase>, Option<Outcome>, Option<Reason>) {
    (Some(Phase::Finished), Some(outcome), Some(reason))
}

#[test]
fn an_inert_workflow_does_nothing_and_can_be_deleted() {
    let mut simulation = Simulation::started();
    simulation.workflow.spec.attempt = 0;
    assert_eq!(simulation.settle(), Decision::Wait(None));
    assert_eq!(simulation.workflow.status, None);
    simulation.workflow.metadata.deletion_timestamp = Some(fixture::time(1));
    simulation.settle();
    let stopped = finished(Outcome::Stopped, Reason::WorkflowDeleted);
    assert_eq!(simulation.end_of_job(), stopped);
    assert!(simulation.claim.is_none());
}

#[test]
fn a_job_goes_from_stage_to_stage() {
    let mut simulation = Simulation::started();
    simulation.settle();
    assert_eq!(simulation.status().phase, Some(Phase::Configuring));
    assert_eq!(simulation.names_of_jobs(), ["configure"]);

    let mut simulation = Simulation::running(Stage::Algorithm);
    assert_eq!(simulation.status().phase, Some(Phase::Running));
    assert_eq!(simulation.forgotten, 1);
    let pod = simulation.pods.last().unwrap();
    // Started two seconds after the pod: 2 + 60 of the job + 60 for the guard.
    let deadline = pod.spec.as_ref().unwrap().active_deadline_seconds;
    assert_eq!(deadline, Some(122));
    assert_eq!(simulation.released, [pod.metadata.uid.clone().unwrap()]);

    simulation.end_well(Stage::Algorithm);
    simulation.settle();
    assert_eq!(simulation.status().phase, Some(Phase::Publishing));
    let mut simulation = Simulation::running(Stage::Publish);
    simulation.end_well(Stage::Publish);
    assert_eq!(simulation.settle(), Decision::Wait(None));
    let well = (Some(Phase::Finished), Some(Outcome::Succeeded), None);
    assert_eq!(simulation.end_of_job(), well);
    assert_eq!(simulation.status().published, Some(published()));
    assert!(simulation.status().is("Finished"));
    assert_eq!(simulation.forgotten, 2);
    assert_eq!(
        simulation.names_of_jobs(),
        ["configure", "algorithm", "publish"]
    );
}

#[test]
fn a_failed_configure_ends_the_job_with_what_our_stage_said() {
    let ending = Ending::Configure {
        reason: Some(Reason::AlgorithmProvisioningFailed),
        detail: Some("no room".to_owned()),
    };
    let table = [
        (
            said(&ending),
            Reason::AlgorithmProvisioningFailed,
            Some("no room"),
        ),
        (String::new(), Reason::DataProvisioningFailed, None),
        (
            "https://secret".to_owned(),
            Reason::DataProvisioningFailed,
            None,
        ),
    ];
    for (message, reason, detail) in table {
        let mut simulation = Simulation::running(Stage::Configure);
        simulation.end(Stage::Configure, 31, &message, End::default());
        simulation.settle();
        assert_eq!(simulation.end_of_job(), finished(Outcome::Failed, reason));
        let stage = simulation.status().stage(Stage::Configure).unwrap();
        assert_eq!(stage.message.as_deref(), detail);
        assert_eq!(simulation.names_of_jobs(), ["configure"]);
        assert_eq!(simulation.forgotten, 1);
    }
}

/// Exit code, termination message, and what else was done to the pod; with the reason that this comes to.
fn ends_of_algorithms() -> Vec<(i32, String, End, Reason)> {
    let none = End::default();
    let killed = End {
        container: Some("OOMKilled"),
        ..none
    };
    let deadline = End {
        pod: Some("DeadlineExceeded"),
        ..none
    };
    let evicted = End {
        pod: Some("Evicted"),
        ..none
    };
    let drained = End {
        disrupted: Some("DeletionByTaintManager"),
        ..none
    };
    let garbage = End {
        disrupted: Some("DeletionByPodGC"),
        ..none
    };
    let by = |code, signal, reason| said(&guard(code, signal, reason));
    let silent = String::new;
    vec![
        (7, by(Some(7), None, None), none, Reason::AlgorithmFailed),
        (139, by(None, Some(11), None), none, Reason::AlgorithmFailed),
        (
            42,
            by(None, None, Some(Reason::DiskExceeded)),
            none,
            Reason::DiskExceeded,
        ),
        (
            42,
            by(None, None, Some(Reason::TimeExceeded)),
            none,
            Reason::TimeExceeded,
        ),
        (
            127,
            by(None, None, Some(Reason::NoShell)),
            none,
            Reason::NoShell,
        ),
        (
            125,
            by(None, None, Some(Reason::NetworkUnproven)),
            none,
            Reason::NetworkUnproven,
        ),
        // What an algorithm could write: its own 42, a lie about the code, a word that is the cluster's.
        (42, by(Some(42), None, None), none, Reason::AlgorithmFailed),
        (9, by(Some(0), None, None), none, Reason::AlgorithmFailed),
        (
            1,
            by(None, None, Some(Reason::Evicted)),
            none,
            Reason::AlgorithmFailed,
        ),
        (1, "not JSON".to_owned(), none, Reason::AlgorithmFailed),
        (137, silent(), killed, Reason::MemoryExceeded),
        (137, silent(), deadline, Reason::TimeExceeded),
        (137, silent(), evicted, Reason::Evicted),
        (143, silent(), drained, Reason::Evicted),
        (143, silent(), garbage, Reason::PodMissing),
    ]
}

#[test]
fn however_an_algorithm_ended_its_log_is_brought_out() {
    for (code, message, end, reason) in ends_of_algorithms() {
        let mut simulation = Simulation::running(Stage::Algorithm);
        simulation.end(Stage::Algorithm, code, &message, end);
        simulation.settle();
        let stage = simulation.status().stage(Stage::Algorithm).unwrap();
        assert_eq!(stage.message, None, "{message}");
        assert_eq!(simulation.status().phase, Some(Phase::Publishing));
        simulation.make_pod(Stage::Publish);
        simulation.settle();
        simulation.run(Stage::Publish);
        simulation.end_well(Stage::Publish);
        simulation.settle();
        let end = finished(reason.outcome(), reason);
        assert_eq!(simulation.end_of_job(), end, "{message}");
        assert_eq!(simulation.status().published, Some(published()));
    }
}

#[test]
fn what_isolation_rested_on_is_the_guards_word_where_it_fits_the_exit() {
    for (code, expected) in [(0, Some(Isolation::Proven)), (1, None)] {
        let mut simulation = Simulation::running(Stage::Algorithm);
        let message = said(&guard(Some(0), None, None));
        simulation.end(Stage::Algorithm, code, &message, End::default());
        simulation.settle();
        let stage = simulation.status().stage(Stage::Algorithm).unwrap();
        assert_eq!(stage.isolation, expected, "exit code {code}");
    }
}

#[test]
fn a_pod_deleted_while_it_runs_is_lost() {
    let mut simulation = Simulation::running(Stage::Algorithm);
    simulation.pod_mut().metadata.deletion_timestamp = Some(fixture::time(5));
    let message = said(&guard(None, Some(15), None));
    simulation.end(Stage::Algorithm, 143, &message, End::default());
    simulation.settle();
    let stage = simulation.status().stage(Stage::Algorithm).unwrap();
    assert_eq!(stage.reason, Some(Reason::PodMissing));
}

#[test]
fn a_stage_that_cannot_start_in_time_is_ended() {
    let table = [
        (
            Stage::Configure,
            Some("ErrImagePull"),
            Outcome::Failed,
            Reason::ImageUnavailable,
        ),
        (
            Stage::Algorithm,
            Some("ImagePullBackOff"),
            Outcome::Failed,
            Reason::ImageUnavailable,
        ),
        (
            Stage::Configure,
            Some("CreateContainerConfigError"),
            Outcome::TimedOut,
            Reason::StartTimeExceeded,
        ),
        (
            Stage::Algorithm,
            None,
            Outcome::TimedOut,
            Reason::StartTimeExceeded,
        ),
    ];
    for (stage, waiting, outcome, reason) in table {
        let mut simulation = match stage {
            Stage::Algorithm => {
                let mut simulation = Simulation::running(Stage::Configure);
                simulation.end_well(Stage::Configure);
                simulation.settle();
                simulation
            }
            _ => {
                let mut simulation = Simulation::started();
                simulation.settle();
                simulation
            }
        };
        simulation.make_pod(stage);
        simulation.settle();
        if let Some(waiting) = waiting {
            simulation.wait(stage, waiting);
        }
        let wait = Duration::from_secs(600);
        assert_eq!(simulation.settle(), Decision::Wait(Some(wait)));
        simulation.seconds = START_DEADLINE;
        simulation.settle();
        let known = simulation.status().stage(stage).unwrap();
        assert_eq!(known.reason, Some(reason));
        if waiting.is_some() {
            // Bound to a node: the kubelet ends it, and only then it is over.
            assert!(!known.is_over());
            let spec = simulation.pod_mut().spec.as_ref().unwrap();
            assert_eq!(spec.active_deadline_seconds, Some(1));
            simulation.pod_mut().status.as_mut().unwrap().phase = Some("Failed".to_owned());
        }
        simulation.settle();
        assert_eq!(simulation.end_of_job(), finished(outcome, reason));
        assert!(!simulation.names_of_jobs().contains(&"publish"));
    }
}

#[test]
fn silence_of_the_cluster_decides_nothing() {
    let mut simulation = Simulation::running(Stage::Algorithm);
    simulation.seconds = 1_000_000;
    assert_eq!(simulation.settle(), Decision::Wait(None));
    assert_eq!(simulation.status().phase, Some(Phase::Running));
}

#[test]
fn admission_is_asked_why_there_is_no_pod() {
    let mut simulation = Simulation::started();
    let wait = Decision::Wait(Some(Duration::from_secs(3)));
    assert_eq!(simulation.settle(), wait);
    simulation.seconds = 3;
    assert!(matches!(simulation.settle(), Decision::Ask(_)));
    simulation.seconds = 1_000_000;
    simulation.answer = Some(Answer::NoRoom);
    assert!(matches!(simulation.settle(), Decision::Wait(Some(_))));
    assert_eq!(simulation.status().phase, Some(Phase::Configuring));
    simulation.answer = Some(Answer::Refused);
    simulation.settle();
    let refused = finished(Outcome::Failed, Reason::ClusterRefused);
    assert_eq!(simulation.end_of_job(), refused);
}

#[test]
fn what_was_recorded_and_is_missing_is_lost_and_never_made_again() {
    let mut simulation = Simulation::running(Stage::Algorithm);
    simulation.pods.pop();
    simulation.settle();
    // The log that lies on the volume is brought out.
    assert_eq!(
        simulation.names_of_jobs(),
        ["configure", "algorithm", "publish"]
    );
    simulation.make_pod(Stage::Publish);
    simulation.run(Stage::Publish);
    simulation.end_well(Stage::Publish);
    simulation.settle();
    let lost = finished(Outcome::Lost, Reason::PodMissing);
    assert_eq!(simulation.end_of_job(), lost);
    assert_eq!(simulation.released.len(), 1);

    let mut simulation = Simulation::running(Stage::Configure);
    simulation.end_well(Stage::Configure);
    simulation.settle();
    simulation
        .jobs
        .retain(|job| !job.metadata.name.as_ref().unwrap().ends_with("-algorithm"));
    simulation.settle();
    assert_eq!(simulation.end_of_job(), lost);
    assert_eq!(simulation.names_of_jobs(), ["configure"]);
}

#[test]
fn configure_and_publish_are_repeated_for_what_the_cluster_did_and_a_bounded_number_of_times() {
    let evicted = End {
        pod: Some("Evicted"),
        ..End::default()
    };
    for stage in [Stage::Configure, Stage::Publish] {
        let mut simulation = Simulation::running(stage);
        for (repetition, pause) in [(1, 2), (2, 20), (3, 120)] {
            simulation.end(stage, 137, "", evicted);
            let waiting = simulation.settle();
            assert!(matches!(waiting, Decision::Wait(Some(_))), "{waiting:?}");
            assert_ne!(simulation.status().phase, Some(Phase::Finished));
            simulation.seconds += pause;
            simulation.settle();
            let name = simulation.job(stage).metadata.name.clone().unwrap();
            assert!(name.ends_with(&format!("-{stage}-{repetition}")), "{name}");
            simulation.begin_pod(stage);
        }
        simulation.end(stage, 137, "", evicted);
        simulation.settle();
        let ended = finished(Outcome::Failed, Reason::Evicted);
        assert_eq!(simulation.end_of_job(), ended);
    }
}

#[test]
fn a_repetition_that_goes_well_is_as_good_as_the_first() {
    let mut simulation = Simulation::running(Stage::Publish);
    simulation.end(Stage::Publish, 61, "", End::default());
    simulation.settle();
    simulation.seconds += 2;
    simulation.settle();
    simulation.begin_pod(Stage::Publish);
    simulation.end_well(Stage::Publish);
    simulation.settle();
    let well = (Some(Phase::Finished), Some(Outcome::Succeeded), None);
    assert_eq!(simulation.end_of_job(), well);
    assert_eq!(simulation.status().published, Some(published()));
    assert_eq!(
        simulation.released.len(),
        1,
        "the algorithm is never repeated"
    );
}

#[test]
fn a_volume_that_is_gone_ends_the_job() {
    let mut simulation = Simulation::running(Stage::Configure);
    simulation.claim = None;
    simulation.end_well(Stage::Configure);
    simulation.settle();
    let lost = finished(Outcome::Lost, Reason::PodMissing);
    assert_eq!(simulation.end_of_job(), lost);
    assert_eq!(simulation.names_of_jobs(), ["configure"]);
}
