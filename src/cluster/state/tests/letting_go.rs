use super::finished;
use crate::cluster::gate::is_gated;
use crate::cluster::state::Decision;
use crate::cluster::state::simulation::Simulation;
use crate::engine::Stage;
use crate::jobs::{Outcome, Reason};

/// The algorithm's pod was just made, and nobody has looked at it yet.
fn with_pod() -> Simulation {
    let mut simulation = Simulation::running(Stage::Configure);
    simulation.end_well(Stage::Configure);
    simulation.settle();
    simulation.make_pod(Stage::Algorithm);
    simulation
}

#[test]
fn an_altered_pod_is_never_let_go() {
    let mut simulation = with_pod();
    simulation.pod_mut().spec.as_mut().unwrap().host_network = Some(true);
    simulation.settle();
    let altered = finished(Outcome::Failed, Reason::PodAltered);
    assert_eq!(simulation.end_of_job(), altered);
    assert!(simulation.released.is_empty());
    let stage = simulation.status().stage(Stage::Algorithm).unwrap();
    let place = "spec.hostNetwork is not as rendered";
    assert_eq!(stage.message.as_deref(), Some(place));
    assert_eq!(stage.pod_uid, None);
}

#[test]
fn a_pod_that_is_altered_after_it_was_recorded_is_not_let_go_either() {
    let mut simulation = with_pod();
    let Decision::Record(recorded) = simulation.decide() else {
        panic!("the pod is recorded first");
    };
    simulation.workflow.status = Some(*recorded);
    let spec = simulation.pod_mut().spec.as_mut().unwrap();
    spec.containers[0].image = Some("registry.test/other@sha256:00".to_owned());
    simulation.settle();
    let altered = finished(Outcome::Failed, Reason::PodAltered);
    assert_eq!(simulation.end_of_job(), altered);
    assert!(simulation.released.is_empty());
}

#[test]
fn one_pod_of_an_attempt_is_let_go_and_no_other() {
    let mut simulation = Simulation::running(Stage::Algorithm);
    simulation.make_pod(Stage::Algorithm);
    simulation.settle();
    assert_eq!(simulation.released.len(), 1);
    assert!(is_gated(simulation.pods.last().unwrap()));
    // Nor when the one that was let go is gone.
    let second = simulation.pods.pop().unwrap();
    simulation.pods.pop();
    simulation.pods.push(second);
    simulation.settle();
    assert_eq!(simulation.released.len(), 1);
}
