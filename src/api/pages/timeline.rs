//! A job's story in steps: what happened on chain, in the ledger and in the cluster, in order, and what is still to come.

use std::time::Duration;

use alloy::primitives::{Address, B256};
use chrono::{DateTime, Utc};

use super::words::{between, words};
use crate::engine::{Isolation, Stage, StageObservation};
use crate::jobs::{Outcome, Phase};
use crate::ledger::reader::{AttemptRow, JobRow, ToldEvent, TransitionRow, VerdictRow};

/// Everything that the steps are told from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Story<'a> {
    pub(super) job: &'a JobRow,
    pub(super) verdict: Option<&'a VerdictRow>,
    pub(super) attempts: &'a [AttemptRow],
    /// Everything recorded about its agreement, in the order of the chain.
    pub(super) told: &'a [ToldEvent],
    pub(super) transitions: &'a [TransitionRow],
}

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    pub(super) mark: Mark,
    /// In words.
    pub(super) what: String,
    /// When it happened, or began.
    pub(super) at: Option<DateTime<Utc>>,
    /// How long it took, if it is over and is more than a moment.
    pub(super) took: Option<Duration>,
    pub(super) place: Place,
    /// What else there is to say.
    pub(super) note: Option<String>,
}

/// How a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Done,
    /// It goes on now.
    Now,
    /// It went wrong.
    Bad,
    /// It is to come.
    Ahead,
}

/// Where a step happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// On chain.
    Log {
        block: u64,
        transaction: B256,
        log_index: u64,
        /// How it was made sure that the block's logs are complete.
        proof: Option<String>,
        canonical: bool,
    },
    /// In the ledger, by the worker of that name.
    Ledger(String),
    /// In the cluster: a stage of an attempt.
    Stage(Stage, i32),
    /// Nowhere yet.
    Nowhere,
}

impl Step {
    fn new(mark: Mark, what: impl Into<String>, at: Option<DateTime<Utc>>, place: Place) -> Self {
        Self {
            mark,
            what: what.into(),
            at,
            took: None,
            place,
            note: None,
        }
    }
}

/// The steps, in order.
pub(super) fn of(story: &Story<'_>) -> Vec<Step> {
    let (mut steps, after) = on_chain(story);
    let mut own = vec![recorded(story.job)];
    own.extend(story.verdict.map(judged));
    own.extend(story.transitions.iter().filter_map(waited));
    let is_broken = matches!(
        story.job.outcome,
        Some(Outcome::Failed | Outcome::TimedOut | Outcome::Stopped | Outcome::Lost)
    );
    for attempt in story.attempts {
        let is_last = story.attempts.last().map(|last| last.number) == Some(attempt.number);
        own.extend(stages(attempt, is_last && is_broken));
    }
    // What has no time yet stays behind what has.
    own.sort_by_key(|step| (step.at.is_none(), step.at));
    steps.extend(own);
    steps.extend(ended(story));
    steps.extend(after);
    steps.extend(ahead(story));
    steps
}

/// What happened on chain up to the job's event, and what happened there afterwards.
fn on_chain(story: &Story<'_>) -> (Vec<Step>, Vec<Step>) {
    let job = story.job;
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let mut is_made = false;
    for event in story.told.iter().filter(|event| event.canonical) {
        let argument = |name: &str| event.arguments[name].as_str().unwrap_or_default();
        let what = match (event.contract.as_str(), event.name.as_str()) {
            (_, "AgreementCreated") if !is_made => {
                is_made = true;
                "Agreement made".to_owned()
            }
            ("LockRewardCondition", "Fulfilled") => {
                format!("Paid into the escrow: {}", argument("amount"))
            }
            ("EscrowReward", "Fulfilled") => {
                let is_refund = argument("receiver").parse::<Address>().ok() == Some(job.consumer);
                let word = if is_refund {
                    "Escrow paid back to the consumer"
                } else {
                    "Escrow paid to the publisher"
                };
                format!("{word}: {}", argument("amount"))
            }
            ("ConditionStoreManager", "ConditionUpdated") if event.arguments["state"] == 3 => {
                "A condition was aborted".to_owned()
            }
            _ => continue,
        };
        let is_before = (event.block, event.log_index) < (job.block.number, job.log_index);
        let steps = if is_before { &mut before } else { &mut after };
        let place = Place::Log {
            block: event.block,
            transaction: event.transaction,
            log_index: event.log_index,
            proof: event.proof.clone(),
            canonical: true,
        };
        steps.push(Step::new(Mark::Done, what, event.made_at, place));
    }
    before.push(answered(story));
    (before, after)
}

/// The event that owes the job.
fn answered(story: &Story<'_>) -> Step {
    let job = story.job;
    let its = story.told.iter().find(|event| {
        event.transaction == job.transaction_hash && event.log_index == job.log_index
    });
    let place = Place::Log {
        block: job.block.number,
        transaction: job.transaction_hash,
        log_index: job.log_index,
        proof: its.and_then(|event| event.proof.clone()),
        canonical: job.block_canonical,
    };
    let mark = if job.block_canonical {
        Mark::Done
    } else {
        Mark::Bad
    };
    let note = match (job.block_canonical, job.block_irreversible) {
        (false, _) => Some(
            "A reorganisation took this block from the chain; if the event comes back, this is the same job.",
        ),
        (true, false) => Some("This block could still be rolled back."),
        (true, true) => None,
    };
    Step {
        note: note.map(ToOwned::to_owned),
        ..Step::new(
            mark,
            "The publisher answered: compute condition fulfilled",
            job.block_made_at,
            place,
        )
    }
}

