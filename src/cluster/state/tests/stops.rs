use super::filtering::leaving;
use super::finished;
use crate::cluster::fixture;
use crate::cluster::state::Decision;
use crate::cluster::state::simulation::{End, Simulation, published};
use crate::engine::Stage;
use crate::jobs::{Outcome, Phase, Reason};
use crate::workflows::Release;

#[test]
fn stop_and_deletion_end_what_runs_and_still_bring_the_log_out() {
    let table = [
        (true, Reason::StoppedByOperator),
        (false, Reason::WorkflowDeleted),
    ];
    for (by_operator, reason) in table {
        let mut simulation = Simulation::running(Stage::Algorithm);
        stop(&mut simulation, by_operator);
        assert_eq!(simulation.settle(), Decision::Wait(None));
        let spec = simulation.pods.last().unwrap().spec.as_ref().unwrap();
        assert_eq!(spec.active_deadline_seconds, Some(1));
        assert_eq!(simulation.status().phase, Some(Phase::Running));
        let deadline = End {
            pod: Some("DeadlineExceeded"),
            ..End::default()
        };
        simulation.end(Stage::Algorithm, 137, "", deadline);
        simulation.settle();
        simulation.make_pod(Stage::Publish);
        simulation.run(Stage::Publish);
        simulation.end_well(Stage::Publish);
        simulation.settle();
        let stopped = finished(Outcome::Stopped, reason);
        assert_eq!(simulation.end_of_job(), stopped);
        assert_eq!(simulation.status().published, Some(published()));
    }
}

#[test]
fn a_stop_before_the_algorithm_runs_starts_nothing_more() {
    let mut simulation = Simulation::running(Stage::Configure);
    simulation.end_well(Stage::Configure);
    simulation.settle();
    simulation.make_pod(Stage::Algorithm);
    stop(&mut simulation, true);
    simulation.settle();
    let stopped = finished(Outcome::Stopped, Reason::StoppedByOperator);
    assert_eq!(simulation.end_of_job(), stopped);
    assert!(simulation.released.is_empty());
    assert_eq!(simulation.names_of_jobs(), ["configure"]);
}

#[test]
fn a_stop_while_publishing_lets_it_finish() {
    let mut simulation = Simulation::running(Stage::Publish);
    stop(&mut simulation, true);
    assert_eq!(simulation.settle(), Decision::Wait(None));
    simulation.end_well(Stage::Publish);
    simulation.settle();
    let well = (Some(Phase::Finished), Some(Outcome::Succeeded), None);
    assert_eq!(simulation.end_of_job(), well);
}

#[test]
fn publishing_waits_while_the_event_is_off_the_chain() {
    let mut simulation = Simulation::running(Stage::Algorithm);
    simulation.workflow.spec.hold_publishing = true;
    assert_eq!(simulation.settle(), Decision::Wait(None), "it runs on");
    simulation.end_well(Stage::Algorithm);
    assert_eq!(simulation.settle(), Decision::Wait(None));
    assert_eq!(simulation.names_of_jobs(), ["configure", "algorithm"]);
    assert_eq!(simulation.status().phase, Some(Phase::Running));

    simulation.workflow.spec.hold_publishing = false;
    simulation.settle();
    assert!(lets_results_out(&simulation));
    simulation.make_pod(Stage::Publish);
    simulation.run(Stage::Publish);
    simulation.end_well(Stage::Publish);
    simulation.settle();
    let well = (Some(Phase::Finished), Some(Outcome::Succeeded), None);
    assert_eq!(simulation.end_of_job(), well);
}

#[test]
fn a_withdrawn_job_is_ended_and_nothing_but_its_log_comes_out() {
    // while it runs, and while its publishing waits
    for has_ended in [false, true] {
        let mut simulation = Simulation::running(Stage::Algorithm);
        simulation.workflow.spec.hold_publishing = true;
        if has_ended {
            simulation.end_well(Stage::Algorithm);
        }
        simulation.settle();
        simulation.workflow.spec.withdrawn = 1;
        simulation.settle();
        if !has_ended {
            let spec = simulation.pods.last().unwrap().spec.as_ref().unwrap();
            assert_eq!(spec.active_deadline_seconds, Some(1));
            let deadline = End {
                pod: Some("DeadlineExceeded"),
                ..End::default()
            };
            simulation.end(Stage::Algorithm, 137, "", deadline);
            simulation.settle();
        }
        assert!(!lets_results_out(&simulation));
        simulation.make_pod(Stage::Publish);
        simulation.run(Stage::Publish);
        simulation.end_well(Stage::Publish);
        simulation.settle();
        let withdrawn = finished(Outcome::Withdrawn, Reason::EventWithdrawn);
        assert_eq!(simulation.end_of_job(), withdrawn);
    }
}

