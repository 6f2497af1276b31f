use alloy::primitives::{Address, B256};

use super::*;
use crate::engine::{Completeness, LogSummary, Published, WorkflowPlan};
use crate::ids::{AgreementId, Did};
use crate::workflows::{AlgorithmSpec, FilterSpec, JobSpec, ReleaseRule, Resources};

fn workflow() -> Workflow {
    let spec = JobSpec {
        version: 1,
        agreement: AgreementId(B256::ZERO),
        did: Did(B256::ZERO),
        consumer: Address::ZERO,
        algorithm: AlgorithmSpec {
            did: None,
            image: "image".to_owned(),
            tag: None,
            digest: "none".to_owned(),
            entrypoint: "true".to_owned(),
            code: None,
            vetted: false,
        },
        inputs: Vec::new(),
        resources: Resources {
            cpu: "1".to_owned(),
            memory: "1Gi".to_owned(),
            disk: "1Gi".to_owned(),
            max_execution_seconds: 60,
        },
        allow_network: false,
        release: ReleaseRule {
            results: Release::Raw,
            logs: Release::Raw,
            review: false,
            result_bytes: 1,
            result_files: 1,
            log_bytes: 1,
        },
        filter: None,
    };
    let plan = WorkflowPlan {
        job: "job-00000000000000000000000000000000".parse().unwrap(),
        spec,
        spec_digest: B256::ZERO,
        run_as: 10_000,
        attempts_before: 0,
    };
    Workflow {
        attempt: 1,
        ..Workflow::inert(&plan, "uid".to_owned())
    }
}

fn start() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH
}

fn log() -> LogSummary {
    LogSummary {
        bytes: 0,
        sha256: B256::ZERO,
        completeness: Completeness::Complete,
    }
}

fn well(stage: Stage) -> Ending {
    match stage {
        Stage::Configure => Ending::Configure {
            reason: None,
            detail: None,
        },
        Stage::Algorithm | Stage::Filter => algorithm(Some(0), None),
        Stage::Publish => Ending::Publish {
            published: Some(Published {
                manifest_key: "key".to_owned(),
                manifest_sha256: B256::ZERO,
                files: 0,
                bytes: 0,
                log: log(),
                filtered_log: None,
            }),
            reason: None,
            detail: None,
        },
    }
}

fn algorithm(exit_code: Option<i32>, reason: Option<Reason>) -> Ending {
    Ending::Algorithm {
        exit_code,
        signal: None,
        reason,
        isolation: None,
        log: log(),
    }
}

/// Plays an attempt to its end, and answers the stages that were begun. `ends` says how each stage's program ends; none: it is lost.
/// Time passes a minute at a time while there is nothing to do.
fn play(workflow: &mut Workflow, ends: impl Fn(&StageRun) -> Option<Ending>) -> Vec<Stage> {
    let (mut begun, mut now) = (Vec::new(), start());
    for _ in 0..100 {
        let unfinished = workflow.run.as_ref().and_then(Run::unfinished);
        let said = unfinished.and_then(&ends);
        let seen = Seen {
            has_record: said.is_some(),
            said,
            ..Seen::default()
        };
        match decide(workflow, &seen, now) {
            Step::Record(run) => workflow.run = Some(*run),
            Step::Begin(run) => {
                begun.extend(run.stages.last().map(|stage| stage.stage));
                workflow.run = Some(*run);
            }
            Step::Wait if !workflow.is_busy() => return begun,
            Step::Wait => now += TimeDelta::minutes(1),
            other => panic!("{other:?}"),
        }
    }
    panic!("it did not end: {workflow:?}")
}

fn end(workflow: &Workflow) -> (Outcome, Option<Reason>) {
    let run = workflow.run.as_ref().unwrap();
    (run.outcome.unwrap(), run.reason)
}

const USUAL: [Stage; 3] = [Stage::Configure, Stage::Algorithm, Stage::Publish];

#[test]
fn what_goes_well_is_configured_run_and_published() {
    let mut workflow = workflow();
    assert_eq!(play(&mut workflow, |stage| Some(well(stage.stage))), USUAL);
    assert_eq!(end(&workflow), (Outcome::Succeeded, None));
    let seen = workflow.observation();
    assert!(seen.published.is_some());
    assert_eq!(seen.stages[1].isolation, Some(Isolation::Unproven));
    assert_eq!(
        leaving(&workflow, workflow.run.as_ref().unwrap()).results,
        Release::Raw
    );
}

#[test]
fn a_lost_algorithm_is_never_run_again_and_lost_stages_of_our_own_are() {
    let mut job = workflow();
    let begun = play(&mut job, |stage| {
        (stage.stage != Stage::Algorithm).then(|| well(stage.stage))
    });
    assert_eq!(begun, [Stage::Configure, Stage::Algorithm]);
    assert_eq!(end(&job), (Outcome::Lost, Some(Reason::PodMissing)));

    let mut job = workflow();
    let begun = play(&mut job, |stage| {
        (stage.stage == Stage::Algorithm || stage.repetition == 2).then(|| well(stage.stage))
    });
    let expected = [
        [Stage::Configure; 3].as_slice(),
        &[Stage::Algorithm],
        &[Stage::Publish; 3],
    ];
    assert_eq!(begun, expected.concat());
    assert_eq!(end(&job), (Outcome::Succeeded, None));
}