fn recorded(job: &JobRow) -> Step {
    let place = Place::Ledger("judge".to_owned());
    Step::new(Mark::Done, "Recorded", Some(job.created_at), place)
}

fn judged(verdict: &VerdictRow) -> Step {
    let mark = match verdict.verdict.as_str() {
        "refused" => Mark::Bad,
        _ => Mark::Done,
    };
    let what = format!("Judged: {}", words(&verdict.verdict));
    let place = Place::Ledger("judge".to_owned());
    Step {
        note: Some(format!(
            "On the events up to block {}.",
            verdict.judged.number
        )),
        ..Step::new(mark, what, Some(verdict.judged_at), place)
    }
}

/// A transition into a phase in which no stage runs.
fn waited(row: &TransitionRow) -> Option<Step> {
    let what = match row.phase.parse().ok()? {
        Phase::AwaitingPayment => "Waits for the payment",
        Phase::Undecided => "Waits for what cannot be read now",
        Phase::AwaitingDocument => "Looks for the workflow's documents",
        Phase::Queued => "Workflow frozen, queued",
        Phase::AwaitingReview => "Waits for the publisher's review",
        Phase::Configuring
        | Phase::Running
        | Phase::Filtering
        | Phase::Publishing
        | Phase::Finished => return None,
    };
    let place = Place::Ledger(row.worker.clone());
    Some(Step::new(Mark::Done, what, Some(row.at), place))
}

const fn stage_words(stage: Stage) -> &'static str {
    match stage {
        Stage::Configure => "Inputs and algorithm fetched",
        Stage::Algorithm => "Algorithm run",
        Stage::Filter => "Filtered",
        Stage::Publish => "Results and log stored",
    }
}

fn stages(attempt: &AttemptRow, is_broken: bool) -> Vec<Step> {
    let begun = attempt
        .stages
        .iter()
        .filter(|stage| stage.started_at.is_some());
    let last = begun.map(|stage| stage.stage).next_back();
    let step = |stage: &StageObservation| {
        let mark = match (stage.started_at, stage.finished_at) {
            _ if is_broken && last == Some(stage.stage) => Mark::Bad,
            (_, Some(_)) => Mark::Done,
            (Some(_), None) => Mark::Now,
            (None, None) => Mark::Ahead,
        };
        let took = stage.started_at.zip(stage.finished_at);
        let note = stage.isolation.map(|isolation| match isolation {
            Isolation::Proven => {
                "Its pod saw the cluster deny it the network, and the guard denied it besides."
            }
            Isolation::Unproven => "The guard denied it the network; the cluster was not seen to.",
            Isolation::Open => "The publisher lets this algorithm use the network.",
        });
        Step {
            took: took.and_then(|(from, to)| between(from, to)),
            note: note.map(ToOwned::to_owned),
            ..Step::new(
                mark,
                stage_words(stage.stage),
                stage.started_at,
                Place::Stage(stage.stage, attempt.number),
            )
        }
    };
    // A stage that never began is no part of an attempt that is over.
    let is_over = attempt.finished_at.is_some();
    let shown = attempt.stages.iter();
    shown
        .filter(|stage| !is_over || stage.started_at.is_some())
        .map(step)
        .collect()
}

fn ended(story: &Story<'_>) -> Option<Step> {
    let job = story.job;
    let outcome = job.outcome?;
    let mark = match outcome {
        Outcome::Succeeded | Outcome::Skipped | Outcome::Stopped | Outcome::Withdrawn => Mark::Done,
        Outcome::Failed | Outcome::TimedOut | Outcome::Refused | Outcome::Lost => Mark::Bad,
    };
    let worker = story.transitions.last().map(|row| row.worker.clone());
    let place = worker.map_or(Place::Nowhere, Place::Ledger);
    let what = format!("Finished: {}", words(outcome.as_str()));
    Some(Step::new(mark, what, job.finished_at, place))
}

/// What is still to come, as far as it is known.
fn ahead(story: &Story<'_>) -> Vec<Step> {
    let job = story.job;
    if job.phase == Phase::Finished {
        return Vec::new();
    }
    let known = story
        .attempts
        .last()
        .filter(|attempt| attempt.finished_at.is_none());
    let is_known = |stage: Stage| {
        known.is_some_and(|attempt| attempt.stages.iter().any(|its| its.stage == stage))
    };
    let mut steps = Vec::new();
    for stage in [Stage::Configure, Stage::Algorithm, Stage::Publish] {
        if !is_known(stage) && job.phase != Phase::AwaitingReview {
            let what = stage_words(stage);
            steps.push(Step::new(Mark::Ahead, what, None, Place::Nowhere));
        }
    }
    steps.push(Step::new(Mark::Ahead, "Result", None, Place::Nowhere));
    steps
}