#[test]
fn a_withdrawal_before_anything_began_makes_nothing_and_does_not_concern_the_next_attempt() {
    let mut simulation = Simulation::started();
    simulation.workflow.spec.withdrawn = 1;
    simulation.settle();
    let withdrawn = finished(Outcome::Withdrawn, Reason::EventWithdrawn);
    assert_eq!(simulation.end_of_job(), withdrawn);
    assert!(simulation.claim.is_none());
    simulation.workflow.spec.attempt = 2;
    simulation.settle();
    assert_eq!(simulation.status().phase, Some(Phase::Configuring));
    assert_eq!(simulation.status().attempt, 2);
}

#[test]
fn a_stop_while_publishing_waits_lets_no_results_out() {
    let mut simulation = Simulation::running(Stage::Algorithm);
    simulation.workflow.spec.hold_publishing = true;
    simulation.end_well(Stage::Algorithm);
    simulation.settle();
    stop(&mut simulation, true);
    simulation.settle();
    assert!(!lets_results_out(&simulation));
    simulation.make_pod(Stage::Publish);
    simulation.run(Stage::Publish);
    simulation.end_well(Stage::Publish);
    simulation.settle();
    let stopped = finished(Outcome::Stopped, Reason::StoppedByOperator);
    assert_eq!(simulation.end_of_job(), stopped);
}

#[test]
fn publishing_that_fails_or_lasts_too_long_ends_so() {
    let deadline = End {
        pod: Some("DeadlineExceeded"),
        ..End::default()
    };
    let table = [
        (End::default(), Outcome::Failed, Reason::PublishingFailed),
        (deadline, Outcome::TimedOut, Reason::PublishingTimeExceeded),
    ];
    for (end, outcome, reason) in table {
        let mut simulation = Simulation::running(Stage::Publish);
        simulation.end(Stage::Publish, 61, "", end);
        while let Decision::Wait(Some(_)) = simulation.settle() {
            simulation.seconds += 120;
            simulation.settle();
            simulation.begin_pod(Stage::Publish);
            simulation.end(Stage::Publish, 61, "", end);
        }
        assert_eq!(simulation.end_of_job(), finished(outcome, reason));
    }
}

#[test]
fn suspension_holds_back_the_release() {
    let mut simulation = Simulation::running(Stage::Configure);
    simulation.end_well(Stage::Configure);
    simulation.settle();
    simulation.workflow.spec.suspend = true;
    simulation.make_pod(Stage::Algorithm);
    assert_eq!(simulation.settle(), Decision::Wait(None));
    assert!(simulation.released.is_empty());
    simulation.workflow.spec.suspend = false;
    simulation.settle();
    assert_eq!(simulation.released.len(), 1);
}

#[test]
fn the_next_attempt_begins_anew_and_keeps_what_is_known() {
    let mut simulation = Simulation::running(Stage::Configure);
    simulation.end(Stage::Configure, 31, "", End::default());
    simulation.settle();
    simulation.workflow.spec.attempt = 2;
    simulation.claim = None;
    simulation.settle();
    assert_eq!(simulation.status().attempt, 2);
    assert_eq!(simulation.status().phase, Some(Phase::Configuring));
    assert_eq!(simulation.status().reason, None);
    assert_eq!(simulation.status().stages.len(), 2);
    let last = simulation.jobs.last().unwrap();
    let name = last.metadata.name.as_deref().unwrap();
    assert!(name.ends_with("-2-configure"), "{name}");
}

/// Whether the publish stage was told to store results.
fn lets_results_out(simulation: &Simulation) -> bool {
    leaving(simulation).0 != Release::None
}

pub(super) fn stop(simulation: &mut Simulation, by_operator: bool) {
    if by_operator {
        simulation.workflow.spec.stop = true;
    } else {
        simulation.workflow.metadata.deletion_timestamp = Some(fixture::time(9));
    }
}
