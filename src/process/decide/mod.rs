//! What a workflow needs next. Pure: what is written down of it and what is seen of its present stage go in, one [`Step`] comes out.
//!
//! It is level-triggered, so the path after a crash is the only path there is: what is decided is written before it is done, and a
//! stage is over only when nothing of it runs any more.

use chrono::{DateTime, TimeDelta, Utc};

use super::ending;
use super::workflow::{Run, StageRun, Workflow};
use crate::engine::{Isolation, Stage};
use crate::jobs::{Footing, Outcome, Phase, Reason};
use crate::stages::Ending;
use crate::workflows::Release;

/// The stages of an attempt, in order; not every asset has a filter.
const STAGES: [Stage; 4] = [
    Stage::Configure,
    Stage::Algorithm,
    Stage::Filter,
    Stage::Publish,
];

/// Pauses before the first, second and third repetition of our own stages. After that the job ends.
const PAUSES: [TimeDelta; 3] = [
    TimeDelta::seconds(1),
    TimeDelta::seconds(5),
    TimeDelta::seconds(20),
];

/// How long fetching, and storing, may take.
const OWN_STAGE: TimeDelta = TimeDelta::hours(1);

/// How long after its limit a guard that should have ended its program may still do so; and, after a stop, anything.
const MARGIN: TimeDelta = TimeDelta::seconds(15);

/// What is seen of the stage that is not over.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Seen {
    /// Whether its program lives.
    pub(super) is_alive: bool,
    /// Whether processes are left of it although its program is gone.
    pub(super) has_leftovers: bool,
    /// Whether its program came as far as making a record.
    pub(super) has_record: bool,
    /// What its program said when it ended.
    pub(super) said: Option<Ending>,
}

/// The next step.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// Nothing, until something changes.
    Wait,
    /// Write this down.
    Record(Box<Run>),
    /// Write this down, then start the program of its last stage.
    Begin(Box<Run>),
    /// Have the stage's program end itself.
    Terminate,
    /// End the stage's program, and what is left of it, at once.
    Kill,
    /// Nobody needs it any more: remove it.
    Remove,
}

/// What may leave of an attempt, now that it is known how its stages ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leaving {
    /// Which result files.
    pub(super) results: Release,
    /// Which log the parties may have.
    pub(super) logs: Release,
}

/// What a workflow needs next, by what is written down of it and what is seen of its present stage.
pub(super) fn decide(workflow: &Workflow, seen: &Seen, now: DateTime<Utc>) -> Step {
    if workflow.released && workflow.deleting && !workflow.is_busy() {
        return Step::Remove;
    }
    match &workflow.run {
        Some(run) if run.phase != Phase::Finished => Attempt { workflow, run, now }.step(seen),
        run => {
            let begun = run.as_ref().map_or(0, |run| run.attempt);
            if workflow.attempt > begun {
                Step::Record(Box::new(Run::begin(workflow.attempt)))
            } else {
                Step::Wait
            }
        }
    }
}

/// The run after the program of its last stage could not be started.
pub(super) fn unstarted(run: &Run, why: String, now: DateTime<Utc>) -> Run {
    let mut run = run.clone();
    if let Some(stage) = run.stages.last_mut() {
        stage.finished_at = Some(now);
        stage.message = Some(why);
        stage.reason = Some(match stage.stage {
            Stage::Configure => Reason::DataProvisioningFailed,
            Stage::Algorithm => Reason::AlgorithmProvisioningFailed,
            Stage::Filter => Reason::FilterFailed,
            Stage::Publish => Reason::PublishingFailed,
        });
    }
    run
}

/// What may leave, by the publisher's rule. The results of an algorithm that did not end well are no results; where the filter failed
/// nothing leaves; and what should have gone through it and did not stays in.
pub(super) fn leaving(workflow: &Workflow, run: &Run) -> Leaving {
    let rule = &workflow.spec.release;
    let filter = run.stage(Stage::Filter);
    let passed = filter.map(|stage| stage.is_over() && stage.reason.is_none());
    let through = |release| match (release, passed) {
        (_, Some(false)) | (Release::Filtered, None) => Release::None,
        (release, _) => release,
    };
    let lets_out = workflow.footing(run.attempt).lets_out();
    Leaving {
        results: if is_complete(run) && lets_out {
            through(rule.results)
        } else {
            Release::None
        },
        logs: through(rule.logs),
    }
}

