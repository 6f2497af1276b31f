use super::stops::stop;
use super::{finished, said};
use crate::cluster::state::simulation::{End, Simulation, guard};
use crate::engine::Stage;
use crate::jobs::{Outcome, Phase, Reason};
use crate::stages::PublishPlan;
use crate::workflows::Release;

#[test]
fn a_filter_comes_between_the_algorithm_and_publishing() {
    let mut simulation = Simulation::filtered(Stage::Filter);
    assert_eq!(simulation.status().phase, Some(Phase::Filtering));
    simulation.end_well(Stage::Filter);
    simulation.settle();
    assert_eq!(leaving(&simulation), (Release::Filtered, Release::Filtered));
    simulation.begin_pod(Stage::Publish);
    simulation.end_well(Stage::Publish);
    simulation.settle();
    let well = (Some(Phase::Finished), Some(Outcome::Succeeded), None);
    assert_eq!(simulation.end_of_job(), well);
}

#[test]
fn where_the_filter_failed_or_was_stopped_nothing_leaves() {
    let mut failed = Simulation::filtered(Stage::Filter);
    failed.end(
        Stage::Filter,
        1,
        "the algorithm said: secret",
        End::default(),
    );
    failed.settle();
    let stage = failed.status().stage(Stage::Filter).unwrap();
    assert_eq!(stage.message, None, "of its words nothing is kept");
    let mut stopped = Simulation::filtered(Stage::Filter);
    stop(&mut stopped, true);
    stopped.settle();
    stopped.end(Stage::Filter, 137, "", End::default());
    stopped.settle();
    let ends = [
        (failed, finished(Outcome::Failed, Reason::FilterFailed)),
        (
            stopped,
            finished(Outcome::Stopped, Reason::StoppedByOperator),
        ),
    ];
    for (mut simulation, end) in ends {
        assert_eq!(leaving(&simulation), (Release::None, Release::None));
        simulation.begin_pod(Stage::Publish);
        simulation.end_well(Stage::Publish);
        simulation.settle();
        assert_eq!(simulation.end_of_job(), end);
    }
}

#[test]
fn of_an_algorithm_that_failed_only_the_log_goes_through_the_filter() {
    let mut simulation = Simulation::filtered(Stage::Algorithm);
    let said = said(&guard(Some(7), None, None));
    simulation.end(Stage::Algorithm, 7, &said, End::default());
    simulation.settle();
    simulation.begin_pod(Stage::Filter);
    simulation.end_well(Stage::Filter);
    simulation.settle();
    assert_eq!(leaving(&simulation), (Release::None, Release::Filtered));

    let mut simulation = Simulation::filtered(Stage::Algorithm);
    stop(&mut simulation, true);
    simulation.settle();
    simulation.end(Stage::Algorithm, 137, "", End::default());
    simulation.settle();
    assert_eq!(leaving(&simulation), (Release::None, Release::None));
    assert!(!simulation.names_of_jobs().contains(&"filter"));
}

/// What the Job of publishing was told may leave.
pub(super) fn leaving(simulation: &Simulation) -> (Release, Release) {
    let job = simulation.job(Stage::Publish);
    let pod = job.spec.as_ref().unwrap().template.spec.as_ref().unwrap();
    let command = pod.containers[0].command.as_ref().unwrap();
    let plan = command.iter().find(|word| word.starts_with('{')).unwrap();
    let plan: PublishPlan = serde_json::from_str(plan).unwrap();
    (plan.results, plan.logs)
}