#[test]
fn an_algorithm_that_was_seen_to_live_and_is_lost_leaves_its_log() {
    let mut job = workflow();
    let mut run = Run::begin(1);
    let over = |stage| StageRun {
        started_at: Some(start()),
        finished_at: Some(start()),
        ..StageRun::begin(stage, 0, start())
    };
    run.stages = vec![
        over(Stage::Configure),
        StageRun {
            started_at: Some(start()),
            ..StageRun::begin(Stage::Algorithm, 0, start())
        },
    ];
    job.run = Some(run);
    let begun = play(&mut job, |stage| {
        (stage.stage != Stage::Algorithm).then(|| well(stage.stage))
    });
    assert_eq!(begun, [Stage::Publish]);
    assert_eq!(end(&job), (Outcome::Lost, Some(Reason::PodMissing)));
    let leaves = leaving(&job, job.run.as_ref().unwrap());
    assert_eq!(leaves.results, Release::None);
}

#[test]
fn a_failure_keeps_its_reason_and_publishes_no_results() {
    let cases = [
        (Some(7), None, Outcome::Failed, Reason::AlgorithmFailed),
        (
            None,
            Some(Reason::TimeExceeded),
            Outcome::TimedOut,
            Reason::TimeExceeded,
        ),
        (
            None,
            Some(Reason::MemoryExceeded),
            Outcome::Failed,
            Reason::MemoryExceeded,
        ),
    ];
    for (code, said, outcome, reason) in cases {
        let mut job = workflow();
        let begun = play(&mut job, |stage| match stage.stage {
            Stage::Algorithm => Some(algorithm(code, said)),
            other => Some(well(other)),
        });
        assert_eq!(begun, USUAL);
        assert_eq!(end(&job), (outcome, Some(reason)));
        let leaves = leaving(&job, job.run.as_ref().unwrap());
        assert_eq!((leaves.results, leaves.logs), (Release::None, Release::Raw));
    }
}

#[test]
fn what_is_stopped_is_ended_first_and_its_log_brought_out() {
    let mut job = workflow();
    let live = Seen {
        is_alive: true,
        ..Seen::default()
    };
    let mut run = Run::begin(1);
    run.stages = vec![
        StageRun {
            finished_at: Some(start()),
            ..StageRun::begin(Stage::Configure, 0, start())
        },
        StageRun {
            started_at: Some(start()),
            ..StageRun::begin(Stage::Algorithm, 0, start())
        },
    ];
    job.run = Some(run);
    job.stop = true;
    let Step::Record(decided) = decide(&job, &live, start()) else {
        panic!("the decision comes before the deed");
    };
    job.run = Some(*decided);
    assert_eq!(decide(&job, &live, start()), Step::Terminate);
    assert_eq!(decide(&job, &live, start() + MARGIN), Step::Kill);
    let orphans = Seen {
        has_leftovers: true,
        ..Seen::default()
    };
    assert_eq!(decide(&job, &orphans, start()), Step::Kill);
    let begun = play(&mut job, |stage| match stage.stage {
        Stage::Algorithm => Some(algorithm(None, None)),
        other => Some(well(other)),
    });
    assert_eq!(begun, [Stage::Publish]);
    assert_eq!(
        end(&job),
        (Outcome::Stopped, Some(Reason::StoppedByOperator))
    );
}

#[test]
fn publishing_waits_while_the_event_is_off_the_chain() {
    let mut job = workflow();
    job.hold_publishing = true;
    let mut run = Run::begin(1);
    for stage in [Stage::Configure, Stage::Algorithm] {
        run.stages.push(StageRun {
            started_at: Some(start()),
            finished_at: Some(start()),
            ..StageRun::begin(stage, 0, start())
        });
    }
    job.run = Some(run);
    assert_eq!(decide(&job, &Seen::default(), start()), Step::Wait);
    job.withdrawn = 1;
    let begun = play(&mut job, |stage| Some(well(stage.stage)));
    assert_eq!(begun, [Stage::Publish]);
    assert_eq!(
        end(&job),
        (Outcome::Withdrawn, Some(Reason::EventWithdrawn))
    );
}

#[test]
fn what_should_go_through_a_filter_that_failed_stays_in() {
    let mut job = workflow();
    job.spec.filter = Some(FilterSpec {
        image: "filter".to_owned(),
        entrypoint: Some("false".to_owned()),
    });
    job.spec.release.results = Release::Filtered;
    let begun = play(&mut job, |stage| match stage.stage {
        Stage::Filter => Some(algorithm(Some(1), None)),
        other => Some(well(other)),
    });
    assert_eq!(begun, STAGES);
    assert_eq!(end(&job), (Outcome::Failed, Some(Reason::FilterFailed)));
    let leaves = leaving(&job, job.run.as_ref().unwrap());
    assert_eq!(
        (leaves.results, leaves.logs),
        (Release::None, Release::None)
    );
}

#[test]
fn an_inert_workflow_runs_nothing_and_a_finished_one_begins_only_the_next_attempt() {
    let mut job = Workflow {
        attempt: 0,
        ..workflow()
    };
    assert_eq!(decide(&job, &Seen::default(), start()), Step::Wait);
    job.attempt = 1;
    play(&mut job, |stage| Some(well(stage.stage)));
    assert_eq!(decide(&job, &Seen::default(), start()), Step::Wait);
    job.attempt = 2;
    assert_eq!(play(&mut job, |stage| Some(well(stage.stage))), USUAL);
    assert_eq!(job.run.as_ref().unwrap().attempt, 2);
    job.deleting = true;
    assert_eq!(decide(&job, &Seen::default(), start()), Step::Wait);
    job.released = true;
    assert_eq!(decide(&job, &Seen::default(), start()), Step::Remove);
}