/// Whether the algorithm ended well.
fn is_complete(run: &Run) -> bool {
    let algorithm = run.stage(Stage::Algorithm);
    algorithm.is_some_and(|stage| stage.is_over() && stage.reason.is_none())
}

/// An attempt under way.
struct Attempt<'a> {
    workflow: &'a Workflow,
    run: &'a Run,
    now: DateTime<Utc>,
}

impl Attempt<'_> {
    fn step(&self, seen: &Seen) -> Step {
        for stage in STAGES {
            if stage == Stage::Filter && !self.wants_filter() {
                continue;
            }
            let Some(known) = self.run.stage(stage) else {
                return self.begin(stage, 0);
            };
            if !known.is_over() {
                return self.follow(known, seen);
            }
            if let Some(again) = self.repeat(known) {
                return again;
            }
            if let Some(end) = self.end_after(known) {
                return self.finish(end);
            }
        }
        self.finish(None)
    }

    /// Why everything has to end, if it has to.
    fn stop(&self) -> Option<Reason> {
        if self.workflow.deleting {
            return Some(Reason::WorkflowDeleted);
        }
        if self.footing() == Footing::Withdrawn {
            return Some(Reason::EventWithdrawn);
        }
        self.workflow.stop.then_some(Reason::StoppedByOperator)
    }

    fn footing(&self) -> Footing {
        self.workflow.footing(self.run.attempt)
    }

    /// Whether the filter has something to do: it is not begun for a job that is stopped, nor for results that are none.
    fn wants_filter(&self) -> bool {
        if self.run.stage(Stage::Filter).is_some() {
            return true;
        }
        let rule = &self.workflow.spec.release;
        let something = rule.logs == Release::Filtered
            || rule.results == Release::Filtered && is_complete(self.run);
        self.workflow.spec.filter.is_some() && self.stop().is_none() && something
    }

    fn begin(&self, stage: Stage, repetition: u32) -> Step {
        let stop = self.stop();
        if stop.is_some() && stage != Stage::Publish {
            return self.finish(stop);
        }
        // Where the whole job is ended, publishing lets nothing but the log out.
        if stage == Stage::Publish && stop.is_none() && !self.footing().lets_out() {
            return Step::Wait;
        }
        let mut run = self.run.clone();
        run.stages
            .push(StageRun::begin(stage, repetition, self.now));
        match stage {
            Stage::Filter => run.phase = Phase::Filtering,
            Stage::Publish => run.phase = Phase::Publishing,
            Stage::Configure | Stage::Algorithm => {}
        }
        Step::Begin(Box::new(run))
    }

    fn follow(&self, stage: &StageRun, seen: &Seen) -> Step {
        if !seen.is_alive {
            return if seen.has_leftovers {
                Step::Kill
            } else {
                self.over(stage, seen)
            };
        }
        if stage.started_at.is_none() {
            return self.changed(|known| known.started_at = Some(self.now));
        }
        if let Some(since) = stage.ending_since {
            return match stage.stage {
                Stage::Algorithm | Stage::Filter if self.now < since + MARGIN => Step::Terminate,
                _ => Step::Kill,
            };
        }
        let stop = self.stop().filter(|_| stage.stage != Stage::Publish);
        match stop.or_else(|| self.out_of_time(stage)) {
            Some(reason) => self.changed(|known| {
                known.reason = Some(reason);
                known.ending_since = Some(self.now);
            }),
            None => Step::Wait,
        }
    }

    /// Why a stage has had its time. The guard keeps the algorithm's and the filter's; this is for a guard that cannot.
    fn out_of_time(&self, stage: &StageRun) -> Option<Reason> {
        let seconds = self.workflow.spec.resources.max_execution_seconds;
        let (limit, reason) = match stage.stage {
            Stage::Configure => (OWN_STAGE, Reason::DataProvisioningFailed),
            Stage::Publish => (OWN_STAGE, Reason::PublishingTimeExceeded),
            Stage::Algorithm => (guarded(seconds), Reason::TimeExceeded),
            Stage::Filter => (guarded(seconds), Reason::FilterFailed),
        };
        (self.now >= stage.begun_at + limit).then_some(reason)
    }

    /// Nothing of the stage runs any more. A reason that was decided before stays.
    fn over(&self, stage: &StageRun, seen: &Seen) -> Step {
        let ending = ending::read(stage.stage, seen.said.clone());
        let ran = seen.has_record || seen.said.is_some();
        let isolation = match (stage.stage, seen.has_record) {
            (Stage::Algorithm, true) if self.workflow.spec.allow_network => Some(Isolation::Open),
            (Stage::Algorithm, true) => Some(Isolation::Unproven),
            _ => None,
        };
        let mut run = self.run.clone();
        if let Some(known) = run.stages.last_mut() {
            let at = known.begun_at;
            known.started_at = known.started_at.or_else(|| ran.then_some(at));
            known.finished_at = Some(self.now);
            known.exit_code = ending.exit_code;
            known.signal = ending.signal;
            known.reason = known.reason.or(ending.reason);
            known.message = ending.message;
            known.isolation = isolation;
            if known.stage == Stage::Algorithm && known.started_at.is_some() {
                run.phase = Phase::Running;
            }
        }
        run.published = run.published.or(ending.published);
        Step::Record(Box::new(run))
    }

    /// The stage once more, if it is one that can be done twice and did not fail by itself; `None` when it is not repeated.
    fn repeat(&self, stage: &StageRun) -> Option<Step> {
        let lost = stage.reason? == Reason::PodMissing;
        let repeatable = match stage.stage {
            Stage::Configure => lost && self.stop().is_none(),
            Stage::Publish => lost || stage.reason == Some(Reason::PublishingFailed),
            Stage::Algorithm | Stage::Filter => false,
        };
        let next = usize::try_from(stage.repetition).ok()?;
        let pause = *PAUSES.get(next).filter(|_| repeatable)?;
        if self.now < stage.finished_at? + pause {
            return Some(Step::Wait);
        }
        Some(self.begin(stage.stage, stage.repetition + 1))
    }

    /// Whether the job ends with this stage, which is over: `None` when the next one follows, else why it ended, if not well.
    fn end_after(&self, stage: &StageRun) -> Option<Option<Reason>> {
        match stage.stage {
            Stage::Configure => stage.reason.map(Some),
            // Once it ran there is a log to bring out.
            Stage::Algorithm if stage.started_at.is_some() => None,
            Stage::Algorithm => Some(Some(stage.reason.unwrap_or(Reason::PodMissing))),
            // However it ended, the record of the log is brought out.
            Stage::Filter => None,
            Stage::Publish => {
                let reason_of = |stage| self.run.stage(stage).and_then(|stage| stage.reason);
                let before = reason_of(Stage::Algorithm).or_else(|| reason_of(Stage::Filter));
                Some(before.or(stage.reason))
            }
        }
    }

    fn finish(&self, reason: Option<Reason>) -> Step {
        // A run that went well shows no results if it was stopped while they could not leave.
        let withheld = || self.stop().filter(|_| !self.footing().lets_out());
        let reason = reason.or_else(withheld);
        let mut run = self.run.clone();
        run.phase = Phase::Finished;
        run.outcome = Some(reason.map_or(Outcome::Succeeded, Reason::outcome));
        run.reason = reason;
        Step::Record(Box::new(run))
    }

    fn changed(&self, change: impl FnOnce(&mut StageRun)) -> Step {
        let mut run = self.run.clone();
        if let Some(known) = run.stages.last_mut() {
            change(known);
            if known.stage == Stage::Algorithm && known.started_at.is_some() {
                run.phase = Phase::Running;
            }
        }
        Step::Record(Box::new(run))
    }
}

/// The time of a stage that a guard ends.
fn guarded(seconds: u32) -> TimeDelta {
    TimeDelta::seconds(i64::from(seconds)) + MARGIN
}

#[cfg(test)]
mod tests;
